//! Pulls that failed: which image, which host was asked, and what came of it.
//!
//! Every message of a failed pull, whoever says it, becomes a [`Pull`]; rules look at these and not at the words.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use super::answers::{Answer, answer};
use super::messages::{Message, Speaker};
use super::pods::Pod;
use super::reference::{self, Reference};
use crate::evidence::{Item, ItemKind};
use crate::finding::Finding;
use crate::text::unquoted;

/// A message of a pull that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Number of the message.
    pub message: usize,
    /// The image as quoted, with whatever blanks are in it; its full name where both forms are told; empty if untold.
    pub image: String,
    /// The image, taken apart.
    pub reference: Option<Reference>,
    /// The last URL that was asked; empty when not told.
    pub url: String,
    /// Host and port that was asked last; empty when not known.
    pub asked: String,
    /// Whether it is the image of a pod's sandbox.
    pub sandbox: bool,
    /// Who told.
    pub speaker: Speaker,
    /// The node; empty when not told.
    pub node: String,
    /// Namespace and name of the pod; empty when not told.
    pub pod: (String, String),
    /// The words, without any quoting left.
    pub text: String,
    /// What came of it.
    pub answer: Answer,
}

/// A host that was tried in vain before the next one: containerd's `trying next host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Number of the message.
    pub message: usize,
    /// Host and port.
    pub host: String,
    /// The URL; empty when not told.
    pub url: String,
    /// The words.
    pub text: String,
    /// What came of it.
    pub answer: Answer,
}

static URL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"https?://[^\s"'\\,;<>]+"#).ok());
static LOOKUP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"lookup ([^\s:]+)(?: on (\[[0-9a-fA-F:%]+\]:\d+|[0-9.]+:\d+))?: ").ok());
static DIAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:dial|read|write) tcp (?:[\[\]0-9a-fA-F.:]+->)?(\[[0-9a-fA-F:]+\]:\d+|[0-9.]+:\d+): ").ok()
});
static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"pulling from host (\S+) failed").ok());
static IMAGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?:[Ff]ailed to pull image |manifest for |pull access denied for |reading manifest \S+ in |docker://)([^\s,]+?)(?::? |, |: |$)",
    )
    .ok()
});
static QUOTES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"\\+""#).ok());

/// Words before an image in quotes; those that tell the full name first.
const BEFORE_IMAGE: [&str; 12] = [
    "failed to get sandbox image \"",
    "failed to resolve reference \"",
    "failed to resolve image \"",
    "failed to pull and unpack image \"",
    "failed to parse image reference \"",
    "couldn't parse image reference \"",
    "couldn't parse image name \"",
    "Failed to apply default image tag \"",
    "ailed to pull image \"",
    "ontainer image \"",
    "PullImage \"",
    "pulling image \"",
];

impl Pull {
    /// Whether the words stand in it.
    pub fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// The name that was looked up, and the server that was asked, if told.
    pub fn lookup(&self) -> Option<(&str, Option<&str>)> {
        let found = LOOKUP.as_ref()?.captures_iter(&self.text).last()?;
        Some((found.get(1)?.as_str(), found.get(2).map(|server| server.as_str())))
    }

    /// The address that was called.
    pub fn dialled(&self) -> Option<&str> {
        let found = DIAL.as_ref()?.captures_iter(&self.text).last()?;
        Some(found.get(1)?.as_str())
    }

    /// Host and port of the image's registry; empty when not known.
    pub fn registry(&self) -> &str {
        self.reference.as_ref().map_or("", |reference| reference.registry.as_str())
    }
}

/// Pulls by a key, such as the host.
pub fn grouped<'a, K: Ord>(
    pulls: impl Iterator<Item = &'a Pull>,
    key: impl Fn(&Pull) -> K,
) -> BTreeMap<K, Vec<&'a Pull>> {
    let mut groups: BTreeMap<K, Vec<&Pull>> = BTreeMap::new();
    for pull in pulls {
        groups.entry(key(pull)).or_default().push(pull);
    }
    groups
}

/// Says that a finding explains these pulls, and quotes the first ones.
pub fn explain(finding: &mut Finding, messages: &[Message], pulls: &[&Pull]) {
    for pull in pulls {
        match messages.get(pull.message) {
            Some(message) if finding.quotes.len() < 3 => {
                finding.message(message);
            }
            _ => finding.explains.push(pull.message),
        }
    }
}

/// Whether a name is one that only the cluster's DNS knows.
pub fn is_cluster_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.ends_with(".svc") || name.contains(".svc.") || name.ends_with(".cluster.local")
}

/// Marks failures after which the journal shows that the pull went well.
pub(super) fn settle(messages: &mut [Message], pods: &[Pod]) {
    let mut good: HashMap<(usize, String), u32> = HashMap::new();
    for message in messages.iter().filter(|message| is_journal(message)) {
        let pulled = message.text.contains("returns image reference") || message.text.contains("uccessfully pulled");
        if pulled && let Some(image) = quoted_image(&message.text).or_else(|| message.quoted_after("image")) {
            good.insert((message.item, image.to_owned()), message.line);
        }
    }
    let ready: std::collections::HashSet<(&str, &str)> = pods
        .iter()
        .filter(|pod| pod.ready == Some(true))
        .map(|pod| (pod.namespace.as_str(), pod.name.as_str()))
        .collect();
    if good.is_empty() && ready.is_empty() {
        return;
    }
    for message in messages.iter_mut().filter(|message| is_journal(message) && message.is_failure()) {
        let image = quoted_image(&message.text).unwrap_or_default().to_owned();
        let later = good.get(&(message.item, image)).is_some_and(|line| *line > message.line);
        let runs = !message.pod.1.is_empty() && ready.contains(&(message.pod.0.as_str(), message.pod.1.as_str()));
        message.over = later || (runs && is_pull(&message.text));
    }
}

fn is_journal(message: &Message) -> bool {
    matches!(message.speaker, Speaker::Containerd | Speaker::Kubelet)
}

/// Pulls that failed and are not over, and attempts.
pub(super) fn read(items: &[Item], messages: &[Message], pods: &[Pod]) -> (Vec<Pull>, Vec<Attempt>) {
    let whereabouts: Vec<Whereabouts> = whereabouts(items, messages, pods);
    let (mut pulls, mut attempts) = (Vec::new(), Vec::new());
    for message in messages {
        if message.text.starts_with("trying next host") {
            attempts.push(attempt(message));
        } else if message.is_failure() && is_pull(&message.text) {
            pulls.push(pull(message, whereabouts.get(message.item)));
        }
    }
    (pulls, attempts)
}

/// Whether words tell of a failed pull and of its reason.
fn is_pull(text: &str) -> bool {
    const WORDS: [&str; 15] = [
        "ailed to pull image",
        "failed to pull and unpack image",
        "failed to resolve reference",
        "failed to resolve image",
        "failed to get sandbox image",
        "PullImage from image service failed",
        "parse image reference",
        "parse image name",
        "ailed to apply default image tag",
        "is not present with pull policy of Never",
        "pull access denied",
        "Error response from daemon: [DEPRECATION NOTICE]",
        "manifest unknown",
        "pinging container registry",
        "initializing source docker://",
    ];
    let backoff =
        || text.contains("ack-off pulling image") && (text.contains("ErrImagePull: ") || text.contains("\": "));
    let journal = || text.contains("PullImage \"") && text.contains(" failed: ");
    // Other programs have paths with `/v2/` as well.
    let api = || {
        text.contains("/v2/\"") || (text.contains("/v2/") && (text.contains("/manifests/") || text.contains("/blobs/")))
    };
    let request = || api() && text.contains("\": ") && !text.contains("probe failed");
    let crictl = || text.contains("pulling image: ");
    WORDS.iter().any(|words| text.contains(words)) || backoff() || journal() || request() || crictl()
}

fn pull(message: &Message, whereabouts: Option<&Whereabouts>) -> Pull {
    let text = flat(&message.text);
    let field = || message.fields.iter().find(|(key, _)| key == "image").map(|(_, image)| image.clone());
    let image = quoted_image(&text)
        .map(unquoted)
        .or_else(field)
        .or_else(|| IMAGE.as_ref()?.captures(&text).map(|found| found[1].to_owned()))
        .or_else(|| whereabouts.map(|known| known.image.clone()))
        .unwrap_or_default();
    let reference = Reference::read(&image);
    let url = last_url(&text);
    let host = || HOST.as_ref()?.captures(&text).map(|found| found[1].to_owned());
    let asked = match reference::authority(&url) {
        "" => host().or_else(|| reference.as_ref().map(|found| found.upstream().to_owned())).unwrap_or_default(),
        authority => authority.to_owned(),
    };
    let or =
        |told: &str, known: Option<&str>| if told.is_empty() { known.unwrap_or_default() } else { told }.to_owned();
    let node = or(&message.node, whereabouts.map(|known| known.node.as_str()));
    let pod = match whereabouts {
        Some(known) if message.pod.1.is_empty() => known.pod.clone(),
        _ => message.pod.clone(),
    };
    let sandbox = text.contains("sandbox image");
    let answer = answer(&text);
    Pull {
        message: message.number,
        image,
        reference,
        url,
        asked,
        sandbox,
        speaker: message.speaker,
        node,
        pod,
        text,
        answer,
    }
}

fn attempt(message: &Message) -> Attempt {
    let text = flat(&message.text);
    let url = last_url(&text);
    let field = message.fields.iter().find(|(key, _)| key == "host").map(|(_, host)| host.clone());
    let host = field.unwrap_or_else(|| reference::authority(&url).to_owned());
    let answer = if text.contains("StatusNotFound") { Answer::Absent } else { answer(&text) };
    Attempt { message: message.number, host, url, text, answer }
}

/// The words without backslashes before quotes, however deep they were nested.
fn flat(text: &str) -> String {
    QUOTES.as_ref().map_or_else(|| text.to_owned(), |form| form.replace_all(text, "\"").into_owned())
}

/// The image that stands in quotes.
pub(super) fn quoted_image(text: &str) -> Option<&str> {
    let found = BEFORE_IMAGE.iter().find_map(|before| text.split_once(before))?;
    found.1.split('"').next().filter(|image| !image.is_empty())
}

/// The last URL of a registry or of its token service.
fn last_url(text: &str) -> String {
    let urls = || URL.as_ref().into_iter().flat_map(|form| form.find_iter(text)).map(|found| found.as_str());
    let asked = urls().filter(|url| url.contains("/v2/") || url.contains("token")).last();
    let any = || urls().find(|url| text.contains(&format!("Get \"{url}")) || text.contains(&format!("Head \"{url}")));
    asked.or_else(any).unwrap_or_default().trim_end_matches([':', '.', ')']).to_owned()
}

/// What an item tells of its messages as a whole.
#[derive(Clone, Debug, Default)]
struct Whereabouts {
    node: String,
    pod: (String, String),
    image: String,
}

fn whereabouts(items: &[Item], messages: &[Message], pods: &[Pod]) -> Vec<Whereabouts> {
    let mut all: Vec<Whereabouts> = items.iter().map(of_origin).collect();
    for message in messages.iter().filter(|message| message.reason == "Scheduled") {
        let Some(known) = all.get_mut(message.item) else { continue };
        let Some((pod, node)) = assigned(&message.text) else { continue };
        if items[message.item].kind == ItemKind::PodEvents && known.node.is_empty() {
            node.clone_into(&mut known.node);
            if let Some((namespace, name)) = pod.split_once('/') {
                known.pod = (namespace.to_owned(), name.to_owned());
            }
        }
    }
    for known in &mut all {
        let found = pods.iter().find(|pod| !known.pod.1.is_empty() && pod.name == known.pod.1);
        if let Some(pod) = found
            && known.node.is_empty()
        {
            known.node.clone_from(&pod.node);
        }
    }
    all
}

/// `Successfully assigned NS/POD to NODE`.
fn assigned(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("Successfully assigned ")?.split_once(" to ")
}

/// The node, pod and image that a command names.
fn of_origin(item: &Item) -> Whereabouts {
    let source = item.origin.source();
    let node = item.origin.node().unwrap_or_default().to_owned();
    let words: Vec<&str> = source.split_whitespace().collect();
    let after = |flags: &[&str]| words.iter().position(|word| flags.contains(word)).and_then(|at| words.get(at + 1));
    let mut known = Whereabouts { node, ..Whereabouts::default() };
    if source.contains("kubectl")
        && let Some(name) = after(&["pod", "pods", "po"])
    {
        let namespace = after(&["-n", "--namespace"]).map(|name| (*name).to_owned()).unwrap_or_default();
        if !name.starts_with('-') && !name.starts_with('(') {
            known.pod = (namespace, (*name).trim_start_matches("pod/").to_owned());
        }
    }
    if let Some(at) = words.iter().position(|word| *word == "pull") {
        let image = words[at + 1..].iter().find(|word| !word.starts_with('-') && word.contains(['/', ':', '.']));
        known.image = image.map(|image| (*image).to_owned()).unwrap_or_default();
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Evidence, Origin};

    fn pulls(kind: ItemKind, origin: &str, text: &str) -> Vec<Pull> {
        let item = Item { kind, origin: Origin(origin.to_owned()), text: text.to_owned() };
        Evidence::new(vec![item]).read().pulls.clone()
    }

    #[test]
    fn a_pull_is_the_same_whoever_tells() {
        let kubelet = r#"E0607 16:28:55.047211   40348 pod_workers.go:1301] "Error syncing pod, skipping" err="failed to \"StartContainer\" for \"web\" with ErrImagePull: \"rpc error: code = Unknown desc = failed to pull and unpack image \\\"cr.sample.org:5000/web:1\\\": failed to resolve reference \\\"cr.sample.org:5000/web:1\\\": failed to do request: Head \\\"https://cr.sample.org:5000/v2/web/manifests/1\\\": dial tcp: lookup cr.sample.org on [::1]:53: read udp [::1]:50->[::1]:53: read: connection refused\"" pod="a/web-1""#;
        let read = pulls(ItemKind::KubeletLog, "w1 journalctl -u kubelet", kubelet);
        assert_eq!(
            (read[0].image.as_str(), read[0].asked.as_str()),
            ("cr.sample.org:5000/web:1", "cr.sample.org:5000")
        );
        assert_eq!((read[0].answer, read[0].lookup()), (Answer::Lookup, Some(("cr.sample.org", Some("[::1]:53")))));
        assert_eq!((read[0].node.as_str(), read[0].pod.1.as_str()), ("w1", "web-1"));

        let events = "Events:\n  Type     Reason     Age   From               Message\n  ----     ------     ----  ----               -------\n  Normal   Scheduled  90s   default-scheduler  Successfully assigned a/web-1 to w1\n  Warning  Failed     9s    kubelet            Failed to pull image \"nginx:1\": failed to resolve reference \"docker.io/library/nginx:1\": failed to do request: Head \"https://registry-1.docker.io/v2/library/nginx/manifests/1\": dial tcp 203.0.113.1:443: i/o timeout\n  Warning  Failed     9s    kubelet            Error: ErrImagePull\n";
        let read = pulls(ItemKind::PodEvents, "kubectl describe pod web-1 -n a (events)", events);
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].registry(), read[0].dialled()), ("docker.io", Some("203.0.113.1:443")));
        assert_eq!((read[0].node.as_str(), read[0].answer), ("w1", Answer::Silent));

        let ctr = "ctr: failed to resolve reference \"a.org/b:1\": a.org/b:1: not found\n";
        assert_eq!(pulls(ItemKind::CtrOutput, "n: ctr i pull a.org/b:1", ctr)[0].answer, Answer::Absent);
    }

    #[test]
    fn what_went_well_later_is_over() {
        let log = "time=\"2024-05-01T10:00:00Z\" level=error msg=\"PullImage \\\"a.org/b:1\\\" failed\" error=\"failed to pull and unpack image \\\"a.org/b:1\\\": x\"\ntime=\"2024-05-01T10:01:00Z\" level=info msg=\"PullImage \\\"a.org/b:1\\\" returns image reference \\\"sha256:1\\\"\"\n";
        assert!(pulls(ItemKind::ContainerdLog, "n journalctl -u containerd", log).is_empty());
    }
}
