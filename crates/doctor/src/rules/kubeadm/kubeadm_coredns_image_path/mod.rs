//! Only CoreDNS fails to pull from a private mirror, since it lies under another path there.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0310",
    key: "kubeadm-coredns-image-path",
    title: "CoreDNS lies under another path in the mirror",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const OFFICIAL: [&str; 3] = ["registry.k8s.io/coredns/coredns", "k8s.gcr.io/coredns/coredns", "docker.io/coredns/coredns"];
const ABSENT: [&str; 5] =
    ["not found", "manifest unknown", "does not exist", "pull access denied", "repository name not known"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for message in evidence.read().failures() {
        let Some(image) = missing(message) else { continue };
        if seen.contains(&image) || others_missing(evidence, image) {
            continue;
        }
        seen.push(image);
        report(evidence, findings, image);
    }
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, image: &str) {
    let repository = repository(image);
    let (host, path) = repository.split_once('/').unwrap_or(("", repository));
    let base = path.trim_end_matches("coredns/coredns").trim_end_matches("coredns").trim_end_matches('/');
    let join = |tail: &str| if base.is_empty() { tail.to_owned() } else { format!("{base}/{tail}") };
    let other = if path.ends_with("coredns/coredns") { join("coredns") } else { join("coredns/coredns") };
    let catalog = evidence.items().iter().position(|item| {
        item.kind != ItemKind::Unavailable && item.text.split(['"', '\n', ' ', ',']).any(|word| word == other)
    });
    let place = Place::Service(image.to_owned());
    let finding = match catalog {
        Some(item) => {
            let cause = format!("kubeadm asks for {image}, but {host} keeps CoreDNS under {other}");
            let finding = findings.proven(place, cause);
            finding.quote_word(evidence, item, &other)
        }
        None => {
            let cause = format!("{image} is not in the mirror; most likely CoreDNS lies under {other} there");
            let finding = findings.open(place, cause);
            finding.or(&["image-tag-not-found"]).needs(&[
                &format!("catalog of the mirror (curl https://{host}/v2/_catalog)"),
                &format!("tags of {other} and {path} in the mirror (/v2/…/tags/list)"),
                "kubeadm config images list",
            ])
        }
    };
    for message in evidence.read().failures().filter(|message| missing(message) == Some(image)) {
        finding.message(message);
    }
    let kept = repository.rsplit_once('/').map_or(host, |(parent, _)| parent);
    let wanted = if path.ends_with("coredns/coredns") { kept.trim_end_matches("/coredns").to_owned() } else { repository.to_owned() };
    finding.weigh(1).fix(
        Fix::manual("tell kubeadm where CoreDNS lies, or publish it where kubeadm looks")
            .step(format!("ClusterConfiguration: dns: {{imageRepository: {wanted}}}")),
    );
}

/// An image of CoreDNS that could not be found, other than at its official place.
fn missing(message: &Message) -> Option<&str> {
    let text = &message.text;
    if !text.contains("coredns") || !ABSENT.iter().any(|word| text.contains(word)) {
        return None;
    }
    let image = text.split(['"', ' ', '\n']).find(|word| {
        let name = repository(word);
        (name.ends_with("/coredns")) && !word.starts_with("http") && name.contains('.')
    })?;
    let image = image.trim_end_matches([':', ',']);
    (!OFFICIAL.contains(&repository(image))).then_some(image)
}

/// The image without its tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image).trim_end_matches([':', ',']);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// Whether other images of kubeadm are missing there too: then it is not CoreDNS alone.
fn others_missing(evidence: &Evidence, image: &str) -> bool {
    let host = image.split('/').next().unwrap_or_default();
    evidence.read().failures().any(|message| {
        let text = &message.text;
        let other = ["/kube-apiserver:", "/kube-proxy:", "/kube-scheduler:", "/etcd:", "/pause:"];
        text.contains(host) && other.iter().any(|word| text.contains(word)) && ABSENT.iter().any(|word| text.contains(word))
    })
}
