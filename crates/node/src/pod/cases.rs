//! Decisions and statuses as data: what is given, and what follows from it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::labels::Notes;
use crate::pod::decide::{Action, Decision, Facts, decide};
use crate::pod::memory::{Alive, Failure, Memory, Probes, Trouble, Verdict, Volumes};
use crate::pod::observed::{Container, Observed, Sandbox, State};
use crate::pod::resources::Limits;
use crate::pod::status;

/// The moment at which everything is decided.
fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec, "status": {"phase": "Pending"},
    }))
    .unwrap()
}

fn deleted(spec: Value, grace: i64) -> Pod {
    let mut pod = pod(spec);
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(ago(0)));
    pod.metadata.deletion_grace_period_seconds = Some(grace);
    pod
}

/// A pod with the containers `a` and `b`.
fn two() -> Value {
    json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
}

/// Two init containers, a sidecar between them, and the container `a`.
fn staged() -> Value {
    json!({
        "restartPolicy": "Never",
        "initContainers": [
            {"name": "one", "image": "i"}, {"name": "side", "image": "i", "restartPolicy": "Always"},
            {"name": "two", "image": "i"},
        ],
        "containers": [{"name": "a", "image": "i"}],
    })
}

fn ready() -> Sandbox {
    Sandbox { id: "s0".into(), ready: true, ips: vec!["10.0.0.2".into()], created: ago(100), ..Sandbox::default() }
}

fn container(name: &str, state: State) -> Container {
    let spec =
        k8s_openapi::api::core::v1::Container { name: name.into(), image: Some("i".into()), ..Default::default() };
    Container {
        id: format!("{name}0"),
        sandbox: "s0".into(),
        name: name.into(),
        notes: Notes { hash: crate::labels::hash(&spec), grace: 30, ..Notes::default() },
        state,
        created: ago(90),
        started: Some(ago(90)),
        ..Container::default()
    }
}

fn running(name: &str) -> Container {
    container(name, State::Running)
}

fn exited(name: &str, exit_code: i32) -> Container {
    Container { exit_code, finished: Some(ago(5)), ..container(name, State::Exited) }
}

fn attempt(container: Container, attempt: u32) -> Container {
    let notes = Notes { restart_count: attempt, ..container.notes.clone() };
    Container { id: format!("{}{attempt}", container.name), notes, ..container }
}

fn seen(containers: &[Container]) -> Observed {
    Observed { sandboxes: vec![ready()], containers: containers.to_vec() }
}

fn mounted() -> Memory {
    Memory { volumes: Volumes::Mounted, ..Memory::default() }
}

fn decided(pod: &Pod, seen: &Observed, memory: &Memory) -> Decision {
    decide(&Facts { pod, seen, memory, now: now() })
}

/// Actions in short.
fn words(decision: &Decision) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::Mount => "mount".to_owned(),
        Action::RunSandbox { attempt } => format!("sandbox {attempt}"),
        Action::Start { name, attempt } => format!("start {name} {attempt}"),
        Action::Kill { id, grace, .. } => format!("kill {id} {grace}"),
        Action::Resize { name } => format!("resize {name}"),
        Action::StopSandbox { id } => format!("stop {id}"),
        Action::Remove { id } => format!("remove {id}"),
        Action::RemoveSandbox { id } => format!("remove sandbox {id}"),
        Action::Unmount => "unmount".to_owned(),
        Action::Fail { reason, .. } => format!("fail {reason}"),
        Action::Finish => "finish".to_owned(),
    };
    decision.actions.iter().map(word).collect()
}

#[track_caller]
fn check(pod: &Pod, seen: &Observed, memory: &Memory, expected: &[&str]) {
    assert_eq!(words(&decided(pod, seen, memory)), expected);
}

#[test]
fn a_pod_comes_up_step_by_step() {
    let pod = pod(two());
    let nothing = Observed::default();
    check(&pod, &nothing, &Memory::default(), &["mount"]);
    check(&pod, &nothing, &mounted(), &["sandbox 0"]);
    check(&pod, &seen(&[]), &mounted(), &["start a 0", "start b 0"]);
    check(&pod, &seen(&[running("a")]), &mounted(), &["start b 0"]);
    check(&pod, &seen(&[running("a"), running("b")]), &mounted(), &[]);
    // Created and never started: made anew, with the same number.
    check(&pod, &seen(&[running("a"), container("b", State::Created)]), &mounted(), &["remove b0"]);
}

#[test]
fn failures_wait_for_their_time() {
    let pod = pod(two());
    let failure = |retry_at| Failure { message: String::new(), retry_at };
    let later = now() + SignedDuration::from_secs(3);
    let memory = Memory { volumes: Volumes::Failed(failure(later)), ..Memory::default() };
    assert_eq!(decided(&pod, &Observed::default(), &memory), Decision { wake_at: Some(later), ..Decision::default() });
    let memory = Memory { volumes: Volumes::Failed(failure(now())), ..Memory::default() };
    check(&pod, &Observed::default(), &memory, &["mount"]);
    let memory = Memory { sandbox_failure: Some(failure(later)), ..mounted() };
    check(&pod, &Observed::default(), &memory, &[]);
    let mut memory = mounted();
    memory.containers.entry("a".into()).or_default().trouble =
        Some(Trouble { reason: "ErrImagePull".into(), message: String::new(), at: ago(1), retry_at: later });
    // The other container does not wait for it.
    check(&pod, &seen(&[]), &memory, &["start b 0"]);
}

#[test]
fn init_containers_run_one_after_the_other() {
    let pod = pod(staged());
    check(&pod, &seen(&[]), &mounted(), &["start one 0"]);
    check(&pod, &seen(&[running("one")]), &mounted(), &[]);
    check(&pod, &seen(&[exited("one", 0)]), &mounted(), &["start side 0"]);
    check(&pod, &seen(&[running("side"), exited("one", 0)]), &mounted(), &["start two 0"]);
    let initialized = [exited("two", 0), running("side"), exited("one", 0)];
    check(&pod, &seen(&initialized), &mounted(), &["start a 0"]);
    // The records of init containers may be gone once a main container ran.
    check(&pod, &seen(&[running("a"), running("side")]), &mounted(), &[]);
    check(&pod, &seen(&[running("a"), exited("side", 1)]), &mounted(), &["start side 1"]);
    // restartPolicy Never: no further try.
    check(&pod, &seen(&[exited("one", 1)]), &mounted(), &[]);
    // When the main container has ended, so must the sidecar.
    check(&pod, &seen(&[exited("a", 0), running("side")]), &mounted(), &["kill side0 30"]);
}

#[test]
fn restart_policies() {
    let with = |policy: &str| {
        let mut spec = two();
        spec["restartPolicy"] = json!(policy);
        pod(spec)
    };
    let containers = [exited("a", 0), exited("b", 1)];
    check(&with("Always"), &seen(&containers), &mounted(), &["start a 1", "start b 1"]);
    check(&with("OnFailure"), &seen(&containers), &mounted(), &["start b 1"]);
    check(&with("Never"), &seen(&containers), &mounted(), &[]);
    let mut spec = two();
    spec["restartPolicy"] = json!("Never");
    spec["containers"][1]["restartPolicy"] = json!("Never");
    spec["containers"][1]["restartPolicyRules"] =
        json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]);
    check(&pod(spec), &seen(&containers), &mounted(), &["start b 1"]);
}

#[test]
fn restarts_back_off() {
    let pod = pod(json!({"containers": [{"name": "a", "image": "i"}]}));
    let mut memory = mounted();
    // The container ended five seconds ago, after a restart twenty seconds ago.
    memory.containers.entry("a".into()).or_default().crash.tried(ago(21), ago(20));
    let decision = decided(&pod, &seen(&[attempt(exited("a", 1), 1)]), &memory);
    assert_eq!(words(&decision), Vec::<String>::new());
    assert_eq!(decision.wake_at, Some(now() + SignedDuration::from_secs(5)));
    assert_eq!(decision.backing_off, [("a".to_owned(), SignedDuration::from_secs(10))]);
}

#[test]
fn probes_and_new_images_kill() {
    let mut spec = two();
    spec["terminationGracePeriodSeconds"] = json!(7);
    spec["containers"][0]["livenessProbe"] = json!({"terminationGracePeriodSeconds": 3});
    spec["containers"][0]["startupProbe"] = json!({});
    let pod = pod(spec);
    let containers = seen(&[running("a"), running("b")]);
    let mut memory = mounted();
    let probes = &mut memory.containers.entry("a".into()).or_default().probes;
    *probes = Probes { id: "a0".into(), alive: Alive::Failed, ..Probes::default() };
    check(&pod, &containers, &memory, &["kill a0 3"]);
    let probes = &mut memory.containers.entry("a".into()).or_default().probes;
    *probes = Probes { id: "a0".into(), startup_failed: true, ..Probes::default() };
    check(&pod, &containers, &memory, &["kill a0 7"]);
    // What another container's probes said does not count.
    memory.containers.entry("a".into()).or_default().probes.id = "old".into();
    check(&pod, &containers, &memory, &[]);
    let mut other = running("b");
    other.notes.hash = "old".into();
    check(&pod, &seen(&[running("a"), other]), &mounted(), &["kill b0 7"]);
}

#[test]
fn new_limits_are_set_in_place_unless_a_restart_is_wanted() {
    let spec = |policy: &str| {
        pod(json!({"containers": [{
            "name": "a", "image": "i", "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
            "resizePolicy": [{"resourceName": "memory", "restartPolicy": policy}],
        }]}))
    };
    let wanted = Limits { cpu_shares: 1024, cpu_quota: Some(100_000), cpu_period: 100_000, memory: Some(64 << 20) };
    let with = |limits: Limits| seen(&[Container { limits: Some(limits), ..running("a") }]);
    let more_cpu = with(Limits { cpu_quota: Some(50_000), ..wanted });
    let more_memory = with(Limits { memory: Some(1 << 20), ..wanted });
    check(&spec("RestartContainer"), &with(wanted), &mounted(), &[]);
    check(&spec("RestartContainer"), &more_cpu, &mounted(), &["resize a"]);
    check(&spec("NotRequired"), &more_memory, &mounted(), &["resize a"]);
    check(&spec("RestartContainer"), &more_memory, &mounted(), &["kill a0 30"]);
    let mut asked = mounted();
    asked.containers.entry("a".into()).or_default().resized = Some(wanted);
    check(&spec("NotRequired"), &more_memory, &asked, &[]);
}

#[test]
fn a_sandbox_that_cannot_be_used_is_replaced() {
    let pod = pod(two());
    let dead = Sandbox { ready: false, ..ready() };
    let with =
        |sandboxes: Vec<Sandbox>, containers: &[Container]| Observed { sandboxes, containers: containers.to_vec() };
    check(&pod, &with(vec![dead.clone()], &[running("a")]), &mounted(), &["kill a0 30"]);
    check(&pod, &with(vec![dead.clone()], &[exited("a", 137)]), &mounted(), &["sandbox 1"]);
    let bare = Sandbox { ips: Vec::new(), ..ready() };
    check(&pod, &with(vec![bare], &[]), &mounted(), &["stop s0"]);
    let newer = Sandbox { id: "s1".into(), attempt: 1, ..ready() };
    let old = attempt(exited("a", 137), 0);
    // The restart count goes on, and what is left of the old sandbox goes when its containers have gone.
    check(&pod, &with(vec![newer.clone(), dead.clone()], &[old]), &mounted(), &["start a 1", "start b 0"]);
    check(&pod, &with(vec![newer, dead.clone()], &[]), &mounted(), &["remove sandbox s0", "start a 0", "start b 0"]);
    // Nothing to run: no new sandbox.
    let mut spec = two();
    spec["restartPolicy"] = json!("Never");
    let ended = with(vec![dead], &[exited("a", 0), exited("b", 1)]);
    check(&self::pod(spec), &ended, &mounted(), &[]);
}

#[test]
fn strays_are_killed() {
    let pod = pod(two());
    let old = Container { id: "old".into(), sandbox: "s9".into(), ..running("a") };
    check(&pod, &seen(&[running("a"), running("b"), old]), &mounted(), &["kill old 30"]);
    check(&pod, &seen(&[running("a"), running("b"), running("z")]), &mounted(), &["kill z0 30"]);
}

#[test]
fn old_records_are_removed() {
    let pod = pod(json!({"containers": [{"name": "a", "image": "i"}]}));
    let records = [attempt(running("a"), 2), attempt(exited("a", 1), 1), attempt(exited("a", 1), 0)];
    check(&pod, &seen(&records), &mounted(), &["remove a0"]);
    let memory = Memory { cleanup_after: Some(now() + SignedDuration::from_secs(1)), ..mounted() };
    check(&pod, &seen(&records), &memory, &[]);
}

#[test]
fn deletion_goes_in_order() {
    let pod = deleted(staged(), 20);
    let alive = seen(&[running("a"), running("side")]);
    check(&pod, &alive, &mounted(), &["kill a0 20"]);
    let begun = Memory { stopping_since: Some(ago(15)), ..mounted() };
    check(&pod, &seen(&[exited("a", 0), running("side")]), &begun, &["kill side0 5"]);
    let quiet = seen(&[exited("a", 0), exited("side", 0)]);
    check(&pod, &quiet, &begun, &["stop s0"]);
    let stopped = Observed { sandboxes: vec![Sandbox { ready: false, ..ready() }], ..quiet };
    // How they ended must be told before it is forgotten.
    check(&pod, &stopped, &begun, &[]);
    let told = Memory { final_reported: true, ..begun.clone() };
    check(&pod, &stopped, &told, &["remove sandbox s0"]);
    check(&pod, &Observed::default(), &told, &["finish"]);
    // Nobody to tell.
    check(&pod, &stopped, &Memory { gone: true, ..begun }, &["remove sandbox s0"]);
}

#[test]
fn a_pod_that_ended_keeps_its_containers_for_their_logs() {
    let mut pod = pod(two());
    pod.status.get_or_insert_default().phase = Some("Succeeded".into());
    let ended = [exited("a", 0), exited("b", 0)];
    check(&pod, &seen(&ended), &mounted(), &["stop s0"]);
    let stopped = Observed { sandboxes: vec![Sandbox { ready: false, ..ready() }], ..seen(&ended) };
    check(&pod, &stopped, &mounted(), &["unmount"]);
    check(&pod, &stopped, &Memory::default(), &[]);
}

#[test]
fn deadlines_and_verdicts_stop_pods() {
    let mut late = pod(json!({"activeDeadlineSeconds": 10, "containers": [{"name": "a", "image": "i"}]}));
    late.status.get_or_insert_default().start_time =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(ago(10)));
    check(&late, &seen(&[running("a")]), &mounted(), &["fail DeadlineExceeded"]);
    let verdict = Verdict { reason: "Evicted".into(), message: String::new(), grace: Some(0) };
    let memory = Memory { verdict: Some(verdict), ..mounted() };
    check(&late, &seen(&[running("a")]), &memory, &["kill a0 0"]);
}

/// Phase, the statuses of the conditions, and the state of each container.
fn shown(pod: &Pod, seen: &Observed, memory: &Memory) -> String {
    let facts = Facts { pod, seen, memory, now: now() };
    let status = status::generate(&facts, "10.0.0.1".parse().unwrap());
    let conditions = status.conditions.unwrap();
    let holding =
        conditions.iter().filter(|condition| condition.status == "True").map(|condition| condition.type_.as_str());
    let holding = holding.join(",");
    let statuses = status.init_container_statuses.into_iter().chain(status.container_statuses).flatten();
    let states: Vec<_> = statuses
        .map(|status| {
            let state = status.state.unwrap_or_default();
            let text = if let Some(waiting) = state.waiting {
                waiting.reason.unwrap_or_default()
            } else if let Some(terminated) = state.terminated {
                format!("{}={}", terminated.reason.unwrap_or_default(), terminated.exit_code)
            } else {
                "Running".to_owned()
            };
            format!("{}:{text}{}", status.name, if status.ready { "+" } else { "" })
        })
        .collect();
    format!("{} [{holding}] {}", status.phase.unwrap_or_default(), states.join(" "))
}

trait Join {
    fn join(self, between: &str) -> String;
}

impl<'a, I: Iterator<Item = &'a str>> Join for I {
    fn join(self, between: &str) -> String {
        self.collect::<Vec<_>>().join(between)
    }
}

#[test]
fn statuses() {
    let two = pod(two());
    let staged = pod(staged());
    let never = |spec: Value| {
        let mut spec = spec;
        spec["restartPolicy"] = json!("Never");
        pod(spec)
    };
    let all = "PodReadyToStartContainers,Initialized,Ready,ContainersReady,PodScheduled";
    let unready = "PodReadyToStartContainers,Initialized,PodScheduled";
    let cases = [
        (
            &two,
            Observed::default(),
            "Pending [Initialized,PodScheduled] a:ContainerCreating b:ContainerCreating".into(),
        ),
        (&two, seen(&[running("a"), running("b")]), format!("Running [{all}] a:Running+ b:Running+")),
        (&two, seen(&[running("a")]), format!("Pending [{unready}] a:Running+ b:ContainerCreating")),
        (&two, seen(&[running("a"), exited("b", 1)]), format!("Running [{unready}] a:Running+ b:Error=1")),
        (
            &staged,
            seen(&[running("one")]),
            "Pending [PodReadyToStartContainers,PodScheduled] one:Running side:PodInitializing two:PodInitializing \
             a:PodInitializing"
                .into(),
        ),
        (
            &staged,
            seen(&[exited("one", 2)]),
            "Failed [PodReadyToStartContainers,PodScheduled] one:Error=2 side:PodInitializing two:PodInitializing \
             a:PodInitializing"
                .into(),
        ),
        (
            &staged,
            seen(&[exited("a", 0), running("side"), exited("one", 0), exited("two", 0)]),
            format!("Running [{unready}] one:Completed=0+ side:Running+ two:Completed=0+ a:Completed=0"),
        ),
        (
            &never(json!({"containers": [{"name": "a"}, {"name": "b"}]})),
            seen(&[exited("a", 0), exited("b", 0)]),
            format!("Succeeded [{unready}] a:Completed=0 b:Completed=0"),
        ),
        (
            &never(json!({"containers": [{"name": "a"}, {"name": "b"}]})),
            seen(&[exited("a", 0), exited("b", 9)]),
            format!("Failed [{unready}] a:Completed=0 b:Error=9"),
        ),
        (
            &deleted(json!({"containers": [{"name": "a"}, {"name": "b"}]}), 1),
            seen(&[exited("a", 0)]),
            format!("Failed [{unready}] a:Completed=0 b:ContainerStatusUnknown=137"),
        ),
    ];
    for (pod, seen, expected) in cases {
        assert_eq!(shown(pod, &seen, &mounted()), expected);
    }
}

#[test]
fn a_wait_says_why() {
    let pod = pod(json!({"containers": [{"name": "a", "image": "i"}]}));
    let mut memory = mounted();
    memory.containers.entry("a".into()).or_default().crash.tried(ago(21), ago(20));
    let crashed = seen(&[attempt(exited("a", 1), 1), attempt(exited("a", 1), 0)]);
    let expected = "Running [PodReadyToStartContainers,Initialized,PodScheduled] a:CrashLoopBackOff";
    assert_eq!(shown(&pod, &crashed, &memory), expected);
    let trouble = Trouble { reason: "ErrImagePull".into(), message: "m".into(), at: ago(1), retry_at: now() };
    memory.containers.entry("a".into()).or_default().trouble = Some(trouble);
    let expected = "Pending [PodReadyToStartContainers,Initialized,PodScheduled] a:ErrImagePull";
    assert_eq!(shown(&pod, &seen(&[]), &memory), expected);
}

#[test]
fn readiness_gates_and_their_words() {
    let mut gated =
        pod(json!({"containers": [{"name": "a", "image": "i"}], "readinessGates": [{"conditionType": "g"}]}));
    let facts = |pod: &Pod| {
        let (seen, memory) = (seen(&[running("a")]), mounted());
        let facts = Facts { pod, seen: &seen, memory: &memory, now: now() };
        let status = status::generate(&facts, "10.0.0.1".parse().unwrap());
        let ready = status.conditions.unwrap().into_iter().find(|condition| condition.type_ == "Ready").unwrap();
        (ready.status, ready.message.unwrap_or_default())
    };
    let message = "corresponding condition of pod readiness gate \"g\" does not exist.";
    assert_eq!(facts(&gated), ("False".to_owned(), message.to_owned()));
    gated.status = serde_json::from_value(json!({"conditions": [{"type": "g", "status": "True"}]})).unwrap();
    assert_eq!(facts(&gated).0, "True");
}
