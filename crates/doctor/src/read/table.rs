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
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(first) {
            head = titles(line);
        } else if line.trim().is_empty() {
            head.clear();
        } else if !head.is_empty() && !line.trim_start().starts_with("----") {
            let starts = starts(line, &head);
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

/// Where a line's cells begin: at their titles, or before where a cell of the column began earlier because an earlier
/// one was longer than its column.
fn starts(line: &str, head: &[(usize, &str)]) -> Vec<usize> {
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
    fn ages() {
        assert_eq!(age("4m12s"), Some(252));
        assert_eq!(age("5s (x3 over 25s)"), Some(5));
        assert_eq!(age("2d3h"), Some(183_600));
        assert_eq!((times("5s (x3 over 25s)"), times("5s")), (3, 1));
        assert_eq!((age("<unknown>"), age("")), (None, None));
    }
}
