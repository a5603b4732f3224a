//! `shipmate doctor` and `shipmate explain` from the command line, without a cluster.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A paste with a fault: a blank in a mirror's endpoint of one node, and what the kubelet says of it.
const PASTE: &str = r#"root@worker-2:~# cat /etc/containerd/config.toml
version = 2
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."registry.example.com:5000"]
  endpoint = [" http://registry.example.com:5000"]
root@worker-2:~# journalctl -u containerd
time="2024-05-01T10:00:00Z" level=error msg="PullImage \"registry.example.com:5000/web:1\" failed" error="failed to resolve reference: parse \" http://registry.example.com:5000/v2\": first path segment in URL cannot contain colon"
"#;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn shipmate(home: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_shipmate"))
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("SHIPMATE_HOME", home.join("shipmate"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the built program starts");
    let mut pipe = child.stdin.take().expect("it is piped");
    // A program that refuses its command line reads nothing.
    drop(pipe.write_all(input.as_bytes()));
    drop(pipe);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    Ran {
        code: status.code().expect("no signal ended it"),
        out: String::from_utf8(stdout).expect("it prints UTF-8"),
        err: String::from_utf8(stderr).expect("it prints UTF-8"),
    }
}

#[test]
fn a_paste_is_diagnosed_like_a_compiler_does() {
    let home = tempfile::tempdir().unwrap();
    let ran = shipmate(home.path(), &["doctor", "text", "-"], PASTE);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for part in [
        "error[SM0101]: blank in a registry URL\n",
        "--> worker-2 /etc/containerd/config.toml:3:16\n",
        "3 |   endpoint = [\"·http://registry.example.com:5000\"]\n",
        "  |                ^\n",
        "= cause: ",
        "= evidence: worker-2 journalctl -u containerd:1\n",
        "first path segment in URL\n       > cannot contain colon",
        "= fix (safe): delete the blank\n",
        "3 -   endpoint = [\"·http://registry.example.com:5000\"]\n",
        "3 +   endpoint = [\"http://registry.example.com:5000\"]\n",
        "= explain: shipmate explain SM0101\n",
        "1 error: 2 pieces of evidence looked at\n",
    ] {
        assert!(ran.out.contains(part), "{part:?} is missing in\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn programs_read_json_and_sarif() {
    let home = tempfile::tempdir().unwrap();
    let ran = shipmate(home.path(), &["doctor", "text", "-", "-o", "json"], PASTE);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &report["version"], &report["summary"]["errors"]), (1, &1.into(), &1.into()));
    let finding = &report["findings"][0];
    assert_eq!((&finding["code"], &finding["place"]["start"]["column"]), (&"SM0101".into(), &16.into()));
    assert_eq!(finding["fixes"][0]["edits"][0]["new"], "");

    let ran = shipmate(home.path(), &["doctor", "text", "-", "-o", "sarif"], PASTE);
    let sarif: Value = serde_json::from_str(&ran.out).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!((&sarif["version"], &run["tool"]["driver"]["name"]), (&"2.1.0".into(), &"shipmate".into()));
    let result = &run["results"][0];
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&region["startLine"], &region["startColumn"], &region["endColumn"]),
        (&3.into(), &16.into(), &17.into())
    );
    assert_eq!(result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"], "");
}

#[test]
fn a_bundle_is_for_its_owner_and_without_secrets() {
    let home = tempfile::tempdir().unwrap();
    let bundle = home.path().join("bundle.json");
    let secret = "pl4ntedS3cret";
    let paste = format!(
        "{PASTE}root@worker-2:~# cat /etc/containerd/certs.d/r/hosts.toml\n[host.\"https://r\".header]\n  authorization = \"Basic {secret}\"\n$ kubectl config view --raw\nusers:\n- name: a\n  user:\n    token: {secret}\n    client-key-data: {secret}\n$ cat secret.yaml\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n  key: {secret}\n$ env\nDB_PASSWORD={secret}\n"
    );
    let saved = shipmate(home.path(), &["doctor", "text", "--save", "bundle.json"], &paste);
    assert_eq!(saved.code, 1, "{}", saved.err);
    let text = std::fs::read_to_string(&bundle).unwrap();
    assert!(!text.contains(secret) && !saved.out.contains(secret), "{text}");
    assert!(text.contains("authorization"), "only values are taken out");
    assert_eq!(std::fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
    let again = shipmate(home.path(), &["doctor", "--from", "bundle.json"], "");
    assert_eq!((again.code, again.out), (1, saved.out));
    let piped = shipmate(home.path(), &["doctor", "--from", "-", "-o", "json"], &text);
    assert_eq!(piped.code, 1);
}

#[test]
fn exit_codes_tell_health_findings_and_blindness() {
    let home = tempfile::tempdir().unwrap();
    let healthy = PASTE.lines().take(3).chain(["  endpoint = [\"http://registry.example.com:5000\"]"]);
    let healthy: String = healthy.map(|line| format!("{line}\n")).collect();
    let ran = shipmate(home.path(), &["doctor", "text"], &healthy);
    assert_eq!((ran.code, ran.out.as_str()), (0, "nothing is wrong: 1 piece of evidence looked at\n"));
    for (arguments, input, words) in [
        (vec!["doctor", "text", "-"], "", "the text is empty"),
        (vec!["doctor", "--from", "no-such-file"], "", "read no-such-file"),
        (vec!["doctor", "--from", "-"], "{}", "this is no evidence bundle"),
        (vec!["doctor", "manifests", "no-such-file.yaml"], "", "read no-such-file.yaml"),
        (vec!["doctor", "upgrade", "--to", "latest"], "", "write it like `1.37`"),
        (vec!["doctor", "undo", "20240101"], "", "is no receipt"),
        (vec!["doctor", "text", "-", "--fix"], PASTE, "pasted text can't be mended"),
        (vec!["doctor", "--dry-run"], "", "--fix"),
    ] {
        let ran = shipmate(home.path(), &arguments, input);
        assert!(ran.code == 2 && ran.err.contains(words), "{arguments:?}: {} {}", ran.code, ran.err);
        assert_eq!(ran.out, "", "{arguments:?}: words for people go to stderr");
    }
}

#[test]
fn codes_are_explained() {
    let home = tempfile::tempdir().unwrap();
    let page = shipmate(home.path(), &["explain", "sm0101"], "");
    assert!(page.code == 0 && page.out.starts_with("# SM0101: "), "{}", page.out);
    assert!(page.out.contains("## How to mend it") && !page.out.contains("## Examples"));
    let by_key = shipmate(home.path(), &["explain", "endpoint-surrounding-whitespace"], "");
    assert_eq!(by_key.out, page.out);
    let all = shipmate(home.path(), &["explain"], "");
    assert!(all.out.contains("SM0101   blank in a registry URL"), "{}", all.out);
    let unknown = shipmate(home.path(), &["explain", "SM9999"], "");
    assert!(unknown.code == 1 && unknown.err.contains("`shipmate explain` lists all"), "{}", unknown.err);
}

/// A manifest of 2018.
const OLD: &str = "# by hand\napiVersion: extensions/v1beta1\nkind: Deployment\nmetadata:\n  name: vote\nspec:\n  template:\n    metadata:\n      labels: {app: vote}\n    spec:\n      containers:\n      - name: vote\n        image: cr.example.net/demo/vote:1\n";

#[test]
fn a_file_is_mended_after_showing_it_and_put_back() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("deploy")).unwrap();
    std::fs::write(home.path().join("deploy/values.yaml"), "image: a/b:1\n").unwrap();
    let file = home.path().join("deploy/vote.yaml");
    std::fs::write(&file, OLD).unwrap();
    let text = || std::fs::read_to_string(&file).unwrap();
    let dry = shipmate(home.path(), &["doctor", "manifests", "deploy/vote.yaml", "--fix", "--dry-run"], "");
    assert!(dry.code == 1 && dry.err.contains("+ apiVersion: apps/v1") && text() == OLD, "{}", dry.err);
    let unasked = shipmate(home.path(), &["doctor", "manifests", "deploy/vote.yaml", "--fix"], "");
    assert!(unasked.code == 2 && unasked.err.contains("there is nobody to ask") && text() == OLD, "{}", unasked.err);
    let mended = shipmate(home.path(), &["doctor", "manifests", "deploy", "--fix", "--yes"], "");
    assert_eq!(mended.code, 0, "{}{}", mended.out, mended.err);
    assert!(mended.err.contains("mended 1 of 1") && mended.out.starts_with("nothing is wrong"), "{}", mended.err);
    assert!(text().starts_with("# by hand\napiVersion: apps/v1\nkind: Deployment\n"), "{}", text());
    let receipts = home.path().join("state/shipmate/receipts");
    let id = std::fs::read_dir(&receipts).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    assert!(mended.err.contains(&format!("shipmate doctor undo {id}")), "{}", mended.err);
    let undone = shipmate(home.path(), &["doctor", "undo", &id, "--yes"], "");
    assert!(undone.code == 0 && text() == OLD, "{}", undone.err);

    let again = shipmate(home.path(), &["doctor", "manifests", "deploy/vote.yaml", "--fix", "-y"], "");
    assert_eq!(again.code, 0, "{}", again.err);
    std::fs::write(&file, format!("{}# mine\n", text())).unwrap();
    let ids = std::fs::read_dir(&receipts).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let newest = ids.max().unwrap();
    let refused = shipmate(home.path(), &["doctor", "undo", &newest, "--yes"], "");
    assert!(refused.code == 2 && refused.err.contains("was changed in the meantime"), "{}", refused.err);
    assert!(text().ends_with("# mine\n"));
}
