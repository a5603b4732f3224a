//! A registry without TLS that containerd was not told about, so that it uses HTTPS.

use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::registry::{Entry, Settings};
use crate::read::{pulls, reference};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0117",
    key: "http-registry-not-declared",
    title: "plain-HTTP registry that containerd was not told about",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for ((node, host), pulls) in read.plain_http() {
        let registry = match pulls.first().map(|pull| pull.registry()) {
            None | Some("") => host.clone(),
            Some(registry) => registry.to_owned(),
        };
        let settings = read.registries(&node);
        let place = || Place::Machine { node: node.clone(), what: format!("registry {registry}") };
        let docker = pulls.iter().any(|pull| pull.says("response from daemon"));
        let finding = match settings.entry(&registry) {
            Some(entry) => match https(&entry, &host) {
                Some((item, span)) => {
                    let cause = format!("the settings for `{registry}` say https://, but it answers in plain HTTP");
                    let finding = findings.proven(Place::Text { item, span: span.clone() }, cause);
                    let fix = Fix::review("write http://").edit(item, span, "http://");
                    finding.fix(if matches!(entry, Entry::Mirror(..)) { fix.restart("containerd") } else { fix });
                    finding
                }
                None if matches!(entry, Entry::Directory(_)) => open(findings, place(), &registry),
                None => continue,
            },
            None if settings.known() || docker => {
                let cause = format!("`{registry}` answers in plain HTTP, and nothing tells the node to use it without TLS");
                let finding = findings.likely(place(), cause);
                finding.fix(declare(&settings, &registry, docker));
                finding
            }
            None => open(findings, place(), &registry),
        };
        pulls::explain(finding, &read.messages, &pulls);
        let host_of = reference::host(&registry);
        if host_of == "localhost" || host_of == "127.0.0.1" {
            finding.note("containerd uses plain HTTP for localhost by itself only from 1.6.9 on");
        }
        finding.weigh(-1);
    }
}

/// The settings of a node are not in the evidence, or not all.
fn open<'a>(findings: &'a mut Findings<'_>, place: Place, registry: &str) -> &'a mut Finding {
    let finding = findings.open(place, format!("`{registry}` answers in plain HTTP, but containerd asked it over TLS"));
    finding
        .or(&[
            "http-mirror-fallback-to-https",
            "mirror-key-mismatch",
            "hosts-toml-directory-mismatch",
            "containerd-not-restarted",
            "hosts-toml-invalid",
            "config-path-wrong",
            "registry-config-differs-between-nodes",
        ])
        .needs(&[
            "/etc/containerd/config.toml of the node (registry mirrors, config_path)",
            "hosts.toml files: ls -R /etc/containerd/certs.d",
            "containerd journal lines \"trying next host\" for this pull",
            "curl of both schemes: http:// and https:// of the registry's /v2/ from the node",
            "containerd --version and time of its last start",
            "whether the tag exists in the registry",
            "crictl pull of the same image",
            "registry configuration of a node that works",
        ])
        .fix(Fix::manual("look at what the node's containerd is told about this registry")
            .step("cat /etc/containerd/config.toml")
            .step("tail -n +1 /etc/containerd/certs.d/*/hosts.toml"))
}

/// Where the settings say `https://` for the host that was asked.
fn https(entry: &Entry<'_>, host: &str) -> Option<(usize, std::ops::Range<usize>)> {
    let urls = entry.urls();
    let plain = urls.iter().any(|(_, url)| !url.value.starts_with("https://"));
    let (item, url) = urls.into_iter().find(|(_, url)| url.value.starts_with("https://") && reference::authority(&url.value) == host)?;
    // The scheme stands right behind the quote.
    let start = url.span.start + 1;
    (!plain).then_some((item, start..start + "https://".len()))
}

fn declare(settings: &Settings<'_>, registry: &str, docker: bool) -> Fix {
    if docker {
        return Fix::manual("name it in /etc/docker/daemon.json, or give the registry a certificate")
            .step(format!("\"insecure-registries\": [\"{registry}\"]"))
            .step("systemctl restart docker");
    }
    let fix = Fix::manual("declare the registry with http://, or give it a certificate");
    match settings.config_path() {
        Some((_, path)) => {
            let root = path.value.split(':').next().unwrap_or_default().trim_end_matches('/').to_owned();
            fix.step(format!("mkdir -p '{root}/{registry}'"))
                .step(format!("printf '[host.\"http://{registry}\"]\\n  capabilities = [\"pull\", \"resolve\"]\\n' > '{root}/{registry}/hosts.toml'"))
        }
        None => fix
            .step(format!("[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"{registry}\"]"))
            .step(format!("  endpoint = [\"http://{registry}\"]"))
            .step("systemctl restart containerd"),
    }
}
