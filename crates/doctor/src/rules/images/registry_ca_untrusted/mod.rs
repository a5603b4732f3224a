//! The CA of a private registry is not known to containerd on the node.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::Entry;
use crate::read::{pulls, reference, registry};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0122",
    key: "registry-ca-untrusted",
    title: "CA of the registry is not trusted on the node",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for ((node, host), pulls) in read.unknown_authorities() {
        let issuer = registry::issuer(evidence, &node, &host);
        let public = reference::is_public(&host);
        let known = issuer.as_ref().is_some_and(|issuer| issuer.public);
        if (public && !known) || issuer.as_ref().is_some_and(|issuer| issuer.gateway) {
            continue; // Somebody stands in between.
        }
        let settings = read.registries(&node);
        let ca = match settings.entry(&host) {
            Some(Entry::Hosts(file)) => {
                let cas = file.hosts().into_iter().flat_map(|host| host.ca).chain(file.server_ca()).next();
                cas.map(|ca| (file.item, ca))
            }
            _ => settings.configs.iter().find_map(|config| {
                let of_host = config.host_settings().into_iter().find(|one| one.key.value == host);
                of_host.and_then(|one| one.ca).map(|ca| (config.item, ca))
            }),
        };
        let place = match &ca {
            Some((item, ca)) => Place::Text { item: *item, span: ca.inside(&evidence.items()[*item].text) },
            None => Place::Machine { node: node.clone(), what: format!("CA of {host}") },
        };
        let cause = match (&ca, &issuer) {
            (Some((_, ca)), _) => format!("the certificate of `{host}` is not from the CA in `{}`", ca.value),
            (None, Some(issuer)) => format!("the certificate of `{host}` is from \"{}\", which the node does not trust", issuer.name),
            (None, None) => format!("the certificate of `{host}` is from a CA that containerd on the node does not trust"),
        };
        // A mirror that was given up for it: what came afterwards is only the fallback.
        let fallback = pulls.iter().all(|pull| pull.asked != host);
        let finding = if fallback { findings.proven(place, cause) } else { findings.likely(place, cause) };
        pulls::explain(finding, &read.messages, &pulls);
        if let Some(issuer) = &issuer {
            finding.quote(issuer.item, issuer.line);
        }
        let docker = evidence.items().iter().any(|item| item.text.contains("insecure-registries") && item.text.contains(reference::host(&host)));
        if docker {
            finding.note("Docker's `insecure-registries` do not count for containerd");
        }
        let root = settings.config_path().map_or_else(|| "/etc/containerd/certs.d".to_owned(), |(_, path)| path.value);
        let root = root.split(':').next().unwrap_or_default().trim_end_matches('/').to_owned();
        let fix = Fix::manual("give containerd the CA for this host")
            .step(format!("openssl s_client -connect {} -showcerts </dev/null | grep -E '^ *[is]:'", with_port(&host)))
            .step(format!("install -D -m 644 ca.crt '{root}/{host}/ca.crt'"))
            .step(format!("printf '[host.\"https://{host}\"]\\n  ca = \"{root}/{host}/ca.crt\"\\n' > '{root}/{host}/hosts.toml'"));
        finding.weigh(if fallback { 2 } else { -1 }).fix(fix);
    }
}

fn with_port(host: &str) -> String {
    if reference::port(host).is_some() { host.to_owned() } else { format!("{host}:443") }
}
