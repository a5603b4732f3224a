//! Room for an important pod: which less important pods would have to go, and from which node.
//!
//! Budgets (PodDisruptionBudget) are kept where that is possible, and broken where only that makes room.

use api::{LabelSelector, View};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kinds::workload::meta::Meta;

use super::attempt::{Attempt, Unfit, counted};
use super::nodes::{NodeInfo, Nodes, Placed};

/// A node, and the pods that have to leave it.
pub(super) struct Preemption {
    pub(super) node: String,
    pub(super) victims: Vec<Placed>,
    /// Victims whose budget does not allow it.
    n_violations: usize,
}

/// Finds the node on which a pod does the least harm; otherwise says why none, as the second part of the message.
pub(super) fn find(placed: &Placed, nodes: &Nodes, view: &View, unfit: &Unfit) -> Result<Preemption, String> {
    let n_nodes = unfit.rejections.len();
    let spec = placed.pod().spec.as_ref();
    if spec.and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Err("not eligible due to preemptionPolicy=Never.".to_owned());
    }
    if nodes.waits_for_victims(placed) {
        return Err("not eligible due to a terminating pod on the nominated node.".to_owned());
    }
    let mut reasons = Vec::new();
    let mut best: Option<Preemption> = None;
    for (name, rejection) in &unfit.rejections {
        if !rejection.curable {
            reasons.push("Preemption is not helpful for scheduling");
            continue;
        }
        let Some(candidate) = nodes.known.get(name).and_then(|info| preempt(placed, info, nodes, view)) else {
            reasons.push("No preemption victims found for incoming pod");
            continue;
        };
        if best.as_ref().is_none_or(|best| harm(&candidate) < harm(best)) {
            best = Some(candidate);
        }
    }
    best.ok_or_else(|| format!("{}.", counted(n_nodes, reasons.into_iter())))
}

/// Less is better: broken budgets, the most important victim, the sum of importance, the number.
fn harm(preemption: &Preemption) -> (usize, i32, i64, usize) {
    let priorities = || preemption.victims.iter().map(|victim| victim.priority);
    let most = priorities().max().unwrap_or(i32::MIN);
    // Priorities may be negative; shifted, more victims always weigh more.
    let sum = priorities().map(|priority| i64::from(priority) - i64::from(i32::MIN)).sum();
    (preemption.n_violations, most, sum, preemption.victims.len())
}

/// The fewest pods of lower priority whose end would let the pod in; `None` when even all would not do, or none.
fn preempt(placed: &Placed, info: &NodeInfo, nodes: &Nodes, view: &View) -> Option<Preemption> {
    let mut lesser: Vec<&Placed> = info.pods.values().filter(|other| other.priority < placed.priority).collect();
    if lesser.is_empty() {
        return None;
    }
    // The most important and oldest are spared first, and before them those whose budget does not let them go.
    lesser.sort_by_key(|other| (std::cmp::Reverse(other.priority), started(other)));
    let (mut order, rest) = Budgets::of(view).split(lesser);
    let n_protected = order.len();
    order.extend(rest);
    let name = info.name();
    let mut left = nodes.trial();
    for other in &order {
        left.node_mut(name)?.take(&other.object.header.key);
    }
    let fits =
        |left: &Nodes| left.known.get(name).is_some_and(|info| Attempt::new(placed, left, view).reject(info).is_none());
    if !fits(&left) {
        return None;
    }
    let mut victims = Vec::new();
    let mut n_violations = 0;
    for (nth, other) in order.into_iter().enumerate() {
        left.node_mut(name)?.put(other.clone());
        if !fits(&left) {
            left.node_mut(name)?.take(&other.object.header.key);
            n_violations += usize::from(nth < n_protected);
            victims.push(other.clone());
        }
    }
    (!victims.is_empty()).then(|| Preemption { node: name.to_owned(), victims, n_violations })
}

/// How many pods of each budget may still go.
struct Budgets<'v>(Vec<Budget<'v>>);

struct Budget<'v> {
    namespace: &'v str,
    selector: LabelSelector,
    left: i32,
}

impl<'v> Budgets<'v> {
    fn of(view: &'v View) -> Self {
        let budget = |budget: &'v PodDisruptionBudget| {
            let selector = budget.spec.as_ref()?.selector.as_ref()?;
            let left = budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or_default();
            Some(Budget { namespace: budget.namespace(), selector: LabelSelector::from_object(selector).ok()?, left })
        };
        Self(view.list::<PodDisruptionBudget>().filter_map(budget).collect())
    }

    /// Splits pods into those whose budget does not let them go and the others, each in order.
    fn split(mut self, pods: Vec<&Placed>) -> (Vec<&Placed>, Vec<&Placed>) {
        pods.into_iter().partition(|placed| {
            let header = &placed.object.header;
            let mut protected = false;
            for budget in &mut self.0 {
                if budget.namespace == &*header.key.namespace && budget.selector.matches(header) {
                    budget.left -= 1;
                    protected |= budget.left < 0;
                }
            }
            protected
        })
    }
}

fn started(placed: &Placed) -> Option<jiff::Timestamp> {
    placed.pod().status.as_ref()?.start_time.as_ref().map(|time| time.0)
}
