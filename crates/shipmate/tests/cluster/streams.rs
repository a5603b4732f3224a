//! What goes between a terminal and a container: logs, commands, files, ports.

use serde_json::json;

use crate::support::{Cluster, PATIENCE, Running, eventually, get, has, lacks, pod, shell, tool, until, with};

#[test]
fn talking_to_containers() {
    let cluster = Cluster::start("talk", 1);
    let slow = r#"i=0; while true; do i=$((i+1)); echo line $i; [ $i -lt 20 ] || sleep 1; done"#;
    let failing = json!({"spec": {"restartPolicy": "OnFailure"}});
    cluster.apply_all(&[
        pod("talker", &[shell("main", slow), shell("side", "echo from the side; exec sleep 1000")]),
        with(pod("failing", &[shell("main", "echo attempt; echo went wrong >&2; exit 3")]), failing),
        pod("work", &[shell("main", "exec sleep 1000")]),
        with(
            pod("echo", &[with(shell("main", "while read l; do echo got $l; done"), json!({"stdin": true}))]),
            json!({}),
        ),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
    ]);
    cluster.kubectl("create deployment web --image=shipmate.local/web:1.0");
    cluster.ready("pod/talker pod/work pod/echo");
    logs(&cluster);
    commands(&cluster);
    terminals(&cluster);
    attaching(&cluster);
    files(&cluster);
    ports(&cluster);
    runs(&cluster);
}

fn logs(cluster: &Cluster) {
    // From line 20 on there is one a second: what came before is older than the two seconds asked for below.
    until("line 23", || cluster.kubectl("logs talker -c main"));
    let head = cluster.kubectl("logs talker -c main");
    assert!(head.starts_with("line 1\nline 2\nline 3\n"), "{head}");
    assert_eq!(cluster.kubectl("logs talker -c main --tail=2").lines().count(), 2);
    assert_eq!(cluster.kubectl("logs talker -c main --limit-bytes=6"), "line 1");
    assert_eq!(cluster.kubectl("logs talker -c side"), "from the side");
    has(&cluster.answer("logs talker").err, r#"Defaulted container "main" out of: main, side"#);
    let all = cluster.kubectl("logs talker --all-containers --prefix --tail=1");
    has(&all, "[pod/talker/main] line ");
    has(&all, "[pod/talker/side] from the side");
    let stamped = cluster.kubectl("logs talker -c main --timestamps --tail=1");
    let (time, _) = stamped.split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{stamped}");
    let since = cluster.kubectl("logs talker -c main --since=2s");
    lacks(&format!("{since}\n"), "line 1\n");
    assert_eq!(
        cluster.kubectl(&format!("logs talker -c main --since-time={time}")).lines().next(),
        stamped.split_once(' ').map(|parts| parts.1)
    );

    let mut follower = cluster.running("logs talker -c main -f --tail=1");
    let first = follower.until("line ");
    follower.until_so("more", |out, _| out.lines().count() >= first.lines().count() + 2);
    drop(follower);

    eventually("a second attempt", PATIENCE, || {
        let count: u32 = cluster.field("pod/failing", ".status.containerStatuses[0].restartCount").parse().ok()?;
        (count > 0).then_some(())
    });
    let previous = cluster.kubectl("logs failing --previous");
    let lines: std::collections::BTreeSet<&str> = previous.lines().collect();
    // The order of two streams is nobody's promise.
    assert_eq!(lines, std::collections::BTreeSet::from(["attempt", "went wrong"]));
    has(&cluster.refused("logs talker -c nothing"), r#"container nothing is not valid for pod talker"#);
    has(
        &cluster.refused("logs talker -c side --previous"),
        r#"previous terminated container "side" in pod "talker" not found"#,
    );
    cluster.kubectl("run imageless --image=shipmate.local/none:1");
    let waiting = until("waiting to start", || {
        let answer = cluster.answer("logs imageless");
        answer.out + &answer.err
    });
    has(&waiting, r#"container "imageless" in pod "imageless" is waiting to start: "#);
    cluster.kubectl("delete pod imageless failing --now");
}

fn commands(cluster: &Cluster) {
    assert_eq!(cluster.kubectl("exec work -- echo hello"), "hello");
    let both = cluster.answer("exec work -- sh -c 'echo out; echo err >&2; exit 7'");
    assert_eq!((both.out.as_str(), both.code), ("out\n", 7));
    has(&both.err, "err\n");
    has(&both.err, "command terminated with exit code 7");
    assert_eq!(cluster.fed("exec -i work -- cat", "typed\n").ok(), "typed\n");
    let large = vec![b'x'; 3_000_000];
    assert_eq!(cluster.fed("exec -i work -- wc -c", &large).ok().trim(), "3000000");
    let back = cluster
        .kubectl("exec work -- sh -c 'head -c 3000000 /dev/zero | base64 | wc -c; head -c 2000000 /dev/zero | base64'");
    assert!(back.len() > 2_600_000, "{}", back.len());
    let missing = cluster.answer("exec work -- no-such-program");
    assert!(missing.code != 0, "{missing}");
    has(&missing.err, "no-such-program");
    has(&cluster.refused("exec work -c nothing -- true"), "container nothing is not valid for pod work");
    has(&cluster.refused("exec none -- true"), r#"pods "none" not found"#);
    has(&cluster.kubectl("exec deploy/web -- /bin/web get http://127.0.0.1:8080/version"), "1.0");
    assert_eq!(cluster.kubectl("exec talker -c side -- hostname"), "talker");
}

/// With a terminal, which `script` provides.
fn terminals(cluster: &Cluster) {
    let terminal = |line: &str| {
        let kubectl = tool("kubectl");
        let mut command = cluster.command("script");
        command.args(["-qec", &format!("stty cols 91 rows 31; {} {line}", kubectl.display()), "/dev/null"]);
        Running::start(command)
    };
    let mut session = terminal("exec -it work -- sh");
    session.send(b"tty; stty size; echo $((40+2)) done\n");
    let shown = session.until("42 done");
    has(&shown, "/dev/pts/");
    has(&shown, "31 91");
    session.send(b"exit 5\n");
    let ended = session.finish();
    assert_eq!(ended.code, 5, "{ended}");

    let mut run = terminal("run shell -it --rm --restart=Never --image=test.local/busybox:1 -- sh");
    run.until("/ # ");
    run.send(b"hostname; exit\n");
    let ended = run.finish();
    has(&ended.out, "shell");
    has(&ended.out, "deleted");
}

fn attaching(cluster: &Cluster) {
    let mut attached = cluster.running("attach -i echo");
    attached.send(b"one\n");
    attached.until("got one");
    attached.send(b"two\n");
    attached.until("got two");
    drop(attached);
    let mut watching = cluster.running("attach talker -c main");
    watching.until("line ");
}

fn files(cluster: &Cluster) {
    let file = cluster.write("sent.txt", "content of a file\n");
    cluster.kubectl(&format!("cp {file} work:/tmp/received.txt"));
    assert_eq!(cluster.kubectl("exec work -- cat /tmp/received.txt"), "content of a file");
    cluster.write("folder/a", "A");
    cluster.write("folder/deep/b", vec![b'b'; 500_000]);
    let folder = cluster.dir().join("folder");
    cluster.kubectl(&format!("cp {} work:/tmp/folder", folder.display()));
    assert_eq!(cluster.kubectl("exec work -- wc -c /tmp/folder/deep/b"), "500000 /tmp/folder/deep/b");
    let back = cluster.dir().join("back");
    cluster.kubectl(&format!("cp default/work:/tmp/folder {}", back.display()));
    assert_eq!(std::fs::read(back.join("deep/b")).unwrap().len(), 500_000);
    assert_eq!(std::fs::read_to_string(back.join("a")).unwrap(), "A");
    has(&cluster.refused("cp /nothing work:/tmp/nothing"), "doesn't exist in local filesystem");
}

fn ports(cluster: &Cluster) {
    cluster.wait("--for=condition=Available deployment/web");
    let web = cluster.kubectl("get pods -l app=web -o name");
    for (target, port) in [(web.as_str(), 8080), ("deployment/web", 8080), ("service/web", 80)] {
        let mut forward = cluster.running(&format!("port-forward {target} :{port}"));
        let said = forward.until("Forwarding from 127.0.0.1:");
        let local = said.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        for _ in 0..5 {
            has(&get(&format!("http://127.0.0.1:{local}/hostname")).unwrap(), "web-");
        }
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| get(&format!("http://127.0.0.1:{local}/")))).collect();
            for answer in asked {
                has(&answer.join().unwrap().unwrap(), "Hello from Shipmate");
            }
        });
    }
    let mut forward = cluster.running("port-forward pod/work :81");
    let said = forward.until("Forwarding from 127.0.0.1:");
    let local = said.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(get(&format!("http://127.0.0.1:{local}/")).is_err());
    forward.until("onnection refused");
    let path = "/api/v1/namespaces/default/services/web/proxy/hostname";
    has(&cluster.kubectl(&format!("get --raw {path}")), "web-");
}

fn runs(cluster: &Cluster) {
    let run = "run once --rm -i --restart=Never --image=test.local/busybox:1";
    let answer = cluster.fed(&format!("{run} -- sh -c 'read word; echo you said $word'"), "ahoy\n");
    has(&answer.ok(), "you said ahoy");
    has(&cluster.refused("get pod once"), "not found");
    let failed = cluster.answer(&format!("{run} -- sh -c 'sleep 1; exit 4'"));
    assert_eq!(failed.code, 4, "{failed}");
    has(&cluster.kubectl("run kept --restart=Never --image=test.local/busybox:1 -- true"), "pod/kept created");
    cluster.wait("--for=jsonpath={.status.phase}=Succeeded pod/kept");
    assert_eq!(cluster.rows("get pod kept")[0]["STATUS"], "Completed");
}
