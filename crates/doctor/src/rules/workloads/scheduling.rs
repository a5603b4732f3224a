//! What the scheduler says of nodes that a pod does not fit on.

use crate::read::{Message, Read};

/// Why nodes don't fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unfit {
    /// Nodes in all.
    pub(super) total: u32,
    /// How many nodes each reason holds for.
    pub(super) reasons: Vec<(u32, String)>,
}

impl Unfit {
    /// Reads `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: …`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once(" nodes are available: ")?;
        let total = head.rsplit('/').next()?.trim().parse().ok()?;
        let rest = rest.split(" preemption:").next().unwrap_or(rest).trim_end_matches(['.', ' ']);
        let mut reasons: Vec<(u32, String)> = Vec::new();
        for part in rest.split(", ") {
            let counted = part.split_once(' ').and_then(|(count, reason)| Some((count.parse().ok()?, reason)));
            match (counted, reasons.last_mut()) {
                (Some((count, reason)), _) => reasons.push((count, reason.to_owned())),
                (None, Some((_, last))) => {
                    last.push_str(", ");
                    last.push_str(part);
                }
                // One reason for all, without a count.
                (None, None) => reasons.push((total, part.to_owned())),
            }
        }
        Some(Self { total, reasons })
    }

    /// Nodes for which a reason has this word.
    pub(super) fn with(&self, word: &str) -> u32 {
        self.reasons.iter().filter(|(_, reason)| reason.contains(word)).map(|(count, _)| count).sum()
    }

    /// Nodes that have the taint of control planes.
    pub(super) fn control_planes(&self) -> u32 {
        self.with("node-role.kubernetes.io/control-plane") + self.with("node-role.kubernetes.io/master")
    }
}

/// Every failure to find a node.
pub(super) fn failures(read: &Read) -> impl Iterator<Item = (&Message, Unfit)> {
    read.failures().filter_map(|message| Some((message, Unfit::read(&message.text)?)))
}

#[cfg(test)]
mod tests {
    use super::Unfit;

    #[test]
    fn old_and_new_words() {
        let text = "0/4 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate, 3 Insufficient memory.";
        let unfit = Unfit::read(text).unwrap();
        assert_eq!((unfit.total, unfit.control_planes(), unfit.with("Insufficient memory")), (4, 1, 3));
        let text = "0/5 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/5 nodes";
        assert_eq!(Unfit::read(text).unwrap().with("unbound"), 5);
        assert_eq!(Unfit::read("nothing"), None);
    }
}
