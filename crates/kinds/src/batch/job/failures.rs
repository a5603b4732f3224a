//! `podFailurePolicy` (KEP-3329): what a failed pod means for its Job.

use k8s_openapi::api::batch::v1::{Job, PodFailurePolicyRule};
use k8s_openapi::api::core::v1::Pod;

use crate::workload::meta::Meta;
use crate::workload::pods;

/// What a rule says about a failed pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The Job fails at once.
    FailJob,
    /// The pod's index fails at once.
    FailIndex,
    /// The failure does not count.
    Ignore,
    /// The failure counts as usual.
    Count,
}

/// What the first matching rule says; `None` when no rule matches.
pub fn action(job: &Job, pod: &Pod) -> Option<Action> {
    matching(job, pod).map(|(_, rule, _)| match rule.action.as_str() {
        "FailJob" => Action::FailJob,
        "FailIndex" => Action::FailIndex,
        "Ignore" => Action::Ignore,
        _ => Action::Count,
    })
}

/// Why the Job fails at once because of `pod`.
pub fn fails_job(job: &Job, pod: &Pod) -> Option<String> {
    let (index, rule, what) = matching(job, pod).filter(|(_, rule, _)| rule.action == "FailJob")?;
    Some(format!("{what} matching {} rule at index {index}", rule.action))
}

/// The first matching rule with its position and what matched.
fn matching<'a>(job: &'a Job, pod: &Pod) -> Option<(usize, &'a PodFailurePolicyRule, String)> {
    let policy = job.spec.as_ref()?.pod_failure_policy.as_ref()?;
    policy.rules.iter().enumerate().find_map(|(index, rule)| {
        let what = exit_code(rule, pod).or_else(|| condition(rule, pod))?;
        Some((index, rule, what))
    })
}

fn exit_code(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let wanted = rule.on_exit_codes.as_ref()?;
    pods::container_statuses(pod).find_map(|status| {
        let named = wanted.container_name.as_ref().is_none_or(|name| *name == status.name);
        let code = status.state.as_ref()?.terminated.as_ref()?.exit_code;
        let listed = wanted.values.contains(&code);
        let matches = if wanted.operator == "NotIn" { !listed } else { listed };
        (named && code != 0 && matches).then(|| {
            format!("Container {} for pod {}/{} failed with exit code {code}", status.name, pod.namespace(), pod.name())
        })
    })
}

fn condition(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    rule.on_pod_conditions.iter().flatten().find_map(|pattern| {
        let condition = pods::condition(pod, &pattern.type_)?;
        let wanted = pattern.status.as_deref().unwrap_or("True");
        (condition.status == wanted)
            .then(|| format!("Pod {}/{} has condition {}", pod.namespace(), pod.name(), pattern.type_))
    })
}
