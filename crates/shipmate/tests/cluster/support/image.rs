//! An image with a shell and the usual tools, as an archive in the format of `docker save`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::machine;

/// Its name.
pub const IMAGE: &str = "test.local/busybox:1";
/// Programs that stories use.
const LINKS: [&str; 41] = [
    "awk", "base64", "cat", "chmod", "chown", "date", "dd", "df", "echo", "env", "false", "find", "grep", "head",
    "hostname", "id", "ip", "kill", "ls", "md5sum", "mkdir", "nc", "nslookup", "ps", "pwd", "rm", "sed", "seq", "sh",
    "sleep", "sort", "stat", "stty", "tail", "tar", "timeout", "touch", "true", "tty", "wc", "wget",
];

/// Writes the archive into a directory; its path.
pub fn archive(dir: &Path) -> String {
    let root = dir.join("image-root");
    for name in ["bin", "tmp", "etc", "root"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(machine::find("busybox").unwrap(), root.join("bin/busybox")).unwrap();
    for link in LINKS {
        symlink("busybox", root.join("bin").join(link)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nnobody:x:65534:\n").unwrap();
    let parts = dir.join("image-parts");
    fs::create_dir(&parts).unwrap();
    let owner = ["--owner=0", "--group=0", "--numeric-owner"];
    run(Command::new("tar").args(owner).arg("-cf").arg(parts.join("layer.tar")).arg("-C").arg(&root).arg("."));
    let sum = run(Command::new("sha256sum").arg(parts.join("layer.tar")));
    let digest = sum.split_whitespace().next().unwrap();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(parts.join("config.json"), config.to_string()).unwrap();
    fs::write(parts.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = dir.join("busybox.tar");
    run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&parts).args([
        "manifest.json",
        "config.json",
        "layer.tar",
    ]));
    fs::remove_dir_all(&root).unwrap();
    fs::remove_dir_all(&parts).unwrap();
    archive.to_str().unwrap().to_owned()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
