//! Samples over time, in a file: one line of JSON each.
//!
//! A line is written in one piece and synced; what a crash left of one is cut off by the next writer. The file is bound: when
//! it is full, its newer half goes on in a new file that takes its place. A lock on the file keeps second writers out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::report::Report;

/// How large a file gets unless told otherwise.
pub const SIZE: u64 = 16 << 20;

/// What was at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When, in seconds since 1970.
    pub time: i64,
    /// The server.
    pub server: String,
    /// `max_connections`.
    pub max: u64,
    /// Slots that ordinary roles get.
    pub ordinary: u64,
    /// Connections that take a slot.
    pub used: u64,
    /// Connections by holder.
    pub holders: BTreeMap<String, u64>,
}

impl Sample {
    /// Of a report, taken now, of the server at `place`.
    pub fn of(report: &Report, place: &str) -> Self {
        let holders = report.holders.iter().map(|one| (one.holder.clone(), one.connections as u64));
        Self {
            time: jiff::Timestamp::now().as_second(),
            server: place.to_owned(),
            max: report.capacity.max,
            ordinary: report.capacity.ordinary,
            used: report.capacity.used,
            holders: holders.collect(),
        }
    }
}

/// Why a history can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Somebody else writes it.
    #[error("{} is being written by another `shipmate trace`: give this one a file of its own", .0.display())]
    Busy(PathBuf),
    /// It holds something else.
    #[error("{} line {line} is no sample of `shipmate trace --history`: nothing is written to it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It is another server's.
    #[error("{} holds samples of {server}: one file is for one server", path.display())]
    OtherServer {
        /// The file.
        path: PathBuf,
        /// The server in it.
        server: String,
    },
    /// The file system refuses.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A history that is written, by this one alone.
pub struct History {
    path: PathBuf,
    file: Flock<File>,
    most: u64,
}

impl History {
    /// Opens or makes a file for the samples of a server.
    ///
    /// # Errors
    /// When another writes it, or it holds something else.
    pub fn open(path: &Path, server: &str, most: u64) -> Result<Self, HistoryError> {
        let mut history = Self { path: path.to_owned(), file: locked(path)?, most };
        let (samples, whole) = history.read()?;
        if let Some(last) = samples.last()
            && last.server != server
        {
            return Err(HistoryError::OtherServer { path: path.to_owned(), server: last.server.clone() });
        }
        let length = history.io("look at", |file| Ok(file.metadata()?.len()))?;
        if whole < length {
            history.io("cut off a torn line of", |file| file.set_len(whole))?;
        }
        Ok(history)
    }

    /// Adds a sample; it is on disk when this returns.
    ///
    /// # Errors
    /// When the file system refuses. The file then holds what it held before.
    pub fn add(&mut self, sample: &Sample) -> Result<(), HistoryError> {
        let mut line = serde_json::to_vec(sample).map_err(|error| self.failed("write", error.into()))?;
        line.push(b'\n');
        let length = self.io("look at", |file| Ok(file.metadata()?.len()))?;
        if length > 0 && length + line.len() as u64 > self.most {
            self.halve()?;
        }
        let length = self.io("look at", |file| Ok(file.metadata()?.len()))?;
        let added = self.io("add to", |file| {
            file.seek(SeekFrom::End(0))?;
            file.write_all(&line)?;
            file.sync_data()
        });
        if added.is_err() {
            // Such as a full disk: half a line is taken back; if not now, then by the next writer.
            let _ = self.file.set_len(length);
        }
        added
    }

    /// Goes on with the newer half.
    fn halve(&mut self) -> Result<(), HistoryError> {
        let (samples, _) = self.read()?;
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = tempfile::NamedTempFile::new_in(directory);
        let mut made = made.map_err(|error| self.failed("make a file beside", error))?;
        for sample in &samples[samples.len().div_ceil(2)..] {
            let line = serde_json::to_string(sample).map_err(|error| self.failed("write", error.into()))?;
            writeln!(made, "{line}").map_err(|error| self.failed("write a shorter", error))?;
        }
        let mode = self.io("look at", |file| Ok(file.metadata()?.permissions()))?;
        made.as_file().set_permissions(mode).map_err(|error| self.failed("write a shorter", error))?;
        made.as_file().sync_all().map_err(|error| self.failed("sync a shorter", error))?;
        // Locked before it has the name: nobody gets in between.
        let (file, path) = made.into_parts();
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| self.failed("lock a shorter", error.into()))?;
        path.persist(&self.path).map_err(|error| self.failed("replace", error.error))?;
        self.file = file;
        Ok(())
    }

    fn read(&mut self) -> Result<(Vec<Sample>, u64), HistoryError> {
        let mut bytes = Vec::new();
        self.io("read", |file| {
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)
        })?;
        parse(&self.path, &bytes)
    }

    fn io<T>(&mut self, what: &'static str, work: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T, HistoryError> {
        let done = work(&mut self.file);
        done.map_err(|source| self.failed(what, source))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> HistoryError {
        HistoryError::Io { what, path: self.path.clone(), source }
    }
}

/// The samples of a file.
///
/// # Errors
/// When it can't be read, or holds something else.
pub fn read(path: &Path) -> Result<Vec<Sample>, HistoryError> {
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| HistoryError::Io { what: "read", path: path.to_owned(), source })?;
    Ok(parse(path, &bytes)?.0)
}

/// The samples, and how many bytes they take: a last line that was not finished is none.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Sample>, u64), HistoryError> {
    let (mut samples, mut whole) = (Vec::new(), 0);
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.last() != Some(&b'\n') && number > 0 {
            break;
        }
        let foreign = || HistoryError::Foreign { path: path.to_owned(), line: number + 1 };
        // A first line that is torn begins at least like one of ours.
        if line.last() != Some(&b'\n') && line.starts_with(b"{\"time\":") {
            break;
        }
        samples.push(serde_json::from_slice(line).map_err(|_| foreign())?);
        whole += line.len() as u64;
    }
    Ok((samples, whole))
}

/// The file, once it is sure that the name still is this file's.
fn locked(path: &Path) -> Result<Flock<File>, HistoryError> {
    let failed = |source: io::Error| HistoryError::Io { what: "open", path: path.to_owned(), source };
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no file")));
        }
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(HistoryError::Busy(path.to_owned())),
            Err((_, error)) => return Err(failed(error.into())),
        };
        let own = file.metadata().map_err(failed)?;
        if std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: i64) -> Sample {
        let holders = BTreeMap::from([("deployment shop/web".to_owned(), 45), ("not \"known\"\n".to_owned(), 2)]);
        Sample { time, server: "db:5432".to_owned(), max: 100, ordinary: 97, used: 47, holders }
    }

    #[test]
    fn what_was_added_is_there_and_torn_lines_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        for time in 0..3 {
            History::open(&path, "db:5432", SIZE).unwrap().add(&sample(time)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let lines = whole.split_inclusive(|byte| *byte == b'\n').count();
        assert_eq!((read(&path).unwrap().len(), lines), (3, 3));
        // Killed at any place of the last line.
        let last = whole.len() / 3 * 2 + 1;
        for cut in last..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(&path).unwrap().len(), 2, "cut at {cut}");
            History::open(&path, "db:5432", SIZE).unwrap().add(&sample(9)).unwrap();
            let times: Vec<i64> = read(&path).unwrap().iter().map(|one| one.time).collect();
            assert_eq!(times, [0, 1, 9]);
        }
        for cut in 0..9 {
            std::fs::write(&path, &whole[..cut]).unwrap();
            // Less than how ours begin is not taken for ours, but for nothing or something foreign.
            assert!(read(&path).is_err() || read(&path).unwrap().is_empty());
        }
    }

    #[test]
    fn it_is_bound_and_one_writes_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let mut history = History::open(&path, "db:5432", 2000).unwrap();
        for time in 0..200 {
            history.add(&sample(time)).unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() <= 2000);
            // Also after the file was replaced.
            assert!(matches!(History::open(&path, "db:5432", 2000), Err(HistoryError::Busy(_))));
        }
        let samples = read(&path).unwrap();
        assert_eq!(samples.last().unwrap().time, 199);
        assert!(samples.windows(2).all(|two| two[0].time + 1 == two[1].time) && samples.len() > 3);
        drop(history);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(matches!(History::open(&path, "other:1", 2000), Err(HistoryError::OtherServer { .. })));
    }

    #[test]
    fn what_is_no_history_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        for text in ["my notes", "my notes\n", "{\"time\": 1}\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(History::open(&path, "db", SIZE), Err(HistoryError::Foreign { line: 1, .. })), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(History::open(dir.path(), "db", SIZE).is_err());
    }
}
