//! `fsGroup`: the group that owns a pod's volumes.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

/// Lets the group read and write everything below the directory, and own what is made there later.
pub(super) fn writable(dir: &Path, fs_group: Option<i64>) -> io::Result<()> {
    let Some(group) = fs_group.and_then(|group| u32::try_from(group).ok()) else { return Ok(()) };
    let meta = fs::symlink_metadata(dir)?;
    // Done before: what the pod changed since is its own business.
    if meta.gid() == group && meta.permissions().mode() & 0o2000 != 0 {
        return Ok(());
    }
    give(dir, group)
}

fn give(path: &Path, group: u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), group)?;
        }
    }
    lchown(path, None, Some(group))?;
    if meta.is_symlink() {
        return Ok(());
    }
    let more = if meta.is_dir() { 0o2770 } else { 0o660 };
    fs::set_permissions(path, fs::Permissions::from_mode(meta.permissions().mode() & 0o7777 | more))
}
