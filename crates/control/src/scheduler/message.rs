//! Why a pod fits nowhere, in Kubernetes' words: `0/3 nodes are available: 1 Insufficient cpu, 2 …`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::filters::Refusal;

/// Reasons counted over nodes.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// How many nodes there are.
    pub n_nodes: usize,
    /// What keeps the pod from every node alike; the nodes were not asked then.
    pub everywhere: Option<String>,
    counts: BTreeMap<String, usize>,
}

impl Diagnosis {
    /// Nothing counted yet.
    pub fn over(n_nodes: usize) -> Self {
        Self { n_nodes, ..Self::default() }
    }

    /// Counts a node's reasons.
    pub fn count(&mut self, refusal: &Refusal) {
        refusal.reasons.iter().for_each(|reason| self.add(reason));
    }

    /// Counts one reason.
    pub fn add(&mut self, reason: &Cow<'static, str>) {
        *self.counts.entry(reason.to_string()).or_default() += 1;
    }

    /// The sentence.
    pub fn text(&self) -> String {
        if self.n_nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let head = format!("0/{} nodes are available", self.n_nodes);
        if let Some(why) = &self.everywhere {
            return format!("{head}: {why}.");
        }
        let mut reasons: Vec<String> = self.counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.sort();
        format!("{head}: {}.", reasons.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_that_of_kubernetes() {
        let mut diagnosis = Diagnosis::over(3);
        diagnosis.count(&Refusal::full("Insufficient cpu"));
        diagnosis.count(&Refusal::helpless("node(s) had untolerated taint {k: v}"));
        diagnosis.count(&Refusal::helpless("node(s) had untolerated taint {k: v}"));
        let expected =
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {k: v}.";
        assert_eq!(diagnosis.text(), expected);
        assert_eq!(Diagnosis::default().text(), "no nodes available to schedule pods");
    }
}
