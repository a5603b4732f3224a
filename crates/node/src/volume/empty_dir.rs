//! `emptyDir`: a directory, or memory, that lives as long as its pod.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use api::Quantity;
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Makes the directory, once.
pub(super) fn make(dir: &Path, source: &EmptyDirVolumeSource) -> io::Result<()> {
    let fresh = !dir.exists();
    fs::create_dir_all(dir)?;
    let memory = source.medium.as_deref() == Some("Memory");
    if memory && !mount_points()?.iter().any(|point| point == dir) {
        let limit = source.size_limit.as_ref().and_then(|limit| Quantity::parse(&limit.0).ok());
        let size = limit.filter(|limit| *limit > Quantity::ZERO).map(|limit| format!("size={}", limit.as_units()));
        mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::MS_NODEV, size.as_deref())?;
    }
    if fresh || memory {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o777))?;
    }
    Ok(())
}

/// Takes away every mount below a directory.
///
/// Invariant: on success there is none left, so the directory can be removed without touching what was
/// mounted there (a `hostPath` by way of `subPath`, for example).
pub(super) fn unmount_below(dir: &Path) -> io::Result<()> {
    let below = || -> io::Result<Vec<PathBuf>> {
        Ok(mount_points()?.into_iter().filter(|point| point.starts_with(dir) && point != dir).collect())
    };
    // The last mounted one lies on top.
    for point in below()?.iter().rev() {
        umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    match below()?.first() {
        None => Ok(()),
        Some(point) => Err(io::Error::other(format!("{} is still mounted", point.display()))),
    }
}

/// All mount points of this mount namespace, in the order of mounting.
pub(super) fn mount_points() -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape).collect())
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut out = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => out.push(char::from(code)),
            None => break,
        }
        rest = &rest[at + 4..];
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_mount_points() {
        assert_eq!(unescape("/a\\040b\\134c"), PathBuf::from("/a b\\c"));
    }
}
