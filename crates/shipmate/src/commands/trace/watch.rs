//! `--watch`: one look after the other, and between them what the nodes' kernels tell.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use operate::trace::events::Recorder;
use operate::trace::flows::{Flow, Wanted};
use operate::trace::join::{End, Server};
use operate::trace::postgres::Session;
use operate::trace::report::Report;

use super::cluster::Known;
use super::postgres::{Tracer, print};
use crate::cli::trace::TraceFormat;
use crate::output;
use crate::reach::Reached;

/// Nodes whose kernels are listened to, at most.
const LISTENED: usize = 200;

/// Looks until Ctrl-C. A server or cluster that can't be asked for a while is no end.
pub(super) async fn run(tracer: &mut Tracer<'_>) -> anyhow::Result<()> {
    let seconds = tracer.arguments.watch.unwrap_or(1);
    let mut ticks = tokio::time::interval(Duration::from_secs(seconds.into()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut first = true;
    loop {
        let looked = async {
            ticks.tick().await;
            tracer.look().await
        };
        let report = tokio::select! {
            report = looked => report,
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
        };
        match report {
            Ok(report) => again(tracer.arguments.output, &report)?,
            Err(error) if first => return Err(error),
            Err(error) => {
                eprintln!("{} can't look: {error:#}", jiff::Zoned::now().strftime("%H:%M:%S"));
                // A server that was restarted has forgotten us.
                let opened = tokio::select! {
                    opened = Session::open(&tracer.dsn) => opened,
                    ended = tokio::signal::ctrl_c() => return Ok(ended?),
                };
                if let Ok(session) = opened {
                    tracer.session = session;
                }
            }
        }
        first = false;
    }
}

/// One look of many: a line of JSON, or a screen.
fn again(format: TraceFormat, report: &Report) -> anyhow::Result<()> {
    if format == TraceFormat::Json {
        return output::print(&format!("{}\n", serde_json::to_string(report)?));
    }
    if std::io::stdout().is_terminal() {
        // Clear, and begin at the top.
        output::print("\x1b[H\x1b[2J")?;
    }
    output::print(&format!("{}\n", jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S")))?;
    print(format, report)
}

/// What the nodes' kernels tell between two looks.
#[derive(Default)]
pub(super) struct Events {
    recorders: HashMap<String, Result<Recorder, String>>,
    looked: i64,
}

impl Events {
    /// Adds flows that were seen to begin, and gives those that began and ended since the last look. Begins to listen to
    /// nodes that are new; where that can't be, says so.
    pub(super) async fn add(
        &mut self,
        reached: &Reached,
        known: &mut Known,
        server: &Server,
        ends: &HashSet<End>,
    ) -> Vec<Flow> {
        let names: HashSet<String> = known.nodes.iter().map(|node| node.name.clone()).collect();
        self.recorders.retain(|name, _| names.contains(name));
        for node in known.nodes.clone().into_iter().take(LISTENED) {
            if !self.recorders.contains_key(&node.name) {
                let started = match known.way(reached, &node).await {
                    Ok(way) => Recorder::start(way.as_ref(), wanted(server)).await,
                    Err(why) => Err(why),
                };
                self.recorders.insert(node.name.clone(), started);
            }
        }
        let (since, mut short, mut recorded) = (self.looked, Vec::new(), Vec::new());
        self.looked = jiff::Timestamp::now().as_second();
        for (name, recorder) in &self.recorders {
            match recorder {
                Ok(recorder) => {
                    let heard = recorder.take();
                    if heard.lost {
                        known.notes.push(format!("node {name}: events came faster than they were read, some are missed"));
                    }
                    short.extend(heard.ended.into_iter().filter(|flow| flow.began.is_some_and(|began| began >= since)));
                    recorded.extend(heard.flows);
                }
                Err(why) => known.notes.push(format!(
                    "node {name}: its kernel's events can't be had, so connections that begin and end between two looks are not seen: {why}"
                )),
            }
        }
        known.cluster.add_recorded(recorded, ends);
        short
    }
}

fn wanted(server: &Server) -> Wanted {
    let server = server.clone();
    let is = move |reply: End| {
        server.ports.contains(&reply.1) && (server.addresses.is_empty() || server.addresses.contains(&reply.0))
    };
    Wanted { is: Arc::new(move |_, reply| is((reply.source, reply.source_port))), exact: None, words: Vec::new() }
}
