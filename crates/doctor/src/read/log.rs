//! Lines of journals: systemd's prefix, klog (Kubernetes' programs) and logfmt (containerd, crictl).

use crate::text::unquoted;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Info and below.
    Quiet,
    /// A warning.
    Warning,
    /// An error or worse.
    Error,
}

/// A line of a log, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How loud.
    pub level: Level,
    /// Its time as printed, if it has one of its own.
    pub time: Option<String>,
    /// The message, and `: ` and the error where there is one; unquoted.
    pub text: String,
    /// Further `key=value` pairs, unquoted.
    pub fields: Vec<(String, String)>,
}

/// Takes systemd's `Jul 06 01:38:09 host program[pid]: ` off; the host, the program, the rest.
pub fn journal(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.splitn(5, ' ').filter(|word| !word.is_empty());
    let (month, _day, clock) = (words.next()?, words.next()?, words.next()?);
    if month.len() != 3 || clock.matches(':').count() != 2 {
        return None;
    }
    let (head, rest) = line.split_once("]: ").or_else(|| line.split_once(": "))?;
    let program = head.rsplit(' ').next()?.split('[').next()?;
    let host = head.split_whitespace().nth(3)?;
    Some((host, program, rest))
}

/// Takes a line apart, whatever its form; `None` when it has neither.
pub fn line(text: &str) -> Option<Line> {
    klog(text).or_else(|| logfmt(text))
}

/// `E0706 01:38:12.189778   47953 run.go:74] "command failed" err="…" pod="ns/name"`.
fn klog(text: &str) -> Option<Line> {
    let mut letters = text.chars();
    let level = match letters.next()? {
        'I' => Level::Quiet,
        'W' => Level::Warning,
        'E' | 'F' => Level::Error,
        _ => return None,
    };
    if !letters.by_ref().take(4).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (head, rest) = text.split_once("] ")?;
    let time = head.split_whitespace().nth(1).map(str::to_owned);
    let (message, fields) = match rest.strip_prefix('"') {
        Some(_) => {
            let (message, rest) = quoted(rest)?;
            (message, pairs(rest))
        }
        None => (rest.to_owned(), Vec::new()),
    };
    // The pair that says what is wrong.
    let error = fields.iter().find(|(key, _)| matches!(key.as_str(), "err" | "error" | "networkReady"));
    let text = error.map_or(message.clone(), |(_, error)| format!("{message}: {error}"));
    Some(Line { level, time, text, fields })
}

/// `time="…" level=error msg="…" error="…"`.
fn logfmt(whole: &str) -> Option<Line> {
    let start = whole.find("level=")?;
    let start = whole[..start].find("time=").unwrap_or(start);
    if start > 0 && !whole[..start].ends_with(' ') {
        return None;
    }
    let mut fields = pairs(&whole[start..]);
    let mut take = |key: &str| {
        let at = fields.iter().position(|(found, _)| found == key)?;
        Some(fields.remove(at).1)
    };
    let level = match take("level")?.as_str() {
        "error" | "fatal" | "panic" => Level::Error,
        "warning" | "warn" => Level::Warning,
        _ => Level::Quiet,
    };
    let time = take("time");
    let message = take("msg")?;
    let text = match fields.iter().find(|(key, _)| key == "error") {
        Some((_, error)) => format!("{message}: {error}"),
        None => message,
    };
    // Words of whoever called the program and quotes its output.
    let text = format!("{}{text}", text_before(&whole[..start]));
    Some(Line { level, time, text, fields })
}

fn text_before(head: &str) -> String {
    let head = head.trim();
    if head.is_empty() { String::new() } else { format!("{} ", unquoted(head)) }
}

/// The first quoted string, unquoted, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, character) in inner.char_indices() {
        match character {
            '"' if !escaped => return Some((unquoted(&inner[..at]), &inner[at + 1..])),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// `key=value key="quoted value"` pairs.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.rsplit(' ').next().unwrap_or(key).to_owned();
        let (value, next) = match quoted(after) {
            Some(found) => found,
            None => {
                let end = after.find(' ').unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        pairs.push((key, value));
        rest = next.trim_start();
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kubelet_and_of_containerd() {
        let kubelet = r#"Jul 06 01:38:12 n6 kubelet[47953]: E0706 01:38:12.189778   47953 run.go:74] "command failed" err="no \"x\"" pod="a/b""#;
        let (host, program, rest) = journal(kubelet).unwrap();
        assert_eq!((host, program), ("n6", "kubelet"));
        let read = line(rest).unwrap();
        assert_eq!((read.level, read.text.as_str()), (Level::Error, r#"command failed: no "x""#));
        assert!(read.fields.contains(&("pod".to_owned(), "a/b".to_owned())));

        let containerd = r#"Jan  1 04:14:39 n1 containerd[4839]: time="2025-01-01T04:14:39Z" level=error msg="PullImage \"a\" failed" error="denied: \"q\"""#;
        let (_, program, rest) = journal(containerd).unwrap();
        let read = line(rest).unwrap();
        assert_eq!((program, read.level), ("containerd", Level::Error));
        assert_eq!(read.text, r#"PullImage "a" failed: denied: "q""#);
        assert_eq!(read.time.as_deref(), Some("2025-01-01T04:14:39Z"));
        assert_eq!(line("plain words"), None);
        assert_eq!(line("E12"), None);
    }
}
