//! Defaults and validation of jobs.
//!
//! A job finds its pods by its own uid: unless `manualSelector` says otherwise, selector and labels are generated.

use api::{FieldErrors, Path};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use serde_json::{Value, json};

use crate::checks;
use crate::core::pod_template;
use crate::value::{at, clear_status, default, default_text, each, has, object, put, text};

const UID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
/// The labels' names before they had a prefix; still written.
const OLD_UID: &str = "controller-uid";
const OLD_NAME: &str = "job-name";

/// Pods of an indexed job at the same time, and completions when there are more at a time.
const INDEXED_PARALLELISM_MAX: i32 = 100_000;

/// Defaults of a job.
pub fn defaults(job: &mut Value) {
    let Some(spec) = object(job, "spec") else { return };
    if !has(spec, "completions") && !has(spec, "parallelism") {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    let limit = if has(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    default(spec, "backoffLimit", limit);
    default_text(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let replacement = if has(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    default_text(spec, "podReplacementPolicy", replacement);
    for rule in at(spec, "podFailurePolicy").into_iter().flat_map(|policy| each(policy, "rules")) {
        each(rule, "onPodConditions").for_each(|pattern| default_text(pattern, "status", "True"));
    }
    generate_selector(job);
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object()
        && let Some(metadata) = object(job, "metadata")
        && metadata["labels"].as_object().is_none_or(serde_json::Map::is_empty)
    {
        put(metadata, "labels", labels);
    }
    pod_template::defaults_in(job);
    object(job, "status");
}

/// On create there is no status yet.
pub fn prepare(job: &mut Value, old: Option<&Value>) {
    clear_status(job, old);
    if old.is_none() {
        generate_selector(job);
    }
}

/// Selects pods by the job's uid and labels the template so. Does nothing until the job has a uid, and nothing when
/// it was done.
fn generate_selector(job: &mut Value) {
    let (uid, name) = (text(&job["metadata"], "uid").to_owned(), text(&job["metadata"], "name").to_owned());
    let Some(spec) = at(job, "spec") else { return };
    if uid.is_empty() || name.is_empty() || spec["manualSelector"] == true || has(spec, "selector") {
        return;
    }
    put(spec, "selector", json!({ "matchLabels": { UID: uid } }));
    let labels = object(spec, "template")
        .and_then(|template| object(template, "metadata"))
        .and_then(|metadata| object(metadata, "labels"));
    if let Some(labels) = labels {
        for (label, value) in [(UID, &uid), (OLD_UID, &uid), (NAME, &name), (OLD_NAME, &name)] {
            put(labels, label, Value::from(value.as_str()));
        }
    }
}

/// Reports everything that is wrong.
pub fn validate(job: &Job, old: Option<&Job>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = job.spec.clone().unwrap_or_default();
    let selector = spec.selector.clone().unwrap_or_default();
    if let Some(old) = old {
        update(&spec, old, &path, errors);
    } else if spec.manual_selector != Some(true) && spec.selector.is_some() {
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let generated = selector.match_labels.as_ref().and_then(|labels| labels.get(UID)) == Some(&uid);
        if !generated {
            errors.invalid(&path.child("selector"), checks::json(&selector), "`selector` not auto-generated");
        }
    }
    if spec.selector.is_none() {
        errors.required(&path.child("selector"), "");
    }
    checks::selector(errors, &path.child("selector"), &selector);
    pod_template::matches_selector(&spec.template, &selector, &path.child("template"), errors);
    validate_spec(&spec, &path, errors);
}

/// Reports what is wrong with the spec of a job, its selector aside; CronJobs carry one without selector.
pub fn validate_spec(spec: &JobSpec, path: &Path, errors: &mut FieldErrors) {
    for (field, value) in [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ] {
        checks::maybe_not_negative(errors, &path.child(field), value);
    }
    let mode = spec.completion_mode.as_deref();
    checks::maybe_one_of(errors, &path.child("completionMode"), mode, &["Indexed", "NonIndexed"]);
    let indexed = mode == Some("Indexed");
    if indexed {
        if spec.completions.is_none() {
            errors.required(&path.child("completions"), "when completion mode is Indexed");
        }
        if let Some(parallelism) = spec.parallelism.filter(|number| *number > INDEXED_PARALLELISM_MAX) {
            let why =
                format!("must be less than or equal to {INDEXED_PARALLELISM_MAX} when completion mode is Indexed");
            errors.invalid(&path.child("parallelism"), parallelism, &why);
        }
    } else if let Some(limit) = spec.backoff_limit_per_index {
        errors.invalid(&path.child("backoffLimitPerIndex"), limit, "requires indexed completion mode");
    }
    if let Some(indexes) = spec.max_failed_indexes {
        if spec.backoff_limit_per_index.is_none() {
            errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
        }
        if spec.completions.is_some_and(|completions| indexes > completions) {
            errors.invalid(&path.child("maxFailedIndexes"), indexes, "must be less than or equal to completions");
        }
    }
    if spec.success_policy.is_some() && !indexed {
        let why = "requires indexed completion mode";
        errors.invalid(&path.child("successPolicy"), checks::json(&spec.success_policy), why);
    }
    checks::maybe_one_of(
        errors,
        &path.child("podReplacementPolicy"),
        spec.pod_replacement_policy.as_deref(),
        &["Failed", "TerminatingOrFailed"],
    );
    let path = path.child("template");
    pod_template::validate(&spec.template, &path, errors);
    let restart_path = path.child("spec").child("restartPolicy");
    let policy = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or_default();
    if policy == "Always" {
        errors.required(&restart_path, "valid values: \"OnFailure\", \"Never\"");
    }
    if spec.pod_failure_policy.is_some() && policy != "Never" {
        let why = "only \"Never\" is supported when podFailurePolicy is specified";
        errors.invalid(&restart_path, policy, why);
    }
}

fn update(spec: &JobSpec, old: &Job, path: &Path, errors: &mut FieldErrors) {
    let before = old.spec.clone().unwrap_or_default();
    // An indexed job can be given more or fewer indexes together with its parallelism (KEP-3715).
    let elastic = spec.completion_mode.as_deref() == Some("Indexed")
        && before.completions.is_some()
        && before.completions == before.parallelism
        && spec.completions == spec.parallelism;
    if !elastic {
        let path = path.child("completions");
        errors.immutable(&path, &spec.completions, &before.completions, checks::json(&spec.completions));
    }
    let path_of = |field: &str| path.child(field);
    errors.immutable(&path_of("selector"), &spec.selector, &before.selector, checks::json(&spec.selector));
    let mut template = before.template.clone();
    let unstarted =
        before.suspend == Some(true) && old.status.as_ref().is_none_or(|status| status.start_time.is_none());
    if unstarted && let (Some(kept), Some(new)) = (&mut template.spec, &spec.template.spec) {
        // Queues of jobs decide where a suspended job may run (KEP-2926).
        kept.node_selector.clone_from(&new.node_selector);
        kept.affinity.clone_from(&new.affinity);
        kept.tolerations.clone_from(&new.tolerations);
        kept.scheduling_gates.clone_from(&new.scheduling_gates);
        template.metadata.clone_from(&spec.template.metadata);
    }
    errors.immutable(&path_of("template"), &spec.template, &template, checks::json(&spec.template));
    let mode = checks::json(&spec.completion_mode);
    errors.immutable(&path_of("completionMode"), &spec.completion_mode, &before.completion_mode, mode);
    let policy = checks::json(&spec.pod_failure_policy);
    errors.immutable(&path_of("podFailurePolicy"), &spec.pod_failure_policy, &before.pod_failure_policy, policy);
    let limit = checks::json(&spec.backoff_limit_per_index);
    let (now, then) = (&spec.backoff_limit_per_index, &before.backoff_limit_per_index);
    errors.immutable(&path_of("backoffLimitPerIndex"), now, then, limit);
    errors.immutable(&path_of("managedBy"), &spec.managed_by, &before.managed_by, checks::json(&spec.managed_by));
    let policy = checks::json(&spec.success_policy);
    errors.immutable(&path_of("successPolicy"), &spec.success_policy, &before.success_policy, policy);
}
