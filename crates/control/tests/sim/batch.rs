//! Jobs: what they run, how they end, what stays of them.

use api::Propagation;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kinds::workload::pods;
use serde_json::json;

use crate::cluster::Cluster;
use crate::told;

fn job(annotation: &str, more: &str) -> String {
    format!(
        "
apiVersion: batch/v1
kind: Job
metadata: {{name: work, labels: {{}}}}
spec:
  {more}
  template:
    metadata: {{annotations: {{{annotation}}}}}
    spec: {{restartPolicy: Never, containers: [{{name: c, image: x}}]}}
"
    )
}

const SUCCEED: &str = "shipmate.dev/complete-after: 5s";
const FAIL: &str = "shipmate.dev/fail-after: 1s";

fn status(cluster: &Cluster) -> JobStatus {
    cluster.get::<Job>("work").unwrap().status.clone().unwrap()
}

fn verdict(cluster: &Cluster) -> Vec<(String, String)> {
    let conditions = status(cluster).conditions.unwrap_or_default();
    let held = conditions.into_iter().filter(|one| one.status == "True");
    held.map(|one| (one.type_, one.reason.unwrap_or_default())).collect()
}

fn has(cluster: &Cluster, kind: &str, reason: &str) -> bool {
    verdict(cluster).contains(&(kind.to_owned(), reason.to_owned()))
}

fn at_most(cluster: &mut Cluster, most: usize) {
    cluster.always(move |view| {
        let running = view.list::<Pod>().filter(|pod| pods::active(pod)).count();
        if running <= most { Ok(()) } else { Err(format!("{running} pods run")) }
    });
}

#[test]
fn a_job_completes_with_every_success_counted_once() {
    told(2, |cluster| {
        at_most(cluster, 2);
        cluster.apply(&job(SUCCEED, "completions: 5\n  parallelism: 2"));
        cluster.settle(60);
        let status = status(cluster);
        assert_eq!((status.succeeded, status.failed, status.active), (Some(5), None, None));
        assert!(has(cluster, "Complete", "CompletionsReached"), "{:?}", verdict(cluster));
        assert_eq!(cluster.list::<Pod>().len(), 5);
        assert!(cluster.list::<Pod>().iter().all(|pod| pod.metadata.finalizers.is_none()));
        cluster.delete::<Job>("work", Propagation::Background);
        cluster.settle(60);
        assert!(cluster.list::<Pod>().is_empty());
    });
}

#[test]
fn an_indexed_job_runs_every_index() {
    told(2, |cluster| {
        at_most(cluster, 3);
        cluster.apply(&job(SUCCEED, "completions: 5\n  parallelism: 3\n  completionMode: Indexed"));
        cluster.settle(60);
        assert_eq!(status(cluster).completed_indexes.as_deref(), Some("0-4"));
        assert!(has(cluster, "Complete", "CompletionsReached"), "{:?}", verdict(cluster));
        assert_eq!(cluster.list::<Pod>().len(), 5);
    });
}

#[test]
fn failures_are_retried_later_and_later_until_the_limit() {
    told(2, |cluster| {
        cluster.apply(&job(FAIL, "backoffLimit: 2"));
        cluster.settle(5);
        assert_eq!(status(cluster).failed, Some(1));
        cluster.settle(120);
        assert_eq!(status(cluster).failed, Some(3));
        assert!(has(cluster, "Failed", "BackoffLimitExceeded"), "{:?}", verdict(cluster));
    });
}

#[test]
fn a_suspended_job_has_no_pods() {
    told(2, |cluster| {
        cluster.apply(&job(SUCCEED, "suspend: true\n  completions: 2\n  parallelism: 2"));
        cluster.settle(30);
        assert!(cluster.list::<Pod>().is_empty());
        assert!(has(cluster, "Suspended", "JobSuspended"));
        cluster.patch::<Job>("work", json!({"spec": {"suspend": false}}));
        cluster.settle(2);
        assert_eq!(cluster.list::<Pod>().len(), 2);
        cluster.patch::<Job>("work", json!({"spec": {"suspend": true}}));
        cluster.settle(60);
        assert!(cluster.list::<Pod>().is_empty());
        cluster.patch::<Job>("work", json!({"spec": {"suspend": false}}));
        cluster.settle(60);
        assert_eq!(status(cluster).succeeded, Some(2));
        assert!(has(cluster, "Complete", "CompletionsReached"), "{:?}", verdict(cluster));
    });
}

#[test]
fn a_deadline_ends_a_job() {
    told(1, |cluster| {
        cluster.apply(&job("", "activeDeadlineSeconds: 10\n  parallelism: 3"));
        cluster.settle(60);
        assert!(has(cluster, "Failed", "DeadlineExceeded"), "{:?}", verdict(cluster));
        assert!(cluster.list::<Pod>().is_empty());
        assert_eq!(status(cluster).active, None);
    });
}

#[test]
fn an_ended_job_goes_after_its_time() {
    told(2, |cluster| {
        cluster.apply(&job(SUCCEED, "ttlSecondsAfterFinished: 20"));
        cluster.settle(15);
        assert!(has(cluster, "Complete", "CompletionsReached"));
        cluster.settle(60);
        assert!(cluster.list::<Job>().is_empty() && cluster.list::<Pod>().is_empty());
    });
}

#[test]
fn a_deleted_pod_of_a_job_is_replaced() {
    told(2, |cluster| {
        cluster.apply(&job(SUCCEED, "completions: 2\n  parallelism: 2\n  backoffLimit: 6"));
        cluster.settle(2);
        let name = cluster.list::<Pod>()[0].metadata.name.clone().unwrap();
        cluster.delete::<Pod>(&name, Propagation::Background);
        cluster.settle(60);
        assert_eq!(status(cluster).succeeded, Some(2));
        assert!(has(cluster, "Complete", "CompletionsReached"), "{:?}", verdict(cluster));
    });
}
