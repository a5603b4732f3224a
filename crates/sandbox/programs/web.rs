//! The sample web application: one static program, no dependencies.
//!
//! As a server it shows which pod answers (so that load balancing and rolling
//! updates can be seen), answers probes, logs one line per request to stdout,
//! and drains on SIGTERM. It can be told to fail, for drills and tests. Its
//! client modes make checks possible from inside a container without a shell.
//!
//! Invariant: at most `MAX_CONNECTIONS` connections are served at once, each
//! with a timeout; further ones are answered 503 at once.
//! Deliberately absent: TLS, keep-alive, request bodies, and printing the
//! environment (it may hold secrets).

#![deny(unsafe_code)]

use std::env;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MAX_CONNECTIONS: usize = 64;
const MAX_HEADER_BYTES: u64 = 16 * 1024;
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static DRAINING: AtomicBool = AtomicBool::new(false);

const USAGE: &str = "\
usage: web [serve] [--port N] [--version V]   serve HTTP (default port 8080, or $PORT)
       web get URL                            print the body; exit 1 unless the status is 2xx
       web lookup NAME                        print the addresses of a name
       web cat FILE...                        print files
       web sleep SECONDS                      wait, then exit 0

environment of the server:
  PORT, VERSION            as the options
  POD_NAME, POD_NAMESPACE, POD_IP, NODE_NAME   shown on the page
  STARTUP_DELAY=SECONDS    wait before listening
  FAIL_AFTER=SECONDS       exit after that time with EXIT_CODE (default 1)
  EXIT_CODE=N              without FAIL_AFTER: exit at once with N
  UNHEALTHY_AFTER=SECONDS  /healthz answers 500 after that time
  LEAK=MEBIBYTES           take that much more memory each second, and keep it
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["get", url] => get(url),
        ["lookup", name] => lookup(name),
        ["cat", files @ ..] if !files.is_empty() => cat(files),
        ["sleep", seconds] => sleep(seconds),
        ["-h" | "--help" | "help"] => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        ["serve", options @ ..] => Settings::read(options).and_then(|settings| serve(&settings)),
        options if options.iter().all(|word| !matches!(*word, "get" | "lookup" | "cat" | "sleep")) => {
            Settings::read(options).and_then(|settings| serve(&settings))
        }
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("web: {}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// What the server was told, by options and environment.
struct Settings {
    port: u16,
    version: String,
    startup_delay: Option<Duration>,
    fail_after: Option<Duration>,
    exit_code: Option<i32>,
    unhealthy_after: Option<Duration>,
    leak: Option<usize>,
    started: Instant,
}

impl Settings {
    fn read(options: &[&str]) -> Result<Self, String> {
        let mut settings = Self {
            port: number("PORT")?.unwrap_or(8080),
            version: text("VERSION").unwrap_or_else(|| "dev".to_owned()),
            startup_delay: number("STARTUP_DELAY")?.map(Duration::from_secs),
            fail_after: number("FAIL_AFTER")?.map(Duration::from_secs),
            exit_code: number("EXIT_CODE")?,
            unhealthy_after: number("UNHEALTHY_AFTER")?.map(Duration::from_secs),
            leak: number("LEAK")?,
            started: Instant::now(),
        };
        let mut rest = options.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or_else(|| USAGE.to_owned())?;
            match *option {
                "--port" => {
                    settings.port = value.parse().map_err(|_| format!("--port {value:?} is not a port"))?;
                }
                "--version" => settings.version = (*value).to_owned(),
                _ => return Err(format!("unknown option {option:?}\n{USAGE}")),
            }
        }
        Ok(settings)
    }

    fn healthy(&self) -> bool {
        self.unhealthy_after.is_none_or(|limit| self.started.elapsed() < limit)
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<T: std::str::FromStr>(name: &str) -> Result<Option<T>, String> {
    text(name).map(|value| value.parse().map_err(|_| format!("{name}={value:?} is not a valid number"))).transpose()
}

fn serve(settings: &Settings) -> Result<ExitCode, String> {
    drain_on_sigterm()?;
    if let Some(delay) = settings.startup_delay {
        log(&format!("waiting {delay:?} before listening (STARTUP_DELAY)"));
        std::thread::sleep(delay);
    }
    let code = settings.exit_code.unwrap_or(1);
    match (settings.fail_after, settings.exit_code) {
        (Some(limit), _) => {
            std::thread::spawn(move || {
                std::thread::sleep(limit);
                log(&format!("failing on purpose with exit code {code} (FAIL_AFTER)"));
                exit(code);
            });
        }
        (None, Some(_)) => {
            log(&format!("exiting on purpose with exit code {code} (EXIT_CODE)"));
            exit(code);
        }
        (None, None) => {}
    }
    if let Some(mebibytes) = settings.leak {
        log(&format!("leaking {mebibytes} MiB each second on purpose (LEAK)"));
        std::thread::spawn(move || leak(mebibytes));
    }
    // One socket for both families where the kernel has IPv6, IPv4 otherwise.
    let listener = TcpListener::bind(("::", settings.port))
        .or_else(|_| TcpListener::bind(("0.0.0.0", settings.port)))
        .map_err(|error| format!("listen on port {}: {error}", settings.port))?;
    log(&format!("version {} listening on port {}", settings.version, settings.port));
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.set_read_timeout(Some(CONNECTION_TIMEOUT));
            let _ = stream.set_write_timeout(Some(CONNECTION_TIMEOUT));
            if CONNECTIONS.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
                let _ = stream.write_all(&Response::text(503, "too many connections\n").bytes());
                CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            scope.spawn(move || {
                let _ = answer(&mut stream, settings);
                CONNECTIONS.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// Takes memory and never gives it back. It is written to, or the kernel would only promise it.
fn leak(mebibytes: usize) {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; mebibytes << 20]);
        std::hint::black_box(&kept);
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn answer(stream: &mut TcpStream, settings: &Settings) -> io::Result<()> {
    let started = Instant::now();
    let mut reader = BufReader::new(stream.try_clone()?.take(MAX_HEADER_BYTES));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 0 && !header.trim_end().is_empty() {
        header.clear();
    }
    let mut words = request.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    let response = match (method, path) {
        ("GET" | "HEAD", "/") => page(settings),
        ("GET" | "HEAD", "/hostname") => Response::text(200, &format!("{}\n", hostname())),
        ("GET" | "HEAD", "/version") => Response::text(200, &format!("{}\n", settings.version)),
        ("GET" | "HEAD", "/healthz") if settings.healthy() => Response::text(200, "ok\n"),
        ("GET" | "HEAD", "/healthz") => Response::text(500, "unhealthy on purpose\n"),
        ("GET" | "HEAD", "/readyz") if DRAINING.load(Ordering::SeqCst) => Response::text(503, "shutting down\n"),
        ("GET" | "HEAD", "/readyz") => Response::text(200, "ok\n"),
        ("GET" | "HEAD", _) => Response::text(404, "not found\n"),
        ("", _) => Response::text(400, "bad request\n"),
        _ => Response::text(405, "only GET is served\n"),
    };
    let mut bytes = response.bytes();
    if method == "HEAD" {
        bytes.truncate(bytes.len() - response.body.len());
    }
    let sent = stream.write_all(&bytes);
    let peer = stream.peer_addr().map_or_else(|_| "-".to_owned(), |peer| peer.ip().to_canonical().to_string());
    log(&format!("{peer} {} {} {} {}us", clean(method), clean(target), response.status, started.elapsed().as_micros()));
    sent
}

/// Keeps what a client sent from breaking the one-line-per-request log.
fn clean(word: &str) -> String {
    if word.is_empty() {
        return "-".to_owned();
    }
    word.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}

struct Response {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Response {
    fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.to_owned() }
    }

    fn bytes(&self) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            500 => "Internal Server Error",
            _ => "Service Unavailable",
        };
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{}",
            self.status,
            self.content_type,
            self.body.len(),
            self.body
        )
        .into_bytes()
    }
}

fn page(settings: &Settings) -> Response {
    let count = REQUESTS.fetch_add(1, Ordering::SeqCst) + 1;
    let rows = [
        ("Pod", text("POD_NAME").unwrap_or_else(hostname)),
        ("Namespace", text("POD_NAMESPACE").unwrap_or_default()),
        ("Node", text("NODE_NAME").unwrap_or_default()),
        ("Pod IP", text("POD_IP").unwrap_or_default()),
        ("Hostname", hostname()),
        ("Version", settings.version.clone()),
        ("Requests here", count.to_string()),
        ("Up for", format!("{} s", settings.started.elapsed().as_secs())),
    ];
    let mut table = String::new();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(table, "<dt>{name}</dt><dd>{}</dd>\n", escape(value));
    }
    // The version picks the colour, so a rolling update is visible at a glance.
    let hue = settings.version.bytes().fold(205_u32, |hue, byte| (hue * 31 + u32::from(byte)) % 360);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Hello from Shipmate</title>\n<style>\
:root{{--hue:{hue};color-scheme:light dark}}\
body{{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;\
background:linear-gradient(160deg,hsl(var(--hue) 60% 92%),hsl(var(--hue) 50% 80%));color:#10222e}}\
main{{background:#fffd;padding:2rem 2.5rem;border-radius:1rem;box-shadow:0 1rem 3rem #0003;min-width:18rem}}\
h1{{margin:0 0 1rem;font-size:1.5rem;color:hsl(var(--hue) 60% 30%)}}\
dl{{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1.5rem;margin:0}}\
dt{{color:#5a6b75}}dd{{margin:0;font-family:ui-monospace,monospace;overflow-wrap:anywhere}}\
</style></head>\n<body><main><h1>Hello from Shipmate</h1>\n<dl>\n{table}</dl></main></body></html>\n"
    );
    Response { status: 200, content_type: "text/html; charset=utf-8", body }
}

fn escape(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| text("HOSTNAME").unwrap_or_default(), |name| name.trim_end().to_owned())
}

fn log(line: &str) {
    // A closed stdout must not end the server.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Waits for SIGTERM or SIGINT in a thread, lets running requests finish, then exits 0.
fn drain_on_sigterm() -> Result<(), String> {
    let mut asked = signals::install().map_err(|error| format!("install signal handler: {error}"))?;
    std::thread::spawn(move || {
        let mut byte = [0];
        if asked.read_exact(&mut byte).is_err() {
            return;
        }
        DRAINING.store(true, Ordering::SeqCst);
        let count = CONNECTIONS.load(Ordering::SeqCst);
        log(&format!("shutting down, {count} request(s) in progress"));
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while CONNECTIONS.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        exit(0);
    });
    Ok(())
}

fn get(url: &str) -> Result<ExitCode, String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url}: only http:// URLs are supported"))?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let targets = address.to_socket_addrs().map_err(|error| format!("look up {authority}: {error}"))?;
    let mut last = format!("{authority} has no address");
    for target in targets {
        match TcpStream::connect_timeout(&target, CONNECTION_TIMEOUT) {
            Ok(stream) => return fetch(stream, authority, path).map_err(|error| format!("GET {url}: {error}")),
            Err(error) => last = format!("connect to {target}: {error}"),
        }
    }
    Err(last)
}

fn fetch(mut stream: TcpStream, host: &str, path: &str) -> Result<ExitCode, String> {
    let failed = |error: io::Error| error.to_string();
    stream.set_read_timeout(Some(CONNECTION_TIMEOUT)).map_err(failed)?;
    stream.set_write_timeout(Some(CONNECTION_TIMEOUT)).map_err(failed)?;
    // HTTP/1.0, so that the body is neither chunked nor kept open.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: shipmate-web\r\n\r\n").map_err(failed)?;
    let mut reader = BufReader::new(stream);
    let mut status_line = String::new();
    reader.read_line(&mut status_line).map_err(failed)?;
    let status: u16 = status_line
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| format!("the answer is not HTTP: {:?}", status_line.trim_end()))?;
    let mut header = String::new();
    while reader.read_line(&mut header).map_err(failed)? > 0 && !header.trim_end().is_empty() {
        header.clear();
    }
    io::copy(&mut reader, &mut io::stdout()).map_err(failed)?;
    if (200..300).contains(&status) {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("the server answered {}", status_line.trim_end()))
}

fn lookup(name: &str) -> Result<ExitCode, String> {
    let mut found: Vec<String> = (name, 0)
        .to_socket_addrs()
        .map_err(|error| format!("look up {name}: {error}"))?
        .map(|address| address.ip().to_string())
        .collect();
    found.sort();
    found.dedup();
    for address in found {
        println!("{address}");
    }
    Ok(ExitCode::SUCCESS)
}

fn cat(files: &[&str]) -> Result<ExitCode, String> {
    for file in files {
        std::fs::File::open(file)
            .and_then(|mut open| io::copy(&mut open, &mut io::stdout()))
            .map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sleep(seconds: &str) -> Result<ExitCode, String> {
    let seconds: f64 = seconds.parse().map_err(|_| format!("{seconds:?} is not a number of seconds"))?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    // As PID 1 a process needs a handler for SIGTERM to end before its grace period does.
    drain_on_sigterm()?;
    std::thread::sleep(time);
    Ok(ExitCode::SUCCESS)
}

#[expect(unsafe_code, reason = "std has no signal handling, and this program may have no dependencies")]
mod signals {
    use std::io::{self, PipeReader};
    use std::os::fd::IntoRawFd;
    use std::sync::atomic::{AtomicI32, Ordering};

    static NOTICE: AtomicI32 = AtomicI32::new(-1);
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;

    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
        fn write(fd: i32, bytes: *const u8, count: usize) -> isize;
    }

    extern "C" fn notice(_number: i32) {
        let byte = 1_u8;
        // SAFETY: write(2) is async-signal-safe; the pointer is valid for one byte.
        let _ = unsafe { write(NOTICE.load(Ordering::SeqCst), &raw const byte, 1) };
    }

    /// A pipe that gets one byte for each SIGTERM or SIGINT.
    pub fn install() -> io::Result<PipeReader> {
        let (reader, writer) = io::pipe()?;
        NOTICE.store(writer.into_raw_fd(), Ordering::SeqCst);
        let notice: extern "C" fn(i32) = notice;
        // SAFETY: valid signal numbers, and a handler that lives as long as the
        // program and does only async-signal-safe work.
        unsafe {
            signal(SIGINT, notice as usize);
            signal(SIGTERM, notice as usize);
        }
        Ok(reader)
    }
}
