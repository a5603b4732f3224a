//! The conditions of a pod, in Kubernetes' words.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodSpec, PodStatus};

use crate::pod::decide::Facts;
use crate::pod::members::{self, Class, Member};

/// A condition without its times.
struct Verdict {
    kind: &'static str,
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    fn new(kind: &'static str, holds: bool) -> Self {
        Self { kind, holds, reason: None, message: None }
    }

    fn because(self, reason: &'static str, message: impl Into<Option<String>>) -> Self {
        Self { reason: Some(reason), message: message.into(), ..self }
    }
}

/// Brings the conditions that a node owns up to date; others stay as they are.
pub(super) fn refresh(facts: &Facts, spec: &PodSpec, status: &mut PodStatus) {
    let host_network = spec.host_network.unwrap_or(false);
    let sandbox = facts.seen.sandbox();
    let sandbox_ready = sandbox.is_some_and(|sandbox| sandbox.ready && (host_network || !sandbox.ips.is_empty()));
    let containers_ready = containers_ready(spec, status);
    let ready = ready(spec, status, &containers_ready);
    let verdicts = [
        Verdict::new("PodReadyToStartContainers", sandbox_ready),
        initialized(facts, spec, status),
        ready,
        containers_ready,
        Verdict::new("PodScheduled", true),
    ];
    let mut conditions = status.conditions.take().unwrap_or_default();
    for verdict in verdicts {
        set(&mut conditions, verdict, facts);
    }
    status.conditions = Some(conditions);
}

fn set(conditions: &mut Vec<PodCondition>, verdict: Verdict, facts: &Facts) {
    let status = if verdict.holds { "True" } else { "False" };
    let old = conditions.iter().position(|condition| condition.type_ == verdict.kind);
    let since = old
        .and_then(|at| conditions.get(at))
        .filter(|condition| condition.status == status)
        .and_then(|condition| condition.last_transition_time.clone());
    let condition = PodCondition {
        type_: verdict.kind.to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
        last_transition_time: since.or_else(|| Some(super::seconds(facts.now))),
        observed_generation: facts.pod.metadata.generation,
        ..PodCondition::default()
    };
    match old.and_then(|at| conditions.get_mut(at)) {
        // Whoever scheduled the pod said so first, and keeps the word.
        Some(_) if verdict.kind == "PodScheduled" => {}
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

fn initialized(facts: &Facts, spec: &PodSpec, status: &PodStatus) -> Verdict {
    let verdict = Verdict::new("Initialized", true);
    if status.phase.as_deref() == Some("Succeeded") {
        return verdict.because("PodCompleted", None);
    }
    if facts.initialized() {
        return verdict;
    }
    let statuses = status.init_container_statuses.as_deref().unwrap_or_default();
    let incomplete: Vec<_> = members::init(spec)
        .filter(|member| {
            let status = statuses.iter().find(|status| status.name == member.name());
            !status.is_some_and(|status| match member.class {
                Class::Sidecar => status.started == Some(true),
                _ => status.ready,
            })
        })
        .map(|member| member.name().to_owned())
        .collect();
    let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
    Verdict::new("Initialized", false).because("ContainersNotInitialized", message)
}

fn containers_ready(spec: &PodSpec, status: &PodStatus) -> Verdict {
    let verdict = Verdict::new("ContainersReady", false);
    match status.phase.as_deref() {
        Some("Succeeded") => return verdict.because("PodCompleted", None),
        Some("Failed") => return verdict.because("PodFailed", None),
        _ => {}
    }
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let find = |member: &Member| -> Option<&ContainerStatus> {
        lists.into_iter().flatten().flatten().find(|status| status.name == member.name())
    };
    let unready: Vec<_> = members::init(spec)
        .filter(|member| member.class == Class::Sidecar)
        .chain(members::main(spec))
        .filter(|member| !find(member).is_some_and(|status| status.ready))
        .map(|member| member.name().to_owned())
        .collect();
    if unready.is_empty() {
        return Verdict::new("ContainersReady", true);
    }
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    verdict.because("ContainersNotReady", message)
}

/// Ready is ContainersReady and every readiness gate.
fn ready(spec: &PodSpec, status: &PodStatus, containers: &Verdict) -> Verdict {
    let verdict = Verdict::new("Ready", false);
    if !containers.holds {
        return Verdict { reason: containers.reason, message: containers.message.clone(), ..verdict };
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let closed: Vec<_> = spec
        .readiness_gates
        .iter()
        .flatten()
        .filter_map(|gate| {
            let kind = &gate.condition_type;
            match conditions.iter().find(|condition| condition.type_ == *kind) {
                None => Some(format!("corresponding condition of pod readiness gate \"{kind}\" does not exist.")),
                Some(condition) if condition.status != "True" => Some(format!(
                    "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                    condition.status
                )),
                Some(_) => None,
            }
        })
        .collect();
    if closed.is_empty() {
        return Verdict::new("Ready", true);
    }
    verdict.because("ReadinessGatesNotReady", closed.join(", "))
}
