//! Images as somebody wrote them: in manifests, in templates of workloads, in pods.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::objects::Found;
use super::pods::Pod;
use super::pulls::Pull;
use super::reference::{Flaw, flaw};
use crate::evidence::{Evidence, Item, ItemKind};
use crate::finding::{Finding, Place};
use crate::text::{unquoted, visible};

/// An image, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The value.
    pub image: String,
    /// Where.
    pub place: Place,
    /// Namespace and name of the pod, when it is a pod's.
    pub pod: Option<(String, String)>,
}

static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^[ \t]*(?:-[ \t]+)?"?image"?[ \t]*:[ \t]*(.*?)[ \t]*,?\r?$"#).ok());
static REFUSED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?s)(spec\.[\w.\[\]]*image): Invalid value: "([^"]*)""#).ok());

pub(super) fn read(items: &[Item], objects: &[Found], pods: &[Pod]) -> Vec<Written> {
    let mut written = Vec::new();
    for (number, item) in items.iter().enumerate().filter(|(_, item)| item.kind == ItemKind::Manifest) {
        if !item.origin.source().contains("templates/") {
            written.extend(of_manifest(number, &item.text));
        }
    }
    written.extend(objects.iter().flat_map(of_object));
    for pod in pods.iter().filter(|pod| pod.ready != Some(true) && pod.phase != "Succeeded") {
        for (index, container) in pod.containers.iter().enumerate().filter(|(_, one)| !one.image.is_empty()) {
            let place = of_pod(pod, index, "image");
            let pod = Some((pod.namespace.clone(), pod.name.clone()));
            written.push(Written { image: container.image.clone(), place, pod });
        }
    }
    written
}

/// A field of a pod's container.
pub fn of_pod(pod: &Pod, index: usize, field: &str) -> Place {
    Place::Object {
        kind: "Pod".to_owned(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        field: format!("spec.containers[{index}].{field}"),
    }
}

fn of_manifest(item: usize, text: &str) -> Vec<Written> {
    let mut written = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let value =
            KEY.as_ref().and_then(|key| key.captures(line.trim_end_matches('\n'))).and_then(|found| found.get(1));
        if let Some(value) = value
            && let Some((image, inner)) = scalar(value.as_str())
        {
            let from = start + value.start();
            let span = from + inner.start..from + inner.end;
            written.push(Written { image, place: Place::Text { item, span }, pod: None });
        }
        start += line.len();
    }
    written
}

/// The value of a YAML scalar on one line, and the bytes of it without quotes.
fn scalar(raw: &str) -> Option<(String, Range<usize>)> {
    let quote = raw.chars().next().filter(|first| matches!(first, '"' | '\''));
    let found = match quote {
        Some(quote) => {
            let end = raw[1..].find(quote)? + 1;
            let inner = &raw[1..end];
            let image = if quote == '"' { unquoted(inner) } else { inner.to_owned() };
            (image, 1..end)
        }
        None => {
            let end = raw.find(" #").unwrap_or(raw.len());
            let plain = raw[..end].trim_end_matches([' ', '\t']);
            (plain.to_owned(), 0..plain.len())
        }
    };
    let is_value =
        !found.0.is_empty() && !matches!(raw.as_bytes().first(), Some(b'{' | b'[' | b'&' | b'*' | b'|' | b'>'));
    // A template's braces are a value all the same.
    (is_value || raw.starts_with("{{")).then_some(found)
}

/// Images of a workload's template.
fn of_object(found: &Found) -> Vec<Written> {
    let (template, path) = match found.kind() {
        "Deployment" | "StatefulSet" | "DaemonSet" => (&found.object["spec"]["template"], "spec.template"),
        "CronJob" => (&found.object["spec"]["jobTemplate"]["spec"]["template"], "spec.jobTemplate.spec.template"),
        _ => return Vec::new(),
    };
    let mut written = Vec::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in template["spec"][list].as_array().into_iter().flatten().enumerate() {
            let Some(image) = container["image"].as_str() else { continue };
            let place = Place::Object {
                kind: found.kind().to_owned(),
                namespace: found.namespace().to_owned(),
                name: found.name().to_owned(),
                field: format!("{path}.spec.{list}[{index}].image"),
            };
            written.push(Written { image: image.to_owned(), place, pod: None });
        }
    }
    written
}

/// An image with a flaw, wherever it was met.
#[derive(Clone, Debug)]
pub struct Flawed {
    /// The image.
    pub image: String,
    /// The bytes of the flaw in it.
    pub bytes: Range<usize>,
    /// Where it is best mended; in a text, the flaw itself.
    pub place: Place,
    /// Numbers of the messages that it explains.
    pub messages: Vec<usize>,
    /// Further places.
    pub more: usize,
}

/// Images with a flaw of this kind.
pub fn flawed(evidence: &Evidence, wanted: Flaw) -> Vec<Flawed> {
    let read = evidence.read();
    let mut all: BTreeMap<String, Flawed> = BTreeMap::new();
    let mut add = |image: &str, place: Place, message: Option<usize>| {
        let Some((_, bytes)) = flaw(image).filter(|(found, _)| *found == wanted) else { return };
        if let Some(known) = all.get_mut(image) {
            known.more += usize::from(message.is_none());
            known.messages.extend(message);
            return;
        }
        let messages = message.into_iter().collect();
        all.insert(image.to_owned(), Flawed { image: image.to_owned(), bytes, place, messages, more: 0 });
    };
    for written in &read.images {
        add(&written.image, narrowed(evidence, written, wanted), None);
    }
    for pull in read.pulls.iter().filter(|pull| !pull.image.is_empty()) {
        add(&pull.image, place(evidence, pull), Some(pull.message));
    }
    for message in read.failures() {
        if let Some(found) = REFUSED.as_ref().and_then(|form| form.captures(&message.text)) {
            let place = Place::Object {
                kind: message.quoted_after("The ").map_or("Pod", |_| "object").to_owned(),
                namespace: String::new(),
                name: message.quoted_after("The ").unwrap_or_default().to_owned(),
                field: found[1].to_owned(),
            };
            add(&found[2], place, Some(message.number));
        }
    }
    all.into_values().collect()
}

/// In a text, the flaw alone.
fn narrowed(evidence: &Evidence, written: &Written, wanted: Flaw) -> Place {
    let Place::Text { item, span } = &written.place else { return written.place.clone() };
    let raw = evidence.items()[*item].text.get(span.clone()).unwrap_or_default();
    let found = flaw(raw).filter(|(kind, _)| *kind == wanted).map(|(_, bytes)| bytes);
    // Written as an escape.
    let bytes = found.or_else(|| raw.find('\\').map(|at| at..(at + 2).min(raw.len()))).unwrap_or(0..raw.len());
    Place::Text { item: *item, span: span.start + bytes.start..span.start + bytes.end }
}

/// Where the image of a pull is written: a manifest, a workload, the pod; else the node that pulled.
pub fn place(evidence: &Evidence, pull: &Pull) -> Place {
    let read = evidence.read();
    let short = pull.image.strip_prefix("docker.io/library/").or_else(|| pull.image.strip_prefix("docker.io/"));
    let same = |image: &str| image == pull.image || Some(image) == short;
    let of_pod = |written: &Written| {
        let pod = written.pod.as_ref();
        pod.is_none_or(|pod| pull.pod.1.is_empty() || *pod == pull.pod)
    };
    if let Some(written) = read.images.iter().find(|written| same(&written.image) && of_pod(written)) {
        return written.place.clone();
    }
    let (namespace, name) = pull.pod.clone();
    if name.is_empty() {
        return Place::Machine { node: pull.node.clone(), what: format!("image \"{}\"", visible(&pull.image)) };
    }
    Place::Object { kind: "Pod".to_owned(), namespace, name, field: "image".to_owned() }
}

/// Adds to a finding what it explains of an image with a flaw.
pub fn explain_flaw(evidence: &Evidence, finding: &mut Finding, flawed: &Flawed) {
    for number in &flawed.messages {
        match evidence.read().messages.get(*number) {
            Some(message) if finding.quotes.len() < 3 => {
                finding.message(message);
            }
            _ => finding.explains.push(*number),
        }
    }
    if flawed.more > 0 {
        finding.note(format!("the same image is written in {} more places", flawed.more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_manifest() {
        let text = "spec:\n  containers:\n  - image: a/b:1 # old\n  - name: x\n    image: \"a/c:1\\u200b\"\n  - image: 'd:2 '\n  - image: {{ .x }}\n  - image: {a: b}\n";
        let found = of_manifest(0, text);
        let images: Vec<&str> = found.iter().map(|one| one.image.as_str()).collect();
        assert_eq!(images, ["a/b:1", "a/c:1\u{200b}", "d:2 ", "{{ .x }}"]);
        let Place::Text { span, .. } = &found[2].place else { panic!("a text") };
        assert_eq!(&text[span.clone()], "d:2 ");
    }
}
