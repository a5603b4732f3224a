//! kubectl's tables, read by their heads.

use std::collections::BTreeMap;

/// Cells by the head of their column.
pub type Row = BTreeMap<String, String>;

/// Rows of a table. Columns begin where their heads do, at least two spaces apart.
#[track_caller]
pub fn table(text: &str) -> Vec<Row> {
    let mut lines = text.lines();
    let head: Vec<char> = lines.next().unwrap_or_default().chars().collect();
    let mut starts: Vec<usize> = Vec::new();
    for at in 0..head.len() {
        let gap = at == 0 || (at >= 2 && head[at - 1] == ' ' && head[at - 2] == ' ');
        if head[at] != ' ' && gap {
            starts.push(at);
        }
    }
    let cell = |line: &[char], column: usize| -> String {
        let end = starts.get(column + 1).copied().unwrap_or(line.len()).min(line.len());
        let start = starts[column].min(end);
        line[start..end].iter().collect::<String>().trim().to_owned()
    };
    lines
        .map(|line| {
            let line: Vec<char> = line.chars().collect();
            (0..starts.len()).map(|column| (cell(&head, column), cell(&line, column))).collect()
        })
        .collect()
}
