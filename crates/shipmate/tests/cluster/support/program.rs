//! Programs that run while a story goes on, and their answers.

use std::io::{ErrorKind, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long any program may run, unless told to end earlier.
const LIMIT: Duration = Duration::from_secs(150);
/// Set to see each command as it starts.
const TRACE: &str = "SHIPMATE_TEST_TRACE";
/// How often the end of a program is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// What a program said, and its exit code; 128 and more for a signal, as shells count.
#[derive(Clone, Debug)]
pub struct Answer {
    pub line: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// Its output; it must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == 0, "{self}");
        self.out
    }

    /// What it complained about; it must have failed with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert!(self.code == code, "it should have ended with {code}: {self}");
        self.err
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, out, err } = self;
        write!(f, "`{line}` ended with {code}\n--- stdout\n{out}\n--- stderr\n{err}\n---")
    }
}

/// Splits a command line at spaces; single quotes hold words together.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut begun, mut quoted) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                begun = true;
            }
            c if c.is_whitespace() && !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    assert!(!quoted, "{line}: a quote is open");
    if begun {
        words.push(word);
    }
    words
}

/// A program that runs. It is killed when this is dropped.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    line: String,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    streams: Mutex<Streams>,
    more: Condvar,
}

#[derive(Default)]
struct Streams {
    out: Vec<u8>,
    err: Vec<u8>,
    ended: u8,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let shown = std::iter::once(command.get_program()).chain(command.get_args());
        let shown: Vec<_> = shown.map(|word| word.to_string_lossy().into_owned()).collect();
        let line = shown.join(" ");
        if std::env::var_os(TRACE).is_some() {
            let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            eprintln!("{:.1} $ {line}", time.as_secs_f64());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start `{line}`: {error}"));
        let said = Arc::<Said>::default();
        said.listen(child.stdout.take().unwrap(), |streams| &mut streams.out);
        said.listen(child.stderr.take().unwrap(), |streams| &mut streams.err);
        Self { stdin: child.stdin.take(), child, line, said }
    }

    /// Waits until both streams together have something in them, and gives stdout so far.
    #[track_caller]
    pub fn until(&mut self, needle: &str) -> String {
        self.until_so(needle, |out, err| out.contains(needle) || err.contains(needle))
    }

    /// Waits until the streams are as they should be, and gives stdout so far.
    #[track_caller]
    pub fn until_so(&mut self, what: &str, so: impl Fn(&str, &str) -> bool) -> String {
        let end = Instant::now() + super::PATIENCE;
        let mut streams = self.said.streams.lock().unwrap();
        loop {
            let (out, err) = (text(&streams.out), text(&streams.err));
            if so(&out, &err) {
                return out;
            }
            let left = end.saturating_duration_since(Instant::now());
            let over = left.is_zero() || streams.ended == 2;
            assert!(!over, "`{}` did not say {what:?}\n--- stdout\n{out}\n--- stderr\n{err}\n---", self.line);
            streams = self.said.more.wait_timeout(streams, left).unwrap().0;
        }
    }

    /// Writes to its stdin. A program that has ended does not mind: its answer says why.
    #[track_caller]
    pub fn send(&mut self, input: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin was closed before");
        match stdin.write_all(input).and_then(|()| stdin.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("`{}`: write: {error}", self.line),
            _ => {}
        }
    }

    /// Ends its stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Closes stdin and waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Answer {
        self.close();
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let streams = self.said.streams.lock().unwrap();
            let (out, err) = (text(&streams.out), text(&streams.err));
            drop(streams);
            let line = &self.line;
            assert!(Instant::now() < end, "`{line}` did not end\n--- stdout\n{out}\n--- stderr\n{err}\n---");
            std::thread::sleep(LOOK);
        };
        use std::os::unix::process::ExitStatusExt as _;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        let said = self.said.all();
        Answer { line: self.line.clone(), code, out: text(&said.0), err: text(&said.1) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn listen(self: &Arc<Self>, mut from: impl Read + Send + 'static, to: fn(&mut Streams) -> &mut Vec<u8>) {
        let said = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let read = from.read(&mut buffer).unwrap_or(0);
                let mut streams = said.streams.lock().unwrap();
                to(&mut streams).extend(&buffer[..read]);
                streams.ended += u8::from(read == 0);
                said.more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
    }

    /// Everything, once both streams have ended; what a grandchild keeps open is not waited for long.
    fn all(&self) -> (Vec<u8>, Vec<u8>) {
        let streams = self.streams.lock().unwrap();
        let waited = self.more.wait_timeout_while(streams, Duration::from_secs(2), |streams| streams.ended < 2);
        let mut streams = waited.unwrap().0;
        (std::mem::take(&mut streams.out), std::mem::take(&mut streams.err))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
