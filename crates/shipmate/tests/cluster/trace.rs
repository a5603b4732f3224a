//! Whose connection is this: a real PostgreSQL outside the cluster, and clients on two nodes behind masquerade.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Answer, Cluster, PATIENCE, Running, eventually, has, lacks, pod, shell, until, with};

pub(crate) const SECRET: &str = "hunter2-is-nobodys-business";
/// Connections of each pod of `left` and `right`.
const LEFT: usize = 5;
const RIGHT: usize = 7;

#[test]
fn backends_get_the_names_of_pods() {
    let cluster = Cluster::start("trc", 2);
    let server = Postgres::start(&cluster);
    let host = json!({"spec": {"hostNetwork": true, "nodeName": "node-1"}});
    cluster.apply_all(&[
        deployment("left", "node-1", 2, &server.clients(LEFT)),
        deployment("right", "node-2", 1, &server.clients(RIGHT)),
        with(pod("agent", &[shell("main", &server.clients(1))]), host),
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "left"},
            "spec": {"maxReplicas": 10, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "left"}}}),
    ]);
    let all = 2 * LEFT + RIGHT + 1;
    eventually("every client is connected", PATIENCE, || {
        let count = server.sql("select count(*) from pg_stat_activity where usename = 'app'");
        (count.trim() == all.to_string()).then_some(())
    });
    every_backend_is_named(&cluster, &server, all);
    how_full(&cluster, &server, all);
    other_forms(&cluster, &server, all);
    passwords(&cluster, &server);
    few_rights(&cluster, &server);
    the_other_ways_round(&cluster, &server, all);
    what_is_gone_is_said(&cluster, &server);
    chosen_ones_are_ended(&cluster, &server);
    a_full_server_is_told_from_outside(&cluster, &server);
}

pub(crate) fn deployment(name: &str, node: &str, replicas: u32, script: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "nodeSelector": {"kubernetes.io/hostname": node},
                "containers": [shell("client", script)],
            },
        }},
    })
}

#[track_caller]
pub(crate) fn report(cluster: &Cluster, dsn: &str, more: &str) -> Value {
    let text = cluster.shipmate(&format!("trace postgres --dsn '{dsn}' -o json {more}")).ok();
    serde_json::from_str(&text).unwrap()
}

/// Each client calls itself by its pod's name, and the pod tells its own sockets: the trace must say the same.
fn every_backend_is_named(cluster: &Cluster, server: &Postgres, all: usize) {
    let report = report(cluster, &server.dsn("postgres"), "--user app");
    let connections = report["connections"].as_array().unwrap();
    assert_eq!(connections.len(), all, "{report:#}");
    let mut sockets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut moved = 0;
    for connection in connections {
        let holder = &connection["holder"];
        let claimed = connection["application"].as_str().unwrap();
        if claimed == "node-1" {
            // It has the node's own address: its process tells.
            assert_eq!((&holder["kind"], &holder["pod"]), (&json!("pod"), &json!("agent")), "{connection:#}");
            assert_eq!((&holder["node"], &holder["container"]), (&json!("node-1"), &json!("main")));
            continue;
        }
        assert_eq!((&holder["kind"], &holder["pod"]), (&json!("pod"), &json!(claimed)), "{connection:#}");
        let (workload, node) = if claimed.starts_with("left-") { ("left", "node-1") } else { ("right", "node-2") };
        assert_eq!(holder["workload"], json!({"namespace": "default", "kind": "Deployment", "name": workload}));
        assert_eq!((&holder["node"], &holder["container"]), (&json!(node), &json!("client")));
        let socket = holder["socket"].as_str().unwrap();
        let port = |socket: &str| socket.rsplit_once(':').unwrap().1.to_owned();
        moved += usize::from(port(socket) != port(connection["client"].as_str().unwrap()));
        sockets.entry(claimed.to_owned()).or_default().insert(socket.to_owned());
    }
    assert_eq!(sockets.len(), 3, "{sockets:#?}");
    assert!(moved > all / 2, "masquerade changed only {moved} ports: that proves little");
    for (pod, traced) in sockets {
        assert_eq!(traced, own_sockets(cluster, &pod, server.port), "{pod}");
    }
    assert_eq!(report["notes"], json!([]));
}

/// What a pod itself says of its connections to a port: `/proc/net/tcp` has addresses as the machine keeps them.
pub(crate) fn own_sockets(cluster: &Cluster, pod: &str, port: u16) -> BTreeSet<String> {
    let text = cluster.kubectl(&format!("exec {pod} -- cat /proc/net/tcp"));
    let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[3] == "01" && row[2].ends_with(&format!(":{port:04X}")));
    let socket = |row: Vec<&str>| {
        let (address, port) = row[1].split_once(':').unwrap();
        let address = u32::from_str_radix(address, 16).unwrap().to_ne_bytes();
        format!("{}:{}", std::net::Ipv4Addr::from(address), u16::from_str_radix(port, 16).unwrap())
    };
    established.map(socket).collect()
}

fn how_full(cluster: &Cluster, server: &Postgres, all: usize) {
    let report = report(cluster, &server.dsn("postgres"), "");
    // Ourselves too.
    let capacity = &report["capacity"];
    assert_eq!((&capacity["used"], &capacity["max"], &capacity["ordinary"]), (&json!(all + 1), &json!(40), &json!(37)));
    assert_eq!(
        capacity["limits"],
        json!([{"of": "role", "name": "app", "most": 35, "used": all,
        "then": 10 * LEFT + RIGHT + 1}])
    );
    let holders = report["holders"].as_array().unwrap();
    assert_eq!((&holders[0]["holder"], &holders[0]["connections"]), (&json!("deployment default/left"), &json!(10)));
    assert_eq!((&holders[0]["pods"], &holders[0]["mostPerPod"]), (&json!(2), &json!(LEFT)));
    let trace = holders.iter().find(|holder| holder["holder"] == "shipmate trace").unwrap();
    assert_eq!(trace["connections"], 1);
    let total = 10 * LEFT + RIGHT + 2;
    assert_eq!((&report["projection"]["total"], &report["projection"]["tooMany"]), (&json!(total), &json!(true)));
    // 59 + 12 to spare + 3 reserved, rounded up.
    has(report["proposals"][0]["statement"].as_str().unwrap(), "max_connections = 80;");
    has(report["proposals"][1]["statement"].as_str().unwrap(), "ALTER ROLE app CONNECTION LIMIT");
}

fn other_forms(cluster: &Cluster, server: &Postgres, all: usize) {
    let dsn = server.dsn("postgres");
    let text = cluster.shipmate(&format!("trace postgres --dsn '{dsn}'")).ok();
    for part in [
        &format!("{} of 40 connections (37 for ordinary roles, 3 reserved)", all + 1),
        "role app: 18 of 35",
        "deployment default/left",
        "10 pods x 5 of deployment default/left",
        "default/right-",
        "pod default/agent",
    ] {
        has(&text, part);
    }
    let csv = cluster.shipmate(&format!("trace postgres --dsn '{dsn}' -o csv --user app --state idle")).ok();
    assert_eq!(csv.lines().count(), all + 1, "{csv}");
    has(&csv, ",pod,default,right-");
    let csv = cluster.shipmate(&format!("trace postgres --dsn '{dsn}' -o csv --min-idle 1h")).ok();
    assert_eq!(csv.lines().count(), 1, "nobody has been idle for an hour: {csv}");
}

/// Without a terminal, so that nobody is asked.
fn unasked(cluster: &Cluster, words: &[&str], password: Option<&str>) -> Answer {
    let mut command = cluster.command("setsid");
    command.args(["--wait", env!("CARGO_BIN_EXE_shipmate"), "trace", "postgres"]).args(words);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    Running::start(command).finish()
}

fn passwords(cluster: &Cluster, server: &Postgres) {
    let dsn = server.dsn("keeper");
    let without = unasked(cluster, &["--dsn", &dsn], None).fails(1);
    has(&without, "wants a password: set PGPASSWORD");
    let wrong = unasked(cluster, &["--dsn", &dsn], Some("wrong")).fails(1);
    has(&wrong, "password authentication failed");
    let right = unasked(cluster, &["--dsn", &dsn], Some(SECRET));
    lacks(&format!("{right}"), SECRET);
    right.ok();
    let file = cluster.write("dsn", format!("{dsn} password={SECRET}"));
    let from_file = unasked(cluster, &["--dsn-file", &file], None);
    lacks(&from_file.err, "warning");
    from_file.ok();
    let warned = unasked(cluster, &["--dsn", &format!("{dsn} password={SECRET}")], None);
    has(&warned.err, "warning: others on this machine can read the password");
    warned.ok();
    has(&unasked(cluster, &["--dsn", &format!("{dsn} sslmode=verify-full")], Some(SECRET)).fails(1), "TLS");
}

/// A role that may not look at others' connections learns that.
fn few_rights(cluster: &Cluster, server: &Postgres) {
    let few = unasked(cluster, &["--dsn", &server.dsn("keeper"), "-o", "json"], Some(SECRET)).ok();
    let few: Value = serde_json::from_str(&few).unwrap();
    assert_eq!(few["capacity"]["used"], 19, "{few:#}");
    has(&few["notes"].to_string(), "GRANT pg_monitor TO keeper");
    let kinds = few["connections"].as_array().unwrap().iter().map(|one| one["holder"]["kind"].as_str().unwrap());
    assert_eq!(kinds.filter(|kind| *kind == "unknown").count(), 18, "{few:#}");
}

/// By the nodes' tables alone: a server's clients, a pod's servers.
fn the_other_ways_round(cluster: &Cluster, server: &Postgres, all: usize) {
    let place = format!("{}:{}", server.host, server.port);
    let told: Value = serde_json::from_str(&cluster.shipmate(&format!("trace tcp --to {place} -o json")).ok()).unwrap();
    let links = told["connections"].as_array().unwrap();
    assert_eq!(links.len(), all, "{told:#}");
    let of = |name: &str| links.iter().filter(|link| link["client"]["workload"]["name"] == name).count();
    assert_eq!((of("left"), of("right")), (2 * LEFT, RIGHT));
    let table = cluster.shipmate(&format!("trace tcp --to {place}")).ok();
    has(&table, "deployment default/right");
    let right = cluster.kubectl("get pods -l app=right -o 'jsonpath={.items[0].metadata.name}'");
    let table = cluster.shipmate(&format!("trace pod default/{right}")).ok();
    let row = table.lines().find(|line| line.contains(&place)).unwrap_or_else(|| panic!("{table}"));
    assert!(row.starts_with("to ") && row.ends_with(&format!(" {RIGHT}")), "{table}");
    has(&cluster.shipmate("trace pod default/none").fails(1), "there is no pod default/none");
    has(&cluster.shipmate("trace tcp --to nowhere").fails(1), "is no HOST:PORT");
}

/// Shown, not ended without a yes, then ended: these and no others.
fn chosen_ones_are_ended(cluster: &Cluster, server: &Postgres) {
    let left = cluster.kubectl("get pods -l app=left -o 'jsonpath={.items[0].metadata.name}'");
    let count = || server.sql("select count(*) from pg_stat_activity where usename = 'app'").trim().to_owned();
    let before = count();
    let dsn = server.dsn("postgres");
    let line = format!("trace postgres --dsn '{dsn}' --kill --pods default/{left}");
    let shown = cluster.shipmate(&format!("{line} --dry-run"));
    assert_eq!(shown.out.lines().count(), LEFT + 1, "{shown}");
    has(&cluster.shipmate(&line).fails(1), "there is nobody to ask");
    has(&cluster.shipmate(&format!("trace postgres --dsn '{dsn}' --kill")).fails(1), "--kill needs to know which");
    has(&cluster.shipmate(&format!("{line} --idle-over 1h --yes")).err, "nothing is ended");
    assert_eq!(count(), before);
    has(&cluster.shipmate(&format!("{line} --idle-over 0 --yes")).err, &format!("{LEFT} of {LEFT} connections ended"));
    eventually("they end", PATIENCE, || {
        (count() == (before.parse::<usize>().unwrap() - LEFT).to_string()).then_some(())
    });
}

/// Nobody gets in any more; the nodes' tables still tell who is.
fn a_full_server_is_told_from_outside(cluster: &Cluster, server: &Postgres) {
    server.sql("alter role app connection limit -1");
    let name = "greedy";
    cluster.apply(with(
        pod(name, &[shell("main", &server.clients(60))]),
        json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}}),
    ));
    let told = until("takes no more connections", || {
        let answer = unasked(cluster, &["--dsn", &server.dsn("keeper")], Some(SECRET));
        format!("{answer}")
    });
    has(&told, "default/greedy");
    has(&told, "ended with 1");
    has(&told, "a superuser still gets in");
    // Which then takes a reserved slot, and leaves it.
    let full = report(cluster, &server.dsn("postgres"), "");
    assert_eq!(full["capacity"]["used"], full["capacity"]["ordinary"].as_u64().unwrap() + 1, "{:#}", full["capacity"]);
    server.sql("alter role app connection limit 1");
    let own = unasked(cluster, &["--dsn", &server.dsn("app")], None).fails(1);
    has(&own, "takes no more connections");
}

/// When a pod is gone, its name is, too.
fn what_is_gone_is_said(cluster: &Cluster, server: &Postgres) {
    let right = cluster.kubectl("get pods -l app=right -o 'jsonpath={.items[0].metadata.name}'");
    cluster.kubectl("scale deployment right --replicas=0");
    cluster.wait(&format!("--for=delete pod/{right}"));
    eventually("its connections end with it", PATIENCE, || {
        let report = report(cluster, &server.dsn("postgres"), "--user app");
        let text = report["connections"].to_string();
        (report["connections"].as_array().unwrap().len() == 2 * LEFT + 1 && !text.contains(&right)).then_some(())
    });
}

/// A server of this machine, outside the cluster, on the address of the cluster's bridge.
pub(crate) struct Postgres {
    dir: tempfile::TempDir,
    pub(crate) host: String,
    pub(crate) port: u16,
    process: Option<Running>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            // "Immediate": no client is waited for.
            process.signal(Signal::SIGQUIT);
            process.finish();
        }
    }
}

impl Postgres {
    pub(crate) fn start(cluster: &Cluster) -> Self {
        let route = cluster.shipmate(&format!("shell --name {} node-1 ip route show default", cluster.name)).ok();
        let host = route.split_whitespace().nth(2).unwrap().to_owned();
        let port = TcpListener::bind((host.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let dir = tempfile::Builder::new().prefix("sm-pg-").tempdir_in("/tmp").unwrap();
        let path = dir.path().to_str().unwrap().to_owned();
        assert!(Command::new("chown").args(["postgres:postgres", &path]).status().unwrap().success());
        let data = format!("{path}/data");
        let made =
            as_postgres("initdb").args(["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(
            format!("{data}/pg_hba.conf"),
            "local all all trust\nhost all keeper all scram-sha-256\nhost all all all trust\n",
        )
        .unwrap();
        let mut command = as_postgres("postgres");
        command.args(["-D", &data, "-p", &port.to_string(), "-c", "fsync=off", "-c", "max_connections=40"]);
        command.args(["-c", &format!("listen_addresses={host}"), "-c", &format!("unix_socket_directories={path}")]);
        let mut process = Running::start(command);
        process.until("ready to accept connections");
        let server = Self { dir, host, port, process: Some(process) };
        server.sql(&format!(
            "create role app login connection limit 35; create role keeper login password '{SECRET}'; create database app;"
        ));
        server
    }

    pub(crate) fn dsn(&self, user: &str) -> String {
        format!("host={} port={} user={user} dbname=postgres", self.host, self.port)
    }

    /// Asks over the local socket: no connection that is traced.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> String {
        let mut command = as_postgres("psql");
        command.args([
            "-X",
            "-h",
            self.dir.path().to_str().unwrap(),
            "-p",
            &self.port.to_string(),
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        // One at a time: a database can't be created in a transaction.
        for statement in statements.split("; ") {
            command.args(["-c", statement]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A script that keeps idle connections of the role `app`, which calls itself by its host's name.
    pub(crate) fn clients(&self, count: usize) -> String {
        clients(&self.host, self.port, count, "")
    }
}

/// As [`Postgres::clients`], of any server; each sends more after its start-up message.
pub(crate) fn clients(host: &str, port: u16, count: usize, more: &str) -> String {
    // Not all at once: those that are about to be refused would keep others out.
    // A start-up message: its length, the protocol's version, names and values.
    format!(
        r#"n=$(hostname); length=$((49 + ${{#n}}));
            start() {{
                printf "\\000\\000\\000\\$(printf %03o $length)\\000\\003\\000\\000"
                printf 'user\000app\000database\000app\000application_name\000%s\000\000' "$n"
                printf '{more}'
                exec sleep 1000
            }}
            for i in $(seq {count}); do start | nc {host} {port} >/dev/null & sleep 0.05; done; wait"#
    )
}

/// A program of PostgreSQL as its own user, which ends with this test.
pub(crate) fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL"]);
    command.arg(programs().join(program)).current_dir("/").env("LC_ALL", "C.UTF-8");
    command
}

/// Debian keeps versions side by side.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("`cargo xtask test` installs PostgreSQL");
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    found.retain(|dir| dir.join("postgres").exists());
    found.sort();
    found.pop().expect("`cargo xtask test` installs PostgreSQL")
}
