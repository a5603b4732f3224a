//! The status of a pod: a pure function of what is known about it.
//!
//! Invariant: a pod is not called Succeeded or Failed while any process of it may live, because
//! controllers start its replacement then.

pub(crate) mod conditions;
pub(crate) mod containers;
pub(crate) mod patch;

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, PodIP, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::decide::Facts;
use crate::pod::members::{self, Class};
use crate::pod::observed::{Observed, State};
use crate::pod::qos;

/// The status to report.
pub fn generate(facts: &Facts, host_ip: IpAddr) -> PodStatus {
    let old = facts.pod.status.clone().unwrap_or_default();
    let Some(spec) = facts.spec().filter(|_| !facts.ended()) else { return old };
    let mut status = PodStatus {
        start_time: old.start_time.clone().or(Some(seconds(facts.now))),
        qos_class: Some(old.qos_class.clone().unwrap_or_else(|| qos::class(spec).to_owned())),
        observed_generation: facts.pod.metadata.generation,
        host_ip: Some(host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: host_ip.to_string() }]),
        ..old.clone()
    };
    // Of a pod that was refused nothing ever was, and kubectl would show a wait instead of the reason.
    let refused = facts.memory.verdict.is_some() && *facts.seen == Observed::default();
    let every = if refused { Vec::new() } else { containers::statuses(facts, spec) };
    addresses(facts, spec, host_ip, &mut status);
    status.phase = Some(phase(facts, spec, &every).to_owned());
    match &facts.memory.verdict {
        Some(verdict) => {
            status.reason = Some(verdict.reason.clone());
            status.message = Some(verdict.message.clone());
        }
        None => {
            status.reason = None;
            status.message = None;
        }
    }
    let (init, rest): (Vec<_>, Vec<_>) =
        every.into_iter().partition(|(class, _)| matches!(class, Class::Init | Class::Sidecar));
    let (ephemeral, main): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(class, _)| *class == Class::Ephemeral);
    status.init_container_statuses = list(init);
    status.ephemeral_container_statuses = list(ephemeral);
    status.container_statuses = list(main);
    conditions::refresh(facts, spec, &mut status);
    status
}

/// The API has whole seconds; more would never equal what comes back.
fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

fn list(statuses: Vec<(Class, ContainerStatus)>) -> Option<Vec<ContainerStatus>> {
    (!statuses.is_empty()).then(|| statuses.into_iter().map(|(_, status)| status).collect())
}

/// The pod's addresses; those of a sandbox that is gone stay, as the pod's last ones.
fn addresses(facts: &Facts, spec: &PodSpec, host_ip: IpAddr, status: &mut PodStatus) {
    let ips = if spec.host_network.unwrap_or(false) {
        vec![host_ip.to_string()]
    } else {
        facts.seen.sandbox().filter(|sandbox| sandbox.ready).map(|sandbox| sandbox.ips.clone()).unwrap_or_default()
    };
    if let Some(first) = ips.first() {
        status.pod_ip = Some(first.clone());
        status.pod_ips = Some(ips.iter().map(|ip| PodIP { ip: ip.clone() }).collect());
    }
}

/// `Pending`, `Running`, `Succeeded` or `Failed`.
fn phase(facts: &Facts, spec: &PodSpec, statuses: &[(Class, ContainerStatus)]) -> &'static str {
    let quiet = facts.seen.alive().next().is_none();
    let stopping = facts.stopping();
    let ended = ended_phase(facts, spec);
    if quiet && facts.memory.verdict.is_some() {
        return "Failed";
    }
    if quiet && (ended.is_some() || stopping) {
        let all_well = members::main(spec).all(|member| {
            let seen = facts.seen.newest(member.name());
            seen.is_some_and(|seen| seen.state == State::Exited && seen.exit_code == 0)
        });
        return ended.unwrap_or(if all_well { "Succeeded" } else { "Failed" });
    }
    let mains = || statuses.iter().filter(|(class, _)| *class == Class::Main).map(|(_, status)| status);
    let never_ran = |status: &ContainerStatus| {
        let terminated = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
            state.as_ref().is_some_and(|state| state.terminated.is_some())
        };
        let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
        !running && !terminated(&status.state) && !terminated(&status.last_state)
    };
    if mains().any(never_ran) { "Pending" } else { "Running" }
}

/// The phase of a pod that has nothing left to run, by itself.
fn ended_phase(facts: &Facts, spec: &PodSpec) -> Option<&'static str> {
    let ended_badly = |member: &members::Member| {
        let seen = facts.seen.newest(member.name());
        seen.is_some_and(|seen| seen.state == State::Exited && seen.exit_code != 0)
    };
    let init_failed = members::init(spec).filter(|member| member.class == Class::Init).any(|member| {
        let seen = facts.seen.newest(member.name());
        ended_badly(&member) && seen.is_some_and(|seen| !super::restart::restarts(spec, &member, seen))
    });
    if init_failed && !facts.initialized() {
        return Some("Failed");
    }
    if !super::restart::all_done(facts, spec) {
        return None;
    }
    Some(if members::main(spec).any(|member| ended_badly(&member)) { "Failed" } else { "Succeeded" })
}
