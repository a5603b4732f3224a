//! What every cluster starts with: namespaces, priority classes, roles, and the Service of the API server itself.

use std::sync::Arc;
use std::time::Duration;

use api::{Reason, Status};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::route::Served;
use crate::write::{self, Manager, Modify, Op, Part};
use crate::{Door, Server, User, auth};

/// How often is looked for the Service of the API server.
const PERIOD: Duration = Duration::from_secs(10);
/// Objects that are created at once.
const PARALLEL: usize = 64;

impl Server {
    /// Creates what is missing of the objects that every cluster has, and tells where this server is reached now.
    ///
    /// # Errors
    /// When one of them can't be written.
    pub async fn bootstrap(self: &Arc<Self>) -> Result<(), Status> {
        let first: Vec<_> =
            namespaces().into_iter().chain(priority_classes()).map(|object| self.ensure(object, None)).collect();
        try_join_all(first).await?;
        let (door, user) = (Door::new(Arc::clone(self)), User::apiserver());
        for some in auth::bootstrap_changes(&door.view()).chunks(PARALLEL) {
            let policy: Vec<_> = some.iter().map(|change| door.commit(&user, change.clone())).collect();
            try_join_all(policy).await?;
        }
        self.announce().await
    }

    /// Tells the cluster where this server is reached.
    async fn announce(&self) -> Result<(), Status> {
        for (object, kept_fresh) in self.own_service() {
            self.ensure(object, Some(kept_fresh)).await?;
        }
        Ok(())
    }

    /// Creates an object unless it is there; of one that is there, sets the top-level field `fresh`.
    async fn ensure(&self, object: Value, fresh: Option<&'static str>) -> Result<(), Status> {
        let (version, kind) = (&object["apiVersion"], object["kind"].as_str().unwrap_or_default());
        let group = version.as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
        let Some(kind) = self.catalogue.by_kind(group, kind) else { return Ok(()) };
        let user = User::apiserver();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let served = Served::stored(kind);
        let op = Op {
            server: self,
            user: &user,
            served,
            namespace: &namespace,
            name: &name,
            part: Part::Main,
            dry_run: false,
            manager: Manager::default(),
        };
        match write::create(&op, object.clone()).await {
            Err(status) if status.reason == Reason::AlreadyExists => {}
            other => return other.map(drop),
        }
        let Some(fresh) = fresh else { return Ok(()) };
        let refreshed = |old: &Value| {
            let mut new = old.clone();
            new[fresh] = object[fresh].clone();
            Ok(new)
        };
        write::update(&op, Modify::With(&refreshed)).await.map(drop)
    }

    /// The Service `kubernetes` and where it leads, each with the field that may have changed since last time.
    fn own_service(&self) -> Vec<(Value, &'static str)> {
        let advertise = self.config.advertise;
        let (address, port) = (advertise.ip().to_string(), advertise.port());
        let cluster_ip = self.config.service_cidr.nth(1).to_string();
        let meta = |labels: Value| json!({"name": "kubernetes", "namespace": "default", "labels": labels});
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta(json!({"component": "apiserver", "provider": "kubernetes"})),
            "spec": {
                "type": "ClusterIP",
                "clusterIP": cluster_ip,
                "clusterIPs": [cluster_ip],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
                "sessionAffinity": "None",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
            },
        });
        let endpoints = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": meta(json!({"endpointslice.kubernetes.io/skip-mirror": "true"})),
            "subsets": [{
                "addresses": [{"ip": address}],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }],
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta(json!({"kubernetes.io/service-name": "kubernetes"})),
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        });
        if advertise.ip().is_loopback() || advertise.ip().is_unspecified() {
            // Pods can't reach it there, and endpoints may not say so: then the Service leads nowhere.
            return vec![(service, "spec")];
        }
        vec![(service, "spec"), (endpoints, "subsets"), (slice.clone(), "endpoints"), (slice, "ports")]
    }
}

/// Makes the Service of the API server again when somebody deleted it (`kubectl delete all --all`), until `stop`.
pub(crate) async fn keep_own_service(server: Arc<Server>, stop: CancellationToken) {
    let mut period = tokio::time::interval(PERIOD);
    period.tick().await; // The bootstrap has just done it.
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = period.tick() => {}
        }
        if let Err(error) = server.announce().await {
            tracing::warn!(%error, "the Service of the API server can't be written; trying again");
        }
    }
}

fn namespaces() -> Vec<Value> {
    ["default", "kube-system", "kube-public", "kube-node-lease"]
        .into_iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .collect()
}

fn priority_classes() -> Vec<Value> {
    [
        (
            "system-cluster-critical",
            2_000_000_000,
            "for system critical pods that must run in the cluster, but can be moved to another node if necessary",
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "for system critical pods that must not be moved from their current node",
        ),
    ]
    .into_iter()
    .map(|(name, value, what)| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": what,
        })
    })
    .collect()
}
