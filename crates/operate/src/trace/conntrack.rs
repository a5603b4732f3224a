//! The kernel's table of connections, by netlink.
//!
//! One dump, walked in one pass; nothing is kept of what was not asked for. The request and its attributes are those of
//! `linux/netfilter/nfnetlink_conntrack.h`. It sees the network namespace of the thread that it runs on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use doctor::read::conntrack::Tuple;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use super::flows::Flow;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET`.
const GET: u16 = 1 << 8 | 1;
/// `NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH`.
const DUMP: u16 = 0x1 | 0x100 | 0x200;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Length of a message's header, and of netfilter's own after it.
pub(super) const HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;
/// The kernel fills what is offered: fewer, larger answers.
const BUFFER: usize = 256 << 10;
const TCP: u8 = 6;
/// `enum tcp_conntrack`.
const STATES: [&str; 9] =
    ["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"];

/// The TCP flows of this thread's network namespace that `wanted` says yes to: original and reply tuple.
///
/// # Errors
/// When the kernel refuses; without `CAP_NET_ADMIN` it does.
pub fn dump(node: &str, wanted: &dyn Fn(&Tuple, &Tuple) -> bool) -> io::Result<Vec<Flow>> {
    let socket = Socket::new(NETLINK_NETFILTER)?;
    socket.send_to(&request(), &SocketAddr::new(0, 0), 0)?;
    let mut flows = Vec::new();
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    loop {
        buffer.clear();
        let length = socket.recv(&mut buffer, 0)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut keep = |kind, body: &[u8]| {
            if kind == NEW {
                flows.extend(flow(body, node, wanted));
            }
        };
        if !messages(&buffer, &mut keep)? {
            return Ok(flows);
        }
    }
}

/// The entries that have exactly these reply tuples, each asked for by itself: what the table has beside them costs
/// nothing. Entries in zones of their own are not found so.
///
/// # Errors
/// When the kernel refuses; without `CAP_NET_ADMIN` it does.
pub fn find(node: &str, replies: &[Tuple]) -> io::Result<Vec<Flow>> {
    let socket = Socket::new(NETLINK_NETFILTER)?;
    let mut flows = Vec::new();
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    for reply in replies {
        socket.send_to(&question(reply), &SocketAddr::new(0, 0), 0)?;
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut keep = |kind, body: &[u8]| {
            if kind == NEW {
                flows.extend(flow(body, node, &|_, found| found == reply));
            }
        };
        match messages(&buffer, &mut keep) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            answer => drop(answer?),
        }
    }
    Ok(flows)
}

/// `IPCTNL_MSG_CT_GET` with a `CTA_TUPLE_REPLY`.
fn question(reply: &Tuple) -> Vec<u8> {
    /// `AF_INET` and `AF_INET6`, and where the attributes of their addresses begin.
    const FAMILIES: [(u8, u16); 2] = [(2, 1), (10, 3)];
    /// `NLM_F_REQUEST`.
    const REQUEST: u16 = 1;
    /// `NLA_F_NESTED`.
    const NESTED: u16 = 0x8000;
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (family, first) = FAMILIES[usize::from(reply.source.is_ipv6())];
    let addresses = [attribute(first, &octets(reply.source)), attribute(first + 1, &octets(reply.destination))];
    let protocol = [
        attribute(1, &[TCP]),
        attribute(2, &reply.source_port.to_be_bytes()),
        attribute(3, &reply.destination_port.to_be_bytes()),
    ];
    let tuple = [attribute(NESTED | 1, &addresses.concat()), attribute(NESTED | 2, &protocol.concat())];
    let body = attribute(NESTED | 2, &tuple.concat());
    let mut bytes = Vec::with_capacity(HEADER + NETFILTER_HEADER + body.len());
    bytes.extend(((HEADER + NETFILTER_HEADER + body.len()) as u32).to_ne_bytes());
    bytes.extend(GET.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0, 0, 0]);
    bytes.extend(body);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + aligned(value.len()));
    bytes.extend((value.len() as u16 + 4).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

/// All families, all protocols: the kernel's filters are newer than many kernels.
fn request() -> Vec<u8> {
    let length = HEADER + NETFILTER_HEADER;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(GET.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]); // Sequence and port: there is one question and one answer.
    bytes.extend([0; NETFILTER_HEADER]);
    bytes
}

/// Reads the messages of one answer, and hands over the kind and the attributes of those that tell of an entry; whether
/// more answers come.
pub(super) fn messages(mut bytes: &[u8], tell: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
    while bytes.len() >= HEADER {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        if length < HEADER || length > bytes.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is cut off"));
        }
        let body = &bytes[HEADER..length];
        match kind {
            DONE => return Ok(false),
            ERROR => {
                let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return if code == 0 { Ok(false) } else { Err(io::Error::from_raw_os_error(-code)) };
            }
            NEW | DELETE => tell(kind, body.get(NETFILTER_HEADER..).unwrap_or_default()),
            _ => {}
        }
        bytes = &bytes[aligned(length).min(bytes.len())..];
    }
    Ok(true)
}

/// `IPCTNL_MSG_CT_NEW`: how entries are told, in answers and when they begin.
pub(super) const NEW: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_DELETE`: how it is told that they have ended.
pub(super) const DELETE: u16 = 1 << 8 | 2;

pub(super) fn flow(body: &[u8], node: &str, wanted: &dyn Fn(&Tuple, &Tuple) -> bool) -> Option<Flow> {
    let (mut original, mut reply, mut state, mut began) = (None, None, 0, None);
    for (kind, value) in attributes(body) {
        match kind {
            1 => original = Some(tuple(value)?),
            2 => reply = Some(tuple(value)?),
            // CTA_PROTOINFO > CTA_PROTOINFO_TCP > CTA_PROTOINFO_TCP_STATE
            4 => {
                let tcp = attributes(value).find(|(kind, _)| *kind == 1).map(|(_, value)| value)?;
                state = attributes(tcp).find(|(kind, _)| *kind == 1).and_then(|(_, value)| value.first().copied())?;
            }
            // CTA_TIMESTAMP > CTA_TIMESTAMP_START, where `net.netfilter.nf_conntrack_timestamp` is on.
            20 => {
                let start = attributes(value).find(|(kind, _)| *kind == 1).and_then(|(_, value)| value.first_chunk());
                began = start.and_then(|start| i64::try_from(u64::from_be_bytes(*start) / 1_000_000_000).ok());
            }
            _ => {}
        }
    }
    let (original, reply) = (original?, reply?);
    wanted(&original, &reply).then(|| Flow {
        node: node.to_owned(),
        state: STATES.get(usize::from(state)).copied().unwrap_or("NONE").to_owned(),
        original,
        reply,
        began,
        recorded: false,
    })
}

/// `CTA_TUPLE_IP` and `CTA_TUPLE_PROTO`; none if it is not TCP's.
fn tuple(body: &[u8]) -> Option<Tuple> {
    let (mut source, mut destination, mut ports) = (None, None, (None, None));
    for (kind, value) in attributes(body) {
        if kind == 1 {
            for (kind, value) in attributes(value) {
                match kind {
                    1 | 3 => source = address(value),
                    2 | 4 => destination = address(value),
                    _ => {}
                }
            }
        } else if kind == 2 {
            for (kind, value) in attributes(value) {
                let port = || value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                match kind {
                    1 if value.first() != Some(&TCP) => return None,
                    2 => ports.0 = port(),
                    3 => ports.1 = port(),
                    _ => {}
                }
            }
        }
    }
    Some(Tuple { source: source?, source_port: ports.0?, destination: destination?, destination_port: ports.1? })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        16 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

/// Attributes one after the other: length, kind, value, padding. What is cut off ends it.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let head = bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        // The two highest bits say "nested" and "network byte order".
        let kind = u16::from_ne_bytes([head[2], head[3]]) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(kind: u16, from: IpAddr, from_port: u16, to: IpAddr, to_port: u16, protocol: u8) -> Vec<u8> {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let first = if from.is_ipv4() { 1 } else { 3 };
        let addresses = [attribute(first, &octets(from)), attribute(first + 1, &octets(to))].concat();
        let ports =
            [attribute(1, &[protocol]), attribute(2, &from_port.to_be_bytes()), attribute(3, &to_port.to_be_bytes())];
        let parts = [attribute(0x8001, &addresses), attribute(0x8002, &ports.concat())].concat();
        attribute(0x8000 | kind, &parts)
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn entry(protocol: u8, client: &str, server: &str) -> Vec<u8> {
        let (client, server): (IpAddr, IpAddr) = (client.parse().unwrap(), server.parse().unwrap());
        let state = attribute(0x8004, &attribute(0x8001, &attribute(1, &[3])));
        let body = [
            vec![2, 0, 0, 0],
            side(1, client, 40000, server, 5432, protocol),
            side(2, server, 5432, client, 54591, protocol),
            attribute(3, &[0; 4]),
            state,
        ];
        message(NEW, &body.concat())
    }

    fn flows_of(bytes: &[u8], wanted: &dyn Fn(&Tuple, &Tuple) -> bool) -> io::Result<(bool, Vec<Flow>)> {
        let mut flows = Vec::new();
        let more = messages(bytes, &mut |_, body| flows.extend(flow(body, "n1", wanted)))?;
        Ok((more, flows))
    }

    #[test]
    fn both_families_and_only_tcp() {
        let bytes = [
            entry(6, "10.1.0.7", "10.9.0.2"),
            entry(17, "10.1.0.8", "10.9.0.2"),
            entry(6, "fd00::7", "fd00:9::2"),
            message(DONE, &[0; 4]),
        ];
        let (more, flows) = flows_of(&bytes.concat(), &|_, _| true).unwrap();
        assert!(!more);
        let told: Vec<_> = flows
            .iter()
            .map(|flow| (flow.original.source.to_string(), flow.reply.destination_port, flow.state.as_str()))
            .collect();
        assert_eq!(told, [("10.1.0.7".to_owned(), 54591, "ESTABLISHED"), ("fd00::7".to_owned(), 54591, "ESTABLISHED")]);
        assert_eq!((flows[0].original.source_port, flows[0].original.destination_port), (40000, 5432));
        let (more, none) = flows_of(&bytes[0], &|_, reply| reply.source_port == 1).unwrap();
        assert!(more && none.is_empty());
    }

    #[test]
    fn refusals_and_torn_answers() {
        let refused = flows_of(&message(ERROR, &(-1i32).to_ne_bytes()), &|_, _| true);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(1));
        let whole = entry(6, "10.1.0.7", "10.9.0.2");
        for cut in HEADER..whole.len() {
            let mut torn = whole[..cut].to_vec();
            assert!(flows_of(&torn, &|_, _| true).is_err());
            // Lengths that agree with what is there, attributes that do not.
            torn[..4].copy_from_slice(&(cut as u32).to_ne_bytes());
            flows_of(&torn, &|_, _| true).unwrap();
        }
    }

    #[test]
    fn one_entry_is_asked_for_by_its_reply() {
        let tuple = |from: &str, to: &str| Tuple {
            source: from.parse().unwrap(),
            source_port: 5432,
            destination: to.parse().unwrap(),
            destination_port: 777,
        };
        for (from, to) in [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8::2")] {
            let bytes = question(&tuple(from, to));
            assert_eq!(bytes.len(), u32::from_ne_bytes(*bytes.first_chunk().unwrap()) as usize);
            let (kind, inner) = attributes(&bytes[HEADER + NETFILTER_HEADER..]).next().unwrap();
            assert_eq!((kind, super::tuple(inner)), (2, Some(tuple(from, to))));
        }
        // Nobody has these: an empty answer, or the right is missing.
        match find("here", &[tuple("192.0.2.1", "198.51.100.7"), tuple("2001:db8::1", "2001:db8::2")]) {
            Ok(flows) => assert_eq!(flows, []),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }

    #[test]
    fn the_kernel_answers() {
        // As root there is an answer, empty or not; others are refused. Never does it hang or fail otherwise.
        match dump("here", &|_, _| true) {
            Ok(flows) => assert!(flows.iter().all(|flow| STATES.contains(&flow.state.as_str()))),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}
