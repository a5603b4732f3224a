//! `shipmate trace tcp` and `shipmate trace pod`: connections as the nodes' tables tell them.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use doctor::read::conntrack::Tuple;
use operate::trace::flows::Wanted;
use operate::trace::links::{Link, Services, links};
use operate::trace::report::holder;
use operate::trace::who::Who;
use serde::Serialize;

use super::cluster::{self, Known, Memory};
use crate::cli::trace::{TracePod, TraceTcp};
use crate::cli::{Format, Output};
use crate::output;
use crate::reach::{self, Reached};

/// How long it may take to find out what a name means.
const LOOKUP: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Told<'a> {
    connections: &'a [Link],
    notes: &'a [String],
}

pub(super) async fn tcp(arguments: &TraceTcp) -> anyhow::Result<()> {
    let reached = reach::connect(&arguments.reach).await?;
    let mut known = cluster::known(&reached, &mut Memory::default()).await?;
    let (targets, port) = targets(&arguments.to).await?;
    let links = of_server(&reached, &mut known, &targets, port).await?;
    let links: Vec<Link> = links.into_iter().filter(|link| arguments.all || link.state == "ESTABLISHED").collect();
    print(&links, &known.notes, arguments.output, &by_client(&links))
}

/// Who is connected to a server, by the nodes' tables alone.
async fn of_server(
    reached: &Reached,
    known: &mut Known,
    targets: &HashSet<IpAddr>,
    port: u16,
) -> anyhow::Result<Vec<Link>> {
    let ends = targets.clone();
    let is = move |original: &Tuple, reply: &Tuple| {
        (original.destination_port == port && ends.contains(&original.destination))
            || (reply.source_port == port && ends.contains(&reply.source))
    };
    let wanted = Wanted { is: Arc::new(is), exact: None, words: vec![format!("port={port} ")] };
    let (links, read) = look(reached, known, None, wanted).await?;
    if read == 0 {
        bail!("no node's table of connections could be read:\n  {}", known.notes.join("\n  "));
    }
    Ok(links)
}

/// What can be told of a server that lets nobody in.
pub(super) async fn from_outside(
    reached: &Reached,
    targets: &[IpAddr],
    port: u16,
    output: Output,
) -> anyhow::Result<()> {
    let mut known = cluster::known(reached, &mut Memory::default()).await?;
    let links = of_server(reached, &mut known, &targets.iter().copied().collect(), port).await?;
    let links: Vec<Link> = links.into_iter().filter(|link| link.state == "ESTABLISHED").collect();
    print(&links, &known.notes, output, &by_client(&links))
}

pub(super) async fn pod(arguments: &TracePod) -> anyhow::Result<()> {
    let (namespace, name) = arguments.pod.split_once('/').unwrap_or(("default", &arguments.pod));
    let reached = reach::connect(&arguments.reach).await?;
    let mut known = cluster::known(&reached, &mut Memory::default()).await?;
    let place = known.cluster.pod(namespace, name).cloned();
    let place = place.with_context(|| format!("there is no pod {namespace}/{name}"))?;
    let (own, node): (HashSet<IpAddr>, String) = (place.addresses.iter().copied().collect(), place.node.clone());
    if own.is_empty() {
        bail!("pod {namespace}/{name} has no address yet: `kubectl describe pod -n {namespace} {name}` says why");
    }
    let ends = own.clone();
    let is = move |original: &Tuple, reply: &Tuple| ends.contains(&original.source) || ends.contains(&reply.source);
    let wanted =
        Wanted { is: Arc::new(is), exact: None, words: own.iter().map(|address| format!("src={address} ")).collect() };
    let (mut links, read) = look(&reached, &mut known, Some(&node), wanted).await?;
    links.retain(|link| arguments.all || link.state == "ESTABLISHED");
    if place.host_network {
        // It shares its address with the whole node: only what its own processes have is its own.
        let is_own = |who: &Who| matches!(who, Who::Pod { namespace: of, pod, .. } if of == namespace && pod == name);
        links.retain(|link| is_own(&link.client));
        known
            .notes
            .push(format!("{namespace}/{name} uses the network of node {node}: only what it opened itself is listed"));
    }
    if read == 0 {
        bail!("the table of connections of node {node} could not be read:\n  {}", known.notes.join("\n  "));
    }
    print(&links, &known.notes, arguments.output, &by_peer(&links, &own))
}

/// The connections, and how many nodes told.
async fn look(
    reached: &Reached,
    known: &mut Known,
    node: Option<&str>,
    wanted: Wanted,
) -> anyhow::Result<(Vec<Link>, usize)> {
    let services = match reached.list("/api/v1/services", "Service").await {
        Ok(services) => services,
        Err(error) => {
            known.notes.push(format!("services could not be listed, so their addresses have no names: {error:#}"));
            Vec::new()
        }
    };
    let read = known.read(reached, &wanted, &|known| node.is_none_or(|node| node == known.name), Vec::new()).await;
    let told = read.iter().filter(|node| node.failed.is_none()).count();
    let flows: Vec<_> = read.into_iter().flat_map(|node| node.flows).collect();
    let questions = known.cluster.questions_of(&flows);
    known.answer(reached, questions).await;
    Ok((links(&flows, &known.cluster, &Services::of(&services)), told))
}

/// `HOST:PORT`, and what the name means here.
async fn targets(to: &str) -> anyhow::Result<(HashSet<IpAddr>, u16)> {
    let port = to.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let port = port.with_context(|| format!("{to} is no HOST:PORT"))?;
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host(to)).await;
    let found =
        found.map_err(|_| anyhow::anyhow!("{to}: no answer from the resolver within {} s", LOOKUP.as_secs()))?;
    let found: HashSet<IpAddr> =
        found.with_context(|| format!("look up {to}"))?.map(|end: SocketAddr| end.ip()).collect();
    Ok((found, port))
}

struct Table {
    heads: [&'static str; 5],
    rows: Vec<Vec<String>>,
}

fn print(links: &[Link], notes: &[String], output: Output, table: &Table) -> anyhow::Result<()> {
    if output.output == Format::Json {
        return output::print_json(&Told { connections: links, notes });
    }
    output::print_table(&table.heads, &table.rows)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    Ok(())
}

/// Most first.
fn table(heads: [&'static str; 5], counted: BTreeMap<[String; 4], usize>) -> Table {
    let mut counted: Vec<_> = counted.into_iter().collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let row = |(words, count): ([String; 4], usize)| words.into_iter().chain([count.to_string()]).collect();
    Table { heads, rows: counted.into_iter().map(row).collect() }
}

fn by_client(links: &[Link]) -> Table {
    let mut counted: BTreeMap<[String; 4], usize> = BTreeMap::new();
    for link in links {
        let (pod, node) = match &link.client {
            Who::Pod { namespace, pod, node, .. } => (format!("{namespace}/{pod}"), node.clone()),
            _ => ("-".to_owned(), link.node.clone()),
        };
        *counted.entry([holder(&link.client), pod, node, link.state.clone()]).or_default() += 1;
    }
    table(["HELD BY", "POD", "NODE", "STATE", "CONNECTIONS"], counted)
}

fn by_peer(links: &[Link], own: &HashSet<IpAddr>) -> Table {
    let mut counted: BTreeMap<[String; 4], usize> = BTreeMap::new();
    for link in links {
        let from: Option<SocketAddr> = link.from.parse().ok();
        let words = if from.is_some_and(|from| own.contains(&from.ip())) {
            let peer = link.to_name.clone().unwrap_or_else(|| "-".to_owned());
            let through = link.server_name.as_ref().map(|server| format!(", {server}")).unwrap_or_default();
            ["to".to_owned(), link.to.clone(), format!("{peer}{through}"), link.state.clone()]
        } else {
            let address = from.map(|from| from.ip().to_string()).unwrap_or_default();
            ["from".to_owned(), address, holder(&link.client), link.state.clone()]
        };
        *counted.entry(words).or_default() += 1;
    }
    table(["DIRECTION", "ADDRESS", "PEER", "STATE", "CONNECTIONS"], counted)
}
