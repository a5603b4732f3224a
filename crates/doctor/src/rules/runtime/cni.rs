//! What the rules about pod networks share: who misses the network, where its configuration should be, who brings it.

use crate::evidence::{Evidence, Item};
use crate::finding::Finding;
use crate::read::containerd::RUNTIME_PLUGINS;
use crate::read::listing::Listing;
use crate::read::{Fact, Message, same_node, table};

/// Names of pod networks, as they stand in the names of their pods.
const NETWORKS: [&str; 18] = [
    "flannel",
    "calico",
    "cilium",
    "weave",
    "canal",
    "antrea",
    "kube-router",
    "multus",
    "ovn",
    "kindnet",
    "aws-node",
    "azure-cni",
    "kube-ovn",
    "spiderpool",
    "romana",
    "contiv",
    "terway",
    "tigera",
];

/// Whether a message says that the pod network is not there.
pub fn misses_network(message: &Message) -> bool {
    const WORDS: [&str; 9] = [
        "cni plugin not initialized",
        "cni config uninitialized",
        "NetworkPluginNotReady",
        "network plugin is not ready",
        "no network config found in",
        "no networks found in",
        "No CNI configuration file in",
        "no CNI configuration file in",
        "No networks found in",
    ];
    WORDS.iter().any(|words| message.text.contains(words))
}

/// Messages of a node that say so, unless the node is ready by now.
pub fn missing<'a>(evidence: &'a Evidence, node: &'a str) -> impl Iterator<Item = &'a Message> {
    let over = evidence.read().ready(node) == Some(true);
    let all = evidence.read().failures();
    all.filter(move |message| !over && same_node(&message.node, node) && misses_network(message))
}

/// Lets a finding explain them.
pub fn explain(finding: &mut Finding, evidence: &Evidence, node: &str) {
    for message in missing(evidence, node) {
        finding.message(message);
    }
    for message in evidence.read().failing(&["failed to load cni"]).filter(|message| same_node(&message.node, node)) {
        finding.message(message);
    }
}

/// The directories where a node's runtime looks for the configuration, the first one first.
pub fn directories(evidence: &Evidence, node: &str) -> Vec<String> {
    let configs = evidence.read().configs.iter().filter(|config| same_node(&config.node, node));
    let set = configs.filter_map(|config| config.cri_string(&RUNTIME_PLUGINS, &["cni", "conf_dir"]));
    let mut directories: Vec<String> = set.map(|found| found.value.trim_end_matches('/').to_owned()).collect();
    for message in missing(evidence, node) {
        for phrase in ["found in ", "file in "] {
            let Some((_, rest)) = message.text.split_once(phrase) else { continue };
            let path = rest.split([' ', ':', '"', ',']).next().unwrap_or_default();
            if path.starts_with('/') {
                directories.push(path.trim_end_matches(['/', '.']).to_owned());
            }
        }
    }
    if directories.is_empty() {
        directories.push("/etc/cni/net.d".to_owned());
    }
    directories.dedup();
    directories
}

/// Names of configuration files in a listing.
pub fn files(listing: &Listing) -> Vec<&str> {
    let is_config = |name: &&str| [".conf", ".conflist", ".json"].iter().any(|ending| name.ends_with(ending));
    listing.entries.iter().map(|entry| entry.name.as_str()).filter(is_config).collect()
}

/// What is known of the configuration directory.
#[derive(Clone, Debug)]
pub enum Directory<'a> {
    /// It was listed and holds these files.
    Filled(&'a Fact<Listing>),
    /// It was listed and holds none.
    Empty(usize, u32),
    /// It does not exist.
    Absent(usize, u32),
    /// Nobody looked.
    Unknown,
}

/// Looks for the directory in the evidence.
pub fn directory<'a>(evidence: &'a Evidence, node: &str) -> Directory<'a> {
    let facts = &evidence.read().facts;
    for path in directories(evidence, node) {
        if let Some(listing) = facts.listing(node, &path) {
            return if files(&listing.value).is_empty() {
                Directory::Empty(listing.item, listing.line)
            } else {
                Directory::Filled(listing)
            };
        }
        let gone =
            facts.absent.iter().find(|gone| gone.value.trim_end_matches('/') == path && same_node(&gone.node, node));
        if let Some(gone) = gone {
            return Directory::Absent(gone.item, gone.line);
        }
        if let Some(item) = silent_listing(evidence, node, &path) {
            return Directory::Empty(item, 1);
        }
    }
    Directory::Unknown
}

/// An `ls` of the directory that printed nothing, or `total 0`.
fn silent_listing(evidence: &Evidence, node: &str, path: &str) -> Option<usize> {
    let says_nothing = |item: &Item| {
        let text = item.text.trim();
        item.origin.source().starts_with("ls") && (text.is_empty() || text == "total 0")
    };
    evidence.asked(path, Some(node)).find(|(_, item)| says_nothing(item)).map(|(number, _)| number)
}

/// A pod or daemon set of a pod network, as a row of a table or as an object shows it.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Number of the item.
    pub item: usize,
    /// Line in the item.
    pub line: u32,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub runs: bool,
    /// `Running`, `CrashLoopBackOff`, …
    pub status: String,
}

/// Pods and daemon sets of pod networks; on a node, where that is told.
pub fn carriers(evidence: &Evidence, node: &str) -> Vec<Carrier> {
    let mut carriers = Vec::new();
    for pod in &evidence.read().pods {
        if is_network(&pod.name) && same_node(&pod.node, node) {
            let waiting = pod.containers.iter().map(|one| one.waiting.as_str()).find(|waiting| !waiting.is_empty());
            let status = waiting.unwrap_or(&pod.phase).to_owned();
            let runs = pod.ready == Some(true);
            carriers.push(Carrier { item: pod.item, line: 1, name: pod.name.clone(), runs, status });
        }
    }
    for (number, item) in evidence.items().iter().enumerate() {
        if !item.origin.source().contains("kubectl get") && !item.text.contains("NAMESPACE ") {
            continue;
        }
        let headed = table::columns(&item.text, "NAME");
        if headed.is_empty() {
            carriers.extend(item.text.lines().enumerate().filter_map(|(index, line)| bare(number, index, line, node)));
        }
        for row in headed {
            let name = if row.get("NAME").is_empty() { row.first() } else { row.get("NAME") };
            let place = row.get("NODE");
            if !is_network(name) || !same_node(place, node) {
                continue;
            }
            let ready = row.get("READY");
            let status = row.get("STATUS");
            let runs = if status.is_empty() {
                !ready.is_empty() && ready != "0" && ready == row.get("DESIRED")
            } else {
                status == "Running" && all_ready(ready)
            };
            carriers.push(Carrier {
                item: number,
                line: row.line,
                name: name.to_owned(),
                runs,
                status: status.to_owned(),
            });
        }
    }
    carriers
}

/// A row without a head: `NAME READY STATUS …` in words.
fn bare(item: usize, index: usize, line: &str, node: &str) -> Option<Carrier> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| is_network(word))?;
    let (ready, status) = (words.get(at + 1)?, words.get(at + 2)?);
    if !ready.contains('/') {
        return None;
    }
    let names_node = words.len() > at + 6;
    if names_node && !node.is_empty() && !words.iter().skip(at + 3).any(|word| same_node(word, node)) {
        return None;
    }
    let runs = *status == "Running" && all_ready(ready);
    let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
    Some(Carrier { item, line, name: words[at].to_owned(), runs, status: (*status).to_owned() })
}

fn all_ready(ready: &str) -> bool {
    ready.split_once('/').is_some_and(|(ready, all)| ready == all && ready != "0")
}

fn is_network(name: &str) -> bool {
    NETWORKS.iter().any(|network| name.contains(network)) && !name.contains("hubble-ui")
}

/// Whether a list of daemon sets or pods of all namespaces (or of kube-system) is there, without any pod network in it.
pub fn none_deployed(evidence: &Evidence) -> Option<usize> {
    if !carriers(evidence, "").is_empty() {
        return None;
    }
    let lists = evidence.items().iter().enumerate().filter(|(_, item)| {
        let source = item.origin.source();
        let asks = source.contains("get ds")
            || source.contains("get daemonset")
            || source.contains("get po")
            || source.contains("get all");
        let wide = source.contains("-A") || source.contains("--all-namespaces") || source.contains("kube-system");
        source.contains("kubectl") && asks && wide && !source.contains("grep")
    });
    let mut lists = lists.filter(|(_, item)| {
        item.text.contains("kube-proxy") || item.text.contains("coredns") || item.text.contains("kube-apiserver")
    });
    lists.next().map(|(number, _)| number)
}

/// What a bare "not initialized" leaves open.
pub const NEEDS: [&str; 4] = [
    "ls -l /etc/cni/net.d on the node (and conf_dir in /etc/containerd/config.toml)",
    "pods of the CNI: kubectl get pods -A -o wide (flannel, calico, cilium), kubectl get ds -A",
    "containerd journal (\"failed to load cni during init\")",
    "start time of containerd (systemctl show containerd -p ActiveEnterTimestamp)",
];
