//! The tables of connections of several nodes, each read by the best means that its way has.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doctor::read::conntrack::{self as text, Tuple};
use futures::StreamExt as _;

use super::conntrack;
use crate::access::{Access, AccessError};

/// How long a node may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Nodes that are asked at the same time.
const AT_ONCE: usize = 16;
/// What a node has: the tool of its distribution, else the kernel's own file. The first line says which it was, and only
/// lines with one of the given words come over the wire: tables are long.
const SCRIPT: &str = "if command -v conntrack >/dev/null 2>&1 && conntrack -C >/dev/null 2>&1; then\n\
                      echo '# conntrack -L'\n\
                      { conntrack -L -f ipv4 -p tcp; conntrack -L -f ipv6 -p tcp; } 2>/dev/null | grep -F \"$@\"\n\
                      exit 0; fi\n\
                      head -c 1 /proc/net/nf_conntrack >/dev/null || exit 1\n\
                      echo '# /proc/net/nf_conntrack'; grep -F \"$@\" /proc/net/nf_conntrack; exit 0";

/// A connection of a node's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The node whose table it is.
    pub node: String,
    /// `ESTABLISHED`, `TIME_WAIT`, …
    pub state: String,
    /// As the one who began sent it.
    pub original: Tuple,
    /// As the answers come.
    pub reply: Tuple,
    /// When it began, in seconds since 1970 by the node's own clock, where its kernel keeps that.
    pub began: Option<i64>,
    /// Whether it is in no table any more, but was seen to begin.
    pub recorded: bool,
}

impl Flow {
    /// Whether both sides still have it.
    pub fn is_open(&self) -> bool {
        self.state == "ESTABLISHED"
    }

    /// Whether the server may still have it: the client has closed its side, or there was no more than its beginning when
    /// it was recorded.
    pub fn may_be_open(&self) -> bool {
        self.recorded || matches!(self.state.as_str(), "ESTABLISHED" | "FIN_WAIT" | "CLOSE_WAIT" | "LAST_ACK")
    }

    /// Whether the node changed the client's end of it.
    pub fn changes_source(&self) -> bool {
        let (original, reply) = (&self.original, &self.reply);
        (original.source, original.source_port) != (reply.destination, reply.destination_port)
    }

    /// Whether the node changed either end of it.
    pub fn changes(&self) -> bool {
        let (original, reply) = (&self.original, &self.reply);
        self.changes_source() || (original.destination, original.destination_port) != (reply.source, reply.source_port)
    }
}

/// Says yes to a flow, by its original and its reply tuple.
pub type Fits = Arc<dyn Fn(&Tuple, &Tuple) -> bool + Send + Sync>;

/// Which flows are kept.
#[derive(Clone)]
pub struct Wanted {
    /// Which are.
    pub is: Fits,
    /// If these reply tuples are all that is wanted: they are then asked for one by one, where that is possible.
    pub exact: Option<Arc<Vec<Tuple>>>,
    /// Words of which each line of a wanted flow has one, as `conntrack -L` prints them: `sport=5432 `.
    pub words: Vec<String>,
}

/// What was read of one node.
#[derive(Debug, Default)]
pub struct NodeFlows {
    /// The node.
    pub node: String,
    /// The flows that are wanted.
    pub flows: Vec<Flow>,
    /// How they were read: `netlink`, or a command's or file's name.
    pub means: String,
    /// Why they could not be read.
    pub failed: Option<String>,
}

/// Reads the tables of all nodes.
pub async fn of_nodes(ways: &[Arc<dyn Access>], wanted: &Wanted) -> Vec<NodeFlows> {
    let reads = ways.iter().map(|way| of_node(way.as_ref(), wanted));
    futures::stream::iter(reads).buffered(AT_ONCE).collect().await
}

async fn of_node(way: &dyn Access, wanted: &Wanted) -> NodeFlows {
    let node = way.node().to_owned();
    let read = match tokio::time::timeout(LIMIT, by_netlink(way, wanted)).await {
        Ok(Err(AccessError::Unsupported { .. })) => by_command(way, wanted).await,
        Ok(Ok(Ok(flows))) => Ok((flows, "netlink".to_owned())),
        Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err("the table of connections may not be read: that takes root".to_owned())
        }
        Ok(Ok(Err(error))) => Err(format!("read the table of connections: {error}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    };
    match read {
        Ok((flows, means)) => NodeFlows { node, flows, means, failed: None },
        Err(why) => NodeFlows { node, failed: Some(why), ..NodeFlows::default() },
    }
}

async fn by_netlink(way: &dyn Access, wanted: &Wanted) -> Result<io::Result<Vec<Flow>>, AccessError> {
    let answer = Arc::new(Mutex::new(None));
    let (place, wanted, node) = (answer.clone(), wanted.clone(), way.node().to_owned());
    let work = move || {
        let read = match &wanted.exact {
            Some(replies) => conntrack::find(&node, replies),
            None => conntrack::dump(&node, wanted.is.as_ref()),
        };
        if let Ok(mut place) = place.lock() {
            *place = Some(read);
        }
    };
    way.in_network(Box::new(work)).await?;
    let read = answer.lock().ok().and_then(|mut answer| answer.take());
    Ok(read.unwrap_or_else(|| Err(io::Error::other("the thread in the node's network gave no answer"))))
}

async fn by_command(way: &dyn Access, wanted: &Wanted) -> Result<(Vec<Flow>, String), String> {
    // Without a word, every line has it.
    let words = if wanted.words.is_empty() { vec![String::new()] } else { wanted.words.clone() };
    let words = words.iter().flat_map(|word| ["-e", word]);
    let arguments: Vec<&str> = ["-c", SCRIPT, "sh"].into_iter().chain(words).collect();
    let ran = way.run("sh", &arguments, None, LIMIT).await.map_err(|error| error.to_string())?;
    if !ran.succeeded() {
        let words = String::from_utf8_lossy(&ran.stderr);
        let last = words.trim().lines().last().unwrap_or("it gave no reason");
        return Err(format!(
            "neither `conntrack -L` nor /proc/net/nf_conntrack could be read there: {last}; that takes root, so `--sudo` \
             or `--ssh=root@`, and the module nf_conntrack"
        ));
    }
    let told = String::from_utf8_lossy(&ran.stdout);
    let means = told.lines().next().and_then(|first| first.strip_prefix("# ")).unwrap_or("a command").to_owned();
    let flow = |flow: text::Flow| {
        (wanted.is)(&flow.original, &flow.reply).then(|| Flow {
            node: way.node().to_owned(),
            state: flow.state,
            original: flow.original,
            reply: flow.reply,
            began: None,
            recorded: false,
        })
    };
    Ok((text::parse(way.node(), &told).into_iter().filter_map(flow).collect(), means))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Local, Ran, Socket};

    /// A node that is behind something which runs commands and nothing else.
    struct Elsewhere(Ran);

    #[async_trait::async_trait]
    impl Access for Elsewhere {
        fn node(&self) -> &str {
            "far"
        }

        async fn run(&self, _: &str, _: &[&str], _: Option<&[u8]>, _: Duration) -> Result<Ran, AccessError> {
            Ok(self.0.clone())
        }

        async fn socket(&self, _: &str) -> Result<Socket, AccessError> {
            Err(AccessError::Unsupported { node: "far".to_owned(), what: "forward sockets" })
        }
    }

    #[tokio::test]
    async fn a_node_without_namespaces_of_this_machine_is_asked_by_command() {
        let table = "# /proc/net/nf_conntrack\n\
                     tcp      6 431999 ESTABLISHED src=10.1.0.7 dst=192.0.2.1 sport=400 dport=5432 src=192.0.2.1 dst=10.9.0.5 sport=5432 dport=600 [ASSURED] mark=0 use=1\n\
                     tcp      6 431999 ESTABLISHED src=10.1.0.8 dst=192.0.2.1 sport=400 dport=80 src=192.0.2.1 dst=10.9.0.5 sport=80 dport=601 [ASSURED] mark=0 use=1\n";
        let told = Ran { code: Some(0), stdout: table.into(), ..Ran::default() };
        let refused =
            Ran { code: Some(1), stderr: b"cat: /proc/net/nf_conntrack: Permission denied\n".to_vec(), ..told.clone() };
        let ways: Vec<Arc<dyn Access>> =
            vec![Arc::new(Elsewhere(told)), Arc::new(Elsewhere(refused)), Arc::new(Local::new("here"))];
        let wanted = Wanted {
            is: Arc::new(|_, reply| reply.source_port == 5432),
            exact: None,
            words: vec!["sport=5432 ".to_owned()],
        };
        let read = of_nodes(&ways, &wanted).await;
        assert_eq!((read[0].means.as_str(), read[0].flows.len()), ("/proc/net/nf_conntrack", 1));
        assert_eq!(read[0].flows[0].original.source.to_string(), "10.1.0.7");
        let why = read[1].failed.as_deref().unwrap_or_default();
        assert!(why.contains("Permission denied") && why.contains("--sudo"), "{read:?}");
        // This machine is asked by netlink, or says that it takes root.
        assert!(
            read[2].means == "netlink" || read[2].failed.as_ref().is_some_and(|why| why.contains("root")),
            "{read:?}"
        );
    }
}
