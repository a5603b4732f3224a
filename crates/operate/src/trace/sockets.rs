//! Which process of a node has a socket, and which pod that process is of: for what uses the node's own network. And which
//! sockets pods have, as their own kernel tells.
//!
//! Plain commands, so that it works on any way onto a node: the kernel's tables of sockets, the open files of all processes,
//! and the control groups of those that matter.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::join::End;
use crate::access::Access;

/// How long each command may take.
const LIMIT: Duration = Duration::from_secs(15);
const TABLES: &str = "cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null; exit 0";
/// Processes end while they are listed.
const FILES: &str = "ls -l /proc/[0-9]*/fd 2>/dev/null; exit 0";
const GROUPS: &str =
    "for pid; do echo \"pid $pid $(cat /proc/$pid/comm)\"; cat /proc/$pid/cgroup; done 2>/dev/null; exit 0";

/// The processes that are in a pod's control group.
const MEMBERS: &str =
    "grep -H -o -E 'pod[0-9a-f]{8}([-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}' /proc/[0-9]*/cgroup 2>/dev/null; exit 0";
/// The tables of sockets in the networks of pods (`uid=pid pid …`). What watches over containers may be in a pod's control
/// group, but it is in the node's own network.
const NETWORKS: &str = "own=$(readlink /proc/self/ns/net)\n\
    for pod; do for pid in ${pod#*=}; do\n\
    net=$(readlink /proc/$pid/ns/net) || continue; test \"$net\" = \"$own\" && continue\n\
    echo \"pod ${pod%%=*}\"; cat /proc/$pid/net/tcp /proc/$pid/net/tcp6; break; done; done 2>/dev/null; exit 0";
/// Processes of a pod that are tried.
const TRIED: usize = 8;

/// A pod's sockets: its own end, and the other one.
pub type Sockets = HashMap<End, End>;

/// A process with a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Uid of the pod in whose control group it is.
    pub pod: Option<String>,
    /// Id of the container.
    pub container: Option<String>,
}

/// The processes that have these local ends.
///
/// # Errors
/// In words, when the node can't be asked.
pub async fn processes(way: &dyn Access, ends: &[End]) -> Result<HashMap<End, Process>, String> {
    let mut inodes = inodes(&text(way, TABLES, &[]).await?);
    inodes.retain(|end, _| ends.contains(end));
    if inodes.is_empty() {
        return Ok(HashMap::new());
    }
    let holders = holders(&text(way, FILES, &[]).await?);
    let mut pids: Vec<String> = inodes.values().filter_map(|inode| holders.get(inode)).map(u32::to_string).collect();
    pids.sort();
    pids.dedup();
    let pids: Vec<&str> = pids.iter().map(String::as_str).collect();
    let processes = groups(&text(way, GROUPS, &pids).await?);
    let process = |inode: &u64| processes.get(holders.get(inode)?).cloned();
    Ok(inodes.iter().filter_map(|(end, inode)| Some((*end, process(inode)?))).collect())
}

/// The connections of pods, by uid. Pods of which nothing can be read are not in the answer.
///
/// # Errors
/// In words, when the node can't be asked.
pub async fn of_pods(way: &dyn Access, uids: &BTreeSet<String>) -> Result<HashMap<String, Sockets>, String> {
    let members = members(&text(way, MEMBERS, &[]).await?);
    let word = |uid: &String| {
        let pids: Vec<String> = members.get(uid)?.iter().take(TRIED).map(u32::to_string).collect();
        Some(format!("{uid}={}", pids.join(" ")))
    };
    let words: Vec<String> = uids.iter().filter_map(word).collect();
    if words.is_empty() {
        return Ok(HashMap::new());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut found: HashMap<String, Sockets> = HashMap::new();
    let mut current = None;
    for line in text(way, NETWORKS, &words).await?.lines() {
        if let Some(uid) = line.strip_prefix("pod ") {
            current = Some(uid.to_owned());
        } else if let Some(uid) = &current {
            // The head of a table: what comes next could be read.
            found.entry(uid.clone()).or_default().extend(connection(line));
        }
    }
    Ok(found)
}

async fn text(way: &dyn Access, script: &str, more: &[&str]) -> Result<String, String> {
    let arguments: Vec<&str> = ["-c", script, "sh"].iter().chain(more).copied().collect();
    let ran = way.run("sh", &arguments, None, LIMIT).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// `/proc/12/cgroup:pod01234567_…`: the processes of each pod; those that are there for longest come first.
fn members(listing: &str) -> HashMap<String, BTreeSet<u32>> {
    let mut found: HashMap<String, BTreeSet<u32>> = HashMap::new();
    for line in listing.lines() {
        let named = line.strip_prefix("/proc/").and_then(|rest| rest.split_once("/cgroup:pod"));
        if let Some((pid, uid)) = named
            && let Ok(pid) = pid.parse()
        {
            found.entry(uid.replace('_', "-")).or_default().insert(pid);
        }
    }
    found
}

/// A row of a table, if it is a connection that its side has not given up.
fn connection(line: &str) -> Option<(End, End)> {
    let cells: Vec<&str> = line.split_whitespace().collect();
    // ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT.
    let open = matches!(*cells.get(3)?, "01" | "02" | "04" | "05" | "08");
    open.then(|| Some((end_of(cells[1])?, end_of(cells[2])?))).flatten()
}

fn end_of(hex: &str) -> Option<End> {
    let (address, port) = hex.split_once(':')?;
    Some((address_of(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// `sl local_address rem_address st … uid timeout inode`; addresses in words of four bytes, as the machine keeps them.
fn inodes(table: &str) -> HashMap<End, u64> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let inode = cells.get(9)?.parse().ok().filter(|inode| *inode != 0)?;
        Some((end_of(cells.get(1)?)?, inode))
    };
    table.lines().filter_map(row).collect()
}

fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            // A socket for both families has IPv4 addresses as mapped ones.
            Some(Ipv6Addr::from(*words.first_chunk::<16>()?).to_canonical())
        }
        _ => None,
    }
}

/// `/proc/12/fd:` and below it `… 3 -> socket:[345]`.
fn holders(listing: &str) -> HashMap<u64, u32> {
    let (mut found, mut pid) = (HashMap::new(), 0);
    for line in listing.lines() {
        if let Some(of) = line.strip_prefix("/proc/").and_then(|rest| rest.strip_suffix("/fd:")) {
            pid = of.parse().unwrap_or_default();
        } else if let Some((_, rest)) = line.rsplit_once("-> socket:[")
            && let Ok(inode) = rest.trim_end_matches(']').parse()
        {
            found.entry(inode).or_insert(pid);
        }
    }
    found
}

static POD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"pod([0-9a-f]{8}([-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})").ok());
static CONTAINER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[/:-]([0-9a-f]{64})(\.scope)?$").ok());

fn groups(text: &str) -> HashMap<u32, Process> {
    let mut found: HashMap<u32, Process> = HashMap::new();
    let mut pid = 0;
    for line in text.lines() {
        if let Some((number, name)) = line.strip_prefix("pid ").and_then(|rest| rest.split_once(' ')) {
            pid = number.parse().unwrap_or_default();
            found.insert(pid, Process { pid, name: name.to_owned(), ..Process::default() });
        } else if let Some(process) = found.get_mut(&pid) {
            let first = |regex: &LazyLock<Option<Regex>>| {
                let found = regex.as_ref()?.captures(line)?;
                Some(found[1].replace('_', "-"))
            };
            process.pod = process.pod.take().or_else(|| first(&POD));
            process.container = process.container.take().or_else(|| first(&CONTAINER));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::access::Local;

    #[test]
    fn control_groups_of_both_drivers() {
        let id = "0123456789abcdef".repeat(4);
        let text = format!(
            "pid 7 nc\n12:pids:/kubepods/besteffort/pod0f0f0f0f-1111-2222-3333-444444444444/{id}\n0::/\npid 8 sshd\n\
             0::/system.slice/ssh.service\npid 9 agent\n0::/kubepods.slice/kubepods-pod0f0f0f0f_1111_2222_3333_444444444445.slice/cri-containerd-{id}.scope\n"
        );
        let found = groups(&text);
        assert_eq!(found[&7].pod.as_deref(), Some("0f0f0f0f-1111-2222-3333-444444444444"));
        assert_eq!(found[&7].container.as_ref(), Some(&id));
        assert_eq!((found[&8].name.as_str(), &found[&8].pod), ("sshd", &None));
        assert_eq!(found[&9].pod.as_deref(), Some("0f0f0f0f-1111-2222-3333-444444444445"));
        assert_eq!(found[&9].container.as_ref(), Some(&id));
    }

    #[test]
    fn addresses_of_both_families() {
        let loopback = "0100007F".to_owned();
        let big = if cfg!(target_endian = "big") { "7F000001".to_owned() } else { loopback };
        assert_eq!(address_of(&big), "127.0.0.1".parse().ok());
        assert_eq!(address_of("00000000000000000000000000000000"), "::".parse().ok());
        assert_eq!(address_of("12"), None);
    }

    #[test]
    fn pods_are_found_by_their_processes() {
        let found = members(
            "/proc/30/cgroup:pod0f0f0f0f_1111_2222_3333_444444444445\n/proc/7/cgroup:pod0f0f0f0f-1111-2222-3333-444444444445\n/proc/x/cgroup:podx\n",
        );
        assert_eq!(
            found,
            HashMap::from([("0f0f0f0f-1111-2222-3333-444444444445".to_owned(), BTreeSet::from([7, 30]))])
        );
        let row = |state: &str| {
            format!("  0: 0600010A:9C40 010200C0:1538 {state} 00000000:00000000 00:00000000 00000000 0 0 5 1")
        };
        assert!(connection(&row("01")).is_some() && connection(&row("08")).is_some());
        assert!(connection(&row("06")).is_none() && connection(&row("0A")).is_none());
        assert!(connection("  sl  local_address rem_address   st tx_queue").is_none() && connection("").is_none());
    }

    #[tokio::test]
    async fn this_very_process_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let own = stream.local_addr().unwrap();
        let found = processes(&Local::new("here"), &[(own.ip(), own.port())]).await.unwrap();
        assert_eq!(found[&(own.ip(), own.port())].pid, std::process::id());
        let nobody = processes(&Local::new("here"), &[("192.0.2.1".parse().unwrap(), 1)]).await.unwrap();
        assert!(nobody.is_empty());
    }
}
