//! A directory under `certs.d` that is not named like the host and port of the images it is meant for.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{Settings, is_plain_http, is_tool, is_unknown_authority, meant, seems_meant};
use crate::read::{Pull, pulls, reference, registry};
use crate::rule::{Findings, Rule};
use crate::text::is_invisible;

pub const RULE: Rule = Rule {
    code: "SM0110",
    key: "hosts-toml-directory-mismatch",
    title: "directory of certs.d is not the image's host and port",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let direct = read.pulls.iter().filter(|pull| !is_tool(pull.speaker) && !pull.registry().is_empty());
    let groups = pulls::grouped(direct, |pull| (pull.node.clone(), pull.registry().to_owned()));
    for ((node, registry), pulls) in groups {
        let settings = read.registries(&node);
        let in_use = settings.configs.is_empty() || settings.config_path().is_some();
        if !in_use || settings.entry(&registry).is_some() {
            continue;
        }
        let Some(directory) = best(&settings, &registry) else { continue };
        let alias = reference::same_registry(&meant(&directory.name), &registry);
        let told = |pull: &&Pull| is_plain_http(pull) || is_unknown_authority(&pull.text) || alias;
        let pulls: Vec<&Pull> = pulls.into_iter().filter(told).collect();
        if pulls.is_empty() {
            continue;
        }
        let what = format!("{}/{}", directory.root, directory.name);
        let place = Place::Machine { node: directory.node.clone(), what: what.clone() };
        let cause = format!("the directory is called `{}`, so it is not used for images of `{registry}`", directory.name);
        let finding = findings.proven(place, cause);
        pulls::explain(finding, &read.messages, &pulls);
        if !pulls.iter().any(|pull| is_plain_http(pull)) {
            finding.note("the file may hold what this registry needs, such as its CA");
        }
        let fix = Fix::manual("give the directory the name of the registry, with its port")
            .step(format!("mv '{what}' '{}/{registry}'", directory.root));
        finding.weigh(1).fix(fix);
    }
}

fn best<'a>(settings: &'a Settings<'_>, registry: &str) -> Option<&'a registry::Directory> {
    let urls = |directory: &registry::Directory| -> Vec<String> {
        let file = settings.hosts.iter().find(|file| file.item == directory.item && file.directory == directory.name);
        let urls = file.into_iter().flat_map(|file| file.hosts().into_iter().map(|host| host.url).chain(file.server()));
        urls.map(|url| url.value).collect()
    };
    let flawed = |name: &str| name.contains(|one: char| one.is_whitespace() || is_invisible(one));
    let fitting = settings.directories.iter().filter(|directory| {
        let urls = urls(directory);
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        !flawed(&directory.name) && seems_meant(&directory.name, &urls, registry)
    });
    fitting.max_by_key(|directory| {
        let name = meant(&directory.name);
        (reference::same_registry(&name, registry), reference::host(&name) == reference::host(registry))
    })
}
