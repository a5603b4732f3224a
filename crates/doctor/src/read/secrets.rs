//! Pull secrets: which are named, which exist, for which hosts they are; and why a registry said no.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use serde_json::Value;

use super::Read;
use super::pulls::Pull;
use super::reference::{authority, host, is_public, same_registry};
use crate::evidence::{Evidence, Item, ItemKind};

/// A host that a pull secret is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the item.
    pub item: usize,
    /// The secret's name; empty when not told.
    pub secret: String,
    /// The key under `auths`, as written.
    pub key: String,
    /// Its bytes.
    pub span: Range<usize>,
}

/// What is known of pull secrets.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Namespaces of a secret's name.
    listed: HashMap<String, BTreeSet<String>>,
    /// Namespaces whose secrets were listed.
    namespaces: BTreeSet<String>,
    /// Secrets that pods name, by namespace and pod (empty for a service account).
    named: ByPod,
    /// Whether somebody looked and found that a pod names none.
    pub none_named: bool,
    /// Names that the kubelet could not find, by namespace and pod.
    missed: ByPod,
    /// Hosts of secrets.
    pub entries: Vec<Entry>,
}

/// Why a registry said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The pod names a secret that its namespace does not have.
    NoSecret(String),
    /// The secret of that name is in another namespace.
    Elsewhere(String, String),
    /// The secret is for other hosts.
    OtherHost(Entry),
    /// The image's name is a stand-in.
    Placeholder,
    /// A registry of AWS was asked without a role that may read.
    Aws,
    /// The registry does not accept the credentials; whether that is proven.
    Rejected(bool),
    /// The token service refuses.
    Token,
    /// It went out without credentials, and more is not known.
    Anonymous,
    /// Nothing more is known.
    Unknown,
}

pub(super) fn read(items: &[Item], read: &Read) -> Secrets {
    let mut secrets = Secrets::default();
    for found in read.existing.iter().filter(|found| found.kind == "Secret") {
        secrets.list(found.namespace.as_deref().unwrap_or_default(), &found.name);
    }
    for pod in &read.pods {
        for name in &pod.pull_secrets {
            secrets.name(&pod.namespace, &pod.name, name);
        }
    }
    for (number, item) in items.iter().enumerate() {
        if matches!(item.kind, ItemKind::KubectlOutput | ItemKind::NodeFacts | ItemKind::Text) {
            secrets.nothing(item);
            secrets.references(item);
            secrets.hosts(number, item);
        }
    }
    for message in read.messages.iter().filter(|message| message.text.contains("image pull secret")) {
        let names = message.text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |found| found.0);
        let missed = secrets.missed.entry(message.pod.clone()).or_default();
        missed.extend(names.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    secrets
}

impl Secrets {
    fn list(&mut self, namespace: &str, name: &str) {
        self.namespaces.insert(namespace.to_owned());
        self.listed.entry(name.to_owned()).or_default().insert(namespace.to_owned());
    }

    fn name(&mut self, namespace: &str, pod: &str, secret: &str) {
        let names = self.named.entry((namespace.to_owned(), pod.to_owned())).or_default();
        names.insert(secret.to_owned());
    }

    /// `kubectl get secrets` where there are none, and rows of all namespaces without their head.
    fn nothing(&mut self, item: &Item) {
        let source = item.origin.source();
        let none = item.text.contains("No resources found") || item.text.contains("secrets \"");
        if source.contains("secret") && !source.contains(" pod") && none {
            self.namespaces.insert(option(source, &["-n", "--namespace"]).to_owned());
        }
        for line in item.text.lines().filter(|_| source.contains("secret") && source.contains(" -A")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [namespace, name, kind, data, _] = words.as_slice()
                && kind.contains("kubernetes.io/")
                && data.parse::<u32>().is_ok()
            {
                self.listed.entry((*name).to_owned()).or_default().insert((*namespace).to_owned());
            }
        }
    }

    /// What a pod or service account names: `[{"name":"x"}]`, `Image pull secrets:  x`.
    fn references(&mut self, item: &Item) {
        let source = item.origin.source();
        let namespace = option(source, &["-n", "--namespace"]);
        if source.contains("imagePullSecrets") {
            let pod = option(source, &["pod", "pods", "po"]);
            let found: Option<Value> =
                item.text.find('[').and_then(|at| serde_json::from_str(item.text[at..].trim()).ok());
            let names: Vec<String> = match found.as_ref().and_then(Value::as_array) {
                Some(list) => list.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect(),
                None => Vec::new(),
            };
            self.none_named |= names.is_empty() && matches!(item.text.trim(), "" | "[]" | "null" | "<none>");
            names.iter().for_each(|name| self.name(namespace, pod, name));
        }
        let mut lines = item.text.lines().map(str::trim).skip_while(|line| *line != "imagePullSecrets:").skip(1);
        while let Some(secret) = lines.next().and_then(|line| line.strip_prefix("- name:")) {
            let pod = option(source, &["pod", "pods", "po"]);
            self.name(namespace, pod, secret.trim());
        }
        for line in item.text.lines() {
            if let Some(rest) = line.strip_prefix("Image pull secrets:") {
                let names = rest.split(',').filter_map(|name| name.split_whitespace().next());
                for name in names.filter(|name| *name != "<none>") {
                    self.name(namespace, "", name);
                }
            }
        }
    }

    /// The keys of `auths`.
    fn hosts(&mut self, number: usize, item: &Item) {
        let (source, text) = (item.origin.source(), item.text.as_str());
        let asked = source.contains("auths");
        if !asked && !text.contains("\"auths\"") {
            return;
        }
        let start = text.find(['[', '{']);
        let value: Option<Value> =
            start.and_then(|at| serde_json::Deserializer::from_str(&text[at..]).into_iter().next()?.ok());
        let keys: Vec<String> = match &value {
            Some(Value::Array(list)) => list.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
            Some(Value::Object(fields)) => {
                let auths = fields.get("auths").and_then(Value::as_object);
                let auths = if asked { auths.or(Some(fields)) } else { auths };
                auths.into_iter().flat_map(|auths| auths.keys().cloned()).collect()
            }
            _ if asked => text
                .lines()
                .map(|line| line.trim().trim_matches(['"', ',']))
                .filter(|line| line.contains('.'))
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        let secret = option(source, &["secret", "secrets"]).trim_start_matches("secret/").to_owned();
        for key in keys {
            let at = text.find(&format!("\"{key}\"")).map(|at| at + 1).or_else(|| text.find(&key)).unwrap_or(0);
            let span = at..(at + key.len()).min(text.len());
            self.entries.push(Entry { item: number, secret: secret.clone(), key, span });
        }
    }

    /// Names of secrets that a pod needs and that its namespace lacks.
    fn lacking(&self, pull: &Pull) -> BTreeSet<String> {
        let (namespace, _) = &pull.pod;
        let mut lacking: BTreeSet<String> =
            about(&self.missed, &pull.pod).flat_map(|(_, names)| names.clone()).collect();
        for ((named_in, _), names) in about(&self.named, &pull.pod) {
            let place = if named_in.is_empty() { namespace } else { named_in };
            let has = |name: &String| self.listed.get(name).is_some_and(|places| places.contains(place));
            if self.namespaces.contains(place) {
                lacking.extend(names.iter().filter(|name| !has(name)).cloned());
            }
        }
        // A listing that has it is newer than the event.
        lacking.retain(|name| !self.listed.get(name).is_some_and(|places| places.contains(namespace)));
        lacking
    }
}

type ByPod = BTreeMap<(String, String), BTreeSet<String>>;
type Named<'a> = (&'a (String, String), &'a BTreeSet<String>);

/// What is said about a pod, about its whole namespace, or about a pod that is not told; all, when the pod is not told.
fn about<'a>(all: &'a ByPod, pod: &(String, String)) -> Box<dyn Iterator<Item = Named<'a>> + 'a> {
    let (namespace, name) = pod.clone();
    if name.is_empty() {
        return Box::new(
            all.iter().filter(move |((place, _), _)| namespace.is_empty() || place.is_empty() || *place == namespace),
        );
    }
    let mut keys = vec![(String::new(), String::new()), (String::new(), name.clone())];
    if !namespace.is_empty() {
        keys.extend([(namespace.clone(), String::new()), (namespace, name)]);
    }
    Box::new(keys.into_iter().filter_map(|key| all.get_key_value(&key)))
}

/// Whether an entry of `auths` is for this registry.
pub fn is_for(key: &str, registry: &str) -> bool {
    let entry = authority(key);
    if same_registry(entry, registry) {
        return true;
    }
    let suffix = entry.strip_prefix('*');
    suffix.is_some_and(|suffix| host(registry).ends_with(suffix))
}

/// Why a pull was denied.
pub fn access(evidence: &Evidence, pull: &Pull) -> Access {
    let secrets = &evidence.read().secrets;
    if let Some(name) = secrets.lacking(pull).into_iter().next() {
        let elsewhere = secrets.listed.get(&name).and_then(|places| places.iter().next());
        return match elsewhere {
            Some(place) => Access::Elsewhere(name, place.clone()),
            None => Access::NoSecret(name),
        };
    }
    let registry = pull.registry();
    let ours: Vec<&Entry> = secrets.entries.iter().filter(|entry| is_for(&entry.key, registry)).collect();
    if let (true, Some(other)) = (ours.is_empty() && !registry.is_empty(), secrets.entries.first()) {
        return Access::OtherHost(other.clone());
    }
    if is_placeholder(pull) {
        return Access::Placeholder;
    }
    const SENT: [&str; 5] = [
        "incorrect username or password",
        "invalid username/password",
        "authorization token has expired",
        "invalid credentials",
        "HTTP Basic: Access denied",
    ];
    let by_hand = refused_by_hand(evidence, registry);
    let sent = SENT.iter().any(|words| pull.says(words)) || (pull.says("fetch oauth token") && pull.says("401"));
    if !ours.is_empty() || by_hand || sent {
        return Access::Rejected(by_hand || sent);
    }
    if is_aws(registry) {
        return Access::Aws;
    }
    let refused = pull.says("403") || pull.says("DENIED") || pull.says("denied: ");
    if pull.says("token") && refused || pull.says("status code [manifests") && pull.says("403") {
        return Access::Token;
    }
    if pull.says("anonymous token") || pull.says("no basic auth") || secrets.none_named {
        Access::Anonymous
    } else {
        Access::Unknown
    }
}

/// A registry of AWS: `111122223333.dkr.ecr.eu-central-1.amazonaws.com`.
pub fn is_aws(registry: &str) -> bool {
    registry.contains(".dkr.ecr.") || registry.contains(".dkr.ecr-fips.")
}

/// Whether somebody tried the credentials by hand in vain, or the account's state is told.
fn refused_by_hand(evidence: &Evidence, registry: &str) -> bool {
    let asked = |item: &Item| matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text | ItemKind::KubectlOutput);
    evidence.items().iter().filter(|item| asked(item)).any(|item| {
        let source = item.origin.0.as_str();
        let tried = (source.contains("curl") && (source.contains(" -u") || source.contains("--user")))
            || source.contains("login");
        let about = source.contains(registry)
            || source.contains("account")
            || source.contains("robot")
            || source.contains("token");
        let refused =
            item.text.trim() == "401" || item.text.contains("401 Unauthorized") || item.text.contains("nauthorized");
        let ended = ["expired", "disabled", "revoked", "locked"];
        let ended = about && ended.iter().any(|word| item.text.to_lowercase().contains(word));
        (tried && refused) || ended
    })
}

/// Whether a name is one that scaffolds put in until there is a real one.
fn is_placeholder(pull: &Pull) -> bool {
    const PARTS: [&str; 16] = [
        "your-",
        "yourname",
        "my-image",
        "myimage",
        "changeme",
        "change-me",
        "placeholder",
        "replace",
        "example-image",
        "image-name",
        "imagename",
        "todo",
        "username/",
        "<",
        "xxx",
        "your_",
    ];
    let Some(reference) = &pull.reference else { return false };
    let gone = ["does not exist", "insufficient_scope", "not found", "access to the resource is denied"];
    if !gone.iter().any(|words| pull.says(words)) {
        return false;
    }
    let official = reference.registry == super::reference::DOCKER_HUB && reference.repository.starts_with("library/");
    official || (is_public(&reference.registry) && PARTS.iter().any(|part| reference.repository.contains(part)))
}

/// The word after one of these.
fn option<'a>(command: &'a str, flags: &[&str]) -> &'a str {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        if flags.contains(&word) {
            return words.next().unwrap_or_default();
        }
        if let Some((flag, value)) = word.split_once(['=', '/'])
            && flags.contains(&flag)
        {
            return value;
        }
    }
    ""
}
