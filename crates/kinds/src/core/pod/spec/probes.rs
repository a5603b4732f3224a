//! Probes and lifecycle hooks.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Whole;
use crate::checks;

/// The hooks and probes of a container that may have them.
pub fn lifecycle_and_probes(whole: &Whole<'_>, container: &Container, path: &Path, errors: &mut FieldErrors) {
    let grace = whole.spec.termination_grace_period_seconds;
    if let Some(lifecycle) = &container.lifecycle {
        let path = path.child("lifecycle");
        for (field, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
            if let Some(hook) = hook {
                Handler::of_hook(hook).validate(grace, &path.child(field), errors);
            }
        }
    }
    if let Some(probe) = &container.liveness_probe {
        checked_once(probe, &path.child("livenessProbe"), errors);
    }
    if let Some(probe) = &container.readiness_probe {
        let path = path.child("readinessProbe");
        validate(probe, &path, errors);
        if let Some(seconds) = probe.termination_grace_period_seconds {
            let path = path.child("terminationGracePeriodSeconds");
            errors.invalid(&path, seconds, "must not be set for readinessProbes");
        }
    }
    if let Some(probe) = &container.startup_probe {
        checked_once(probe, &path.child("startupProbe"), errors);
    }
}

/// A probe whose first success counts.
fn checked_once(probe: &Probe, path: &Path, errors: &mut FieldErrors) {
    validate(probe, path, errors);
    let threshold = probe.success_threshold.unwrap_or_default();
    if threshold != 1 {
        errors.invalid(&path.child("successThreshold"), threshold, "must be 1");
    }
}

fn validate(probe: &Probe, path: &Path, errors: &mut FieldErrors) {
    Handler::of_probe(probe).validate(None, path, errors);
    for (field, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        checks::maybe_not_negative(errors, &path.child(field), value);
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        errors.invalid(&path.child("terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

/// What a probe or a hook does: one of these.
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<i32>,
    sleep: Option<&'a SleepAction>,
}

impl<'a> Handler<'a> {
    fn of_probe(probe: &'a Probe) -> Self {
        Self {
            exec: probe.exec.as_ref(),
            http_get: probe.http_get.as_ref(),
            tcp_socket: probe.tcp_socket.as_ref(),
            grpc: probe.grpc.as_ref().map(|grpc| grpc.port),
            sleep: None,
        }
    }

    fn of_hook(hook: &'a LifecycleHandler) -> Self {
        Self {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        }
    }

    fn validate(&self, grace: Option<i64>, path: &Path, errors: &mut FieldErrors) {
        let given = [
            ("exec", self.exec.is_some()),
            ("httpGet", self.http_get.is_some()),
            ("tcpSocket", self.tcp_socket.is_some()),
            ("grpc", self.grpc.is_some()),
            ("sleep", self.sleep.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, present)| *present).map(|(field, _)| field);
        let Some(first) = given.next() else { return errors.required(path, "must specify a handler type") };
        let one = path.child(first);
        match first {
            "exec" if self.exec.is_some_and(|exec| exec.command.as_ref().is_none_or(Vec::is_empty)) => {
                errors.required(&one.child("command"), "");
            }
            "httpGet" => self.http_get.into_iter().for_each(|get| http_get(get, &one, errors)),
            "tcpSocket" => {
                self.tcp_socket.into_iter().for_each(|tcp| checks::port_or_name(errors, &one.child("port"), &tcp.port));
            }
            "grpc" => self.grpc.into_iter().for_each(|port| {
                checks::port_or_name(errors, &one.child("port"), &IntOrString::Int(port));
            }),
            "sleep" => self.sleep.into_iter().for_each(|sleep| {
                if let Some(grace) = grace.filter(|grace| sleep.seconds < 0 || sleep.seconds > *grace) {
                    let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    errors.invalid(&one, sleep.seconds, &why);
                }
            }),
            _ => {}
        }
        for field in given {
            errors.forbidden(&path.child(field), "may not specify more than 1 handler type");
        }
    }
}

fn http_get(action: &HTTPGetAction, path: &Path, errors: &mut FieldErrors) {
    if action.path.as_deref().unwrap_or_default().is_empty() {
        errors.required(&path.child("path"), "");
    }
    checks::port_or_name(errors, &path.child("port"), &action.port);
    let scheme = action.scheme.as_deref().unwrap_or_default();
    if !["HTTP", "HTTPS"].contains(&scheme) {
        errors.not_supported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in action.http_headers.iter().flatten() {
        if header.name.is_empty() || !header.name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
            let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            errors.invalid(&path.child("httpHeaders"), header.name.as_str(), why);
        }
    }
}
