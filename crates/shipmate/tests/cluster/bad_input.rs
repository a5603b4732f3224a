//! Whatever is sent is answered with a proper `Status`, and the server lives on.

use std::sync::Arc;

use crate::support::{Cluster, has};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[test]
fn the_server_answers_nonsense_and_goes_on() {
    let cluster = Cluster::simulated("bad", 1);
    bodies(&cluster);
    paths(&cluster);
    many_at_once(cluster);
}

fn bodies(cluster: &Cluster) {
    let map =
        |data: &str| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m"}},"data":{data}}}"#);
    let nested = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let cases = [
        (MAPS, String::new(), "(BadRequest)"),
        (MAPS, r#"{"apiVersion": "v1", "#.to_owned(), "json parse error"),
        (MAPS, "\u{0}\u{1}\u{2}".to_owned(), "(BadRequest)"),
        (MAPS, "[1, 2]".to_owned(), "(BadRequest)"),
        (MAPS, map(r#"{"k": 1}"#), "cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (MAPS, map(&nested), "(BadRequest)"),
        (MAPS, map(&format!(r#"{{"k": "{}"}}"#, "x".repeat(4 << 20))), "(RequestEntityTooLarge)"),
        (MAPS, map(&format!(r#"{{"k": "{}"}}"#, "x".repeat(2 << 20))), "Too long: may not be more than 1048576 bytes"),
        (PODS, map("{}"), "(BadRequest)"),
        (
            PODS,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"UPPER"},"spec":{"containers":[]}}"#.to_owned(),
            "is invalid",
        ),
        (
            PODS,
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":"y"}}"#.to_owned(),
            "cannot unmarshal string",
        ),
        (
            PODS,
            r#"{"apiVersion":"v2","kind":"Pod","metadata":{"name":"x"}}"#.to_owned(),
            "does not match the expected API version",
        ),
    ];
    for (number, (path, body, wanted)) in cases.into_iter().enumerate() {
        let file = cluster.write(&format!("body-{number}"), body);
        has(&cluster.refused(&format!("create --raw {path} -f {file}")), wanted);
    }
    let unknown = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"i","imagee":"j"}]}}"#;
    let file = cluster.write("unknown.json", unknown);
    has(&cluster.refused(&format!("create -f {file}")), r#"unknown field "spec.containers[0].imagee""#);
    let yaml = cluster.write("broken.yaml", "a: [\n");
    has(&cluster.refused(&format!("create -f {yaml}")), "error");
}

fn paths(cluster: &Cluster) {
    let cases = [
        ("/nothing", "(NotFound)"),
        ("/apis/nobody/v1/things", "(NotFound)"),
        ("/api/v1/namespaces/default/things", "(NotFound)"),
        ("/api/v1/namespaces/default/pods/none", r#"pods "none" not found"#),
        ("/api/v1/pods?limit=many", "(BadRequest)"),
        ("/api/v1/pods?labelSelector=a+b", "(BadRequest)"),
        ("/api/v1/pods?fieldSelector=spec.color%3Dred", "field label not supported"),
        ("/api/v1/pods?continue=nonsense", "(BadRequest)"),
        ("/api/v1/pods?resourceVersion=999999999999&resourceVersionMatch=Exact", "Too large resource version"),
    ];
    for (path, wanted) in cases {
        let answer = cluster.answer(&format!("get --raw {path}"));
        assert_ne!(answer.code, 0, "{answer}");
        has(&format!("{}{}", answer.out, answer.err), wanted);
    }
}

/// Two hundred writers: each is answered, and every name is there once.
fn many_at_once(cluster: Cluster) {
    const WRITERS: usize = 20;
    const EACH: usize = 10;
    let cluster = Arc::new(cluster);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let cluster = cluster.clone();
            std::thread::spawn(move || {
                let maps: String = (0..EACH)
                    .map(|n| {
                        format!("---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: many-{writer}-{n}}}}}\n")
                    })
                    .collect();
                cluster.fed("create -f -", maps).ok();
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let names = cluster.kubectl("get configmaps -o name");
    assert_eq!(names.lines().filter(|name| name.contains("/many-")).count(), WRITERS * EACH);
    has(&cluster.kubectl("get --raw /readyz"), "ok");
}
