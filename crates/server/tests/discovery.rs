//! What kubectl makes of discovery, OpenAPI and the reviews. Without a kubectl on the machine there is nothing to try.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use api::Change;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use server::auth::legacy_token;
use server::config::Identity;
use server::http::Tls;
use server::{Config, Door, Server, User};
use store::Store;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// A server, an administrator, and a home for kubectl.
struct Cluster {
    home: TempDir,
    address: SocketAddr,
    /// An administrator's token.
    token: String,
    stop: CancellationToken,
}

impl Cluster {
    async fn start() -> Self {
        let store = Store::in_memory(Arc::new(kinds::catalogue())).unwrap();
        let config = Config::new(SocketAddr::from(([192, 0, 2, 1], 6443)));
        let server = Server::new(store, Arc::clone(kinds::schema::all()), config).unwrap();
        server.bootstrap().await.unwrap();
        let door = Door::new(Arc::clone(&server));
        let create = async |object| door.commit(&User::apiserver(), Change::Create(object)).await.unwrap();
        create(json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": "default", "name": "boss"},
        }))
        .await;
        create(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "boss"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "boss"}],
        }))
        .await;
        let token = legacy_token(&server.auth, &door.view(), "default", "boss", "boss").unwrap();
        create(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "namespace": "default",
                "name": "boss",
                "annotations": {"kubernetes.io/service-account.name": "boss"},
            },
            "type": "kubernetes.io/service-account-token",
            "data": {"token": STANDARD.encode(&token)},
        }))
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stopped = stop.clone();
        // kubectl gives a token only to servers that speak TLS.
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let identity = Identity { certificate: cert.pem(), key: signing_key.serialize_pem() };
        let tls = Tls::new(&identity, &cert.pem()).unwrap();
        tokio::spawn(async move { server.serve(vec![listener], Some(tls), stopped).await });
        Self { home: tempfile::tempdir().unwrap(), address, token, stop }
    }

    /// Standard output and standard error of a command of the administrator.
    async fn kubectl(&self, arguments: &str, input: &str) -> String {
        self.kubectl_as(&self.token, arguments, input).await
    }

    async fn kubectl_as(&self, token: &str, arguments: &str, input: &str) -> String {
        let mut child = Command::new("kubectl")
            .arg(format!("--server=https://{}", self.address))
            .arg("--insecure-skip-tls-verify")
            .arg(format!("--token={token}"))
            .args(arguments.split(' '))
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("none"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn has_kubectl() -> bool {
    let found = Command::new("kubectl").args(["version", "--client"]).output().await.is_ok();
    if !found {
        eprintln!("no kubectl on this machine: not tried");
    }
    found
}

/// Command, and texts that its output has.
const CASES: &[(&str, &[&str])] = &[
    ("version", &["Server Version: v1.37.0"]),
    ("api-versions", &["apps/v1\n", "autoscaling/v1\n", "autoscaling/v2\n", "events.k8s.io/v1\n", "\nv1\n"]),
    (
        "api-resources --no-headers -o name",
        &["pods\n", "deployments.apps\n", "selfsubjectreviews.authentication.k8s.io\n"],
    ),
    ("api-resources --api-group=apps --no-headers", &["deployments", "deploy", "apps/v1", "true"]),
    ("api-resources --categories=all -o name", &["services\n", "jobs.batch\n"]),
    ("explain pod.spec.containers.livenessProbe.grpc", &["FIELD: grpc <GRPCAction>", "port\t<integer> -required-"]),
    ("explain deploy", &["GROUP:      apps", "KIND:       Deployment", "<DeploymentSpec>"]),
    ("explain hpa --api-version=autoscaling/v1", &["VERSION:    v1", "HorizontalPodAutoscalerSpec"]),
    ("explain pods.nothing", &["field \"nothing\" does not exist"]),
    ("auth whoami", &["system:serviceaccount:default:boss", "system:serviceaccounts:default"]),
    ("auth can-i create pods/exec", &["yes"]),
    ("auth can-i list secrets --as=jane", &["no"]),
    ("auth can-i get /version --as=jane --as-group=system:authenticated", &["yes"]),
    ("auth can-i --list", &["*.*", "[*]"]),
    (
        "get pods --as=jane",
        &[
            "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
        ],
    ),
    ("get --raw /readyz?verbose", &["[+]ping ok", "readyz check passed"]),
    ("get --raw /livez/ping", &["ok"]),
    ("get --raw /metrics", &["apiserver_request_total{", "shipmate_store_revision "]),
    ("get --raw /apis/none.example.com/v1", &["(NotFound)"]),
    ("get widgets", &["the server doesn't have a resource type \"widgets\""]),
];

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_finds_its_way() {
    if !has_kubectl().await {
        return;
    }
    let cluster = Cluster::start().await;
    for (command, expected) in CASES {
        let output = cluster.kubectl(command, "").await;
        for text in *expected {
            assert!(output.contains(text), "kubectl {command}\nlacks {text:?}:\n{output}");
        }
    }
}

const DEPLOYMENT: &str = r#"{
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}
        }
    }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_validates_and_merges_by_openapi() {
    if !has_kubectl().await {
        return;
    }
    let cluster = Cluster::start().await;
    let wrong = DEPLOYMENT.replace("\"image\": \"y\"", "\"imagee\": \"y\"");
    let refused = cluster.kubectl("create --validate=strict -f -", &wrong).await;
    assert!(refused.contains("unknown field \"spec.template.spec.containers[1].imagee\""), "{refused}");
    let applied = cluster.kubectl("apply -f -", DEPLOYMENT).await;
    assert_eq!(applied, "deployment.apps/web created\n");
    let applied = cluster.kubectl("apply -f -", &DEPLOYMENT.replace("\"image\": \"y\"", "\"image\": \"z\"")).await;
    assert_eq!(applied, "deployment.apps/web configured\n");
    let images = "get deployment web -o jsonpath={.spec.template.spec.containers[*].image}";
    assert_eq!(cluster.kubectl(images, "").await, "x z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_who_it_was_made_for() {
    if !has_kubectl().await {
        return;
    }
    let cluster = Cluster::start().await;
    cluster.kubectl("create serviceaccount bob", "").await;
    let token = cluster.kubectl("create token bob", "").await;
    let who = cluster.kubectl_as(token.trim(), "auth whoami", "").await;
    assert!(who.contains("system:serviceaccount:default:bob"), "{who}");
    let who = cluster.kubectl_as(&format!("{}x", token.trim()), "auth whoami", "").await;
    assert!(who.contains("You must be logged in to the server"), "{who}");
    cluster.kubectl("delete serviceaccount bob", "").await;
    let who = cluster.kubectl_as(token.trim(), "auth whoami", "").await;
    assert!(who.contains("You must be logged in to the server"), "{who}");
}
