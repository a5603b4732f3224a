//! What an export that was killed left behind, beside its directory or in the middle of taking its place.
//!
//! Invariant: only what bears the mark of an unfinished export is removed. A directory beside the target that does not
//! bear it was the target until it was exchanged, and holds what others keep there: that is moved on, never removed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::staging::take_over;
use super::{ExportError, INDEX, files};

/// How directories of unfinished exports are called.
pub(super) const PREFIX: &str = ".shipmate-export-";
/// A file in them that says so: the target's name, and their own.
pub(super) const MARK: &str = ".shipmate-unfinished";
/// Ends the name under which an old export waits where directories can't be exchanged.
pub(super) const ASIDE: &str = ".old";

/// Holds a directory for as long as somebody works in it, whatever it is renamed to. `None` if somebody does.
pub(super) fn hold(directory: &Path) -> Result<Option<Flock<File>>, ExportError> {
    let file = File::open(directory).map_err(ExportError::io("open", directory))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(ExportError::io("lock", directory)(error.into())),
    }
}

/// Marks a directory as an unfinished export.
pub(super) fn mark(directory: &Path, target: &Path) -> Result<(), ExportError> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = directory.join(MARK);
    fs::write(&path, format!("{}\n{}\n", name(target), name(directory))).map_err(ExportError::io("write", &path))
}

/// What the mark in a directory says.
fn marked(directory: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(directory.join(MARK)).ok()?;
    let (target, own) = text.split_once('\n')?;
    let own = own.trim_end();
    (own.starts_with(PREFIX) && !own.contains('/')).then(|| (target.to_owned(), own.to_owned()))
}

/// Ends what a killed export began, and removes what is left of those that nobody works on.
pub(super) fn tidy(target: &Path) -> Result<(), ExportError> {
    let target = std::path::absolute(target).map_err(ExportError::io("find", target))?;
    let parent = target.parent().unwrap_or(&target);
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut left = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let (path, own) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let begun = own.starts_with(PREFIX) && marked(&path).is_some_and(|(of, called)| of == name && called == own);
        if begun && let Some(held) = hold(&path)? {
            left.push((path, held));
        }
    }
    for (path, _held) in &left {
        let aside = aside(path);
        if !target.exists() && aside.exists() {
            fs::rename(&aside, &target).map_err(ExportError::io("put back", &target))?;
        }
        fs::remove_dir_all(path).map_err(ExportError::io("remove", path))?;
    }
    if let Some((_, own)) = marked(&target) {
        let Some(_held) = hold(&target)? else { return Err(ExportError::Busy(target)) };
        let old = parent.join(own);
        for old in [aside(&old), old].into_iter().filter(|old| old.exists()) {
            finish(&old, &target)?;
        }
        let path = target.join(MARK);
        fs::remove_file(&path).map_err(ExportError::io("remove", &path))?;
    }
    Ok(())
}

/// Where the old export waits.
pub(super) fn aside(new: &Path) -> PathBuf {
    let mut name = new.file_name().unwrap_or_default().to_owned();
    name.push(ASIDE);
    new.with_file_name(name)
}

/// Moves what is not the old export's into the new one, and removes the old one.
fn finish(old: &Path, target: &Path) -> Result<(), ExportError> {
    let mut ours = BTreeSet::from([PathBuf::from(INDEX)]);
    if let Some(export) = files::earlier(old)? {
        ours.extend(export.own().map(|(path, _)| path.clone()));
    }
    take_over(old, target, &ours)?;
    fs::remove_dir_all(old).map_err(ExportError::io("remove", old))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::staging::Staging;

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_export_left_is_removed_and_what_others_do_is_not() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("export");
        let dead = place.path().join(format!("{PREFIX}dead"));
        write(dead.join("shop/a.yaml"), "a: 1\n");
        mark(&dead, &target).unwrap();
        write(place.path().join(format!("{PREFIX}of-others/notes.txt")), "mine");
        let alive = Staging::beside(&target, false).unwrap();
        tidy(&target).unwrap();
        assert!(!dead.exists());
        assert_eq!(names(place.path()).len(), 2, "{:?}", names(place.path()));
        drop(alive);
        assert_eq!(names(place.path()), [format!("{PREFIX}of-others")]);
    }

    #[test]
    fn what_others_keep_survives_a_kill_in_the_middle() {
        let index = r#"{"version": 1}"#;
        for by_steps in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("export");
            let old = place.path().join(format!("{PREFIX}abc"));
            write(target.join(INDEX), index);
            mark(&target, &target).unwrap();
            // As if it had come from there.
            fs::write(target.join(MARK), format!("export\n{PREFIX}abc\n")).unwrap();
            let old = if by_steps { aside(&old) } else { old };
            write(old.join(INDEX), index);
            write(old.join(".git/HEAD"), "ref");
            write(old.join("shop/configmap/note.txt"), "mine");
            tidy(&target).unwrap();
            assert_eq!(names(place.path()), ["export"]);
            assert_eq!(names(&target), [".git", INDEX, "shop"]);
            assert_eq!(fs::read_to_string(target.join("shop/configmap/note.txt")).unwrap(), "mine");
        }
    }

    #[test]
    fn an_old_export_that_waits_is_put_back() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("export");
        let new = place.path().join(format!("{PREFIX}abc"));
        write(new.join("shop/a.yaml"), "new");
        mark(&new, &target).unwrap();
        write(aside(&new).join("README.md"), "mine");
        tidy(&target).unwrap();
        assert_eq!(names(place.path()), ["export"]);
        assert_eq!(names(&target), ["README.md"]);
    }
}
