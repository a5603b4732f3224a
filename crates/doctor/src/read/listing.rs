//! What lies on a node's disk: `ls`, and complaints that something does not.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::Fact;

/// A directory that was listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its path.
    pub directory: String,
    /// What lies in it, without `.` and `..`.
    pub entries: Vec<Entry>,
}

/// A file or directory of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Line in the item, from 1.
    pub line: u32,
    /// The rest of a long row before the name: mode, owner, size, time; empty in a short listing.
    pub details: String,
}

impl Listing {
    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

static LONG: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^([dlcbps-][rwxsStT-]{9}[.+@]?\s.*?\s)(/?[^\s]+)(?: -> (.+))?$").ok());
static ABSENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^\S+: (?:.*?(?:cannot|can't|unable to) [\w ]+ )?['‘"`]?(/[^'’"`:]+)['’"`]?:? (?:No such file or directory|not found)"#).ok()
});

/// The path that a line says does not exist.
pub fn absent(line: &str) -> Option<String> {
    let found = ABSENT.as_ref()?.captures(line.trim())?;
    Some(found[1].trim().to_owned())
}

/// Listings of a text that `command` printed.
pub(crate) fn read(command: &str, at: impl Fn(u32) -> Fact<()>, text: &str) -> Vec<Fact<Listing>> {
    let Some(ls) = command.split([';', '|']).flat_map(|part| part.split("&&")).map(str::trim).find(|part| {
        let part = part.strip_prefix("sudo ").unwrap_or(part);
        part == "ls" || part.starts_with("ls ")
    }) else {
        return Vec::new();
    };
    let paths: Vec<&str> = ls.split_whitespace().filter(|word| word.starts_with(['/', '~', '.'])).collect();
    let mut listings: Vec<Fact<Listing>> = Vec::new();
    let mut open = paths.len() == 1 && !text.lines().any(|line| header(line).is_some());
    if open {
        let directory = paths.first().map(|path| path.trim_end_matches('/')).unwrap_or_default();
        listings.push(at(1).with(Listing { directory: directory.to_owned(), entries: Vec::new() }));
    }
    for (index, line) in text.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if let Some(directory) = header(line) {
            listings.push(at(number).with(Listing { directory: directory.to_owned(), entries: Vec::new() }));
            open = true;
        } else if line.trim().is_empty() {
            open = open && paths.len() == 1;
        } else if let Some(row) = LONG.as_ref().and_then(|form| form.captures(line)) {
            let (details, path) = (row[1].trim().to_owned(), &row[2]);
            if path == "." || path == ".." {
                continue;
            }
            if let Some((directory, name)) = path.rsplit_once('/') {
                let entry = Entry { name: name.to_owned(), line: number, details };
                let listing = Listing { directory: directory.to_owned(), entries: vec![entry] };
                listings.push(at(number).with(listing));
            } else if open && let Some(last) = listings.last_mut() {
                last.value.entries.push(Entry { name: path.to_owned(), line: number, details });
            }
        } else if open && are_names(line) && !line.starts_with("total ") {
            // Plain names; so are long listings that somebody shortened.
            if let Some(last) = listings.last_mut() {
                let names = line.split_whitespace().filter(|name| *name != "." && *name != "..");
                let entry = |name: &str| Entry { name: name.to_owned(), line: number, details: String::new() };
                last.value.entries.extend(names.map(entry));
            }
        }
    }
    // A directory that can't be listed is not an empty one.
    let gone: Vec<String> = text.lines().filter_map(absent).collect();
    listings.retain(|one| {
        let path = one.value.directory.trim_end_matches('/');
        !(one.value.entries.is_empty() && gone.iter().any(|gone| gone.trim_end_matches('/') == path))
    });
    listings
}

/// Whether a line may consist of names; one with a port (`cr.example.org:5000`) is a directory of `certs.d`.
fn are_names(line: &str) -> bool {
    let has_port = |name: &str| {
        let port = name.rsplit_once(':').map_or("", |(_, port)| port);
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    !line.contains('=') && line.split_whitespace().all(|name| !name.contains(':') || has_port(name))
}

fn header(line: &str) -> Option<&str> {
    let path = line.trim_end().strip_suffix(':')?;
    (path.starts_with(['/', '~', '.']) && !path.contains(' ')).then(|| path.trim_end_matches('/'))
}
