//! Connections as they begin and end on a node, told by the kernel: so those between two looks are seen, too.
//!
//! A socket of the node's network joins the kernel's groups; whoever drops the recorder leaves them. What is kept is bound:
//! only flows that are wanted, and of these the newest.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use super::conntrack::{self, DELETE, NEW};
use super::flows::{Flow, Wanted};
use super::join::End;
use crate::access::Access;

/// `NFNLGRP_CONNTRACK_NEW`, `_UPDATE` and `_DESTROY`. An entry stays for minutes after its connection has ended: the update
/// tells of that at once.
const GROUPS: [u32; 3] = [1, 2, 3];
/// Room for events that come faster than they are read.
const ROOM: u32 = 4 << 20;
const BUFFER: usize = 64 << 10;
/// Flows of one node that are kept.
const KEPT: usize = 20_000;
/// `ENOBUFS`: the kernel had to drop events.
const OVERRUN: i32 = 105;

/// What one node's kernel told.
#[derive(Debug, Default)]
struct Heard {
    /// Both ends as the server sees them, and the flow; whether it has ended.
    flows: HashMap<(End, End), (Flow, bool)>,
    /// Those that have ended since they were last asked for.
    ended: Vec<Flow>,
    /// Whether events were lost.
    lost: bool,
}

/// Hears what one node's kernel tells, for as long as it lives.
pub struct Recorder {
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a recorder gives at a look.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Flows that it saw begin.
    pub flows: Vec<Flow>,
    /// Of these, those that have ended since the last look.
    pub ended: Vec<Flow>,
    /// Whether some were missed.
    pub lost: bool,
}

impl Recorder {
    /// Begins on a node.
    ///
    /// # Errors
    /// In words, when the node's kernel can't be listened to by this way.
    pub async fn start(way: &dyn Access, wanted: Wanted) -> Result<Self, String> {
        let place = Arc::new(Mutex::new(None));
        let result = place.clone();
        let open = move || {
            if let Ok(mut result) = result.lock() {
                *result = Some(listen());
            }
        };
        way.in_network(Box::new(open)).await.map_err(|error| error.to_string())?;
        let socket = place.lock().ok().and_then(|mut place| place.take());
        let socket = socket.ok_or("the thread in its network gave no answer")?.map_err(|error| error.to_string())?;
        #[expect(
            deprecated,
            reason = "this socket owns its descriptor and never changes it, which is all that is asked"
        )]
        let socket = AsyncFd::new(socket).map_err(|error| error.to_string())?;
        let heard = Arc::<Mutex<Heard>>::default();
        let task = tokio::spawn(hear(socket, way.node().to_owned(), wanted, heard.clone()));
        Ok(Self { heard, task })
    }

    /// What was heard so far.
    pub fn take(&self) -> Recorded {
        let Ok(mut heard) = self.heard.lock() else { return Recorded::default() };
        let flows = heard.flows.values().map(|(flow, _)| flow.clone()).collect();
        Recorded { flows, ended: std::mem::take(&mut heard.ended), lost: std::mem::take(&mut heard.lost) }
    }
}

fn listen() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    // Less room only means that more may be lost, which is said.
    let _ = socket.set_rx_buf_sz(ROOM);
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    Ok(socket)
}

async fn hear(socket: AsyncFd<Socket>, node: String, wanted: Wanted, heard: Arc<Mutex<Heard>>) {
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    while let Ok(mut ready) = socket.readable().await {
        buffer.clear();
        match ready.try_io(|socket| socket.get_ref().recv(&mut buffer, 0)) {
            Err(_) => {}
            Ok(Ok(_)) => {
                let Ok(mut heard) = heard.lock() else { return };
                let mut tell = |kind: u16, body: &[u8]| {
                    if let Some(flow) = conntrack::flow(body, &node, wanted.is.as_ref()) {
                        heard.tell(kind, flow);
                    }
                };
                // An event that can't be read is one that is missed.
                let whole = conntrack::messages(&buffer, &mut tell).is_ok();
                heard.lost |= !whole;
            }
            Ok(Err(error)) if error.raw_os_error() == Some(OVERRUN) => {
                if let Ok(mut heard) = heard.lock() {
                    heard.lost = true;
                }
            }
            Ok(Err(_)) => return,
        }
    }
}

impl Heard {
    fn tell(&mut self, kind: u16, flow: Flow) {
        let reply = &flow.reply;
        let key = ((reply.destination, reply.destination_port), (reply.source, reply.source_port));
        let now = jiff::Timestamp::now().as_second();
        let begins = kind == NEW && matches!(flow.state.as_str(), "SYN_SENT" | "NONE");
        let ends = kind == DELETE || matches!(flow.state.as_str(), "TIME_WAIT" | "CLOSE" | "LAST_ACK");
        if begins {
            if self.flows.len() >= KEPT {
                self.flows.retain(|_, (_, ended)| !*ended);
            }
            if self.flows.len() >= KEPT {
                self.lost = true;
                return;
            }
            self.flows.insert(key, (Flow { began: Some(now), recorded: true, ..flow }, false));
        } else if ends
            && let Some((flow, ended)) = self.flows.get_mut(&key)
            && !std::mem::replace(ended, true)
            && self.ended.len() < KEPT
        {
            // Its client's kernel need not have it any more: that it has not says nothing.
            self.ended.push(Flow { state: "CLOSE".to_owned(), recorded: false, ..flow.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use doctor::read::conntrack::Tuple;

    use super::*;

    #[test]
    fn what_begins_and_ends_is_told_once_and_stays_known() {
        let ip = |text: &str| text.parse().unwrap();
        let tuple = |from: &str, source_port: u16, to: &str, destination_port: u16| Tuple {
            source: ip(from),
            source_port,
            destination: ip(to),
            destination_port,
        };
        let flow = || Flow {
            node: "n1".to_owned(),
            state: "SYN_SENT".to_owned(),
            original: tuple("10.1.0.6", 400, "192.0.2.1", 5432),
            reply: tuple("192.0.2.1", 5432, "10.9.0.5", 777),
            began: None,
            recorded: false,
        };
        let mut heard = Heard::default();
        // What was there before is not known to have ended now.
        heard.tell(DELETE, flow());
        assert!(heard.ended.is_empty());
        heard.tell(NEW, flow());
        heard.tell(NEW, Flow { state: "ESTABLISHED".to_owned(), ..flow() });
        assert!(heard.ended.is_empty());
        heard.tell(NEW, Flow { state: "TIME_WAIT".to_owned(), ..flow() });
        heard.tell(DELETE, flow());
        assert_eq!((heard.ended.len(), heard.flows.len()), (1, 1));
        assert!(!heard.ended[0].may_be_open() && heard.ended[0].began.is_some());
        assert!(heard.flows.values().all(|(flow, _)| flow.may_be_open()));
    }
}
