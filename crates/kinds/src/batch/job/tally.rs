//! What became of a Job's pods: which run, which ended, and which ends are counted.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::{Job, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;

use super::controller::{failed, index_of, indexed, tracked};
use super::failures::{self, Action};
use super::indexes::{FAILURES, Indexes};
use crate::workload::claim::Held;
use crate::workload::meta::Meta;
use crate::workload::pods;
use crate::workload::replicas::count;

/// Keeps a pod until its end is counted.
pub const FINALIZER: &str = "batch.kubernetes.io/job-tracking";

/// How many ends one plan records at most; the next plan goes on.
const RECORDS_MAX: usize = 500;

/// The pods of a Job, sorted.
#[derive(Default)]
pub struct Tally<'a> {
    /// Pods that run or will.
    pub active: Vec<Held<'a, Pod>>,
    /// Active pods that are ready.
    pub ready: i32,
    /// Pods that are being deleted and have not ended.
    pub terminating: i32,
    /// Failed pods, those of earlier plans included while they exist.
    pub failed_pods: Vec<Held<'a, Pod>>,
    /// Pods that succeeded, while they exist.
    pub succeeded_pods: Vec<Held<'a, Pod>>,
    /// Counted successes, as the status is to say.
    pub n_succeeded: i32,
    /// Counted failures, as the status is to say.
    pub n_failed: i32,
    /// Ends that are recorded and not counted yet.
    pub uncounted: UncountedTerminatedPods,
    /// Ends that the next plans record.
    n_unrecorded: usize,
    /// Indexes with a success.
    pub completed: Indexes,
    /// Indexes that failed too often.
    pub failed: Indexes,
    /// Pods that may go: their ends are recorded in the status that the view shows.
    pub counted: Vec<Held<'a, Pod>>,
}

impl<'a> Tally<'a> {
    /// Sorts the pods of `job`.
    pub fn of(job: &Job, held: Vec<Held<'a, Pod>>) -> Self {
        let mut tally = Self::stored(job, &held);
        let recorded: BTreeSet<String> = recorded(job).into_iter().collect();
        let completed_before = tally.completed.clone();
        for pod in held {
            tally.sort(job, pod, &recorded, &completed_before);
        }
        if indexed(job) {
            tally.n_succeeded = count(tally.completed.0.len());
            tally.fail_indexes(job);
        }
        tally
    }

    /// What the stored status says, less the ends whose pods are gone: those are counted now.
    fn stored(job: &Job, held: &[Held<'_, Pod>]) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let end = job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or_default();
        let waiting: BTreeSet<&str> = held.iter().filter(|pod| tracked(pod)).map(|pod| pod.uid()).collect();
        let split = |uids: Option<Vec<String>>| -> (Vec<String>, i32) {
            let (keep, gone): (Vec<String>, Vec<String>) =
                uids.unwrap_or_default().into_iter().partition(|uid| waiting.contains(uid.as_str()));
            (keep, count(gone.len()))
        };
        let uncounted = status.uncounted_terminated_pods.unwrap_or_default();
        let (succeeded, n_succeeded) = split(uncounted.succeeded);
        let (failed, n_failed) = split(uncounted.failed);
        Self {
            n_succeeded: status.succeeded.unwrap_or_default() + n_succeeded,
            n_failed: status.failed.unwrap_or_default() + n_failed,
            uncounted: UncountedTerminatedPods { succeeded: some(succeeded), failed: some(failed) },
            completed: Indexes::parse(status.completed_indexes.as_deref().unwrap_or_default(), end),
            failed: Indexes::parse(status.failed_indexes.as_deref().unwrap_or_default(), end),
            ..Self::default()
        }
    }

    fn sort(&mut self, job: &Job, pod: Held<'a, Pod>, recorded: &BTreeSet<String>, completed: &Indexes) {
        let succeeded = pods::phase(&pod) == "Succeeded";
        let failed = failed(job, &pod);
        self.terminating += i32::from(pod.deleting() && !pods::finished(&pod));
        if pods::active(&pod) {
            self.ready += i32::from(pods::ready(&pod));
            self.active.push(pod);
        } else if succeeded {
            self.succeeded_pods.push(pod);
        } else if failed {
            self.failed_pods.push(pod);
        }
        if !tracked(&pod) || !(succeeded || failed) {
            return;
        }
        if recorded.contains(pod.uid()) {
            self.counted.push(pod);
            return;
        }
        let index = if indexed(job) { Some(index_of(job, &pod)) } else { None };
        match index {
            Some(None) => self.counted.push(pod), // A pod without a place in the Job counts for nothing.
            Some(Some(index)) if succeeded => {
                if completed.0.contains(&index) {
                    self.counted.push(pod);
                } else {
                    self.completed.0.insert(index);
                }
            }
            _ if failed && failures::action(job, &pod) == Some(Action::Ignore) => self.counted.push(pod),
            _ => self.record(pod.uid(), succeeded),
        }
    }

    fn record(&mut self, uid: &str, succeeded: bool) {
        let uncounted = &mut self.uncounted;
        let n_recorded =
            uncounted.succeeded.as_ref().map_or(0, Vec::len) + uncounted.failed.as_ref().map_or(0, Vec::len);
        if n_recorded >= RECORDS_MAX {
            self.n_unrecorded += 1;
            return;
        }
        let list = if succeeded { &mut uncounted.succeeded } else { &mut uncounted.failed };
        list.get_or_insert_default().push(uid.to_owned());
    }

    /// Gives indexes up that failed more often than `backoffLimitPerIndex` allows.
    fn fail_indexes(&mut self, job: &Job) {
        let Some(limit) = job.spec.as_ref().and_then(|spec| spec.backoff_limit_per_index) else { return };
        for (index, failures) in self.failures_by_index(job) {
            let given_up = self
                .failed_pods
                .iter()
                .any(|pod| index_of(job, pod) == Some(index) && failures::action(job, pod) == Some(Action::FailIndex));
            if (failures > limit || given_up) && !self.completed.0.contains(&index) {
                self.failed.0.insert(index);
            }
        }
    }

    /// How often each index failed, as far as its pods still tell.
    pub fn failures_by_index(&self, job: &Job) -> BTreeMap<i32, i32> {
        let mut failures = BTreeMap::new();
        for pod in &self.failed_pods {
            let Some(index) = index_of(job, pod) else { continue };
            let before: i32 = pod.annotation(FAILURES).and_then(|count| count.parse().ok()).unwrap_or_default();
            let ignored = failures::action(job, pod) == Some(Action::Ignore);
            let most = failures.entry(index).or_insert(0);
            *most = (*most).max(before + i32::from(!ignored));
        }
        failures
    }

    /// Successes, counted or not.
    pub fn succeeded(&self) -> i32 {
        self.n_succeeded + self.uncounted.succeeded.as_ref().map_or(0, |uids| count(uids.len()))
    }

    /// Failures, counted or not.
    pub fn failures(&self) -> i32 {
        self.n_failed + self.uncounted.failed.as_ref().map_or(0, |uids| count(uids.len()))
    }

    /// Whether nothing runs any more and every end is counted.
    pub fn over(&self) -> bool {
        let counted = self.uncounted.succeeded.is_none() && self.uncounted.failed.is_none() && self.n_unrecorded == 0;
        self.active.is_empty() && self.terminating == 0 && counted
    }
}

fn some(uids: Vec<String>) -> Option<Vec<String>> {
    (!uids.is_empty()).then_some(uids)
}

/// Uids in the stored status.
fn recorded(job: &Job) -> Vec<String> {
    let uncounted = job.status.as_ref().and_then(|status| status.uncounted_terminated_pods.as_ref());
    uncounted
        .into_iter()
        .flat_map(|uncounted| uncounted.succeeded.iter().chain(&uncounted.failed).flatten().cloned())
        .collect()
}
