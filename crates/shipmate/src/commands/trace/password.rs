//! Asks for a password on the terminal, unseen.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

use anyhow::Context as _;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// Puts the terminal back as it was.
struct Unseen<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        // The terminal may have gone meanwhile.
        let _ = tcsetattr(self.terminal, SetArg::TCSANOW, &self.before);
    }
}

/// What is typed; none if there is no terminal.
pub(super) fn ask(question: &str) -> anyhow::Result<Option<String>> {
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let Ok(before) = tcgetattr(&terminal) else { return Ok(None) };
    let mut unseen = before.clone();
    unseen.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &unseen).context("hide what is typed")?;
    let unseen = Unseen { terminal: &terminal, before };
    write!(&terminal, "{question}").context("ask for the password")?;
    let mut line = String::new();
    BufReader::new(&terminal).read_line(&mut line).context("read the password")?;
    writeln!(&terminal).context("end the line")?;
    drop(unseen);
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
