//! What belongs to a node's containerd: every file of its configuration, registries' directories, the file system under
//! its root, the pod network's programs and configuration.

use std::collections::BTreeSet;

use doctor::read::containerd::RUNTIME_PLUGINS;
use doctor::{Evidence, Item, ItemKind};

use super::script::{Answer, ask};
use super::sources::{Question, quoted};
use super::{answered, unreached};
use crate::access::Access;

/// Where containerd's configuration lies, with distributions that bring their own containerd.
pub(crate) const CONFIGS: [&str; 4] = [
    "/etc/containerd/config.toml",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    "/var/snap/microk8s/current/args/containerd.toml",
];
/// Where containerd listens, unless its configuration says otherwise.
const SOCKET: &str = "/run/containerd/containerd.sock";
/// Distributions that start their own containerd with options: where its configuration lies, where it listens, its root.
const OWN: [(&str, &str, &str); 3] = [
    ("/rancher/k3s/", "/run/k3s/containerd/containerd.sock", "/var/lib/rancher/k3s/agent/containerd"),
    ("/rancher/rke2/", "/run/k3s/containerd/containerd.sock", "/var/lib/rancher/rke2/agent/containerd"),
    (
        "/snap/microk8s/",
        "/var/snap/microk8s/common/run/containerd.sock",
        "/var/snap/microk8s/common/var/lib/containerd",
    ),
];
/// Files that are read of one kind, at most.
const FILES: usize = 200;
/// How deep files may import each other.
const DEPTH: usize = 3;

/// What containerd's configuration says of where things are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Files that are known already.
    known: BTreeSet<String>,
    /// Patterns of further files.
    imports: BTreeSet<String>,
    /// Directories of `hosts.toml` files.
    registries: BTreeSet<String>,
    root: Option<String>,
    conf_dir: Option<String>,
    bin_dir: Option<String>,
    /// Where it listens.
    pub(super) socket: Option<String>,
}

impl Layout {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let mut layout = Self::default();
        layout.read(evidence);
        // A configuration that could not be read tells of the distribution, too.
        let lies = |part: &str| evidence.items().iter().any(|item| item.origin.source().contains(part));
        if let Some((_, socket, root)) = OWN.iter().find(|(part, _, _)| lies(part)) {
            layout.socket = layout.socket.or_else(|| Some((*socket).to_owned()));
            layout.root = layout.root.or_else(|| Some((*root).to_owned()));
        }
        layout
    }

    /// Adds what files of the configuration say; gives whether there are new files to read.
    fn read(&mut self, evidence: &Evidence) -> bool {
        let before = self.imports.len() + self.registries.len();
        for config in &evidence.read().configs {
            self.known.insert(config.path.clone());
            let directory = config.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            for import in config.strings(&["imports"]) {
                let path = import.value.trim().to_owned();
                self.imports.insert(if path.starts_with('/') { path } else { format!("{directory}/{path}") });
            }
            for path in config.config_path().iter().flat_map(|path| path.value.split(':')) {
                if !path.trim().is_empty() {
                    self.registries.insert(path.to_owned());
                }
            }
            let absolute = |value: Option<doctor::read::toml::Spanned<String>>| {
                value.map(|found| found.value).filter(|path| path.starts_with('/'))
            };
            self.root = absolute(config.string(&["root"])).or(self.root.take());
            self.conf_dir =
                absolute(config.cri_string(&RUNTIME_PLUGINS, &["cni", "conf_dir"])).or(self.conf_dir.take());
            self.bin_dir = absolute(config.cri_string(&RUNTIME_PLUGINS, &["cni", "bin_dir"])).or(self.bin_dir.take());
            // Version 4 (containerd 2.3 and later) has its servers among the plugins.
            let server = config.string(&["plugins", "io.containerd.server.v1.grpc", "address"]);
            let address = absolute(server).or(absolute(config.string(&["grpc", "address"])));
            self.socket = address.or(self.socket.take());
        }
        self.imports.len() + self.registries.len() > before
    }

    /// Where containerd listens.
    pub(super) fn socket(&self) -> &str {
        self.socket.as_deref().unwrap_or(SOCKET)
    }
}

/// Everything that the layout leads to.
pub(super) async fn files(access: &dyn Access, mut layout: Layout) -> Vec<Item> {
    let mut items = Vec::new();
    let mut questions = surroundings(&layout);
    for _ in 0..DEPTH {
        let found = match ask(access, &[search(&layout)]).await {
            Ok(answers) => answers,
            Err(error) => return vec![unreached(access.node(), &error)],
        };
        let Some(Answer::Said(found, _)) = found.into_iter().next() else { break };
        questions.extend(named(&found, &mut layout.known));
        if questions.is_empty() {
            break;
        }
        match answered(access, &questions).await {
            Ok(answers) => {
                let more = layout.read(&Evidence::new(answers.clone()));
                items.extend(answers);
                questions = if more { listings(&layout) } else { Vec::new() };
                if !more {
                    break;
                }
            }
            Err(error) => return vec![unreached(access.node(), &error)],
        }
    }
    items
}

/// The file systems and the pod network around containerd.
fn surroundings(layout: &Layout) -> Vec<Question> {
    let root = layout.root.as_deref().unwrap_or("/var/lib/containerd");
    let conf = layout.conf_dir.as_deref().unwrap_or("/etc/cni/net.d");
    let bin = layout.bin_dir.as_deref().unwrap_or("/opt/cni/bin");
    let mut questions = vec![
        Question::command(format!("findmnt -T {}", word(root))).if_it_succeeds(),
        Question::command(format!("df -h {}", word(root))).if_it_succeeds(),
        Question::command(format!("df -i {}", word(root))).if_it_succeeds(),
        Question::command(format!("ls -la {}", word(conf))),
        Question::command(format!("ls -la {}", word(bin))),
        Question::command("stat -c \"%y %n\" /etc/containerd/config.toml").if_it_succeeds(),
    ];
    let mut xfs = Question::command(format!("xfs_info {}", word(root))).if_it_succeeds();
    xfs.command = format!(
        "command -v xfs_info >/dev/null 2>&1 && [ \"$(stat -fc %T {0})\" = xfs ] || exit {1}; \
         xfs_info \"$(findmnt -nro TARGET -T {0})\"",
        quoted(root),
        super::script::NOT_HERE
    );
    questions.push(xfs);
    questions.extend(listings(layout));
    questions
}

/// What lies in the registries' directories.
fn listings(layout: &Layout) -> Vec<Question> {
    layout.registries.iter().map(|directory| Question::command(format!("ls -R {}", word(directory)))).collect()
}

/// A path as a person types it: quoted only where it must be.
fn word(path: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@,+".contains(character);
    if path.chars().all(plain) { path.to_owned() } else { quoted(path) }
}

/// A command that finds files: imported ones, `hosts.toml`, CNI configuration.
fn search(layout: &Layout) -> String {
    let mut command = String::new();
    for pattern in &layout.imports {
        // Only what is a pattern to containerd too is one to the shell.
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@,+*?[]".contains(character);
        let pattern = if pattern.chars().all(plain) { pattern.clone() } else { quoted(pattern) };
        command.push_str(&format!("for f in {pattern}; do [ -f \"$f\" ] && echo \"import $f\"; done; "));
    }
    for directory in &layout.registries {
        let directory = quoted(directory);
        command.push_str(&format!(
            "find -L {directory} -maxdepth 2 -name hosts.toml -type f 2>/dev/null | sort | head -n {FILES} | sed 's/^/hosts /'; "
        ));
    }
    let conf = layout.conf_dir.as_deref().unwrap_or("/etc/cni/net.d");
    let conf = quoted(conf);
    command.push_str(&format!(
        "for f in {conf}/*.conflist {conf}/*.conf {conf}/*.json; do [ -f \"$f\" ] && echo \"network $f\"; done; true"
    ));
    command
}

/// Questions for the files that were found and are not known yet.
fn named(found: &str, known: &mut BTreeSet<String>) -> Vec<Question> {
    let mut questions = Vec::new();
    for line in found.lines() {
        let Some((what, path)) = line.split_once(' ') else { continue };
        let kind = match what {
            "import" => ItemKind::ContainerdConfig,
            "hosts" => ItemKind::HostsToml,
            "network" => ItemKind::NodeFacts,
            _ => continue,
        };
        if questions.len() < FILES && known.insert(path.to_owned()) {
            questions.push(Question::file(kind, path));
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use std::fs;

    use doctor::Origin;

    use super::*;
    use crate::access::Local;

    #[test]
    fn distributions_that_bring_their_own_containerd_are_known() {
        let layout = |path: &str, kind, text: &str| {
            let item = Item { kind, origin: Origin::file("n", path), text: text.to_owned() };
            Layout::of(&Evidence::new(vec![item]))
        };
        let k3s = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = \"/var/lib/rancher/k3s/agent/etc/containerd/certs.d\"\n";
        let read = layout(CONFIGS[1], ItemKind::ContainerdConfig, k3s);
        assert_eq!(read.socket(), "/run/k3s/containerd/containerd.sock");
        assert_eq!(read.root.as_deref(), Some("/var/lib/rancher/k3s/agent/containerd"));
        assert!(read.registries.contains("/var/lib/rancher/k3s/agent/etc/containerd/certs.d"));
        let unread = layout(CONFIGS[2], ItemKind::Unavailable, "cat: Permission denied");
        assert_eq!(unread.socket(), "/run/k3s/containerd/containerd.sock");
        let snap = layout(CONFIGS[3], ItemKind::ContainerdConfig, "version = 2\n");
        assert_eq!(snap.socket(), "/var/snap/microk8s/common/run/containerd.sock");
        let own = layout(CONFIGS[1], ItemKind::ContainerdConfig, "version = 2\n[grpc]\naddress = \"/run/x.sock\"\n");
        assert_eq!(
            (own.socket(), layout(CONFIGS[0], ItemKind::ContainerdConfig, "").socket()),
            ("/run/x.sock", SOCKET)
        );
    }

    #[tokio::test]
    async fn imports_registries_and_networks_are_followed() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name).display().to_string();
        for (name, text) in [
            (
                "conf.d/10-registry.toml",
                format!(
                    "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"{}\"\n",
                    path("certs.d")
                ),
            ),
            ("certs.d/docker.io/hosts.toml", "server = \"https://docker.io\"\n".to_owned()),
            ("net/10-pod.conflist", "{}\n".to_owned()),
        ] {
            let file = place.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let main = format!(
            "version = 2\nimports = [\"conf.d/*.toml\"]\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nconf_dir = \"{}\"\n",
            path("net")
        );
        let origin = Origin::file("here", &path("config.toml"));
        let item = Item { kind: ItemKind::ContainerdConfig, origin, text: main };
        let layout = Layout::of(&Evidence::new(vec![item]));
        let items = files(&Local::new("here"), layout).await;
        let seen: Vec<(ItemKind, String)> = items.iter().map(|item| (item.kind, item.origin.0.clone())).collect();
        for (kind, source) in [
            (ItemKind::ContainerdConfig, format!("here {}", path("conf.d/10-registry.toml"))),
            (ItemKind::HostsToml, format!("here {}", path("certs.d/docker.io/hosts.toml"))),
            (ItemKind::NodeFacts, format!("here {}", path("net/10-pod.conflist"))),
            (ItemKind::NodeFacts, format!("here: ls -R {}", path("certs.d"))),
            (ItemKind::NodeFacts, format!("here: ls -la {}", path("net"))),
        ] {
            assert!(seen.contains(&(kind, source.clone())), "{source} is not in {seen:#?}");
        }
    }
}
