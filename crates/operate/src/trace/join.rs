//! From what a server sees of a connection back to where it began, through every translation on the way.
//!
//! The server's view is the *reply* tuple of a flow: masquerade may have changed the client's port, and two servers may see
//! the same address and port. What one node sends after translation is what the next one, or a gateway, sees as the
//! original, so the same rule is applied again, with both ends known. Pure; ends are only ever compared in whole.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::flows::{Flow, NodeFlows};

/// Translations one after the other; longer chains are circles.
const HOPS: usize = 6;

/// An address and a port.
pub type End = (IpAddr, u16);

/// A connection as its server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The client's end.
    pub client: End,
    /// When it began, in seconds since 1970, by this machine's clock.
    pub since: Option<i64>,
}

/// The server's own end, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its addresses; none are known over a local socket.
    pub addresses: Vec<IpAddr>,
    /// Its ports: the one on which it listens, and one under which it is called.
    pub ports: Vec<u16>,
}

impl Server {
    /// All its ends; none if its addresses are not known.
    pub fn ends(&self) -> Vec<End> {
        let ends = |address: &IpAddr| self.ports.iter().map(|port| (*address, *port)).collect::<Vec<End>>();
        self.addresses.iter().flat_map(ends).collect()
    }

    fn is(&self, end: End) -> bool {
        self.ports.contains(&end.1) && (self.addresses.is_empty() || self.addresses.contains(&end.0))
    }
}

/// Where a connection began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The end that opened it.
    pub end: End,
    /// The flows that say so, from the server's side on. None if nothing on the way translates.
    pub hops: Vec<Flow>,
    /// What it connected to, as the first flow on its way tells.
    pub called: Option<End>,
}

/// Why it can't be told where a connection began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOrigin {
    /// Several connections look like that to servers of different addresses.
    Several(usize),
    /// There is one that looks like that, but it is a server's of another address.
    Elsewhere(Flow),
}

/// The flows of all tables that were read, by the end that a server sees.
#[derive(Debug, Default)]
pub struct Table {
    flows: HashMap<End, Vec<Flow>>,
    /// Ends for which the tables were asked.
    asked: HashSet<End>,
}

impl Table {
    /// Adds what was read for these ends. Only flows to them are kept: tables are long.
    pub fn add(&mut self, read: impl IntoIterator<Item = Flow>, ends: &HashSet<End>) {
        self.asked.extend(ends);
        for flow in read {
            let end = (flow.reply.destination, flow.reply.destination_port);
            if ends.contains(&end) && flow.may_be_open() {
                let there = self.flows.entry(end).or_default();
                if !there.contains(&flow) {
                    there.push(flow);
                }
            }
        }
    }

    /// As [`Table::add`], for nodes; names of those that could not be read, and why.
    pub fn add_nodes(&mut self, read: Vec<NodeFlows>, ends: &HashSet<End>) -> Vec<(String, String)> {
        let mut unread = Vec::new();
        for node in read {
            match node.failed {
                Some(why) => unread.push((node.node, why)),
                None => self.add(node.flows, ends),
            }
        }
        unread
    }

    /// Whether tables were asked for this end.
    pub fn was_asked(&self, end: End) -> bool {
        self.asked.contains(&end)
    }

    /// Whether a flow is known that a server sees from this end.
    pub fn knows(&self, end: End) -> bool {
        self.flows.contains_key(&end)
    }

    /// All flows.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values().flatten()
    }

    /// Where a connection began, as far back as the tables lead.
    ///
    /// # Errors
    /// When several answers fit, or one that may be another connection's.
    pub fn origin(&self, seen: &Seen, server: &Server) -> Result<Origin, NoOrigin> {
        let mut origin = Origin { end: seen.client, hops: Vec::new(), called: None };
        let Some(first) = self.first(seen, server)? else { return Ok(origin) };
        let mut flow = first;
        loop {
            origin.end = (flow.original.source, flow.original.source_port);
            origin.called = Some((flow.original.destination, flow.original.destination_port));
            origin.hops.push(flow.clone());
            // Before this node, both ends are those of its original tuple.
            let before = |next: &&Flow| {
                let towards = (next.reply.source, next.reply.source_port);
                Some(towards) == origin.called && next.changes() && !origin.hops.contains(next)
            };
            let next = best(self.flows.get(&origin.end).into_iter().flatten().filter(before), seen.since);
            match next {
                Some(next) if origin.hops.len() < HOPS => flow = next,
                _ => return Ok(origin),
            }
        }
    }

    /// The flow whose answers go to the end that the server sees; one that translates, if there are several.
    fn first(&self, seen: &Seen, server: &Server) -> Result<Option<&Flow>, NoOrigin> {
        let all = || self.flows.get(&seen.client).into_iter().flatten();
        let fits = |flow: &&Flow| server.is((flow.reply.source, flow.reply.source_port));
        let fitting: Vec<&Flow> = all().filter(fits).collect();
        if server.addresses.is_empty() {
            let ends: HashSet<End> = fitting.iter().map(|flow| (flow.reply.source, flow.reply.source_port)).collect();
            if ends.len() > 1 {
                return Err(NoOrigin::Several(ends.len()));
            }
        }
        let translating = fitting.iter().copied().filter(|flow| flow.changes());
        if let Some(flow) = best(translating, seen.since).or_else(|| best(fitting.iter().copied(), seen.since)) {
            return Ok(Some(flow));
        }
        // The same address and port can be another connection's, to a server elsewhere.
        let elsewhere = all().find(|flow| flow.is_open() && server.ports.contains(&flow.reply.source_port));
        elsewhere.map_or(Ok(None), |flow| Err(NoOrigin::Elsewhere(flow.clone())))
    }
}

/// An open flow before one whose client has ended it, and that before one which is only remembered; of those the newest
/// that began before the server saw it.
fn best<'a>(flows: impl Iterator<Item = &'a Flow>, since: Option<i64>) -> Option<&'a Flow> {
    /// Clocks of nodes and servers differ.
    const OFF: i64 = 60;
    let early =
        |flow: &&Flow| !flow.recorded || flow.began.zip(since).is_none_or(|(began, since)| began <= since + OFF);
    flows.filter(early).max_by_key(|flow| (!flow.recorded, flow.is_open(), flow.began))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use doctor::read::conntrack::Tuple;

    use super::*;

    fn end(text: &str) -> End {
        let end: SocketAddr = text.parse().unwrap();
        (end.ip(), end.port())
    }

    /// `original source > original destination > reply source > reply destination`.
    fn flow(node: &str, state: &str, ends: &str) -> Flow {
        let ends: Vec<End> = ends.split(" > ").map(end).collect();
        let tuple = |from: End, to: End| Tuple {
            source: from.0,
            source_port: from.1,
            destination: to.0,
            destination_port: to.1,
        };
        Flow {
            node: node.to_owned(),
            state: state.to_owned(),
            original: tuple(ends[0], ends[1]),
            reply: tuple(ends[2], ends[3]),
            began: None,
            recorded: false,
        }
    }

    fn table(flows: &[Flow]) -> Table {
        let mut table = Table::default();
        let ends = flows.iter().map(|flow| (flow.reply.destination, flow.reply.destination_port)).collect();
        table.add(flows.to_vec(), &ends);
        table
    }

    #[track_caller]
    fn check(table: &Table, client: &str, servers: &[&str], expected: &str) {
        let server = Server { addresses: servers.iter().map(|one| one.parse().unwrap()).collect(), ports: vec![5432] };
        let told = match table.origin(&Seen { client: end(client), since: None }, &server) {
            Ok(origin) => {
                let hops: Vec<&str> = origin.hops.iter().map(|hop| hop.node.as_str()).collect();
                format!("{} by {}", SocketAddr::from(origin.end), hops.join(","))
            }
            Err(NoOrigin::Several(count)) => format!("{count} fit"),
            Err(NoOrigin::Elsewhere(flow)) => format!("elsewhere: {}", flow.reply.source),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn ports_that_masquerade_changed_and_ports_that_collide() {
        // Two pods with one source port; the second got another one. A third one's is what the second became elsewhere.
        let table = table(&[
            flow("n1", "ESTABLISHED", "10.1.0.6:40000 > 192.0.2.1:5432 > 192.0.2.1:5432 > 10.9.0.5:40000"),
            flow("n1", "ESTABLISHED", "10.1.0.7:40000 > 192.0.2.1:5432 > 192.0.2.1:5432 > 10.9.0.5:54591"),
            flow("n1", "ESTABLISHED", "10.1.0.8:54591 > 192.0.2.2:5432 > 192.0.2.2:5432 > 10.9.0.5:54591"),
        ]);
        check(&table, "10.9.0.5:40000", &["192.0.2.1"], "10.1.0.6:40000 by n1");
        check(&table, "10.9.0.5:54591", &["192.0.2.1"], "10.1.0.7:40000 by n1");
        check(&table, "10.9.0.5:54591", &["198.51.100.1", "192.0.2.2"], "10.1.0.8:54591 by n1");
        check(&table, "10.9.0.5:54591", &[], "2 fit");
        check(&table, "10.9.0.5:40000", &[], "10.1.0.6:40000 by n1");
        // Another server's connection is not taken for this one's.
        check(&table, "10.9.0.5:40000", &["192.0.2.9"], "elsewhere: 192.0.2.1");
    }

    #[test]
    fn several_hops_and_both_families() {
        let table = table(&[
            flow("gateway", "ESTABLISHED", "10.9.0.5:777 > 192.0.2.1:5432 > 192.0.2.1:5432 > 203.0.113.1:888"),
            flow("n1", "ESTABLISHED", "10.1.0.6:400 > 10.96.0.1:5432 > 192.0.2.1:5432 > 10.9.0.5:777"),
            // The same end towards another server.
            flow("n1", "ESTABLISHED", "10.1.0.7:400 > 192.0.2.3:5432 > 192.0.2.3:5432 > 10.9.0.5:777"),
            flow("n2", "ESTABLISHED", "[fd00::6]:1 > [2001:db8::1]:5432 > [2001:db8::1]:5432 > [fd00:9::5]:2"),
        ]);
        check(&table, "203.0.113.1:888", &["192.0.2.1"], "10.1.0.6:400 by gateway,n1");
        check(&table, "[fd00:9::5]:2", &["2001:db8::1"], "[fd00::6]:1 by n2");
        check(&table, "10.1.0.9:5", &["192.0.2.1"], "10.1.0.9:5 by ");
    }

    #[test]
    fn what_the_servers_own_node_tells_is_no_translation() {
        let seen_there = "10.9.0.5:777 > 10.2.0.9:5432 > 10.2.0.9:5432 > 10.9.0.5:777";
        let translated = "10.1.0.6:400 > 10.96.0.1:5432 > 10.2.0.9:5432 > 10.9.0.5:777";
        let both = table(&[flow("n2", "ESTABLISHED", seen_there), flow("n1", "ESTABLISHED", translated)]);
        check(&both, "10.9.0.5:777", &["10.2.0.9"], "10.1.0.6:400 by n1");
        check(&table(&[flow("n2", "ESTABLISHED", seen_there)]), "10.9.0.5:777", &["10.2.0.9"], "10.9.0.5:777 by n2");
    }

    #[test]
    fn flows_in_a_circle_end() {
        let circle = table(&[
            flow("n1", "ESTABLISHED", "10.0.0.1:1 > 192.0.2.1:5432 > 192.0.2.1:5432 > 10.0.0.2:2"),
            flow("n2", "ESTABLISHED", "10.0.0.2:2 > 192.0.2.1:5432 > 192.0.2.1:5432 > 10.0.0.1:1"),
        ]);
        check(&circle, "10.0.0.2:2", &["192.0.2.1"], "10.0.0.2:2 by n1,n2");
    }

    #[test]
    fn what_is_closed_does_not_count_but_a_half_closed_one_does() {
        let ends = "10.1.0.6:400 > 192.0.2.1:5432 > 192.0.2.1:5432 > 10.9.0.5:777";
        let newer = "10.1.0.7:500 > 192.0.2.1:5432 > 192.0.2.1:5432 > 10.9.0.5:777";
        let closed = table(&[flow("n1", "TIME_WAIT", ends)]);
        check(&closed, "10.9.0.5:777", &["192.0.2.1"], "10.9.0.5:777 by ");
        let half = table(&[flow("n1", "CLOSE_WAIT", ends)]);
        check(&half, "10.9.0.5:777", &["192.0.2.1"], "10.1.0.6:400 by n1");
        let both = table(&[flow("n1", "CLOSE_WAIT", ends), flow("n1", "ESTABLISHED", newer)]);
        check(&both, "10.9.0.5:777", &["192.0.2.1"], "10.1.0.7:500 by n1");
        let recorded = Flow { recorded: true, began: Some(5), ..flow("n1", "NONE", ends) };
        let later = Flow { recorded: true, began: Some(500), ..flow("n1", "NONE", newer) };
        let remembered = table(&[recorded, later]);
        let seen = Seen { client: end("10.9.0.5:777"), since: Some(6) };
        let server = Server { addresses: vec![end("192.0.2.1:1").0], ports: vec![5432] };
        assert_eq!(remembered.origin(&seen, &server).unwrap().end, end("10.1.0.6:400"));
    }
}
