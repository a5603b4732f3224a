//! Everything on this machine that could bear the traces of a cluster.

use std::fs;
use std::path::Path;
use std::process::Command;

use sandbox::layout::Name;
use sandbox::network::Names;

/// Lines about whatever bears a cluster's name, the hash of its name, or a directory's path.
pub fn of(names: &[String], dir: &Path, home: &Path) -> Vec<String> {
    let mut marks: Vec<String> = names.to_vec();
    marks.extend(names.iter().map(|name| Names::new(&name.parse::<Name>().unwrap()).bridge()));
    marks.push(dir.display().to_string());
    let mut found = Vec::new();
    let mut look = |what: &str, text: String| {
        let ours = text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark.as_str())));
        found.extend(ours.map(|line| format!("{what}: {line}")));
    };
    look("link", output("ip", &["-d", "link"]));
    look("address", output("ip", &["addr"]));
    look("route", output("ip", &["route", "show", "table", "all"]));
    look("namespace", output("ip", &["netns", "list"]));
    look("nft", output("nft", &["list", "ruleset"]));
    look("mount", fs::read_to_string("/proc/self/mountinfo").unwrap());
    look("cgroup", output("find", &["/sys/fs/cgroup", "-type", "d", "-name", "kubepods-*"]));
    look("process", processes());
    if home.exists() {
        look("file", output("find", &[home.to_str().unwrap(), "-print"]));
    }
    found
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One line for each process but this one: its id, command line, the mark of its node, and its cgroups.
fn processes() -> String {
    let mut text = String::new();
    for item in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| fs::read(item.path().join(file)).unwrap_or_default();
        let own = item.file_name() == std::process::id().to_string().as_str();
        if item.path().join("stat").exists() && !own {
            let line = [read("cmdline"), read("environ"), read("cgroup")].concat();
            let line = String::from_utf8_lossy(&line).replace(['\0', '\n'], " ");
            text.push_str(&format!("{} {line}\n", item.file_name().display()));
        }
    }
    text
}
