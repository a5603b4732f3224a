//! What a node's containerd says of itself over its socket: plugins, CRI versions, conditions, images.
//!
//! Written down as `ctr` and `crictl` print it, which need not be installed for it. Where the socket can't be used from
//! here, those two are asked.

use std::time::Duration;

use cri::{Plugin, Runtime};
use doctor::{Item, ItemKind, Origin};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::answered;
use super::containerd::Layout;
use super::script::NOT_HERE;
use super::sources::{Question, quoted};
use crate::access::Access;

/// How long containerd may take for one answer.
const ANSWER: Duration = Duration::from_secs(8);
/// Keys of containerd's registry settings that hold credentials.
const CREDENTIALS: [&str; 6] = ["auth", "auths", "password", "identitytoken", "identityToken", "headers"];
/// Sockets of other runtimes.
const OTHERS: [&str; 2] = ["/run/crio/crio.sock", "/run/cri-dockerd.sock"];

pub(super) async fn collect(access: &dyn Access, layout: &Layout) -> Vec<Item> {
    let path = access.containerd_socket().unwrap_or(layout.socket()).to_owned();
    let inside = layout.socket().to_owned();
    if let Ok(socket) = access.socket(&path).await
        && let Ok(runtime) = Runtime::new(socket.path())
        && let Ok(Ok(version)) = timeout(ANSWER, runtime.containerd_version()).await
    {
        return spoken(access.node(), &inside, &runtime, &version).await;
    }
    asked(access, &inside).await
}

/// Over the socket.
async fn spoken(node: &str, socket: &str, runtime: &Runtime, version: &str) -> Vec<Item> {
    let (plugins, status, older, images) = tokio::join!(
        timeout(ANSWER, runtime.plugins()),
        timeout(ANSWER, runtime.status_verbose()),
        timeout(ANSWER, runtime.serves_v1alpha2()),
        timeout(ANSWER, runtime.list_images()),
    );
    let item = |kind, command: &str, text| Item { kind, origin: Origin::command(node, command), text };
    let mut items = vec![item(ItemKind::CtrOutput, "ctr version", format!("Server:\n  Version:  {version}\n"))];
    match plugins {
        Ok(Ok(plugins)) => {
            items.push(item(ItemKind::CtrOutput, "ctr plugins ls", table(&plugins)));
            let broken = plugins.iter().filter(|plugin| state(plugin) == "error");
            items.extend(broken.map(|plugin| {
                item(ItemKind::CtrOutput, &format!("ctr plugins ls -d id=={}", plugin.id), detail(plugin))
            }));
        }
        Ok(Err(error)) => items.push(item(ItemKind::Unavailable, "ctr plugins ls", error.to_string())),
        Err(_) => items.push(item(ItemKind::Unavailable, "ctr plugins ls", slow())),
    }
    let served = |served: bool| if served { "served" } else { "not served" };
    match status {
        Ok(Ok(status)) => {
            let older = matches!(older, Ok(Ok(true)));
            let text = format!("runtime.v1: served\nruntime.v1alpha2: {}\n", served(older));
            items.push(item(ItemKind::NodeFacts, "CRI services", text));
            let (info, registry) = info(&status);
            items.push(item(ItemKind::CrictlOutput, "crictl info", info));
            items.extend(registry.map(|text| item(ItemKind::CrictlOutput, "crictl info | jq .config.registry", text)));
        }
        Ok(Err(error)) => {
            if let Ok(Ok(older)) = older {
                let text = format!("runtime.v1: not served\nruntime.v1alpha2: {}\n", served(older));
                items.push(item(ItemKind::NodeFacts, "CRI services", text));
            }
            items.push(item(ItemKind::CrictlOutput, "crictl info", complaint(socket, &error.event_text())));
        }
        Err(_) => items.push(item(ItemKind::Unavailable, "crictl info", slow())),
    }
    if let Ok(Ok(images)) = images {
        items.push(item(ItemKind::CrictlOutput, "crictl images", listed(&images)));
    }
    items
}

fn slow() -> String {
    format!("containerd did not answer within {} s", ANSWER.as_secs())
}

/// In crictl's words.
fn complaint(socket: &str, words: &str) -> String {
    format!(
        "FATA[0000] validate service connection: validate CRI v1 runtime API for endpoint \"unix://{socket}\": {words}\n"
    )
}

fn state(plugin: &Plugin) -> &'static str {
    match &plugin.init_error {
        None => "ok",
        Some(error) if error.contains("skip plugin") => "skip",
        Some(_) => "error",
    }
}

/// As `ctr plugins ls` prints it.
fn table(plugins: &[Plugin]) -> String {
    let mut text = format!("{:<40} {:<26} {:<14} STATUS\n", "TYPE", "ID", "PLATFORMS");
    for plugin in plugins {
        text.push_str(&format!("{:<40} {:<26} {:<14} {}\n", plugin.kind, plugin.id, "-", state(plugin)));
    }
    text
}

/// As `ctr plugins ls -d` prints it.
fn detail(plugin: &Plugin) -> String {
    let error = plugin.init_error.as_deref().unwrap_or_default();
    format!(
        "Type:          {}\nID:            {}\nError:         \n               Code:        Unknown\n               \
         Message:     {error}\n",
        plugin.kind, plugin.id
    )
}

/// What `crictl info` prints, as far as it tells of faults; and the registry settings that containerd runs with.
fn info(status: &cri::v1::StatusResponse) -> (String, Option<String>) {
    let conditions = status.status.iter().flat_map(|status| &status.conditions).map(|condition| {
        json!({
            "type": condition.r#type, "status": condition.status,
            "reason": condition.reason, "message": condition.message,
        })
    });
    let mut told = Map::new();
    told.insert("status".to_owned(), json!({"conditions": conditions.collect::<Vec<_>>()}));
    let parsed = |key: &str| {
        let text = status.info.get(key)?;
        Some(serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::String(text.clone())))
    };
    for key in ["cniconfig", "lastCNILoadStatus", "lastCNILoadStatus.default"] {
        if let Some(value) = parsed(key) {
            told.insert(key.to_owned(), value);
        }
    }
    let registry = parsed("config").and_then(|mut config| {
        let mut registry = config.get_mut("registry")?.take();
        forget(&mut registry);
        serde_json::to_string_pretty(&registry).ok()
    });
    let info = serde_json::to_string_pretty(&told).unwrap_or_default();
    (format!("{info}\n"), registry.map(|text| format!("{text}\n")))
}

/// Takes credentials out, at any depth.
fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if CREDENTIALS.contains(&key.as_str()) {
                    *value = Value::Null;
                }
                forget(value);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(forget),
        _ => {}
    }
}

/// As `crictl images` prints it.
fn listed(images: &[cri::v1::Image]) -> String {
    let mut text = format!("{:<60} {:<20} {:<15} SIZE\n", "IMAGE", "TAG", "IMAGE ID");
    for image in images {
        let id = image.id.trim_start_matches("sha256:");
        let id = id.get(..13).unwrap_or(id);
        let size = format!("{}MB", image.size / 1_000_000);
        for name in &image.repo_tags {
            let (repository, tag) = match name.rsplit_once(':') {
                Some((repository, tag)) if !tag.contains('/') => (repository, tag),
                _ => (name.as_str(), "<none>"),
            };
            text.push_str(&format!("{repository:<60} {tag:<20} {id:<15} {size}\n"));
        }
    }
    text
}

/// Through the programs on the node.
async fn asked(access: &dyn Access, socket: &str) -> Vec<Item> {
    let place = quoted(socket);
    let endpoint = format!("--runtime-endpoint unix://{place}");
    let address = format!("--address {place}");
    let mut ls = Question::command(format!("ls -l {socket} {}", OTHERS.join(" ")));
    ls.command = format!("for f in {place} {}; do [ -S \"$f\" ] && ls -l \"$f\"; done; true", OTHERS.join(" "));
    let with = |kind, program: &str, option: &str, rest: &str| {
        let mut question = Question::command(format!("{program} {rest}")).of_kind(kind);
        let call = format!("; {program} {option} ");
        question.command = question.command.replace(&format!("; {program} "), &call);
        question
    };
    let mut plugins = with(ItemKind::CtrOutput, "ctr", &address, "plugins ls");
    // Without a socket it would try again and again.
    plugins.command = format!("[ -S {place} ] || exit {NOT_HERE}; {}", plugins.command);
    let questions = [
        plugins,
        with(ItemKind::CrictlOutput, "crictl", &endpoint, "info"),
        with(ItemKind::CrictlOutput, "crictl", &endpoint, "images"),
        ls,
    ];
    let mut items = match answered(access, &questions).await {
        Ok(items) => items,
        Err(error) => return vec![super::unreached(access.node(), &error)],
    };
    let other = items.iter().any(|item| OTHERS.iter().any(|path| item.text.contains(path)));
    let has_crictl = items.iter().any(|item| item.origin.source() == "crictl info");
    if !other && !has_crictl {
        let there = items.iter().any(|item| item.origin.source().starts_with("ls -l") && item.text.contains(socket));
        let why = if there { dialled(access, socket).await } else { Some("no such file or directory") };
        items.extend(why.map(|why| undialled(access.node(), socket, why)));
    }
    items
}

/// Why nothing can be connected to a socket, if that can be tried from here.
async fn dialled(access: &dyn Access, socket: &str) -> Option<&'static str> {
    let way = access.socket(access.containerd_socket().unwrap_or(socket)).await.ok()?;
    match tokio::net::UnixStream::connect(way.path()).await.err()?.kind() {
        std::io::ErrorKind::NotFound => Some("no such file or directory"),
        std::io::ErrorKind::ConnectionRefused => Some("connection refused"),
        std::io::ErrorKind::PermissionDenied => Some("permission denied"),
        _ => None,
    }
}

/// What crictl says then.
fn undialled(node: &str, socket: &str, why: &str) -> Item {
    let words = format!(
        "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix \
         {socket}: connect: {why}\""
    );
    let origin = Origin::command(node, "crictl info");
    Item { kind: ItemKind::CrictlOutput, origin, text: complaint(socket, &words) }
}
