//! Commits an export, with the git of this machine: its configuration, hooks and signatures are the user's.
//!
//! The commit is put together in an index of its own, from what is committed and the files of the export. So neither what
//! somebody has staged nor any other file gets into it. Afterwards the user's index learns of the export's files only.

mod message;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub use message::Changes;

/// How long git may take for a question.
const ANSWER: Duration = Duration::from_secs(60);
/// How long it may take to commit: hooks run, and signing may ask somebody for a passphrase.
const COMMIT: Duration = Duration::from_secs(600);
/// What git keeps while something is half done; a commit would end it.
const HALF_DONE: &[(&str, &str)] = &[
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
];
/// What would lead git elsewhere.
const ELSEWHERE: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];
/// As whom is committed if git knows nobody.
const NOBODY: [&str; 4] = ["-c", "user.name=Shipmate", "-c", "user.email=shipmate@localhost"];

/// Why something was not committed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("--git needs the program git: install it, or export without --git")]
    Missing,
    /// git could not be run, or said no.
    #[error("git {what}: {why}")]
    Refused {
        /// Its command.
        what: String,
        /// Its words.
        why: String,
    },
    /// Somebody is in the middle of something.
    #[error("a {what} is under way in {repository}: finish or abort it first")]
    HalfDone {
        /// Of what.
        what: &'static str,
        /// Where.
        repository: PathBuf,
    },
}

/// Where an export is committed.
#[derive(Debug)]
pub struct Repository {
    directory: PathBuf,
    /// Whether the directory lies in one already.
    exists: bool,
    /// Whether git does not know who commits.
    nobody: bool,
}

/// A commit that was made.
#[derive(Debug)]
pub struct Commit {
    /// Its short name.
    pub id: String,
    /// What changed.
    pub changes: Changes,
    /// Whether it was made as nobody in particular.
    pub nobody: bool,
}

impl Repository {
    /// Looks whether an export in this directory can be committed, before anything is exported.
    ///
    /// # Errors
    /// When git is missing or refuses the place, or something is half done there.
    pub async fn look(directory: &Path) -> Result<Self, GitError> {
        let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let there = absolute.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned();
        let top = output(git(&there).args(["rev-parse", "--show-toplevel"]), &[], ANSWER).await?;
        let exists = top.status.success();
        if !exists && !String::from_utf8_lossy(&top.stderr).contains("not a git repository") {
            return Err(refused("rev-parse", &top));
        }
        if exists {
            let repository = PathBuf::from(String::from_utf8_lossy(&top.stdout).trim_end());
            half_done(&there, &repository).await?;
        }
        let mut nobody = false;
        for variable in ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"] {
            nobody |= !output(git(&there).args(["var", variable]), &[], ANSWER).await?.status.success();
        }
        Ok(Self { directory: absolute, exists, nobody })
    }

    /// Commits what changed in the export's files, of which some may be gone. `None` if nothing changed.
    ///
    /// # Errors
    /// When git refuses, a hook says no, or it can't be signed. The export is in place, and not committed.
    pub async fn commit(&self, paths: &BTreeSet<PathBuf>, context: &str) -> Result<Option<Commit>, GitError> {
        if !self.exists {
            run(self.git().args(["init", "-q"]), &[], ANSWER).await?;
        }
        let place = tempfile::tempdir()
            .map_err(|error| GitError::Refused { what: "commit".to_owned(), why: error.to_string() })?;
        let index = place.path().join("index");
        let list: Vec<u8> = paths.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
        let head = output(self.git().args(["rev-parse", "-q", "--verify", "HEAD"]), &[], ANSWER).await?;
        let base = if head.status.success() { "HEAD" } else { "--empty" };
        run(self.git().env("GIT_INDEX_FILE", &index).args(["read-tree", base]), &[], ANSWER).await?;
        run(self.git().env("GIT_INDEX_FILE", &index).args(UPDATE), &list, ANSWER).await?;
        let differs = ["diff", "--cached", "--name-status", "-z", "--no-renames", "--no-ext-diff", "--relative"];
        let differs = run(self.git().env("GIT_INDEX_FILE", &index).args(differs), &[], ANSWER).await?;
        let changes = Changes::read(&differs);
        if changes.is_empty() {
            return Ok(None);
        }
        let mut commit = self.git();
        if self.nobody {
            commit.args(NOBODY);
        }
        commit.env("GIT_INDEX_FILE", &index).args(["commit", "-q", "--cleanup=whitespace", "-F", "-"]);
        run(&mut commit, changes.message(context).as_bytes(), COMMIT).await?;
        // Otherwise the user's index would say that the files went back to what they were.
        run(self.git().args(UPDATE), &list, ANSWER).await?;
        let id = run(self.git().args(["rev-parse", "--short", "HEAD"]), &[], ANSWER).await?;
        let id = String::from_utf8_lossy(&id).trim().to_owned();
        Ok(Some(Commit { id, changes, nobody: self.nobody }))
    }

    fn git(&self) -> Command {
        git(&self.directory)
    }
}

/// Takes files as they are, also where they are gone or were ignored.
const UPDATE: [&str; 6] = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];

async fn half_done(there: &Path, repository: &Path) -> Result<(), GitError> {
    for (name, what) in HALF_DONE {
        let path = run(git(there).args(["rev-parse", "--git-path", name]), &[], ANSWER).await?;
        if there.join(String::from_utf8_lossy(&path).trim_end()).exists() {
            return Err(GitError::HalfDone { what, repository: repository.to_owned() });
        }
    }
    Ok(())
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    // Its words are read, so they must be in one language. No process of its own stays in the background.
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    command.arg("-C").arg(directory).args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What git said; it must have gone well.
async fn run(command: &mut Command, input: &[u8], limit: Duration) -> Result<Vec<u8>, GitError> {
    let output = output(command, input, limit).await?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(refused(&name(command), &output)),
    }
}

async fn output(command: &mut Command, input: &[u8], limit: Duration) -> Result<Output, GitError> {
    let failed = |what: &Command, error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => GitError::Missing,
        _ => GitError::Refused { what: name(what), why: error.to_string() },
    };
    let mut child = command.spawn().map_err(|error| failed(command, error))?;
    let pipe = child.stdin.take();
    let talk = async {
        let write = async {
            if let Some(mut pipe) = pipe {
                // Whoever does not read to the end says why.
                let _ = pipe.write_all(input).await;
            }
        };
        tokio::join!(write, child.wait_with_output()).1
    };
    match tokio::time::timeout(limit, talk).await {
        Ok(output) => output.map_err(|error| failed(command, error)),
        Err(_) => {
            let why = format!("it did not end within {} s", limit.as_secs());
            Err(GitError::Refused { what: name(command), why })
        }
    }
}

/// The command of git: the first word after its options.
fn name(command: &Command) -> String {
    let mut words = command.as_std().get_args().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-C" | "-c" => drop(words.next()),
            _ => return word,
        }
    }
    String::new()
}

fn refused(what: &str, output: &Output) -> GitError {
    let both = [&output.stderr[..], &output.stdout[..]].concat();
    let why = String::from_utf8_lossy(&both).trim().replace('\n', "; ");
    let why = if why.is_empty() { format!("it ended with {}", output.status) } else { why };
    GitError::Refused { what: what.to_owned(), why }
}

#[cfg(test)]
mod tests;
