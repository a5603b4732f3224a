//! Versions of programs: what `--version` prints, what journals begin with, what nodes report.

use std::sync::LazyLock;

use regex::Regex;

use super::objects::Found;
use super::{log, table};
use crate::evidence::{Item, ItemKind};

/// A program's version on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// The node; empty when not told.
    pub node: String,
    /// `containerd`, `kubelet`, `crictl`, `cri-dockerd`, `docker`, `crio`, `runc`, `kubeadm`, `nerdctl`.
    pub program: &'static str,
    /// The version as printed, without a leading `v`.
    pub text: String,
    /// Major and minor number.
    pub number: (u32, u32),
}

/// Forms of one line. The first group is the version.
static FORMS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    let forms = [
        ("containerd", r"^containerd \S+ v?(\d+\.\d+\S*)"),
        ("containerd", r"starting containerd.*version=v?(\d+\.\d+\S*)"),
        ("containerd", r"^ii +containerd(?:\.io)? +(?:\d+:)?(\d+\.\d+\S*)"),
        ("containerd", r"^containerd(?:\.io)?-(\d+\.\d+\S*)"),
        ("kubelet", r"^Kubernetes v(\d+\.\d+\S*)"),
        ("kubelet", r#"Kubelet version.*kubeletVersion="?v(\d+\.\d+[^"\s]*)"#),
        ("crictl", r"^crictl version v?(\d+\.\d+\S*)"),
        ("cri-dockerd", r"^cri-dockerd v?(\d+\.\d+\S*)"),
        ("runc", r"^runc version v?(\d+\.\d+\S*)"),
        ("crio", r"^crio version v?(\d+\.\d+\S*)"),
        ("docker", r"^Docker version v?(\d+\.\d+[^,\s]*)"),
        ("nerdctl", r"^nerdctl version v?(\d+\.\d+\S*)"),
        ("kubeadm", r#"kubeadm version: .*GitVersion:"v(\d+\.\d+[^"]*)"#),
    ];
    forms.into_iter().filter_map(|(program, form)| Some((program, Regex::new(form).ok()?))).collect()
});

pub(crate) fn read(items: &[Item], objects: &[Found]) -> Vec<Version> {
    let mut versions = Vec::new();
    for (number, item) in items.iter().enumerate() {
        match item.kind {
            ItemKind::KubectlOutput => versions.extend(of_nodes(number, item)),
            ItemKind::NodeFacts
            | ItemKind::Text
            | ItemKind::CrictlOutput
            | ItemKind::CtrOutput
            | ItemKind::KubeadmOutput
            | ItemKind::KubeletLog
            | ItemKind::ContainerdLog => of_lines(number, item, &mut versions),
            _ => {}
        }
        if item.text.contains("CONTAINER-RUNTIME") && item.kind != ItemKind::KubectlOutput {
            versions.extend(of_nodes(number, item));
        }
    }
    for found in objects.iter().filter(|found| found.kind() == "Node") {
        let info = &found.object["status"]["nodeInfo"];
        let kubelet = info["kubeletVersion"].as_str().and_then(|text| version("kubelet", text));
        let runtime = info["containerRuntimeVersion"].as_str().and_then(runtime);
        let named = [kubelet, runtime].into_iter().flatten();
        versions.extend(named.map(|one| Version { item: found.item, line: 1, node: found.name().to_owned(), ..one }));
    }
    versions
}

fn version(program: &'static str, text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches('v');
    let mut numbers = text.split(|end: char| !end.is_ascii_digit());
    let number = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(Version { item: 0, line: 0, node: String::new(), program, text: text.to_owned(), number })
}

/// `containerd://1.6.20`, `docker://20.10.7`, `cri-o://1.24.1`.
fn runtime(text: &str) -> Option<Version> {
    let (name, number) = text.split_once("://")?;
    let program = match name {
        "containerd" => "containerd",
        "docker" => "docker",
        "cri-o" => "crio",
        _ => return None,
    };
    version(program, number)
}

/// Rows of `kubectl get nodes`.
fn of_nodes(number: usize, item: &Item) -> Vec<Version> {
    let mut versions = Vec::new();
    for row in table::columns(&item.text, "NAME") {
        let kubelet = row.get("VERSION");
        if !kubelet.starts_with('v') {
            continue;
        }
        let found = [version("kubelet", kubelet), runtime(row.get("CONTAINER-RUNTIME"))];
        let named = found.into_iter().flatten();
        versions.extend(named.map(|one| Version { item: number, line: row.line, node: row.first().to_owned(), ..one }));
    }
    versions
}

fn of_lines(number: usize, item: &Item, versions: &mut Vec<Version>) {
    let node = item.origin.node().unwrap_or_default();
    let mut block = "";
    for (index, raw) in item.text.lines().enumerate() {
        let line = log::journal(raw).map_or(raw, |(_, _, rest)| rest);
        let place = |one: Version| Version {
            item: number,
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            node: node.to_owned(),
            ..one
        };
        let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        match (key, value.trim()) {
            ("Server" | "Client", "") => block = key,
            ("RuntimeName", name) => block = if name == "containerd" { "Server" } else { "" },
            ("Version", text) if block == "Server" => versions.extend(version("containerd", text).map(place)),
            ("RuntimeVersion", text) if block == "Server" => versions.extend(version("containerd", text).map(place)),
            (text, "") if item.origin.source().contains("kubeadm version") => {
                versions.extend(text.strip_prefix('v').and_then(|text| version("kubeadm", text)).map(place));
            }
            _ => {}
        }
        let form = FORMS.iter().find_map(|(program, form)| Some((*program, form.captures(line)?)));
        if let Some((program, found)) = form {
            versions.extend(version(program, &found[1]).map(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    #[test]
    fn versions_of_many_programs() {
        let text = "containerd github.com/containerd/containerd/v2 v2.2.1 9bcc\ncontainerd containerd.io 1.4.13 d8e9\nKubernetes v1.27.2\ncrictl version v1.19.0\ncri-dockerd 0.2.3 (HEAD)\nServer:\n  Version:  1.7.27\n";
        let item = Item { kind: ItemKind::NodeFacts, origin: Origin("n: x".to_owned()), text: text.to_owned() };
        let seen: Vec<_> = read(&[item], &[]).into_iter().map(|one| (one.program, one.text, one.number)).collect();
        let expected = [
            ("containerd", "2.2.1", (2, 2)),
            ("containerd", "1.4.13", (1, 4)),
            ("kubelet", "1.27.2", (1, 27)),
            ("crictl", "1.19.0", (1, 19)),
            ("cri-dockerd", "0.2.3", (0, 2)),
            ("containerd", "1.7.27", (1, 7)),
        ];
        assert_eq!(seen, expected.map(|(program, text, number)| (program, text.to_owned(), number)));
    }
}
