//! Tables as kubectl, ctr and psql print them.

/// A row: its line in the text (from 1), and its cells under the titles of the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Line, from 1.
    pub line: u32,
    cells: Vec<(&'a str, &'a str)>,
}

impl<'a> Row<'a> {
    /// The cell under a title; empty when there is none.
    pub fn get(&self, title: &str) -> &'a str {
        self.cells.iter().find(|(found, _)| *found == title).map_or("", |(_, cell)| cell)
    }

    /// Whether the head has this title.
    pub fn has(&self, title: &str) -> bool {
        self.cells.iter().any(|(found, _)| *found == title)
    }

    /// The first cell.
    pub fn first(&self) -> &'a str {
        self.cells.first().map_or("", |(_, cell)| cell)
    }
}

/// Reads the tables of a text whose head begins with `first` (`NAME`, `LAST SEEN`, `Type`): the columns begin where
/// their titles begin, and a table ends at an empty line.
pub fn columns<'a>(text: &'a str, first: &str) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    let mut head: Vec<(usize, &str)> = Vec::new();
    let mut squeezed = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(first) {
            head = titles(line);
            squeezed = head.len() == 1 && line.contains(' ');
            if squeezed {
                head = squeezed_titles(line);
            }
        } else if line.trim().is_empty() {
            head.clear();
        } else if !head.is_empty() && !line.trim_start().starts_with("----") {
            let starts = if squeezed { squeezed_starts(line, &head) } else { starts(line, &head) };
            let cells = head.iter().enumerate().map(|(column, (_, title))| {
                let end = starts.get(column + 1).copied().unwrap_or(line.len());
                (*title, line.get(starts[column]..end).unwrap_or_default().trim())
            });
            rows.push(Row { line: u32::try_from(number + 1).unwrap_or(u32::MAX), cells: cells.collect() });
        }
    }
    rows
}

/// Titles are two blanks or more apart; some hold one blank (`LAST SEEN`).
fn titles(line: &str) -> Vec<(usize, &str)> {
    let mut titles = Vec::new();
    let mut at = line.len() - line.trim_start().len();
    while at < line.len() {
        let end = line[at..].find("  ").map_or(line.len(), |length| at + length);
        titles.push((at, &line[at..end]));
        at = end + (line[end..].len() - line[end..].trim_start().len());
    }
    titles
}

/// Titles of two words, in heads whose blanks were squeezed (by a chat, a wiki, an `awk`).
const TWO_WORDS: [&str; 4] = ["LAST SEEN", "ACCESS MODES", "NOMINATED NODE", "READINESS GATES"];

/// The titles of such a head: its words. A sentence is no head.
fn squeezed_titles(line: &str) -> Vec<(usize, &str)> {
    let words = words(line);
    if words.len() < 3 || words.iter().any(|(_, word)| !word.starts_with(|first: char| first.is_ascii_uppercase())) {
        return titles(line);
    }
    let mut titles: Vec<(usize, &str)> = Vec::new();
    for (at, word) in words {
        if let Some((start, last)) = titles.last_mut()
            && let whole = &line[*start..at + word.len()]
            && TWO_WORDS.contains(&whole)
        {
            *last = whole;
        } else {
            titles.push((at, word));
        }
    }
    titles
}

/// Where the cells of a squeezed row begin: each is a word, with what stands in brackets behind it (`3s (x4 over 5m)`);
/// the last one holds the rest.
fn squeezed_starts(line: &str, head: &[(usize, &str)]) -> Vec<usize> {
    let mut starts: Vec<usize> = Vec::new();
    let mut open = false;
    for (at, word) in words(line) {
        let bracket = word.starts_with('(') && !starts.is_empty();
        if !open && !bracket && starts.len() < head.len() {
            starts.push(at);
        }
        open = (open || bracket) && !word.ends_with(')');
    }
    starts.resize(head.len(), line.len());
    starts
}

/// A line's words and where they begin.
fn words(line: &str) -> Vec<(usize, &str)> {
    let base = line.as_ptr() as usize;
    line.split_whitespace().map(|word| (word.as_ptr() as usize - base, word)).collect()
}

/// Where a line's cells begin: at their titles, or before where a cell of the column began earlier because an earlier
/// one was longer than its column.
fn starts(line: &str, head: &[(usize, &str)]) -> Vec<usize> {
    // A row that was moved under its head (an editor, a quote): as many cells as titles speak for themselves.
    let cells = titles(line);
    let bytes = line.as_bytes();
    let begins = |at: usize| bytes.get(at).is_some_and(|byte| *byte != b' ') && (at == 0 || bytes[at - 1] == b' ');
    let moved = !head.iter().all(|(at, _)| begins(*at));
    if moved && cells.len() == head.len() {
        return cells.into_iter().map(|(at, _)| at).collect();
    }
    let mut starts = Vec::with_capacity(head.len());
    let mut least = 0;
    for (wanted, _) in head {
        let mut at = (*wanted).max(least).min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        // In the middle of a longer cell: go on to its end.
        if at > 0 && !line[..at].ends_with(' ') && !line[at..].starts_with(' ') {
            at = line[at..].find(' ').map_or(line.len(), |length| at + length);
        }
        starts.push(at);
        least = at;
    }
    starts
}

/// How often an event happened: 3 of `5s (x3 over 25s)`, otherwise 1.
pub fn times(text: &str) -> u64 {
    let count = text.split_once("(x").and_then(|(_, rest)| rest.split([' ', ')']).next()?.parse().ok());
    count.unwrap_or(1)
}

/// Seconds of an age as kubectl prints it: `3s`, `4m12s`, `18h`, `2d3h`; of `5s (x3 over 25s)` the first.
pub fn age(text: &str) -> Option<u64> {
    let word = text.split_whitespace().next()?;
    let (mut total, mut number, mut any) = (0_u64, 0_u64, false);
    for character in word.chars() {
        let unit = match character {
            digit if digit.is_ascii_digit() => {
                number = number.checked_mul(10)?.checked_add(u64::from(digit.to_digit(10)?))?;
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'y' => 31_536_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        (number, any) = (0, true);
    }
    any.then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_titles() {
        let text =
            "NAME        READY   LAST SEEN\na           1/1     4m\na-long-long-name 0/1  5m\n\nNAME  X\nb     y\n";
        let rows = columns(text, "NAME");
        let cells: Vec<_> = rows.iter().map(|row| (row.line, row.first(), row.get("READY"), row.get("X"))).collect();
        assert_eq!(cells, [(2, "a", "1/1", ""), (3, "a-long-long-name", "0/1", ""), (6, "b", "", "y")]);
        assert_eq!(rows[0].get("LAST SEEN"), "4m");
    }

    #[test]
    fn blanks_may_be_squeezed_and_rows_moved() {
        let rows = columns("NAME STATUS ROLES AGE VERSION\nw1 Ready <none> 9d v1.31.2\n", "NAME");
        assert_eq!((rows[0].get("STATUS"), rows[0].get("VERSION")), ("Ready", "v1.31.2"));
        let rows = columns(
            "LAST SEEN TYPE REASON OBJECT MESSAGE\n3s (x4 over 5m) Warning Failed pod/a no such thing\n",
            "LAST SEEN",
        );
        assert_eq!((rows[0].get("LAST SEEN"), rows[0].get("MESSAGE")), ("3s (x4 over 5m)", "no such thing"));
        let text =
            "  Type     Reason     Age  From     Message\n  Warning  Unhealthy  1m (x27 over 9m)  kubelet  it fails\n";
        let rows = columns(text, "Type ");
        assert_eq!((rows[0].get("Age"), rows[0].get("Message")), ("1m (x27 over 9m)", "it fails"));
        assert!(columns("NAME of the thing is a word\nx y z\n", "NAME")[0].get("of").is_empty());
    }

    #[test]
    fn ages() {
        assert_eq!(age("4m12s"), Some(252));
        assert_eq!(age("5s (x3 over 25s)"), Some(5));
        assert_eq!(age("2d3h"), Some(183_600));
        assert_eq!((times("5s (x3 over 25s)"), times("5s")), (3, 1));
        assert_eq!((age("<unknown>"), age("")), (None, None));
    }
}
