//! `conntrack -L`: the kernel's table of connections, and the join from a server's view of one back to where it began.

use std::net::IpAddr;

use crate::evidence::{Item, ItemKind};

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Source port.
    pub source_port: u16,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port.
    pub destination_port: u16,
}

/// A connection of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// The node whose table it is; empty when not told.
    pub node: String,
    /// `ESTABLISHED`, `TIME_WAIT`, …
    pub state: String,
    /// As the one who began sent it.
    pub original: Tuple,
    /// As the answers come.
    pub reply: Tuple,
}

impl Flow {
    /// Whether it still goes on.
    pub fn is_open(&self) -> bool {
        self.state == "ESTABLISHED"
    }
}

/// A connection as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The client's address that the server sees.
    pub client: IpAddr,
    /// The client's port that the server sees.
    pub client_port: u16,
    /// The server's own address, if known.
    pub server: Option<IpAddr>,
    /// The server's port, if known.
    pub server_port: Option<u16>,
}

/// The flow that a server sees so: its answers go to the client's address and port.
///
/// The source port of the original tuple is of no use, since translation may change it; nor is its destination, which
/// may be a service's address. Only open flows count, since ports are used again.
pub fn flow_of<'a>(flows: &'a [Flow], seen: &Seen) -> Option<&'a Flow> {
    let fits = |flow: &&Flow| {
        let reply = &flow.reply;
        flow.is_open()
            && (reply.destination, reply.destination_port) == (seen.client, seen.client_port)
            && seen.server.is_none_or(|server| server == reply.source)
            && seen.server_port.is_none_or(|port| port == reply.source_port)
    };
    flows.iter().find(fits)
}

/// The flows of a node's table, as `conntrack -L` or `/proc/net/nf_conntrack` print it.
pub fn parse(node: &str, text: &str) -> Vec<Flow> {
    flows(0, node, text).collect()
}

pub(crate) fn read(items: &[Item]) -> Vec<Flow> {
    let mut flows = Vec::new();
    for (number, item) in items.iter().enumerate() {
        if !matches!(item.kind, ItemKind::Conntrack | ItemKind::NodeFacts | ItemKind::Text) {
            continue;
        }
        let node = item.origin.node().unwrap_or_default();
        flows.extend(self::flows(number, node, &item.text));
    }
    flows
}

fn flows<'a>(item: usize, node: &'a str, text: &'a str) -> impl Iterator<Item = Flow> + 'a {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let (state, original, reply) = flow(line)?;
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        Some(Flow { item, line, node: node.to_owned(), state: state.to_owned(), original, reply })
    })
}

/// `[ipv4 2] tcp 6 431999 ESTABLISHED src=… dst=… sport=… dport=… [UNREPLIED] src=… dst=… sport=… dport=… [ASSURED] …`.
fn flow(line: &str) -> Option<(&str, Tuple, Tuple)> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "tcp")?;
    let mut state = "";
    let (mut fields, mut count) = ([""; 8], 0);
    for word in words {
        if let Some((key, value)) = word.split_once('=') {
            if matches!(key, "src" | "dst" | "sport" | "dport") && count < 8 {
                fields[count] = value;
                count += 1;
            }
        } else if count == 0 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            state = word;
        }
    }
    if count < 8 {
        return None;
    }
    let tuple = |at: usize| {
        Some(Tuple {
            source: fields[at].parse().ok()?,
            destination: fields[at + 1].parse().ok()?,
            source_port: fields[at + 2].parse().ok()?,
            destination_port: fields[at + 3].parse().ok()?,
        })
    };
    Some((state, tuple(0)?, tuple(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    #[test]
    fn the_answers_decide_and_what_is_closed_does_not_count() {
        let text = "tcp      6 40 TIME_WAIT src=10.1.0.4 dst=10.9.0.2 sport=600 dport=5432 src=10.9.0.2 dst=10.9.0.5 sport=5432 dport=600 [ASSURED] mark=0 use=1\nipv4     2 tcp      6 431725 ESTABLISHED src=10.1.0.7 dst=10.96.0.1 sport=49200 dport=5432 src=10.9.0.2 dst=10.9.0.5 sport=5432 dport=600 [ASSURED] mark=0 use=1\nconntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.\n";
        let origin = Origin("n1: conntrack -L".to_owned());
        let flows = read(&[Item { kind: ItemKind::Conntrack, origin, text: text.to_owned() }]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let seen = Seen { client: address("10.9.0.5"), client_port: 600, server: None, server_port: Some(5432) };
        let flow = flow_of(&flows, &seen).unwrap();
        assert_eq!((flow.original.source, flow.original.source_port, flow.line), (address("10.1.0.7"), 49200, 2));
        assert_eq!(flow_of(&flows, &Seen { client_port: 49200, ..seen }), None);
        assert_eq!(flow_of(&flows, &Seen { server: Some(address("10.9.0.3")), ..seen }), None);
    }
}
