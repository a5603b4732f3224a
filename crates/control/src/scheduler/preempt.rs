//! Room for an important pod: which less important pods would have to go, and from which node.

use api::View;

use super::attempt::{Attempt, Unfit, counted};
use super::nodes::{NodeInfo, Nodes, Placed};

/// A node, and the pods that have to leave it.
pub(super) struct Preemption {
    pub(super) node: String,
    pub(super) victims: Vec<Placed>,
}

/// Finds the node on which a pod does the least harm; otherwise says why none, as the second part of the message.
pub(super) fn find(placed: &Placed, nodes: &Nodes, view: &View, unfit: &Unfit) -> Result<Preemption, String> {
    let n_nodes = unfit.rejections.len();
    let spec = placed.pod().spec.as_ref();
    if spec.and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Err("not eligible due to preemptionPolicy=Never.".to_owned());
    }
    let mut reasons = Vec::new();
    let mut best: Option<Preemption> = None;
    for (name, rejection) in &unfit.rejections {
        if !rejection.curable {
            reasons.push("Preemption is not helpful for scheduling");
            continue;
        }
        let victims = nodes.known.get(name).and_then(|info| victims(placed, info, nodes, view));
        let Some(victims) = victims else {
            reasons.push("No preemption victims found for incoming pod");
            continue;
        };
        let candidate = Preemption { node: name.clone(), victims };
        if best.as_ref().is_none_or(|best| harm(&candidate) < harm(best)) {
            best = Some(candidate);
        }
    }
    best.ok_or_else(|| format!("{}.", counted(n_nodes, reasons.into_iter())))
}

/// Less is better: the most important victim, the sum of importance, the number.
fn harm(preemption: &Preemption) -> (i32, i64, usize) {
    let priorities = || preemption.victims.iter().map(|victim| victim.priority);
    let most = priorities().max().unwrap_or(i32::MIN);
    // Priorities may be negative; shifted, more victims always weigh more.
    let sum = priorities().map(|priority| i64::from(priority) - i64::from(i32::MIN)).sum();
    (most, sum, preemption.victims.len())
}

/// The fewest pods of lower priority whose end would let the pod in; `None` when even all would not do, or none.
fn victims(placed: &Placed, info: &NodeInfo, nodes: &Nodes, view: &View) -> Option<Vec<Placed>> {
    let mut lesser: Vec<Placed> =
        info.pods.values().filter(|other| other.priority < placed.priority).cloned().collect();
    if lesser.is_empty() {
        return None;
    }
    // The most important and oldest are spared first.
    lesser.sort_by_key(|other| (std::cmp::Reverse(other.priority), started(other)));
    let mut left = nodes.clone();
    let name = info.name();
    let fits =
        |left: &Nodes| left.known.get(name).is_some_and(|info| Attempt::new(placed, left, view).reject(info).is_none());
    let node = left.known.get_mut(name)?;
    for other in &lesser {
        node.take(&other.object.header.key);
    }
    if !fits(&left) {
        return None;
    }
    let mut victims = Vec::new();
    for other in lesser {
        left.known.get_mut(name)?.put(other.clone());
        if !fits(&left) {
            left.known.get_mut(name)?.take(&other.object.header.key);
            victims.push(other);
        }
    }
    (!victims.is_empty()).then_some(victims)
}

fn started(placed: &Placed) -> Option<jiff::Timestamp> {
    placed.pod().status.as_ref()?.start_time.as_ref().map(|time| time.0)
}
