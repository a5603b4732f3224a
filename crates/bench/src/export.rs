//! `export`: 10,000 objects in 50 namespaces as files, beside a script that runs one kubectl for each; then the comparison
//! and a restore that has nothing to do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::load;
use crate::proxy::Proxy;
use crate::report::{Amount, Bar, Figure, Peer, Report};
use crate::samples::median;

const NAMESPACES: usize = 50;
/// In each namespace: kind, path of its collection, how many.
const OBJECTS: &[(&str, &str, usize)] = &[
    ("ConfigMap", "/api/v1", 120),
    ("Secret", "/api/v1", 30),
    ("ServiceAccount", "/api/v1", 20),
    ("Service", "/api/v1", 20),
    ("Deployment", "/apis/apps/v1", 10),
];
const CLIENTS: usize = 10;
const ROUNDS: usize = 3;
/// Bytes of text in a ConfigMap or Secret.
const PAYLOAD: usize = 500;
/// The kinds that the script asks for.
const KINDS: &str = "configmap,cronjob,deployment,hpa,job,pv,pvc,secret,serviceaccount,service,statefulset";
/// Namespaces whose list, and objects whose text, the script's kubectl is measured with.
const SAMPLE: (usize, usize) = (3, 30);
/// Objects in a page, as `shipmate` asks for them.
const PAGE: usize = 500;

const BAR_TIMES: f64 = 50.0;
const BAR_BYTES: u64 = 200_000_000;

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "simulated:1")?;
    cluster.start()?;
    fill(&cluster).await?;
    let directory = cluster.home().join("export");
    let directory = directory.to_str().context("the directory's name is text")?;
    let (took, peak) = often(&cluster, &["export", directory])?;
    let script = script(&cluster)?;
    report.figure(&Figure {
        what: "export: 10,000 objects in 50 namespaces",
        amount: Amount::Time(took),
        peer: Some(Peer {
            what: "one kubectl for each, extrapolated from 3 lists and 30 objects",
            amount: Amount::Time(script),
        }),
        bar: None,
    });
    report.figure(&Figure {
        what: "export: so many times as fast as one kubectl for each",
        amount: Amount::Times(script.as_secs_f64() / took.as_secs_f64()),
        peer: None,
        bar: Some(Bar::AtLeast(Amount::Times(BAR_TIMES))),
    });
    memory(report, "export: resident at most", peak);
    requests(&cluster, directory, report).await?;
    for (what, words) in [
        ("export: diff of the same", &["diff", directory][..]),
        ("export: restore with nothing to do", &["restore", directory, "--yes"]),
    ] {
        let (took, peak) = often(&cluster, words)?;
        report.figure(&Figure { what, amount: Amount::Time(took), peer: None, bar: None });
        memory(report, &format!("{what}, resident at most"), peak);
    }
    Ok(())
}

fn memory(report: &Report, what: &str, bytes: u64) {
    let bar = Some(Bar::Under(Amount::Bytes(BAR_BYTES)));
    report.figure(&Figure { what, amount: Amount::Bytes(bytes), peer: None, bar });
}

/// The median time of several runs, and their memory at most.
fn often(cluster: &Cluster, words: &[&str]) -> anyhow::Result<(Duration, u64)> {
    let (mut times, mut most) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (took, peak) = cluster.watched(words)?;
        times.push(took);
        most = most.max(peak);
    }
    Ok((median(&times), most))
}

/// What the script would take: a list for each namespace, and one kubectl for each name in them. What its shell does in
/// between is not counted.
fn script(cluster: &Cluster) -> anyhow::Result<Duration> {
    let (mut lists, mut texts, mut names) = (Vec::new(), Vec::new(), 0);
    for number in 0..SAMPLE.0 {
        let namespace = format!("--namespace={}", space(number));
        let (took, found) = cluster.kubectl(&["get", &namespace, "-o=name", KINDS])?;
        lists.push(took);
        names += found.lines().count();
        for name in found.lines().step_by(found.lines().count().div_ceil(SAMPLE.1 / SAMPLE.0)) {
            texts.push(cluster.kubectl(&["get", &namespace, "-o=yaml", name])?.0);
        }
    }
    let mean = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64() / times.len().max(1) as f64;
    let each = names as f64 / SAMPLE.0 as f64;
    Ok(Duration::from_secs_f64(NAMESPACES as f64 * (mean(&lists) + each * mean(&texts))))
}

/// Counts an export's requests, and holds them against one for each kind and page.
async fn requests(cluster: &Cluster, directory: &str, report: &Report) -> anyhow::Result<()> {
    let client = cluster.client().await?;
    let proxy = Proxy::start(client.clone()).await?;
    let config = cluster.home().join("counted.kubeconfig");
    std::fs::write(&config, proxy.kubeconfig().to_string())?;
    let config = config.to_str().context("the file's name is text")?;
    cluster.watched(&["export", directory, "--kubeconfig", config])?;
    let seen = proxy.seen();
    let reads: Vec<&str> =
        seen.iter().filter_map(|(method, path)| (method == "GET").then_some(path.as_str())).collect();
    let mut lists: Vec<&str> =
        reads.iter().filter_map(|path| path.split_once("?limit=")).map(|(path, _)| path).collect();
    lists.sort_unstable();
    lists.dedup();
    let mut pages = 0;
    for path in &lists {
        let objects = load::json(&client, path).await?["items"].as_array().map_or(0, Vec::len);
        pages += objects.div_ceil(PAGE).max(1);
    }
    let discovery = reads.iter().filter(|path| !path.contains('?')).count();
    let count = |number: usize| Amount::Count(u64::try_from(number).unwrap_or(u64::MAX));
    report.figure(&Figure {
        what: "export: requests that read",
        amount: count(reads.len()),
        peer: Some(Peer { what: "pages of all kinds, and discovery", amount: count(pages + discovery) }),
        bar: Some(Bar::Times(1.0)),
    });
    let others = seen.len() - reads.len();
    report.figure(&Figure {
        what: "export: dry runs that tell defaults",
        amount: count(others),
        peer: None,
        bar: None,
    });
    Ok(())
}

fn space(number: usize) -> String {
    format!("space-{number:02}")
}

/// Makes the objects.
async fn fill(cluster: &Cluster) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for first in 0..CLIENTS {
        let client = cluster.client().await?;
        tasks.spawn(async move {
            for number in (first..NAMESPACES).step_by(CLIENTS) {
                namespace(&client, &space(number)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let client = cluster.client().await?;
    let found = load::json(&client, "/api/v1/configmaps").await?["items"].as_array().map_or(0, Vec::len);
    if found < NAMESPACES * OBJECTS[0].2 {
        bail!("only {found} ConfigMaps were made");
    }
    Ok(())
}

async fn namespace(client: &kube::Client, space: &str) -> anyhow::Result<()> {
    load::namespace_of(client, space).await?;
    for (kind, root, count) in OBJECTS {
        let path = format!("{root}/namespaces/{space}/{}s", kind.to_lowercase());
        for number in 0..*count {
            load::post(client, &path, object(kind, root, space, number).to_string().into_bytes()).await?;
        }
    }
    Ok(())
}

fn object(kind: &str, root: &str, space: &str, number: usize) -> Value {
    let version = root.trim_start_matches("/apis/").trim_start_matches("/api/");
    let name = format!("object-{number}");
    let mut object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"name": name, "namespace": space, "labels": {"app": name, "part": "bench"}},
    });
    let selector = json!({"app": name});
    match kind {
        "ConfigMap" => object["data"] = json!({"text": "x".repeat(PAYLOAD), "number": number.to_string()}),
        "Secret" => object["stringData"] = json!({"password": "x".repeat(PAYLOAD)}),
        "Service" => object["spec"] = json!({"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]}),
        "Deployment" => {
            let container = json!({"name": "web", "image": "shipmate.local/web:1.0",
                "ports": [{"containerPort": 8080}], "resources": {"requests": {"cpu": "10m"}}});
            let template = json!({"metadata": {"labels": selector}, "spec": {"containers": [container]}});
            object["spec"] = json!({"replicas": 0, "selector": {"matchLabels": selector}, "template": template});
        }
        _ => {}
    }
    object
}
