//! One rule of a role: what it matches, and what it covers of another rule.

use std::fmt;

use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::Attributes;

/// A rule of a Role or ClusterRole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Verbs; `*` is every verb.
    pub verbs: Vec<String>,
    /// API groups; the empty string is the core group, `*` every group.
    pub groups: Vec<String>,
    /// Resources: `pods`, `pods/log`, `*/scale`, `*`.
    pub resources: Vec<String>,
    /// Names; empty allows every name.
    pub names: Vec<String>,
    /// Paths that name no resource; a trailing `*` matches what follows.
    pub urls: Vec<String>,
}

impl From<&PolicyRule> for Rule {
    fn from(rule: &PolicyRule) -> Self {
        Self {
            verbs: rule.verbs.clone(),
            groups: rule.api_groups.clone().unwrap_or_default(),
            resources: rule.resources.clone().unwrap_or_default(),
            names: rule.resource_names.clone().unwrap_or_default(),
            urls: rule.non_resource_urls.clone().unwrap_or_default(),
        }
    }
}

impl Rule {
    /// Whether the rule allows a request.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        if !has(&self.verbs, &attributes.verb) {
            return false;
        }
        if !attributes.is_resource {
            return self.urls.iter().any(|url| url_matches(url, &attributes.path));
        }
        has(&self.groups, &attributes.group)
            && self.resources.iter().any(|own| resource_matches(own, &attributes.resource, &attributes.subresource))
            && (self.names.is_empty() || self.names.contains(&attributes.name))
    }

    /// The parts of the rule that allow one thing each.
    pub fn parts(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        for verb in &self.verbs {
            let verbs = vec![verb.clone()];
            for url in &self.urls {
                parts.push(Self { verbs: verbs.clone(), urls: vec![url.clone()], ..Self::default() });
            }
            for (group, resource) in
                self.groups.iter().flat_map(|group| self.resources.iter().map(move |one| (group, one)))
            {
                let part = Self {
                    verbs: verbs.clone(),
                    groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..Self::default()
                };
                if self.names.is_empty() {
                    parts.push(part);
                } else {
                    parts.extend(self.names.iter().map(|name| Self { names: vec![name.clone()], ..part.clone() }));
                }
            }
        }
        parts
    }

    /// Whether everything that `other` allows is allowed by this rule alone.
    pub fn covers(&self, other: &Self) -> bool {
        other.verbs.iter().all(|verb| has(&self.verbs, verb))
            && other.groups.iter().all(|group| has(&self.groups, group))
            && other.resources.iter().all(|resource| {
                let (name, sub) = resource.split_once('/').unwrap_or((resource, ""));
                self.resources.iter().any(|own| resource_matches(own, name, sub))
            })
            && (self.names.is_empty()
                || !other.names.is_empty() && other.names.iter().all(|name| self.names.contains(name)))
            && other.urls.iter().all(|url| self.urls.iter().any(|own| url_covers(own, url)))
    }
}

/// What of `wanted` no rule of `held` covers, with the verbs for the same thing put together.
pub fn uncovered(held: &[&Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut missing: Vec<Rule> = Vec::new();
    for part in wanted.iter().flat_map(Rule::parts) {
        if held.iter().any(|rule| rule.covers(&part)) {
            continue;
        }
        let same = |rule: &&mut Rule| {
            rule.groups == part.groups
                && rule.resources == part.resources
                && rule.names == part.names
                && rule.urls == part.urls
        };
        match missing.iter_mut().find(same) {
            Some(rule) if rule.verbs.contains(&part.verbs[0]) => {}
            Some(rule) => rule.verbs.extend(part.verbs),
            None => missing.push(part),
        }
    }
    missing.sort();
    missing
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|own| own == "*" || own == wanted)
}

fn resource_matches(own: &str, resource: &str, subresource: &str) -> bool {
    if own == "*" {
        return true;
    }
    match own.split_once('/') {
        None => subresource.is_empty() && own == resource,
        Some((name, sub)) => !subresource.is_empty() && sub == subresource && (name == "*" || name == resource),
    }
}

fn url_matches(own: &str, path: &str) -> bool {
    match own.strip_suffix('*') {
        Some(start) => path.starts_with(start.trim_end_matches('*')),
        None => own == path,
    }
}

fn url_covers(own: &str, other: &str) -> bool {
    own == other || own.ends_with('*') && other.starts_with(own.trim_end_matches('*'))
}

impl fmt::Display for Rule {
    /// As Kubernetes prints a rule that somebody tries to grant without holding it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let shown: Vec<String> = lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| format!("{name}:{}", quoted(list)))
            .collect();
        write!(f, "{{{}}}", shown.join(", "))
    }
}

/// `["a" "b"]`, as Go prints a list of texts.
pub fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|one| format!("{one:?}")).collect();
    format!("[{}]", quoted.join(" "))
}
