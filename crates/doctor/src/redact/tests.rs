//! Secrets of every form go; what rules need stays.

use super::*;
use crate::evidence::Origin;

const SECRET: &str = "s3cr3tPl4nted";

fn b64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn gone(kind: ItemKind, original: &str) -> String {
    let redacted = text(kind, original).text;
    for form in [SECRET.to_owned(), b64(SECRET), b64(&format!("user:{SECRET}"))] {
        assert!(!redacted.contains(&form), "{form} is still in:\n{redacted}");
    }
    assert_ne!(redacted, original, "nothing was taken");
    assert_eq!(text(kind, &redacted).text, redacted, "redacting twice changes nothing");
    redacted
}

#[test]
fn values_of_secrets_go_and_hosts_of_registries_stay() {
    let docker =
        b64(&format!(r#"{{"auths":{{"r.example.com:5000":{{"auth":"{}"}}}}}}"#, b64(&format!("user:{SECRET}"))));
    let objects = format!(
        r#"{{"items":[{{"data":{{"a":"{}",".dockerconfigjson":"{docker}","tls.crt":"Q0VSVA=="}},"kind":"Secret",
        "metadata":{{"name":"s","annotations":{{"last":"{{\"kind\":\"Secret\",\"data\":{{\"a\":\"{}\"}}}}"}}}}}},
        {{"kind":"Pod","spec":{{"containers":[{{"image":"a/b:1","env":[{{"name":"DB_PASSWORD","value":"{SECRET}"}},{{"name":"MODE","value":"fast"}}]}}]}}}}]}}"#,
        b64(SECRET),
        b64(SECRET)
    );
    let redacted = gone(ItemKind::Objects, &objects);
    let value: serde_json::Value = serde_json::from_str(&redacted).unwrap();
    let data = &value["items"][0]["data"];
    use base64::Engine as _;
    let kept = base64::engine::general_purpose::STANDARD.decode(data[".dockerconfigjson"].as_str().unwrap()).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["auths"]["r.example.com:5000"]["auth"], REDACTED);
    assert_eq!((&data["tls.crt"], &data["a"]), (&"Q0VSVA==".into(), &REDACTED.into()));
    assert_eq!(value["items"][1]["spec"]["containers"][0]["env"][1]["value"], "fast");
}

#[test]
fn manifests_keep_their_form() {
    let manifest = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: \"{SECRET}\"\n  file: |\n    a {SECRET}\n    b\ntype: Opaque\n---\nkind: Deployment\nspec:\n  containers:\n  - env:\n    - name: API_KEY\n      value: {SECRET}\n    - {{name: TOKEN, value: {SECRET}}}\n    - name: MODE\n      value: fast\n"
    );
    let redacted = gone(ItemKind::Manifest, &manifest);
    for kept in ["name: s\n", "type: Opaque", "password: \"REDACTED\"", "value: fast", "name: API_KEY"] {
        assert!(redacted.contains(kept), "{kept} is gone:\n{redacted}");
    }
    let inline = format!("{{kind: Secret, data: {{a: {SECRET}}}}}\n");
    gone(ItemKind::Manifest, &inline);
    let json = format!("{{\"kind\": \"Secret\",\n \"stringData\": {{\n  \"a\": \"{SECRET}\"\n }}\n}}\n");
    let redacted = gone(ItemKind::Manifest, &json);
    assert!(serde_json::from_str::<serde_json::Value>(&redacted).is_ok(), "{redacted}");
}

#[test]
fn kubeconfigs_lose_keys_and_tokens() {
    let key = b64(&format!("-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----\n"));
    let certificate = b64("-----BEGIN CERTIFICATE-----\nabc\n");
    let kubeconfig = format!(
        "users:\n- name: a\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n- name: b\n  user:\n    token: {SECRET}\n- name: c\n  user:\n    username: u\n    password: {SECRET}\n- name: d\n  user:\n    token: eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3MjU3MjYxMDN9.{SECRET}\n- name: e\n  user:\n    exec:\n      env:\n      - name: AWS_SECRET\n        value: {SECRET}\n- {{name: f, user: {{token: {SECRET}}}}}\n- name: g\n  user:\n    auth-provider:\n      config:\n        id-token: {SECRET}\n        refresh-token: {SECRET}\n"
    );
    let redacted = gone(ItemKind::Kubeconfig, &kubeconfig);
    assert!(!redacted.contains(&key));
    for kept in [certificate.as_str(), "username: u", "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3MjU3MjYxMDN9.REDACTED"] {
        assert!(redacted.contains(kept), "{kept} is gone:\n{redacted}");
    }
}

#[test]
fn files_of_containerd_lose_credentials() {
    let auth = b64(&format!("user:{SECRET}"));
    let config = format!(
        "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"r.example.com\".auth]\n  username = \"user\"\n  password = \"{SECRET}\"\n  auth = '{auth}'\n  identitytoken = \"{SECRET}\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"a\"]\n  endpoint = [\"https://user:{SECRET}@r.example.com\"]\n"
    );
    let redacted = gone(ItemKind::ContainerdConfig, &config);
    assert!(redacted.contains("username = \"user\"") && redacted.contains("@r.example.com"), "{redacted}");
    let hosts = format!(
        "server = \"https://r\"\n[host.\"https://r\".header]\n  authorization = \"Basic {auth}\"\n  x-any = [\"{SECRET}\"]\n[host.\"https://q\"]\n  capabilities = [\"pull\"]\n"
    );
    let redacted = gone(ItemKind::HostsToml, &hosts);
    assert!(redacted.contains("capabilities = [\"pull\"]") && redacted.contains("server = \"https://r\""));
}

#[test]
fn words_of_programs_lose_secrets_and_nothing_else() {
    for line in [
        format!("kubeadm join 10.0.0.1:6443 --token abcdef.{} --x", "0123456789abcdef"),
        format!("Authorization: Bearer {SECRET}"),
        format!("PGPASSWORD={SECRET} psql"),
        format!("postgres://app:{SECRET}@db:5432/x"),
        format!("mysql --password={SECRET}"),
        format!(r#"level=error msg="{{\"password\":\"{SECRET}\"}}""#),
    ] {
        let redacted = gone(ItemKind::Text, &line);
        assert!(!redacted.contains("0123456789abcdef"), "{redacted}");
    }
    for line in [
        "password:  18 bytes",
        "Error: couldn't find key PASSWORD in Secret vault/demo-secret",
        "www-authenticate: Bearer realm=\"https://auth.example.com/token\"",
        "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope",
        "FATAL: password authentication failed for user \"app\"",
        "imagePullSecrets:\n- name: registry-pull\n",
        "secretKeyRef:\n  name: a\n  key: password\n",
        "error: You must be logged in to the server (Unauthorized)",
        "token: eyJhbGciOiJSUzI1NiJ9.<payload>.<signature>",
    ] {
        assert_eq!(text(ItemKind::Text, line).text, line);
    }
}

#[test]
fn places_are_found_again_in_the_original() {
    let original = format!("users:\n- user:\n    token: {SECRET}\nserver: \" x\"\n");
    let redacted = text(ItemKind::Kubeconfig, &original);
    let at = redacted.text.find("\" x").unwrap() + 1;
    let found = redacted.original(&(at..at + 1)).unwrap();
    assert_eq!(&original[found.start..], " x\"\n");
    let secret = redacted.text.find(REDACTED).unwrap();
    assert_eq!(redacted.original(&(secret + 2..secret + 4)), None);
    let evidence = super::evidence(Evidence::new(vec![Item {
        kind: ItemKind::Kubeconfig,
        origin: Origin("~/.kube/config".to_owned()),
        text: original,
    }]));
    assert!(!evidence.to_json().contains(SECRET));
}
