//! Pastes as people make them.

use super::*;

fn shape(text: &str) -> Vec<(ItemKind, String)> {
    split(text).into_iter().map(|item| (item.kind, item.origin.0)).collect()
}

fn expected(items: &[(ItemKind, &str)]) -> Vec<(ItemKind, String)> {
    items.iter().map(|(kind, origin)| (*kind, (*origin).to_owned())).collect()
}

#[test]
fn prompts_name_host_and_command() {
    let text = "root@node-1:~# findmnt -T /var/lib/containerd\nTARGET SOURCE\n/ /dev/sda\n[root@node-2 ~]# cat /etc/containerd/config.toml\n# a comment\nversion = 2\n$ kubectl describe pod web\nName:         web\nEvents:\n# crictl ps\nFATA[0000] x\n# comment: nothing\n";
    assert_eq!(
        shape(text),
        expected(&[
            (ItemKind::NodeFacts, "node-1: findmnt -T /var/lib/containerd"),
            (ItemKind::ContainerdConfig, "node-2 /etc/containerd/config.toml"),
            (ItemKind::PodEvents, "kubectl describe pod web"),
            (ItemKind::CrictlOutput, "crictl ps"),
        ])
    );
    assert!(split(text)[1].text.starts_with("# a comment\nversion"), "comments are no prompts");
    assert!(split(text)[3].text.ends_with("nothing\n"));
}

#[test]
fn without_prompts_lines_show_who_speaks() {
    let text = "I did this and got:\nJan 01 04:14:39 n1 kubelet[9]: E0101 04:14:39.1 9 kubelet.go:1] x\nJan 01 04:14:39 n1 kubelet[9]: more\nJan 01 04:14:39 n1 containerd[8]: time=\"t\" level=error msg=\"m\"\n\n[preflight] Running pre-flight checks\nerror execution phase preflight: [preflight] Some fatal errors occurred:\n\t[ERROR CRI]: container runtime is not running\n";
    assert_eq!(
        shape(text),
        expected(&[
            (ItemKind::Text, "paste"),
            (ItemKind::KubeletLog, "n1 journalctl -u kubelet"),
            (ItemKind::ContainerdLog, "n1 journalctl -u containerd"),
            (ItemKind::KubeadmOutput, "kubeadm"),
        ])
    );
}

#[test]
fn files_are_known_by_their_content_or_heading() {
    assert_eq!(
        shape("version = 2\n[plugins.\"x\"]\n  a = 1\n"),
        expected(&[(ItemKind::ContainerdConfig, "/etc/containerd/config.toml")])
    );
    assert_eq!(
        shape("server = \"https://r.example.com:5000\"\n[host.\"https://m\"]\n"),
        expected(&[(ItemKind::HostsToml, "/etc/containerd/certs.d/r.example.com:5000/hosts.toml")])
    );
    assert_eq!(
        shape("apiVersion: v1\nclusters: []\ncontexts:\nusers:\nkind: Config\n"),
        expected(&[(ItemKind::Kubeconfig, "~/.kube/config")])
    );
    assert_eq!(
        shape("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n"),
        expected(&[(ItemKind::Manifest, "paste.yaml")])
    );
    assert_eq!(
        shape(
            "==> /etc/containerd/certs.d/r/hosts.toml <==\nserver = \"https://r\"\n\n==> /etc/containerd/config.toml <==\nversion = 2\n"
        ),
        expected(&[
            (ItemKind::HostsToml, "/etc/containerd/certs.d/r/hosts.toml"),
            (ItemKind::ContainerdConfig, "/etc/containerd/config.toml"),
        ])
    );
    let pods = "{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"}]}";
    assert_eq!(shape(pods), expected(&[(ItemKind::Pods, "kubectl get pods -o json")]));
}

#[test]
fn one_line_is_enough_and_nothing_is_nothing() {
    let line = "Unable to connect to the server: x509: certificate has expired";
    assert_eq!(shape(line), expected(&[(ItemKind::KubectlOutput, "kubectl")]));
    let words = "Failed to pull image \"a/b:1\": not found";
    assert_eq!(shape(words), expected(&[(ItemKind::Text, "paste")]));
    assert!(split(" \n\t\n").is_empty());
    let bundle = Evidence::new(split(words)).to_json();
    assert_eq!(split(&bundle), split(words));
}

#[test]
fn a_table_of_events_is_events() {
    let text = "  Warning  Failed     23s (x4 over 3m35s)  kubelet            Failed to pull image \"c:1\"\n";
    assert_eq!(shape(text), expected(&[(ItemKind::PodEvents, "kubectl describe pod (events)")]));
}
