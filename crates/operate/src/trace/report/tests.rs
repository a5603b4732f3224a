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
    let role = |name: &str, most| Limit {
        name: name.to_owned(),
        quoted: name.to_owned(),
        most,
        superuser: name == "postgres",
    };
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

fn around(filter: Filter) -> Around {
    let ends = Server { addresses: vec!["192.0.2.1".parse().unwrap()], ports: vec![5432] };
    Around { server: "db".to_owned(), ends, filter, ..Around::default() }
}

#[test]
fn who_holds_how_many_and_how_full_it_gets() {
    let report = report(&told(), &cluster(10), around(Filter::default()));
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
    let report = report(&told, &Cluster::default(), around(Filter::default()));
    assert!(report.projection.is_none());
    // 47 + 10 + 3 fit into 100; the role: 45 + 9 = 54, of 97 - 2 - 1.
    let statements: Vec<&str> = report.proposals.iter().map(|one| one.statement.as_str()).collect();
    assert_eq!(statements, ["ALTER ROLE app CONNECTION LIMIT 54;"]);
    assert_eq!(report.holders[0].holder, "10.1.0.6, outside this cluster");
}

#[test]
fn a_filter_narrows_what_is_listed_and_not_how_full_it_is() {
    let count = |filter: Filter| {
        let report = report(&told(), &cluster(2), around(filter));
        assert_eq!(report.capacity.used, 47);
        report.connections.len()
    };
    assert_eq!(count(Filter { user: Some("Report-er".to_owned()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { state: Some("idle".to_owned()), ..Filter::default() }), 47);
    assert_eq!(count(Filter { min_idle: Some(40), user: Some("app".to_owned()), ..Filter::default() }), 5);
    assert_eq!(count(Filter { database: Some("none".to_owned()), ..Filter::default() }), 0);
}

/// A little generator, so that a failure is seen again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn the_arithmetic_holds_for_any_server() {
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let mut told = told();
        told.max = 1 + dice.below(400);
        told.superuser_reserved = dice.below(4);
        told.reserved = dice.below(10);
        told.replicas_count = dice.below(2) == 0;
        let backend = told.backends[0].clone();
        for number in 0..dice.below(200) {
            let user = ["app", "Report-er", "postgres", "other"][dice.below(4) as usize];
            let client = ["10.1.0.6", "10.1.0.7", "203.0.113.9"][dice.below(3) as usize];
            let replica = dice.below(9) == 0;
            let port = Some(2000 + number as u16);
            let client = client.parse().ok();
            told.backends.push(Backend {
                user: user.to_owned(),
                client,
                client_port: port,
                replica,
                ..backend.clone()
            });
        }
        told.roles[0].most = Some(dice.below(100));
        told.databases[0].most = (dice.below(2) == 0).then(|| dice.below(300));
        let pods = dice.below(60);
        let report = report(&told, &cluster(pods), around(Filter::default()));
        let capacity = &report.capacity;
        let slots = told.backends.iter().filter(|one| told.replicas_count || !one.replica).count() as u64;
        assert_eq!(capacity.used, slots);
        assert_eq!(capacity.states.values().sum::<u64>(), capacity.used);
        assert_eq!(capacity.ordinary + capacity.reserved.min(capacity.max), capacity.max);
        let projection = report.projection.as_ref().expect("pods of an autoscaled workload hold some");
        let growth = &projection.growing[0];
        assert_eq!(growth.then, (pods * growth.per_pod).max(growth.now));
        assert_eq!(projection.total, growth.then + projection.others);
        assert_eq!(projection.others + growth.now, capacity.used);
        assert_eq!(projection.too_many, projection.total > capacity.ordinary);
        for limit in &capacity.limits {
            assert!(limit.used <= limit.then && limit.then <= projection.total + 1, "{limit:?} {projection:?}");
        }
        let figure = |statement: &str| -> u64 {
            let digits = |character: char| !character.is_ascii_digit();
            statement.split(digits).rfind(|word| !word.is_empty()).unwrap().parse().unwrap()
        };
        let max = match report.proposals.first() {
            Some(first) if first.statement.starts_with("ALTER SYSTEM") => {
                let max = figure(first.statement.split(';').next().unwrap());
                let needed = projection.total + projection.total.div_ceil(5) + capacity.reserved;
                assert!(max > capacity.max && max >= needed && max < needed + 10, "{first:?}");
                max
            }
            _ => {
                assert!(projection.total + projection.total.div_ceil(5) + capacity.reserved <= capacity.max);
                capacity.max
            }
        };
        for proposal in report.proposals.iter().filter(|one| one.statement.contains("CONNECTION LIMIT")) {
            let limit = figure(&proposal.statement);
            assert!(limit > 0 && limit + capacity.reserved <= max, "{proposal:?} of {max}");
            let name = proposal.statement.split(' ').nth(2).unwrap();
            let of = if proposal.statement.starts_with("ALTER ROLE") { "role" } else { "database" };
            let there = capacity.limits.iter().find(|one| one.of == of && one.name == name);
            assert!(there.is_none_or(|there| there.most != limit), "{proposal:?}");
        }
    }
}

#[test]
fn workloads_whose_names_begin_alike_are_not_mixed() {
    let owner = |name: &str| json!([{"kind": "Deployment", "name": name, "controller": true}]);
    let pod = |name: &str, of: &str, at: &str| {
        json!({"metadata": {"namespace": "shop", "name": name, "ownerReferences": owner(of)},
            "spec": {"nodeName": "n1"}, "status": {"podIP": at}})
    };
    let scaler = json!({"metadata": {"namespace": "shop", "name": "web"},
        "spec": {"maxReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}});
    let cluster =
        Cluster::of(&[pod("a", "web", "10.1.0.6"), pod("b", "web2", "10.1.0.7")], &[], Workloads::of(&[], &[scaler]));
    let report = report(&told(), &cluster, around(Filter::default()));
    let app = report.capacity.limits.iter().find(|limit| limit.name == "app").unwrap();
    // 25 of one pod grow to 100, the 20 of web2 stay.
    assert_eq!((app.used, app.then), (45, 120));
}

#[test]
fn poolers_are_looked_through() {
    use crate::trace::pooler::{Pool, Pooler};
    let mut told = told();
    told.backends.truncate(2);
    let pool = Pool { database: "app".to_owned(), user: "app".to_owned(), size: 30, servers: 2, ..Pool::default() };
    let pooler = Pooler { place: "pgb:6432".to_owned(), pools: vec![pool], ..Pooler::default() };
    let around = Around { poolers: vec![pooler], ..around(Filter::default()) };
    let report = report(&told, &Cluster::default(), around);
    // Its console claims none of them.
    assert!(report.projection.is_none() && report.connections.iter().all(|one| one.behind.is_none()));
    assert_eq!(report.poolers[0].pools[0].size, 30);
}

/// Every field of the report is told in `docs/trace.md`.
#[test]
fn what_programs_read_is_documented() {
    let page = include_str!("../../../../../docs/trace.md");
    let report = report(&told(), &cluster(10), around(Filter::default()));
    let behind = Behind {
        pooler: String::new(),
        pool: String::new(),
        mode: String::new(),
        client: None,
        seen_as: None,
        application: None,
        candidates: BTreeMap::new(),
    };
    let values = [
        serde_json::to_value(report).unwrap(),
        serde_json::to_value(behind).unwrap(),
        serde_json::to_value(Pool::default()).unwrap(),
        serde_json::to_value(crate::trace::history::Sample::default()).unwrap(),
    ];
    fn keys(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    found.push(key.clone());
                    // The names below are states and holders.
                    if !matches!(key.as_str(), "states" | "others" | "candidates") {
                        keys(value, found);
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    values.iter().for_each(|value| keys(value, &mut found));
    assert!(found.len() > 100);
    for key in found {
        assert!(
            page.contains(&format!("`{key}`"))
                || page.contains(&format!(".{key}`"))
                || page.contains(&format!("`{key}[]`")),
            "{key} is not in docs/trace.md"
        );
    }
}
