//! A new export beside the old one, which takes its place in one step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};
use tempfile::TempDir;

use super::ExportError;
use super::leftovers::{self, MARK, PREFIX};

/// Files that are being written. Dropping it removes them.
pub(super) struct Staging {
    directory: TempDir,
    /// Says that somebody works in it.
    _held: Flock<fs::File>,
    /// Whether only the owner may read the files.
    private: bool,
    folders: BTreeSet<PathBuf>,
    files: HashMap<PathBuf, String>,
}

impl Staging {
    /// Begins in a directory beside the one whose place it takes.
    pub(super) fn beside(target: &Path, private: bool) -> Result<Self, ExportError> {
        let target = std::path::absolute(target).map_err(ExportError::io("find", target))?;
        let parent = target.parent().unwrap_or(&target);
        fs::create_dir_all(parent).map_err(ExportError::io("make", parent))?;
        let mode = if private { 0o700 } else { 0o777 };
        // The umask applies.
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(mode))
            .tempdir_in(parent)
            .map_err(ExportError::io("make a directory in", parent))?;
        let path = directory.path();
        let opened = fs::File::open(path).map_err(ExportError::io("open", path))?;
        // Whoever looks for leftovers holds it for a moment only.
        let held = Flock::lock(opened, FlockArg::LockExclusive).map_err(|(_, error)| error.into());
        let _held = held.map_err(ExportError::io("lock", path))?;
        leftovers::mark(path, &target)?;
        Ok(Self { directory, _held, private, folders: BTreeSet::new(), files: HashMap::new() })
    }

    /// Writes a file of a kind.
    pub(super) fn write(&mut self, kind: &str, path: &Path, text: &str) -> Result<(), ExportError> {
        let file = self.place(path)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(if self.private { 0o600 } else { 0o666 });
        let written = options.open(&file).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(ExportError::io("write", &file))?;
        self.files.insert(path.to_owned(), kind.to_owned());
        Ok(())
    }

    /// Takes over a file of the old export.
    pub(super) fn keep(&mut self, target: &Path, path: &Path) -> Result<(), ExportError> {
        let (old, new) = (target.join(path), self.place(path)?);
        fs::copy(&old, &new).map_err(ExportError::io("copy", &old))?;
        self.files.insert(path.to_owned(), String::new());
        Ok(())
    }

    fn place(&mut self, path: &Path) -> Result<PathBuf, ExportError> {
        let file = self.directory.path().join(path);
        if let Some(folder) = file.parent()
            && !self.folders.contains(folder)
        {
            fs::create_dir_all(folder).map_err(ExportError::io("make", folder))?;
            self.folders.insert(folder.to_owned());
        }
        Ok(file)
    }

    /// Removes the files of a kind.
    pub(super) fn forget(&mut self, kind: &str) -> Result<(), ExportError> {
        for path in self.files.extract_if(|_, of| of == kind).map(|(path, _)| path) {
            let file = self.directory.path().join(path);
            fs::remove_file(&file).map_err(ExportError::io("remove", &file))?;
        }
        Ok(())
    }

    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// The files that there are.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.keys().cloned()
    }

    /// How many files there are.
    pub(super) fn written(&self) -> usize {
        self.files.len()
    }

    /// Takes the place of the target, whose files of `ours` are removed. What others keep there (`.git`, a README) stays.
    pub(super) fn take_place(self, target: &Path, ours: &BTreeSet<PathBuf>) -> Result<(), ExportError> {
        let new = self.directory.path().to_owned();
        let sync = fs::File::open(&new).and_then(|directory| nix::unistd::syncfs(&directory).map_err(Into::into));
        sync.map_err(ExportError::io("write", &new))?;
        if !target.exists() {
            fs::rename(&new, target).map_err(ExportError::io("put in place", target))?;
            // It is in place now: nothing is left to be removed.
            let _ = self.directory.keep();
            return unmark(target);
        }
        let Some(_held) = leftovers::hold(target)? else { return Err(ExportError::Busy(target.to_owned())) };
        let old = match renameat2(AT_FDCWD, &new, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => new,
            Err(_) => by_steps(&new, target)?,
        };
        // From here on the directory may hold what is not ours: it is removed only when that was moved.
        let _ = self.directory.keep();
        let finished = take_over(&old, target, ours)
            .and_then(|()| fs::remove_dir_all(&old).map_err(ExportError::io("remove", &old)))
            .and_then(|()| unmark(target));
        finished.map_err(|error| ExportError::Unfinished(Box::new(error)))
    }
}

fn unmark(target: &Path) -> Result<(), ExportError> {
    let mark = target.join(MARK);
    fs::remove_file(&mark).map_err(ExportError::io("remove", &mark))
}

/// For file systems that can't exchange: between two renames the old export lies beside the target.
fn by_steps(new: &Path, target: &Path) -> Result<PathBuf, ExportError> {
    let aside = leftovers::aside(new);
    fs::rename(target, &aside).map_err(ExportError::io("put aside", target))?;
    if let Err(error) = fs::rename(new, target) {
        fs::rename(&aside, target).map_err(ExportError::io("put back", target))?;
        return Err(ExportError::io("put in place", target)(error));
    }
    Ok(aside)
}

/// Moves what is not ours from the old directory into the new one; what the new one has goes before.
pub(super) fn take_over(old: &Path, new: &Path, ours: &BTreeSet<PathBuf>) -> Result<(), ExportError> {
    let folders = ours.iter().flat_map(|file| file.ancestors().skip(1)).collect();
    take_over_below(old, new, Path::new(""), (ours, &folders))
}

fn take_over_below(
    old: &Path,
    new: &Path,
    below: &Path,
    (ours, folders): (&BTreeSet<PathBuf>, &HashSet<&Path>),
) -> Result<(), ExportError> {
    let folder = old.join(below);
    for entry in fs::read_dir(&folder).map_err(ExportError::io("read", &folder))? {
        let entry = entry.map_err(ExportError::io("read", &folder))?;
        let path = below.join(entry.file_name());
        if ours.contains(&path) {
            continue;
        }
        let (from, to) = (entry.path(), new.join(&path));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && (folders.contains(path.as_path()) || to.exists()) {
            take_over_below(old, new, &path, (ours, folders))?;
        } else if !to.exists() {
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(ExportError::io("make", parent))?;
            }
            fs::rename(&from, &to).map_err(ExportError::io("keep", &from))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(directory: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![directory.to_owned()];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                match entry.path().is_dir() {
                    true => left.push(entry.path()),
                    false => found.push(entry.path().strip_prefix(directory).unwrap().display().to_string()),
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_new_one_takes_the_place_of_the_old_one() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("export");
        let first = Path::new("shop/configmap/a.yaml");
        let mut staging = Staging::beside(&target, false).unwrap();
        staging.write("configmaps", first, "a: 1\n").unwrap();
        staging.take_place(&target, &BTreeSet::new()).unwrap();
        for (path, text) in [(".git/HEAD", "ref"), ("README.md", "mine"), ("shop/configmap/note.txt", "mine")] {
            fs::create_dir_all(target.join(path).parent().unwrap()).unwrap();
            fs::write(target.join(path), text).unwrap();
        }
        let mut staging = Staging::beside(&target, false).unwrap();
        staging.write("configmaps", Path::new("shop/configmap/b.yaml"), "b: 1\n").unwrap();
        staging.take_place(&target, &BTreeSet::from([first.to_owned()])).unwrap();
        assert_eq!(
            listing(&target),
            [".git/HEAD", "README.md", "shop/configmap/b.yaml", "shop/configmap/note.txt"],
            "what is not ours stays"
        );
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mut staging = Staging::beside(&place.path().join("export"), true).unwrap();
        staging.write("secrets", Path::new("shop/secret/a.yaml"), "a: 1\n").unwrap();
        staging.write("configmaps", Path::new("shop/configmap/a.yaml"), "a: 1\n").unwrap();
        let file = staging.directory.path().join("shop/secret/a.yaml");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        staging.forget("secrets").unwrap();
        assert!(!file.exists() && staging.written() == 1);
        drop(staging);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
