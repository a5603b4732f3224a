//! Staging over OpenSSH, by the forwarded socket and by `ctr`; a full disk; what was there before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cri::import::{ImageBuilder, ImageName, ImageSource, Platform};
use operate::access::{Access, Local, Ssh};
use operate::seed::{
    Done, NodeSeed, NodeState, Outcome, Presence, Receipts, Removal, Stage, StageEvent, StockError, Target, presence,
    stage, unstage,
};
use tempfile::TempDir;

use crate::support::{Containerd, Sshd, image};

const NAME: &str = "registry.example:5000/team/app:1";

struct Bench {
    home: TempDir,
    name: ImageName,
}

impl Bench {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), name: NAME.parse().unwrap() }
    }

    async fn stage(&self, targets: &[Target], source: &Arc<ImageSource>) -> Vec<Outcome> {
        let held = Receipts::at(self.home.path()).take("cluster", NAME, "now", || ()).unwrap();
        let held = Mutex::new(held);
        let sources = BTreeMap::from([(Platform::here(), Ok(source.clone()))]);
        let what = Stage {
            name: &self.name,
            sources: &sources,
            held: &held,
            now: &|| "now".to_owned(),
            watch: Arc::new(|_, _| ()),
        };
        stage(targets, &what).await
    }

    async fn stage_one(&self, target: &Target, source: &Arc<ImageSource>) -> Result<Done, StockError> {
        self.stage(std::slice::from_ref(target), source).await.remove(0).result
    }

    fn seed(&self, node: &str) -> (String, NodeSeed) {
        let receipt = Receipts::at(self.home.path()).of_cluster("cluster").unwrap().remove(0);
        let seed = receipt.nodes.iter().find(|seed| seed.node == node).unwrap().clone();
        (receipt.id, seed)
    }

    async fn unstage(&self, target: &Target) -> Removal {
        let (id, seed) = self.seed(target.node());
        unstage(target, &id, &seed).await.unwrap()
    }
}

fn target(access: impl Access + 'static, containerd: &Containerd) -> Target {
    Target { access: Arc::new(access), sockets: vec![containerd.socket()], platform: Platform::here() }
}

/// Staged, found, taken out; the node is as before.
async fn there_and_back(containerd: &Containerd, access: Ssh, way: &str) {
    let other = image("other.example/x:1", 1 << 10);
    containerd.runtime.import(&other).await.unwrap();
    let before = containerd.names().await;
    let (bench, target) = (Bench::new(), target(access, containerd));
    let source = image(NAME, 3 << 20);
    let done = bench.stage_one(&target, &source).await.unwrap();
    assert_eq!((done.way, done.was_there, &done.digest), (way, false, &source.images()[0].target.digest));
    let (_, seed) = bench.seed(target.node());
    assert_eq!(seed.state, NodeState::Staged);
    assert_eq!(presence(&target, &seed).await.unwrap(), Presence::There { pinned: true });
    let status = containerd.runtime.image_status(NAME).await.unwrap().unwrap();
    assert_eq!(status.id, source.images()[0].config.as_str());
    // A second time nothing is sent, and what was there before the first is still known.
    assert!(bench.stage_one(&target, &source).await.unwrap().was_there);
    let Removal::Done { removed, .. } = bench.unstage(&target).await else { panic!("it is in use") };
    assert_eq!(removed, [NAME.to_owned(), status.id]);
    assert_eq!(containerd.names().await, before);
    let layer = source.blobs_of(&source.images()[0]).next().unwrap().0.to_string();
    assert_eq!(containerd.runtime.blob_size(&layer).await.unwrap(), None, "its content is collected");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_by_the_forwarded_socket() {
    let (containerd, sshd) = (Containerd::start("").await, Sshd::start(""));
    there_and_back(&containerd, sshd.access("worker"), "containerd's socket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_by_ctr_where_sockets_are_not_forwarded() {
    let (containerd, sshd) = (Containerd::start("").await, Sshd::start("AllowStreamLocalForwarding no"));
    there_and_back(&containerd, sshd.access("worker"), "ctr").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_and_a_node_out_of_reach_do_not_stop_the_others() {
    let (good, small) = (Containerd::start("").await, Containerd::start_small(2).await);
    let sshd = Sshd::start("");
    let nowhere = {
        let gone = Sshd::start("");
        gone.access("nowhere")
    };
    let bench = Bench::new();
    let source = image(NAME, 6 << 20);
    let targets = [target(Local::new("good"), &good), target(sshd.access("small"), &small), target(nowhere, &good)];
    let outcomes = bench.stage(&targets, &source).await;
    let of = |node: &str| outcomes.iter().find(|outcome| outcome.node == node).unwrap();
    assert!(of("good").result.is_ok(), "{:?}", of("good"));
    let full = of("small").result.as_ref().unwrap_err();
    assert!(full.disk_full(), "{full}");
    assert!(of("nowhere").result.is_err());
    // What was begun on the full one is known, and can be taken back.
    assert_eq!(bench.seed("small").1.state, NodeState::Begun);
    assert!(matches!(bench.unstage(&targets[1]).await, Removal::Done { .. }));
    assert_eq!(small.names().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_pointed_elsewhere_points_there_again() {
    let containerd = Containerd::start("").await;
    let old = ImageBuilder::new().file("/version", 0o644, "old").build(vec![NAME.parse().unwrap()]);
    let old = containerd.runtime.import(&old).await.unwrap().remove(0);
    let before = containerd.names().await;
    let (bench, target) = (Bench::new(), target(Local::new("here"), &containerd));
    let source = image(NAME, 1 << 20);
    bench.stage_one(&target, &source).await.unwrap();
    let Removal::Done { restored, removed, .. } = bench.unstage(&target).await else { panic!("it is in use") };
    assert_eq!((restored, removed.len()), (vec![NAME.to_owned()], 1));
    let now = containerd.names().await;
    assert_eq!(now, before);
    assert_eq!(containerd.runtime.image_status(NAME).await.unwrap().unwrap().id, old.id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_stays_and_what_somebody_moved_since_is_left() {
    let containerd = Containerd::start("").await;
    let (bench, target) = (Bench::new(), target(Local::new("here"), &containerd));
    let source = image(NAME, 1 << 20);
    containerd.runtime.import(&source).await.unwrap();
    let before = containerd.names().await;
    assert!(bench.stage_one(&target, &source).await.unwrap().was_there);
    let Removal::Done { removed, left, .. } = bench.unstage(&target).await else { panic!("it is in use") };
    assert_eq!((removed.len(), left.len()), (0, 2), "{left:?}");
    assert_eq!(containerd.names().await, before);
    // Somebody takes it away, and brings another one under that name.
    let mine = Bench::new();
    containerd.runtime.remove_image_name(NAME).await.unwrap();
    mine.stage_one(&target, &source).await.unwrap();
    containerd.runtime.remove_image_name(NAME).await.unwrap();
    let other = ImageBuilder::new().file("/other", 0o644, "x").build(vec![NAME.parse().unwrap()]);
    containerd.runtime.import(&other).await.unwrap();
    let Removal::Done { left, .. } = mine.unstage(&target).await else { panic!("it is in use") };
    assert!(left.iter().any(|(name, why)| name == NAME && why.contains("somebody else")), "{left:?}");
    assert!(containerd.runtime.image_status(NAME).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_in_the_middle_and_done_again() {
    let containerd = Containerd::start("").await;
    let before = containerd.names().await;
    let (bench, target) = (Bench::new(), target(Local::new("here"), &containerd));
    let source = image(NAME, 24 << 20);
    let (some, halfway) = tokio::sync::mpsc::unbounded_channel();
    let mut halfway = halfway;
    let cut = async {
        let held = Mutex::new(Receipts::at(bench.home.path()).take("cluster", NAME, "now", || ()).unwrap());
        let sources = BTreeMap::from([(Platform::here(), Ok(source.clone()))]);
        let what = Stage {
            name: &bench.name,
            sources: &sources,
            held: &held,
            now: &|| "now".to_owned(),
            watch: Arc::new(move |_, event| {
                if matches!(event, StageEvent::Came(_)) {
                    some.send(()).unwrap();
                }
            }),
        };
        stage(std::slice::from_ref(&target), &what).await
    };
    tokio::select! {
        outcomes = cut => panic!("it was too quick to be cut off: {outcomes:?}"),
        _ = async { for _ in 0..4 { halfway.recv().await; } } => {}
    }
    assert_eq!(bench.seed("here").1.state, NodeState::Begun);
    let names = containerd.names().await;
    assert_eq!(names, before, "no name appears before everything is there");
    assert!(!bench.stage_one(&target, &source).await.unwrap().was_there);
    assert!(matches!(bench.unstage(&target).await, Removal::Done { .. }));
    assert_eq!(containerd.names().await, before);
}
