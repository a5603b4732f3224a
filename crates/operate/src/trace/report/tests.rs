//! Sums, projections and limits, checked by hand.

use serde_json::json;

use super::*;
use crate::trace::postgres::Limit;
use crate::trace::workloads::Workloads;

/// Two pods of an autoscaled deployment with 25 and 20 connections, one client outside, one replica, and ourselves.
fn told() -> Told {
    let backend = |pid: i64, client: &str, port: u16, user: &str| Backend {
        pid,
        user: user.to_owned(),
        database: "app".to_owned(),
        client: client.parse().ok(),
        client_port: Some(port),
        state: "idle".to_owned(),
        still: Some(pid),
        ..Backend::default()
    };
    let mut backends: Vec<Backend> = (0..25).map(|n| backend(n, "10.1.0.6", 1000 + n as u16, "app")).collect();
    backends.extend((25..45).map(|n| backend(n, "10.1.0.7", 1000 + n as u16, "app")));
    backends.push(Backend { state: "active".to_owned(), ..backend(50, "203.0.113.9", 7, "Report-er") });
    backends.push(Backend { replica: true, ..backend(51, "203.0.113.9", 8, "copy") });
    backends.push(Backend { own: true, client: None, client_port: None, ..backend(52, "", 0, "postgres") });
    let role = |name: &str, most| Limit { name: name.to_owned(), most, superuser: name == "postgres" };
    Told {
        port: 5432,
        max: 100,
        superuser_reserved: 3,
        backends,
        roles: vec![role("app", Some(90)), role("Report-er", None), role("postgres", Some(1))],
        databases: vec![role("app", None)],
        me: "postgres".to_owned(),
        ..Told::default()
    }
}

fn cluster(max: u64) -> Cluster {
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    let pod = |name: &str, address: &str| {
        json!({"metadata": {"namespace": "shop", "name": name, "ownerReferences": owner("ReplicaSet", "web-1")},
            "spec": {"nodeName": "n1", "containers": [{"name": "main"}]}, "status": {"podIP": address}})
    };
    let set = json!({"kind": "ReplicaSet",
        "metadata": {"namespace": "shop", "name": "web-1", "ownerReferences": owner("Deployment", "web")}});
    let scaler = json!({"metadata": {"namespace": "shop", "name": "web"},
        "spec": {"maxReplicas": max, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
    Cluster::of(&[pod("web-a", "10.1.0.6"), pod("web-b", "10.1.0.7")], &[], Workloads::of(&[set], &[scaler]))
}

#[test]
fn who_holds_how_many_and_how_full_it_gets() {
    let report = report("db".to_owned(), &told(), &cluster(10), &Filter::default(), Vec::new());
    let first = &report.holders[0];
    assert_eq!((first.holder.as_str(), first.pods, first.connections), ("deployment shop/web", 2, 45));
    assert_eq!((first.most_per_pod, first.longest_idle), (25, Some(44)));
    assert_eq!(report.pods[0].holder, "shop/web-a on n1");
    let capacity = &report.capacity;
    assert_eq!((capacity.used, capacity.ordinary, capacity.limits.len()), (47, 97, 1));
    assert_eq!((capacity.limits[0].name.as_str(), capacity.limits[0].used), ("app", 45));
    let projection = report.projection.unwrap();
    // 10 pods x 25, and 2 of others.
    assert_eq!((projection.total, projection.too_many), (252, true));
    assert_eq!(
        projection.arithmetic,
        "10 pods x 25 of deployment shop/web + 2 of others = 252, of 97 for ordinary roles"
    );
    // 252 + 51 + 3 = 306; the role: 250 + 50 = 300, and others leave 310 - 3 - 2 - 1 = 304.
    let statements: Vec<&str> = report.proposals.iter().map(|one| one.statement.as_str()).collect();
    assert!(statements[0].starts_with("ALTER SYSTEM SET max_connections = 310;"), "{statements:?}");
    assert_eq!(statements[1..], ["ALTER ROLE app CONNECTION LIMIT 300;"]);
    assert!(report.proposals[0].arithmetic.contains("= 306"), "{:?}", report.proposals);
}

#[test]
fn without_autoscalers_there_is_nothing_to_project() {
    let mut told = told();
    told.roles[0].most = None;
    let report = report("db".to_owned(), &told, &Cluster::default(), &Filter::default(), Vec::new());
    assert!(report.projection.is_none());
    // 47 + 10 + 3 fit into 100; the role: 45 + 9 = 54, of 97 - 2 - 1.
    let statements: Vec<&str> = report.proposals.iter().map(|one| one.statement.as_str()).collect();
    assert_eq!(statements, ["ALTER ROLE app CONNECTION LIMIT 54;"]);
    assert_eq!(report.holders[0].holder, "10.1.0.6, outside this cluster");
}

#[test]
fn a_filter_narrows_what_is_listed_and_not_how_full_it_is() {
    let count = |filter: Filter| {
        let report = report("db".to_owned(), &told(), &cluster(2), &filter, Vec::new());
        assert_eq!(report.capacity.used, 47);
        report.connections.len()
    };
    assert_eq!(count(Filter { user: Some("Report-er".to_owned()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { state: Some("idle".to_owned()), ..Filter::default() }), 47);
    assert_eq!(count(Filter { min_idle: Some(40), user: Some("app".to_owned()), ..Filter::default() }), 5);
    assert_eq!(count(Filter { database: Some("none".to_owned()), ..Filter::default() }), 0);
}
