//! Container logs: the CRI log format, from the end or from a time, followed while the container runs.
//!
//! A line is `TIME STREAM FLAG TEXT`; flag `P` marks a part of a line that goes on in the next record, `F` the end
//! (CRI, «container log format»).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::pods::Pods;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// What part of a log is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    pub(super) follow: bool,
    pub(super) previous: bool,
    pub(super) timestamps: bool,
    /// Lines from the end; all when absent.
    pub(super) tail: Option<usize>,
    /// Only lines of this time or later.
    pub(super) since: Option<Timestamp>,
    /// Bytes to send at most.
    pub(super) limit: Option<usize>,
    /// Only this stream: `stdout` or `stderr`.
    pub(super) stream: Option<String>,
}

/// Which container's log.
pub(super) struct Source {
    pub(super) pods: Arc<dyn Pods>,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
}

/// Sends the log until its end, or while following until the container has ended or the reader is gone.
pub(super) async fn send(source: Source, path: PathBuf, options: Options, to: mpsc::Sender<io::Result<Bytes>>) {
    if let Err(error) = copy(&source, path, &options, &to).await {
        // A reader that is gone needs no word.
        drop(to.send(Err(error)).await);
    }
}

async fn copy(
    source: &Source,
    path: PathBuf,
    options: &Options,
    to: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut file = File::open(&path)?;
    let start = match options.tail {
        Some(lines) => tail_position(&mut file, lines)?,
        None => 0,
    };
    file.seek(SeekFrom::Start(start))?;
    let mut pending = Vec::new();
    let mut left = options.limit.unwrap_or(usize::MAX);
    loop {
        // Asked before reading: what the container wrote before it ended is then read below.
        let ended = !options.follow || !running(source);
        while read_more(&mut file, &mut pending)? {
            let mut text = take_lines(&mut pending, options);
            text.truncate(left);
            left -= text.len();
            if !text.is_empty() && to.send(Ok(text.into())).await.is_err() {
                return Ok(());
            }
            if left == 0 {
                return Ok(());
            }
        }
        if ended {
            return Ok(());
        }
        if let Some(next) = rotated(&file, &path)? {
            file = next;
            continue;
        }
        tokio::select! {
            () = to.closed() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn running(source: &Source) -> bool {
    source.pods.container(&source.namespace, &source.pod, &source.container, false).is_ok_and(|found| found.running)
}

/// The file that has taken the place of `file`, if that was rotated away.
fn rotated(file: &File, path: &Path) -> io::Result<Option<File>> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(next) = File::open(path) else { return Ok(None) };
    let (old, new) = (file.metadata()?, next.metadata()?);
    Ok((old.ino() != new.ino() || old.dev() != new.dev()).then_some(next))
}

fn read_more(file: &mut File, pending: &mut Vec<u8>) -> io::Result<bool> {
    let before = pending.len();
    file.take(CHUNK as u64).read_to_end(pending)?;
    Ok(pending.len() > before)
}

/// Takes the complete records out of `pending` and gives what of them is to be sent.
fn take_lines(pending: &mut Vec<u8>, options: &Options) -> Vec<u8> {
    let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
    let mut text = Vec::with_capacity(end);
    for record in pending[..end].split(|byte| *byte == b'\n') {
        let Some(record) = Record::parse(record) else { continue };
        let wanted = options.stream.as_ref().is_none_or(|stream| stream.as_bytes() == record.stream);
        let late_enough = options.since.is_none_or(|since| record.time().is_some_and(|time| time >= since));
        if !wanted || !late_enough {
            continue;
        }
        if options.timestamps {
            text.extend_from_slice(record.time);
            text.push(b' ');
        }
        text.extend_from_slice(&record.line());
    }
    pending.drain(..=end);
    text
}

/// What a container has written until now, in order: whether to its standard error, and the text.
///
/// At most the first mebibyte: it is what a client missed that attaches just after the container's start.
pub(super) fn beginning(path: &Path) -> io::Result<Vec<(bool, Vec<u8>)>> {
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let records = bytes[..end].split(|byte| *byte == b'\n').filter_map(Record::parse);
    Ok(records.map(|record| (record.stream == b"stderr", record.line())).collect())
}

struct Record<'a> {
    time: &'a [u8],
    stream: &'a [u8],
    partial: bool,
    text: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let (time, stream, flag) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self { time, stream, partial: flag.first() == Some(&b'P'), text: fields.next().unwrap_or_default() })
    }

    /// The text, and its line's end unless the line goes on.
    fn line(&self) -> Vec<u8> {
        let end: &[u8] = if self.partial { b"" } else { b"\n" };
        [self.text, end].concat()
    }

    fn time(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.time).ok()?.parse().ok()
    }
}

/// Where the last `lines` lines begin. Partial records belong to the line that they are part of.
fn tail_position(file: &mut File, lines: usize) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let (mut position, mut found) = (end, 0);
    let mut block = Vec::new();
    while position > 0 {
        let step = position.min(CHUNK as u64);
        position -= step;
        file.seek(SeekFrom::Start(position))?;
        block.clear();
        file.take(step).read_to_end(&mut block)?;
        for index in (0..block.len()).rev().filter(|index| block[*index] == b'\n') {
            let at = position + index as u64 + 1;
            // The record that ends here ends a line unless it is partial; the newest line ends at the end.
            if at < end && !ends_partial(file, at)? {
                found += 1;
                if found == lines {
                    return Ok(at);
                }
            }
        }
    }
    Ok(0)
}

/// Whether the record that ends before position `at` is a partial one.
fn ends_partial(file: &mut File, at: u64) -> io::Result<bool> {
    // Found from the record's beginning: `TIME STREAM FLAG` are its first bytes, at most 64 of them.
    const LONGEST: u64 = 17 << 10; // containerd cuts lines at 16 KiB.
    let from = at.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(at - 1 - from).read_to_end(&mut bytes)?;
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
    Ok(Record::parse(&bytes[start..]).is_some_and(|record| record.partial))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::pods::{Container, PodRef, Unknown};
    use super::*;

    struct One(AtomicBool);

    impl Pods for One {
        fn container(&self, _: &str, _: &str, _: &str, _: bool) -> Result<Container, Unknown> {
            let running = self.0.load(Ordering::SeqCst);
            Ok(Container { id: None, running, tty: false, stdin: false, stdin_once: false, log: PathBuf::new() })
        }

        fn sandbox(&self, _: &str, _: &str) -> Result<String, Unknown> {
            Err(Unknown::Pod)
        }

        fn pods(&self) -> Vec<PodRef> {
            Vec::new()
        }
    }

    const LOG: &str = "\
2026-11-23T10:00:00.500000000Z stdout F one
2026-11-23T10:00:01.25Z stderr F two
2026-11-23T10:00:02Z stdout P thr
2026-11-23T10:00:02Z stdout F ee
2026-11-23T10:00:03.000000001Z stdout F 
";

    fn source(running: bool) -> (Arc<One>, Source) {
        let pods = Arc::new(One(AtomicBool::new(running)));
        let source =
            Source { pods: pods.clone(), namespace: String::new(), pod: String::new(), container: String::new() };
        (pods, source)
    }

    async fn read(options: Options) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(LOG.as_bytes()).unwrap();
        let (to, mut from) = mpsc::channel(8);
        send(source(false).1, file.path().to_owned(), options, to).await;
        let mut text = Vec::new();
        while let Some(bytes) = from.recv().await {
            text.extend(bytes.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn the_asked_part_is_sent() {
        let tail = |lines| Options { tail: Some(lines), ..Options::default() };
        let cases = [
            (Options::default(), "one\ntwo\nthree\n\n"),
            (tail(0), ""),
            (tail(1), "\n"),
            (tail(2), "three\n\n"),
            (tail(3), "two\nthree\n\n"),
            (tail(4), "one\ntwo\nthree\n\n"),
            (tail(99), "one\ntwo\nthree\n\n"),
            (
                Options { since: Some("2026-11-23T10:00:01.25Z".parse().unwrap()), ..Options::default() },
                "two\nthree\n\n",
            ),
            (Options { limit: Some(5), ..Options::default() }, "one\nt"),
            (Options { stream: Some("stderr".to_owned()), ..Options::default() }, "two\n"),
            (Options { timestamps: true, tail: Some(1), ..Options::default() }, "2026-11-23T10:00:03.000000001Z \n"),
        ];
        for (options, text) in cases {
            assert_eq!(read(options.clone()).await, text, "{options:?}");
        }
    }

    #[tokio::test]
    async fn following_ends_with_the_container_and_misses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, LOG).unwrap();
        let (pods, source) = source(true);
        let (to, mut from) = mpsc::channel(8);
        let options = Options { follow: true, tail: Some(1), ..Options::default() };
        let sending = tokio::spawn(send(source, path.clone(), options, to));
        assert_eq!(from.recv().await.unwrap().unwrap(), "\n");

        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"2026-11-23T10:00:04Z stdout F more").unwrap();
        file.write_all(b"\n").unwrap();
        assert_eq!(from.recv().await.unwrap().unwrap(), "more\n");

        std::fs::rename(&path, dir.path().join("0.log.1")).unwrap();
        std::fs::write(&path, "2026-11-23T10:00:05Z stdout F rotated\n").unwrap();
        assert_eq!(from.recv().await.unwrap().unwrap(), "rotated\n");

        pods.0.store(false, Ordering::SeqCst);
        assert!(from.recv().await.is_none());
        sending.await.unwrap();
    }
}
