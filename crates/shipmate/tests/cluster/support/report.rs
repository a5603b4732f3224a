//! What a cluster was like when a story failed.

use std::fs;
use std::path::Path;

use super::place::Place;
use super::program::words;

/// Lines of each log that are shown.
const TAIL: usize = 40;

/// Prints what is needed to see why.
pub fn print(place: &Place, name: &str) {
    let dir = place.home().join("clusters").join(name);
    if !dir.exists() {
        return;
    }
    eprintln!("===== cluster {name}, in {}", dir.display());
    for line in ["get nodes -o wide", "get all -A -o wide", "events -A", "describe pods -A"] {
        let mut command = place.command(super::tool("kubectl"));
        command.args(["--context", name, "--request-timeout=5s"]).args(words(line));
        match command.output() {
            Ok(output) => {
                let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                eprintln!("===== kubectl {line}\n{}{err}", last(&out, 4 * TAIL));
            }
            Err(error) => eprintln!("===== kubectl {line}: {error}"),
        }
    }
    let nodes = fs::read_dir(dir.join("nodes")).into_iter().flatten().flatten();
    let logs = std::iter::once(dir.join("log")).chain(nodes.map(|node| node.path().join("log")));
    for file in logs.flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten()) {
        let path = file.path();
        let known = path.file_name().is_some_and(|file| file != "containerd.log");
        if known {
            eprintln!("===== {}\n{}", path.display(), log(&path));
        }
    }
}

fn log(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    last(&String::from_utf8_lossy(&text), TAIL)
}

fn last(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let tail: String = lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("{line}\n")).collect();
    tail
}
