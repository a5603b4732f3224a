//! Defaults and validation of StatefulSets.

use api::{FieldErrors, Path};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use serde_json::{Value, json};

use crate::apps::selector;
use crate::checks;
use crate::core::{pod, pod_template};
use crate::value::{default, default_text, each, object, put, text};

/// Defaults of a StatefulSet.
pub fn defaults(set: &mut Value) {
    let Some(spec) = object(set, "spec") else { return };
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = object(spec, "updateStrategy") {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            default(rolling, "partition", 0);
        }
    }
    if let Some(policy) = object(spec, "persistentVolumeClaimRetentionPolicy") {
        default_text(policy, "whenDeleted", "Retain");
        default_text(policy, "whenScaled", "Retain");
    }
    for claim in each(spec, "volumeClaimTemplates").filter(|claim| claim.is_object()) {
        default(claim, "apiVersion", "v1");
        default(claim, "kind", "PersistentVolumeClaim");
        object(claim, "spec").into_iter().for_each(pod::defaults::claim_spec);
        object(claim, "status").into_iter().for_each(|status| default_text(status, "phase", "Pending"));
    }
    pod_template::defaults_in(set);
}

/// On create there are no replicas yet.
pub fn prepare(set: &mut Value, old: Option<&Value>) {
    if old.is_none() && set.is_object() {
        put(set, "status", json!({ "replicas": 0, "availableReplicas": 0 }));
    }
}

/// The template as its pods get it: with a volume for each claim template, in place of one of the same name.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    if let Some(pod) = &mut template.spec {
        let volumes = pod.volumes.get_or_insert_default();
        for name in spec.volume_claim_templates.iter().flatten().filter_map(|claim| claim.metadata.name.clone()) {
            volumes.retain(|volume| volume.name != name);
            let claim = PersistentVolumeClaimVolumeSource { claim_name: name.clone(), ..Default::default() };
            volumes.push(Volume { name, persistent_volume_claim: Some(claim), ..Volume::default() });
        }
    }
    template
}

/// Reports everything that is wrong.
pub fn validate(set: &StatefulSet, old: Option<&StatefulSet>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = &set.spec;
    if let Some(old) = old.map(|old| &old.spec) {
        update(spec, old, &path, errors);
    }
    let policy = spec.pod_management_policy.as_deref().unwrap_or_default();
    match policy {
        "" => errors.required(&path.child("podManagementPolicy"), ""),
        "OrderedReady" | "Parallel" => {}
        policy => {
            errors.invalid(&path.child("podManagementPolicy"), policy, "must be 'OrderedReady' or 'Parallel'");
        }
    }
    strategy(&spec.update_strategy.clone().unwrap_or_default(), &path.child("updateStrategy"), errors);
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        for (field, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
            checks::one_of(errors, &path.child(field), value.as_deref(), &["Delete", "Retain"]);
        }
    }
    checks::maybe_not_negative(errors, &path.child("replicas"), spec.replicas);
    checks::maybe_not_negative(errors, &path.child("minReadySeconds"), spec.min_ready_seconds);
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start);
    checks::maybe_not_negative(errors, &path.child("ordinals").child("start"), start);
    checks::maybe_not_negative(errors, &path.child("revisionHistoryLimit"), spec.revision_history_limit);
    selector::validate(&spec.selector, None, errors);
    let template = with_claims(spec);
    pod_template::validate_for("StatefulSet", &template, &spec.selector, &path.child("template"), errors);
}

fn strategy(strategy: &StatefulSetUpdateStrategy, path: &Path, errors: &mut FieldErrors) {
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("", _) => errors.required(path, ""),
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid(&path.child("rollingUpdate"), checks::json(rolling), why);
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        ("RollingUpdate", Some(rolling)) => {
            let path = path.child("rollingUpdate");
            checks::maybe_not_negative(errors, &path.child("partition"), rolling.partition);
            if let Some(unavailable) = &rolling.max_unavailable {
                let path = path.child("maxUnavailable");
                checks::count_or_percent(errors, &path, unavailable);
                if checks::amount(unavailable) == 0 {
                    errors.invalid(&path, checks::shown(unavailable), "cannot be 0");
                }
                checks::at_most_everything(errors, &path, unavailable);
            }
        }
        _ => errors.invalid(path, checks::json(strategy), "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

/// Most of a StatefulSet is decided once: its pods have names and storage that depend on it.
fn update(spec: &StatefulSetSpec, old: &StatefulSetSpec, path: &Path, errors: &mut FieldErrors) {
    let fixed = StatefulSetSpec {
        replicas: old.replicas,
        ordinals: old.ordinals.clone(),
        template: old.template.clone(),
        update_strategy: old.update_strategy.clone(),
        revision_history_limit: old.revision_history_limit,
        persistent_volume_claim_retention_policy: old.persistent_volume_claim_retention_policy.clone(),
        min_ready_seconds: old.min_ready_seconds,
        ..spec.clone()
    };
    if fixed != *old {
        errors.forbidden(
            path,
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}
