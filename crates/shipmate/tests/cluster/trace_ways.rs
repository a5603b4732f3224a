//! Traces by other ways: through a pooler, over a real SSH, with the kernel's events, from what is left when a table was
//! flushed, and over time.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, Running, eventually, has, lacks, pod, shell, with};
use crate::trace::{Postgres, as_postgres, clients, own_sockets, report};

/// `begin`, and a question that is answered at once, as the protocol has them.
const BEGIN: &str = r"Q\000\000\000\012begin\000";
const ONCE: &str = r"Q\000\000\000\015select 1\000";

#[test]
fn poolers_ssh_events_and_what_is_left() {
    let cluster = Cluster::start("trw", 2);
    let server = Postgres::start(&cluster);
    let pooler = Pooler::start(&server);
    let on = |name: &str, node: &str, script: &str| {
        let node = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}});
        with(pod(name, &[shell("main", script)]), node)
    };
    cluster.apply_all(&[
        on("one", "node-1", &server.clients(3)),
        on("two", "node-2", &server.clients(2)),
        on("busy", "node-1", &clients(&server.host, pooler.port, 1, BEGIN)),
        on("once", "node-2", &clients(&server.host, pooler.port, 1, ONCE)),
    ]);
    eventually("all are connected", PATIENCE, || {
        let names = server.sql("select application_name from pg_stat_activity where usename = 'app'");
        let count = |name: &str| names.lines().filter(|line| *line == name).count();
        (count("one") == 3 && count("two") == 2 && pooler.clients() == 2 && names.lines().count() >= 6).then_some(())
    });
    through_the_pooler(&cluster, &server, &pooler);
    by_ssh(&cluster, &server);
    while_it_is_watched(&cluster, &server);
    what_is_left(&cluster, &server);
}

fn through_the_pooler(cluster: &Cluster, server: &Postgres, pooler: &Pooler) {
    let console = format!("host={} port={} user=stats", server.host, pooler.port);
    let report = report(cluster, &server.dsn("postgres"), &format!("--user app --pgbouncer '{console}'"));
    let connections = report["connections"].as_array().unwrap();
    let behind: Vec<&Value> = connections.iter().map(|one| &one["behind"]).filter(|one| !one.is_null()).collect();
    let place = format!("{}:{}", server.host, pooler.port);
    assert!(!behind.is_empty() && behind.iter().all(|one| one["pooler"] == place.as_str()), "{report:#}");
    let linked: Vec<_> = behind.iter().filter(|one| !one["client"].is_null()).collect();
    assert_eq!(linked.len(), 1, "{behind:#?}");
    let client = &linked[0]["client"];
    assert_eq!((&client["kind"], &client["pod"]), (&json!("pod"), &json!("busy")), "{client:#}");
    let socket = client["socket"].as_str().unwrap();
    assert!(own_sockets(cluster, "busy", pooler.port).contains(socket), "{socket}");
    // The other connection is nobody's now.
    for idle in behind.iter().filter(|one| one["client"].is_null()) {
        assert!(idle["candidates"]["pod default/once"] == 1, "{idle:#}");
    }
    let pools = report["poolers"][0]["pools"].as_array().unwrap();
    assert_eq!((pools.len(), &pools[0]["mode"], &pools[0]["size"]), (1, &json!("transaction"), &json!(7)));
    let clients = report["poolers"][0]["clients"].to_string();
    has(&clients, "pod default/busy");
    has(&clients, "pod default/once");
    let line = format!("trace postgres --dsn '{}' --pgbouncer '{console}'", server.dsn("postgres"));
    let text = cluster.shipmate(&line).ok();
    has(&text, "Behind the pooler at");
    has(&text, "default/busy");
    let stranger = format!("host={} port={} user=app", server.host, pooler.port);
    let refused =
        cluster.shipmate(&format!("trace postgres --dsn '{}' --pgbouncer '{stranger}'", server.dsn("postgres")));
    has(&refused.fails(1), "stats_users");
    let console = format!("trace postgres --dsn '{console} dbname=pgbouncer'");
    has(&cluster.shipmate(&console).fails(1), "is the console of a pooler");
}

/// The cluster by another name, so that it is none of this machine: one node lets us in, one does not.
fn by_ssh(cluster: &Cluster, server: &Postgres) {
    let sshd = Sshd::start(cluster);
    let copy = cluster.write("elsewhere", fs::read(cluster.kubeconfig()).unwrap());
    cluster.kubectl(&format!("--kubeconfig {copy} config rename-context {} elsewhere", cluster.name));
    let by = format!("--kubeconfig {copy} --context elsewhere --ssh --ssh-config {}", sshd.config);
    let report = report(cluster, &server.dsn("postgres"), &format!("--user app {by}"));
    let mut sockets = BTreeSet::new();
    for one in report["connections"].as_array().unwrap() {
        match one["application"].as_str().unwrap() {
            "one" => {
                assert_eq!((&one["holder"]["kind"], &one["holder"]["pod"]), (&json!("pod"), &json!("one")), "{one:#}");
                sockets.insert(one["holder"]["socket"].as_str().unwrap().to_owned());
            }
            "two" => {
                assert_eq!(one["holder"]["kind"], "unknown", "{one:#}");
                has(one["holder"]["reason"].as_str().unwrap(), "could not be read");
            }
            _ => {}
        }
    }
    assert_eq!(sockets, own_sockets(cluster, "one", server.port));
    let notes = report["notes"].to_string();
    has(&notes, "node node-1: its table of connections was read by `conntrack -L`");
    has(&notes, "node node-2");
    let line = format!("trace postgres --dsn '{}' --kubeconfig {copy} --context elsewhere", server.dsn("postgres"));
    has(&cluster.shipmate(&line).ok(), "use --ssh");
}

/// The kernel's events tell what no look sees; each look is added to the history, by one writer at a time.
fn while_it_is_watched(cluster: &Cluster, server: &Postgres) {
    let dsn = server.dsn("postgres");
    let mut watch = cluster.spawn(&format!("trace postgres --dsn '{dsn}' --watch=2 -o json --history samples"));
    watch.until("\"capacity\"");
    let again = format!("trace postgres --dsn '{dsn}' --history samples");
    has(&cluster.shipmate(&again).fails(1), "is being written by another");
    // Again and again: one of them falls between two looks.
    let short = format!("exec two -- sh -c 'echo | timeout 1 nc {} {} || true'", server.host, server.port);
    eventually("a short connection is seen", PATIENCE, || {
        cluster.kubectl(&short);
        let out = watch.until("\"capacity\"");
        let reports = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        reports
            .flat_map(|report| report["short"].as_array().cloned().unwrap_or_default())
            .find(|one| one["holder"] == "pod default/two")
    });
    watch.signal(Signal::SIGINT);
    let ended = watch.finish();
    assert_eq!(ended.code, 0, "{ended}");
    let lines = fs::read_to_string(cluster.dir().join("samples")).unwrap().lines().count();
    assert!(lines >= 2, "{lines} samples");
    cluster.shipmate(&again).ok();
    let chart = cluster.shipmate("trace history samples").ok();
    has(&chart, "max_connections");
    has(&chart, "pod default/one: 3 now");
    cluster.shipmate("trace history samples --svg chart.svg").ok();
    has(&fs::read_to_string(cluster.dir().join("chart.svg")).unwrap(), "pod default/one");
    has(&cluster.shipmate("trace history kubeconfig").fails(1), "is no sample");
}

/// When a table was flushed, the pods' own sockets are what is left.
fn what_is_left(cluster: &Cluster, server: &Postgres) {
    cluster.shipmate(&format!("shell --name {} node-2 conntrack -F", cluster.name)).ok();
    let report = report(cluster, &server.dsn("postgres"), "--user app");
    let two = report["connections"].as_array().unwrap().iter().filter(|one| one["application"] == "two");
    let mut count = 0;
    for one in two {
        let holder = &one["holder"];
        assert_eq!(holder["kind"], "unknown", "{one:#}");
        has(holder["reason"].as_str().unwrap(), "the table was flushed");
        has(&holder["candidates"].to_string(), "default/two from ");
        lacks(&holder["candidates"].to_string(), "default/one");
        count += 1;
    }
    assert_eq!(count, 2, "{report:#}");
}

/// A pgbouncer of this machine beside the server.
struct Pooler {
    _dir: tempfile::TempDir,
    port: u16,
    host: String,
    process: Option<Running>,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::SIGTERM);
            process.finish();
        }
    }
}

impl Pooler {
    fn start(server: &Postgres) -> Self {
        let host = server.host.clone();
        let port = TcpListener::bind((host.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let dir = tempfile::Builder::new().prefix("sm-pgb-").tempdir_in("/tmp").unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("users"), "\"app\" \"\"\n\"stats\" \"\"\n").unwrap();
        let configuration = format!(
            "[databases]\napp = host={host} port={} dbname=app\n[pgbouncer]\nlisten_addr = {host}\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\nstats_users = stats\npool_mode = transaction\n\
             default_pool_size = 7\napplication_name_add_host = 0\n",
            server.port,
            path("users").display(),
        );
        fs::write(path("ini"), configuration).unwrap();
        // Its user reads them.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).unwrap();
        let mut command = as_postgres("/usr/sbin/pgbouncer");
        command.arg(path("ini"));
        let mut process = Running::start(command);
        process.until("process up");
        Self { _dir: dir, port, host, process: Some(process) }
    }

    /// How many clients it has, without our own.
    fn clients(&self) -> usize {
        let mut command = as_postgres("psql");
        command.args([
            "-X",
            "-At",
            "-h",
            &self.host,
            "-p",
            &self.port.to_string(),
            "-U",
            "stats",
            "-c",
            "SHOW CLIENTS",
        ]);
        command.arg("pgbouncer");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains("|app|app|")).count()
    }
}

/// An sshd inside node-1; node-2 has none.
struct Sshd {
    config: String,
    pid_file: String,
    process: Option<Running>,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // The command that started it hands no signal on.
        let pid = fs::read_to_string(&self.pid_file).ok().and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM);
        }
        if let Some(process) = self.process.take() {
            process.finish();
        }
    }
}

impl Sshd {
    fn start(cluster: &Cluster) -> Self {
        let path = |name: &str| cluster.dir().join(name).display().to_string();
        for key in ["host-key", "user-key"] {
            let mut keygen = std::process::Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]);
            assert!(keygen.status().expect("`cargo xtask test` installs ssh").success());
        }
        let address = cluster.field("node node-1", ".status.addresses[0].address");
        cluster.write(
            "sshd_config",
            format!(
                "Port 2022\nListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nStrictModes no\n\
                 UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n",
                path("host-key"),
                path("user-key.pub"),
                path("sshd.pid"),
            ),
        );
        let config = cluster.write(
            "ssh_config",
            format!(
                "Host node-1\n  HostName {address}\n  Port 2022\n  User root\nHost node-2\n  HostName {address}\n  Port 1\n\
                 Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  StrictHostKeyChecking accept-new\n  UserKnownHostsFile {}\n",
                path("user-key"),
                path("known_hosts"),
            ),
        );
        let line = "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f";
        let mut command = cluster.command(env!("CARGO_BIN_EXE_shipmate"));
        command.args([
            "shell",
            "--name",
            &cluster.name,
            "node-1",
            "sh",
            "-c",
            &format!("{line} {}", path("sshd_config")),
        ]);
        let mut process = Running::start(command);
        process.until("Server listening on");
        Self { config, pid_file: path("sshd.pid"), process: Some(process) }
    }
}
