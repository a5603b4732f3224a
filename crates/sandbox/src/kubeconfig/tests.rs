//! Cases: a file before, what is done, the file after.

use super::*;

fn access(name: &str) -> Access {
    Access {
        name: name.to_owned(),
        server: "https://127.0.0.1:6443".to_owned(),
        ca: "CA".to_owned(),
        certificate: "CERT".to_owned(),
        key: "KEY".to_owned(),
        home: "/h".to_owned(),
    }
}

const CLUSTER: &str = "\
- cluster:
    certificate-authority-data: Q0E=
    extensions:
    - extension:
        home: /h
      name: shipmate
    server: https://127.0.0.1:6443
  name: sm
";
const USER: &str = "\
- name: sm
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
    extensions:
    - extension:
        home: /h
      name: shipmate
";

fn context(previous: &str) -> String {
    let previous = if previous.is_empty() { String::new() } else { format!("        previousContext: {previous}\n") };
    format!(
        "- context:\n    cluster: sm\n    extensions:\n    - extension:\n        home: /h\n{previous}      name: shipmate\n    user: sm\n  name: sm\n"
    )
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// Merges, merges again without effect, and removes.
#[track_caller]
fn check(before: &str, merged: &str, removed: &str) {
    let once = merge_text(before, &access("sm")).unwrap();
    assert_eq!(once, merged, "\n--- merged:\n{once}\n--- expected:\n{merged}");
    assert_eq!(merge_text(&once, &access("sm")).unwrap(), once, "a second merge changes nothing");
    let after = remove_text(&once, "sm", "/h").unwrap();
    assert_eq!(after, removed, "\n--- removed:\n{after}\n--- expected:\n{removed}");
    assert_eq!(remove_text(&after, "sm", "/h").unwrap(), after);
}

#[test]
fn an_empty_file_becomes_a_whole_one() {
    let merged = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n{CLUSTER}contexts:\n{}users:\n{USER}current-context: sm\n",
        context("")
    );
    let removed = "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: []\ncurrent-context: \"\"\n";
    check("", &merged, removed);
    assert!(is_skeleton(removed));
    check("# mine\n", &format!("# mine\n{merged}"), &format!("# mine\n{removed}"));
}

#[test]
fn kubectls_own_format_gets_items_at_the_end_and_keeps_the_rest() {
    let other =
        |list: &str, key: &str| format!("{list}:\n- {key}:\n    odd: &keep [1,   2]  # comment\n  name: prod\n");
    let (clusters, contexts, users) =
        (other("clusters", "cluster"), other("contexts", "context"), other("users", "user"));
    let before = format!(
        "# top\napiVersion: v1\n{clusters}{contexts}current-context: prod\nkind: Config\npreferences: {{}}\n{users}# end\n"
    );
    let merged = format!(
        "# top\napiVersion: v1\n{clusters}{CLUSTER}{contexts}{}current-context: sm\nkind: Config\npreferences: {{}}\n{users}{USER}# end\n",
        context("prod")
    );
    check(&before, &merged, &before);
}

#[test]
fn indented_lists_and_dashes_on_their_own_line() {
    let before = "\
clusters:
    # the one
    -
        cluster: {server: x}
        name: a
contexts:
  - name: a
    context:
      cluster: a

  # a comment between
users:
- name: a # trailing
current-context: 'a'";
    let merged = format!(
        "\
clusters:
    # the one
    -
        cluster: {{server: x}}
        name: a
{}contexts:
  - name: a
    context:
      cluster: a
{}
  # a comment between
users:
- name: a # trailing
{USER}current-context: sm",
        indent(CLUSTER, 4),
        indent(&context("a"), 2)
    );
    let removed = before.replace("'a'", "a");
    check(before, &merged, &removed);
}

#[test]
fn missing_and_empty_lists_are_filled() {
    let before = "apiVersion: v1\nclusters: []   # none yet\nusers:\ncontexts: null\n";
    let merged = format!(
        "apiVersion: v1\nclusters:   # none yet\n{CLUSTER}users:\n{USER}contexts:\n{}current-context: sm\n",
        context("")
    );
    let removed = "apiVersion: v1\nclusters: []   # none yet\nusers: []\ncontexts: []\ncurrent-context: \"\"\n";
    check(before, &merged, removed);
}

#[test]
fn json_stays_json() {
    let before = r#"{"apiVersion": "v1", "clusters": [{"name": "a", "cluster": {}}], "contexts": [], "users": null, "current-context": "a"}"#;
    let once = merge_text(before, &access("sm")).unwrap();
    let value: Value = serde_json::from_str(&once).unwrap();
    assert_eq!(value["current-context"], "sm");
    assert_eq!(value["clusters"][0], json!({"name": "a", "cluster": {}}));
    assert_eq!(value["clusters"][1]["name"], "sm");
    assert_eq!(value["users"][0]["user"]["client-key-data"], "S0VZ");
    let after: Value = serde_json::from_str(&remove_text(&once, "sm", "/h").unwrap()).unwrap();
    let mut expected: Value = serde_json::from_str(before).unwrap();
    expected["users"] = json!([]);
    // The context `a` does not exist, so it cannot become the current one again.
    expected["current-context"] = json!("");
    assert_eq!(after, expected);
    let empty = merge_text("{}", &access("sm")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&empty).unwrap()["contexts"][0]["context"]["user"], "sm");
}

#[test]
fn our_item_between_others_goes_without_them() {
    let items = |name: &str| format!("- name: {name}\n  # inside {name}\n");
    let file = |middle: [&str; 3]| {
        format!(
            "clusters:\n{}{}{}contexts:\n{}{}users:\n{}{}current-context: {}\n",
            items("a"),
            middle[0],
            items("b"),
            items("a"),
            middle[1],
            middle[2],
            items("z"),
            if middle[0].is_empty() { "a" } else { "sm" }
        )
    };
    let merged = file([CLUSTER, &context("a"), USER]);
    assert_eq!(remove_text(&merged, "sm", "/h").unwrap(), file(["", "", ""]));
    let mut moved = access("sm");
    moved.server = "https://127.0.0.1:7777".to_owned();
    assert_eq!(merge_text(&merged, &moved).unwrap(), merged.replace(":6443", ":7777"));
}

#[test]
fn the_namespace_of_our_context_stays_as_the_user_set_it() {
    let merged = merge_text("", &access("sm")).unwrap();
    let chosen = merged.replace("    user: sm\n", "    namespace: team-a\n    user: sm\n");
    assert_ne!(chosen, merged);
    assert!(merge_text(&chosen, &access("sm")).unwrap().contains("namespace: team-a"));
}

#[test]
fn line_ends_of_windows_stay() {
    let before = "clusters:\r\n- name: a\r\ncurrent-context: a\r\n";
    let merged = merge_text(before, &access("sm")).unwrap();
    assert!(!merged.replace("\r\n", "").contains('\n'), "{merged:?}");
    assert!(merged.starts_with("clusters:\r\n- name: a\r\n- cluster:\r\n"), "{merged:?}");
}

#[test]
fn entries_of_others_are_refused_and_not_removed() {
    for (text, reason) in [
        ("contexts:\n- name: sm\n  context: {}\n", "shipmate did not make"),
        ("users:\n- {name: sm}\n", "shipmate did not make"),
        (CLUSTER_OF_ANOTHER_HOME, "belongs to the cluster in /other"),
    ] {
        let error = merge_text(text, &access("sm")).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert_eq!(remove_text(text, "sm", "/h").unwrap(), text);
    }
}

const CLUSTER_OF_ANOTHER_HOME: &str =
    "clusters:\n- cluster:\n    extensions:\n    - {name: shipmate, extension: {home: /other}}\n  name: sm\n";

#[test]
fn what_cannot_be_edited_is_refused() {
    for text in ["- a\n", "clusters: 7\n", "a: [\n", "a: 1\n---\nb: 2\n", "text", "x: &l []\nclusters: *l\n"] {
        assert!(merge_text(text, &access("sm")).is_err(), "{text:?}");
    }
}

#[test]
fn files_are_chosen_as_kubectl_does_and_links_and_owners_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let all = [path("none"), path("link"), path("other")];
    std::fs::write(path("real"), "kind: Config\n").unwrap();
    std::os::unix::fs::symlink("real", path("link")).unwrap();
    std::fs::write(path("other"), "current-context: x\n").unwrap();
    assert_eq!(merge(&all, &access("sm")).unwrap(), path("link"));
    assert!(path("link").is_symlink());
    assert!(std::fs::read_to_string(path("real")).unwrap().contains("current-context: sm"));
    assert_eq!(remove(&all, "sm", "/h").unwrap(), [path("link")]);
    assert!(!path("link.lock").exists());

    let fresh = [path("a/one"), path("a/two")];
    assert_eq!(merge(&fresh, &access("sm")).unwrap(), path("a/two"));
    let mode = std::os::unix::fs::MetadataExt::mode(&path("a/two").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
    remove(&fresh, "sm", "/h").unwrap();
    assert!(!path("a/two").exists());
}

#[test]
fn a_name_in_another_file_of_the_list_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let files = [dir.path().join("one"), dir.path().join("two")];
    std::fs::write(&files[0], "").unwrap();
    std::fs::write(&files[1], "contexts:\n- name: sm\n").unwrap();
    let error = merge(&files, &access("sm")).unwrap_err().to_string();
    assert!(error.contains("two cannot be used") && error.contains("did not make"), "{error}");
}
