//! Directories whose files change all at once.
//!
//! The files lie in a directory named after the time; `..data` is a symbolic link to it and is replaced
//! by renaming another over it; what users see are links through `..data`. A reader that opens files
//! through one `..data` sees one state.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Component, Path};

use jiff::Timestamp;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// A file of such a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub data: Vec<u8>,
    pub mode: u32,
    /// Its owner, if not root.
    pub user: Option<u32>,
}

/// Makes the directory have exactly these files; does nothing if it has. Paths are relative.
pub(super) fn write(dir: &Path, files: &BTreeMap<String, File>, fs_group: Option<i64>) -> io::Result<()> {
    if let Some(path) = files.keys().find(|path| !is_inside(path)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path} leads out of the volume")));
    }
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    let old = fs::read_link(dir.join(DATA)).ok();
    if old.as_ref().is_some_and(|old| same(&dir.join(old), files)) {
        return Ok(());
    }
    let name = format!("..{}", Timestamp::now().strftime("%Y_%m_%d_%H_%M_%S.%9f"));
    let payload = dir.join(&name);
    fs::DirBuilder::new().mode(0o755).create(&payload)?;
    for (path, file) in files {
        write_file(&payload, path, file, fs_group)?;
    }
    let new_link = dir.join(NEW_DATA);
    let _ = fs::remove_file(&new_link);
    symlink(&name, &new_link)?;
    fs::rename(&new_link, dir.join(DATA))?;
    link_visible(dir, files)?;
    remove_stale(dir, &name)
}

fn is_inside(path: &str) -> bool {
    let mut components = Path::new(path).components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

fn write_file(payload: &Path, path: &str, file: &File, fs_group: Option<i64>) -> io::Result<()> {
    let target = payload.join(path);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&target, &file.data)?;
    // A group that may read the volume may read each file.
    let mode = if fs_group.is_some() { file.mode | 0o440 } else { file.mode };
    let group = fs_group.and_then(|group| u32::try_from(group).ok());
    if file.user.is_some() || group.is_some() {
        chown(&target, file.user, group)?;
    }
    fs::set_permissions(&target, fs::Permissions::from_mode(mode))
}

/// Whether a payload directory already has these files with this content and mode.
fn same(payload: &Path, files: &BTreeMap<String, File>) -> bool {
    let unchanged = |(path, file): (&String, &File)| fs::read(payload.join(path)).is_ok_and(|data| data == file.data);
    files.iter().all(unchanged) && count(payload).is_ok_and(|n_files| n_files == files.len())
}

fn count(dir: &Path) -> io::Result<usize> {
    let mut n_files = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        n_files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(n_files)
}

fn first(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

fn link_visible(dir: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let wanted: BTreeSet<_> = files.keys().map(|path| first(path)).collect();
    for name in &wanted {
        match symlink(Path::new(DATA).join(name), dir.join(name)) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
            _ => {}
        }
    }
    for entry in fs::read_dir(dir)?.flatten() {
        let name = entry.file_name();
        let visible = name.to_str().is_some_and(|name| !name.starts_with("..") && !wanted.contains(name));
        if visible && entry.file_type()?.is_symlink() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_stale(dir: &Path, current: &str) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let name = entry.file_name();
        let payload = name.to_str().is_some_and(|name| name.starts_with("..2") && name != current);
        if payload && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, File> {
        let file = |text: &str| File { data: text.as_bytes().to_vec(), mode: 0o640, user: None };
        pairs.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    #[test]
    fn files_are_replaced_together() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        write(dir, &files(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        let old = fs::read_link(dir.join(DATA)).unwrap();
        assert_eq!(fs::read_to_string(dir.join("d/b")).unwrap(), "2");
        assert_eq!(fs::metadata(dir.join("a")).unwrap().permissions().mode() & 0o777, 0o640);

        write(dir, &files(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(fs::read_link(dir.join(DATA)).unwrap(), old);

        write(dir, &files(&[("a", "3"), ("c", "4")]), None).unwrap();
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "3");
        assert_eq!(fs::read_to_string(dir.join("c")).unwrap(), "4");
        assert!(!dir.join("d").exists() && !dir.join(old).exists());
    }

    #[test]
    fn paths_cannot_leave_the_volume() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["../x", "/x", "", "a/../../x"] {
            assert!(write(dir.path(), &files(&[(path, "1")]), None).is_err(), "{path}");
        }
    }
}
