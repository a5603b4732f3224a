//! `shipmate doctor image`: what each node's containerd does to pull an image, and where it stops.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cri::Runtime;
use cri::import::{ImageName, Platform};
use futures::stream::{self, StreamExt as _};
use operate::access::Access;
use operate::pull_path::{Known, NodeTrace, Secret, gather, keyring, probe};
use serde_json::{Value, json};

use crate::cli::doctor::{Doctor, Image, ReportFormat};
use crate::output;
use crate::reach::{self, KnownNode, Reached};

/// Nodes that are looked at a time.
const AT_A_TIME: usize = 16;
/// Exit code when some nodes could not be looked at, and nothing is known to be wrong.
const COULD_NOT_LOOK: u8 = 2;

/// One node: its trace, or why there is none.
type Looked = (String, Result<NodeTrace, String>);

pub(super) async fn run(image: &Image, arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let name: ImageName = image.reference.parse()?;
    let reached = reach::connect(&arguments.reach).await?;
    let mut nodes = reached.nodes(None).await?;
    if let Some(only) = &image.node {
        nodes.retain(|node| node.name == *only);
        if nodes.is_empty() {
            bail!("there is no node {only}: `kubectl get nodes` lists them");
        }
    }
    let secrets = secrets(&reached, &name).await;
    let each = nodes.iter().map(|node| {
        let known = Known { platform: Some(platform(node)), secrets: secrets.clone() };
        look(&reached, node, &name, known)
    });
    let looked: Vec<Looked> = stream::iter(each).buffered(AT_A_TIME).collect().await;
    match arguments.look.output {
        ReportFormat::Text => output::print(&text(&looked))?,
        ReportFormat::Json => output::print_json(&looked.iter().map(json).collect::<Vec<_>>())?,
        ReportFormat::Sarif => bail!("a pull path has no SARIF form: use -o json"),
    }
    if looked.iter().any(|(_, trace)| trace.as_ref().is_ok_and(|trace| trace.stops.is_some())) {
        return Ok(ExitCode::FAILURE);
    }
    let unknown = looked.iter().any(|(_, trace)| trace.is_err());
    Ok(if unknown { ExitCode::from(COULD_NOT_LOOK) } else { ExitCode::SUCCESS })
}

async fn look(reached: &Reached, node: &KnownNode, image: &ImageName, known: Known) -> Looked {
    let trace = async {
        let access = reached.access(node).await.map_err(|error| format!("{error:#}"))?;
        let version = version(&access, node).await;
        let gathered = gather(&*access, image, &version).await.map_err(|error| error.to_string())?;
        Ok(probe(&*access, &version, &gathered.main, gathered.path, &known).await)
    };
    (node.name.clone(), trace.await)
}

/// containerd's own word about its version, or the kubelet's.
async fn version(access: &Arc<dyn Access>, node: &KnownNode) -> String {
    let told = async {
        let socket = access.socket(access.containerd_socket()?).await.ok()?;
        Runtime::new(socket.path()).ok()?.containerd_version().await.ok()
    };
    let reported = node.info("containerRuntimeVersion").trim_start_matches("containerd://").to_owned();
    told.await.unwrap_or(reported)
}

fn platform(node: &KnownNode) -> Platform {
    match node.info("architecture") {
        "" => Platform::here(),
        architecture => Platform::linux(architecture),
    }
}

/// Pull secrets of the pods that use the image, and of their service accounts.
async fn secrets(reached: &Reached, image: &ImageName) -> Vec<Secret> {
    let told = |words: String| vec![Secret { name: "(none)".to_owned(), words, credentials: None }];
    let pods = match reached.list("/api/v1/pods", "Pod").await {
        Ok(pods) => pods,
        Err(error) => return told(format!("not looked at: {error:#}")),
    };
    let using: Vec<&Value> = pods.iter().filter(|pod| uses(pod, image)).collect();
    if using.is_empty() {
        return told("not looked at: no pod uses this image".to_owned());
    }
    let mut names = BTreeSet::new();
    for pod in using {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        let account = reached.get(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}")).await;
        let account = account.unwrap_or_default();
        let own = pod["spec"]["imagePullSecrets"].as_array().into_iter().flatten();
        for secret in own.chain(account["imagePullSecrets"].as_array().into_iter().flatten()) {
            if let Some(name) = secret["name"].as_str() {
                names.insert((namespace.to_owned(), name.to_owned()));
            }
        }
    }
    if names.is_empty() {
        return told("the pods that use this image have none".to_owned());
    }
    let mut found = Vec::new();
    for (namespace, name) in names {
        found.push(secret(reached, &namespace, &name, image).await);
    }
    found
}

fn uses(pod: &Value, image: &ImageName) -> bool {
    let lists = ["containers", "initContainers"].into_iter();
    lists.flat_map(|list| pod["spec"][list].as_array().into_iter().flatten()).any(|container| {
        let used = container["image"].as_str().and_then(|text| text.parse::<ImageName>().ok());
        used.as_ref() == Some(image)
    })
}

/// Whether a pull secret applies, with its credentials if it does.
async fn secret(reached: &Reached, namespace: &str, name: &str, image: &ImageName) -> Secret {
    let mut secret = Secret { name: format!("{namespace}/{name}"), words: String::new(), credentials: None };
    let read = async {
        let object = reached.get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}")).await?;
        let data = object["data"][".dockerconfigjson"].as_str().or(object["data"][".dockercfg"].as_str());
        let data = data.with_context(|| format!("it is no pull secret, its type is {}", object["type"]))?;
        let bytes = BASE64.decode(data).context("its data is no base64")?;
        Ok::<_, anyhow::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let config = match read.await {
        Ok(config) => config,
        Err(error) => {
            secret.words = format!("can't be used: {error:#}");
            return secret;
        }
    };
    match keyring::matching(&config, image) {
        Ok(entries) => match entries.into_iter().next() {
            Some(entry) => {
                secret.words = format!("applies: its entry {}", entry.key);
                secret.credentials = entry.credentials;
            }
            None => {
                let keys = keyring::keys(&config).unwrap_or_default().join(", ");
                secret.words = format!("does not apply: it is for {keys}, not for {}", image.domain);
            }
        },
        Err(problem) => secret.words = format!("can't be used: {problem}"),
    }
    secret
}

fn text(looked: &[Looked]) -> String {
    let one = |(node, trace): &Looked| match trace {
        Ok(trace) => trace.to_string(),
        Err(why) => format!("{node}: not looked at: {why}\n"),
    };
    looked.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn json((node, trace): &Looked) -> Value {
    match trace {
        Ok(trace) => serde_json::to_value(trace).unwrap_or_default(),
        Err(why) => json!({"node": node, "notLookedAt": why}),
    }
}
