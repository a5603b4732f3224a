//! What is known of a pod that may hold a connection: its addresses, and the time in which they were its own.

use std::collections::HashMap;
use std::net::IpAddr;

use doctor::owner::Holder;
use serde_json::Value;

use super::workloads::{Workload, Workloads};

/// A pod, there or gone.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Name, node, addresses.
    pub holder: Holder,
    /// What it belongs to.
    pub workload: Workload,
    /// Its container, where it has only one.
    pub only: Option<String>,
    /// Its containers by their ids.
    pub ids: HashMap<String, String>,
    /// When it ended, in seconds since 1970; now, as far as is known, if it is gone.
    pub ended: Option<i64>,
    /// Whether it is there no more and only remembered.
    pub gone: bool,
    /// Whether its sockets are the node's kernel's: not where a virtual machine or a kernel of its own is around it.
    pub plain: bool,
}

/// Where [`Pod::of`] finds that a pod is gone: put there by whoever remembers it, as seconds since 1970.
pub const GONE: &str = "shipmateGoneSince";

impl Pod {
    /// What its object tells.
    pub fn of(pod: &Value, workloads: &Workloads) -> Self {
        let containers = pod["spec"]["containers"].as_array();
        let only = containers.filter(|all| all.len() == 1).and_then(|all| all[0]["name"].as_str());
        let statuses = || pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let id = |status: &Value| {
            let (_, id) = status["containerID"].as_str()?.split_once("://")?;
            Some((id.to_owned(), status["name"].as_str()?.to_owned()))
        };
        let mut holder = Holder::of(pod);
        for address in &mut holder.addresses {
            *address = address.to_canonical();
        }
        holder.addresses.dedup();
        let gone = pod[GONE].as_i64();
        let finished = statuses().filter_map(|status| second(&status["state"]["terminated"]["finishedAt"])).max();
        Self {
            workload: workloads.of_pod(pod),
            only: only.map(str::to_owned),
            ids: statuses().filter_map(id).collect(),
            // Without a word about its end it is taken to have ended at once: it names nothing then.
            ended: gone.or_else(|| finished.or(holder.since).filter(|_| holder.finished)),
            gone: gone.is_some(),
            plain: pod["spec"]["runtimeClassName"].as_str().unwrap_or_default().is_empty(),
            holder,
        }
    }

    /// `NAMESPACE/NAME`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.holder.namespace, self.holder.name)
    }

    /// Whether it had this address of its own at some time.
    pub fn has(&self, address: IpAddr) -> bool {
        !self.holder.host_network && self.holder.addresses.contains(&address)
    }

    /// Whether it runs, as far as is known.
    pub fn lives(&self) -> bool {
        !self.gone && !self.holder.finished
    }

    /// Whether it was there at a time, which may be this many seconds off, among all that had its address.
    pub fn was_there(&self, time: i64, off: i64, others: &[&Self]) -> bool {
        // An address is given away only when it is free; that its last holder is gone is noticed later.
        let began = self.holder.since;
        let next = others.iter().filter_map(|pod| pod.holder.since).filter(|since| Some(*since) > began).min();
        let ended = if self.lives() { None } else { self.ended.into_iter().chain(next).min() };
        began.is_none_or(|began| began <= time + off) && ended.is_none_or(|ended| time <= ended + off)
    }
}

fn second(text: &Value) -> Option<i64> {
    Some(text.as_str()?.parse::<jiff::Timestamp>().ok()?.as_second())
}
