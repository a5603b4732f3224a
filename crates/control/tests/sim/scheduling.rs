//! The scheduler itself, with commits that take their time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::{Change, LogEntry, Object, Propagation, Revision, Status, View};
use control::{Door, Follow};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kinds::workload::meta::Meta;
use kinds::workload::pods;
use serde_json::{Value, json};
use server::User;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// How much longer each binding takes than the one before it.
const SLOW: Duration = Duration::from_millis(200);

type News = Vec<Arc<LogEntry>>;

/// A server with those who follow it, and how many bindings it was asked for.
#[derive(Clone)]
struct Desk(Arc<Mutex<(Server, Vec<UnboundedSender<News>>)>>, Arc<AtomicU32>);

struct Reader(UnboundedReceiver<News>);

impl Follow for Reader {
    async fn next(&mut self) -> Option<News> {
        self.0.recv().await
    }
}

impl Desk {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((Server::new(Timestamp::now()), Vec::new()))), Arc::default())
    }

    fn act<T>(&self, act: impl FnOnce(&mut Server) -> T) -> T {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut inner.0);
        let news = std::mem::take(&mut inner.0.log);
        if !news.is_empty() {
            inner.1.retain(|reader| reader.send(news.clone()).is_ok());
        }
        result
    }

    fn create(&self, value: Value) {
        self.act(|server| server.commit(Change::Create(value))).unwrap();
    }
}

impl Door for Desk {
    type Follow = Reader;

    fn view(&self) -> View {
        self.act(|server| server.view.clone()).at(Timestamp::now())
    }

    async fn view_from(&self, _: Revision) -> View {
        self.view()
    }

    fn follow(&self) -> Reader {
        let (send, receive) = unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.push(send);
        Reader(receive)
    }

    fn account_token(&self, _: &View, _: &str, _: &str, _: &str) -> Result<String, Status> {
        Err(Status::not_implemented("tokens"))
    }

    async fn commit(&self, _: &User, change: Change) -> Result<Option<Arc<Object>>, Status> {
        if matches!(change, Change::Bind { .. }) {
            let nth = self.1.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(SLOW * nth).await;
        }
        self.act(|server| server.commit(change)).map(|()| None)
    }
}

fn pod(name: &str, priority: i32, node: Option<&str>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "priority": priority, "nodeName": node,
            "containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "1"}}}],
        },
    })
}

/// Ends pods that are being deleted, as their kubelet would.
fn end_deleted(desk: &Desk) {
    desk.act(|server| {
        let pod = server.view.catalogue().by_kind("", "Pod").unwrap().id;
        let going: Vec<_> =
            server.view.objects(pod).filter(|object| object.header.deleting.is_some()).cloned().collect();
        for object in going {
            server.delete(&object.header.key, Propagation::Background, Some(0)).unwrap();
        }
    });
}

#[tokio::test]
async fn preemption_takes_no_more_than_it_needs_however_slow_bindings_are() {
    let desk = Desk::new();
    desk.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}));
    for number in 1..=5 {
        let size = json!({"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}});
        let name = format!("n{number}");
        desk.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": size}));
        desk.create(pod(&format!("low-{number}"), 0, Some(&name)));
    }
    let stop = CancellationToken::new();
    let scheduler = tokio::spawn(control::scheduler::run(desk.clone(), stop.clone()));
    let mut news = desk.follow();
    (1..=3).for_each(|number| desk.create(pod(&format!("high-{number}"), 10, None)));
    let watch = async {
        while let Some(entries) = news.next().await {
            drop(entries);
            end_deleted(&desk);
            let view = desk.view();
            if view
                .list::<Pod>()
                .filter(|pod| !pods::node_name(pod).is_empty() && pod.name().starts_with("high"))
                .count()
                == 3
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), watch).await.expect("the pods found their places in time");
    stop.cancel();
    scheduler.await.unwrap();
    let view = desk.view();
    let low: Vec<&str> = view.list::<Pod>().map(Meta::name).filter(|name| name.starts_with("low")).collect();
    assert_eq!(low.len(), 2, "{low:?} are left");
}
