//! Nodes as the API shows them: Node objects, `kubectl get nodes`, `kubectl describe node`.

use super::objects::Found;
use super::table;
use crate::evidence::{Item, ItemKind};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// Name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether pods may be put on it.
    pub schedulable: bool,
}

pub(crate) fn read(items: &[Item], objects: &[Found]) -> Vec<Node> {
    let mut nodes: Vec<Node> = objects.iter().filter(|found| found.kind() == "Node").map(of_object).collect();
    for (number, item) in items.iter().enumerate() {
        if matches!(item.kind, ItemKind::KubectlOutput | ItemKind::NodeFacts | ItemKind::Text | ItemKind::PodEvents) {
            nodes.extend(of_table(number, item));
            nodes.extend(described(number, item));
        }
    }
    nodes
}

fn of_object(found: &Found) -> Node {
    let conditions = found.object["status"]["conditions"].as_array();
    let ready = conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True");
    let schedulable = found.object["spec"]["unschedulable"] != true;
    Node { item: found.item, line: 1, name: found.name().to_owned(), ready, schedulable }
}

/// Rows of `NAME STATUS ROLES AGE VERSION`.
fn of_table(number: usize, item: &Item) -> Vec<Node> {
    let rows = table::columns(&item.text, "NAME").into_iter().filter(|row| row.get("VERSION").starts_with('v'));
    let nodes = rows.filter_map(|row| {
        let words: Vec<&str> = row.get("STATUS").split(',').collect();
        let ready = match *words.first()? {
            "Ready" => true,
            "NotReady" => false,
            _ => return None,
        };
        let schedulable = !words.contains(&"SchedulingDisabled");
        Some(Node { item: number, line: row.line, name: row.first().to_owned(), ready, schedulable })
    });
    nodes.collect()
}

/// The node of `kubectl describe node NAME`.
pub(crate) fn asked(source: &str) -> Option<&str> {
    let (_, rest) = source.split_once("describe node")?;
    rest.split_whitespace().find(|word| !word.starts_with('-') && *word != "s")
}

/// The Ready condition of `kubectl describe node NAME`, or of a cutting from it.
fn described(number: usize, item: &Item) -> Option<Node> {
    let source = item.origin.source();
    if !source.contains("describe node") && !item.text.starts_with("Name:") {
        return None;
    }
    let named = item.text.lines().find_map(|line| line.strip_prefix("Name:")).map(str::trim);
    let name = named.or_else(|| asked(source))?.to_owned();
    let (index, status) = item.text.lines().enumerate().find_map(|(index, line)| {
        let mut words = line.split_whitespace();
        let ready = words.next()? == "Ready";
        let status = words.next()?;
        (ready && matches!(status, "True" | "False" | "Unknown") && words.next().is_some()).then_some((index, status))
    })?;
    let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let schedulable = !item.text.lines().any(|line| line.starts_with("Unschedulable:") && line.ends_with("true"));
    Some(Node { item: number, line, name, ready: status == "True", schedulable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    #[test]
    fn tables_and_descriptions() {
        let item = |origin: &str, text: &str| Item {
            kind: ItemKind::KubectlOutput,
            origin: Origin(origin.to_owned()),
            text: text.to_owned(),
        };
        let table = "NAME   STATUS                     ROLES           AGE    VERSION\ncp-1   Ready,SchedulingDisabled   control-plane   411d   v1.29.6\nw1     NotReady                   <none>          411d   v1.29.6\n";
        let described =
            "Ready            False   Mon, 01 Apr 2024 01:56:07 +0000   KubeletNotReady   container runtime is down\n";
        let read =
            read(&[item("kubectl get nodes", table), item("kubectl describe node n9 (conditions)", described)], &[]);
        let seen: Vec<_> = read.iter().map(|node| (node.name.as_str(), node.ready, node.schedulable)).collect();
        assert_eq!(seen, [("cp-1", true, false), ("w1", false, true), ("n9", false, true)]);
    }
}
