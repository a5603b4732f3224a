//! Which process of a node has a socket, and which pod that process is of: for what uses the node's own network.
//!
//! Three plain commands, so that it works on any way onto a node: the kernel's tables of sockets, the open files of all
//! processes, and the control groups of those that matter.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::access::Access;

/// How long each command may take.
const LIMIT: Duration = Duration::from_secs(15);
const TABLES: &str = "cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null; exit 0";
/// Processes end while they are listed.
const FILES: &str = "ls -l /proc/[0-9]*/fd 2>/dev/null; exit 0";
const GROUPS: &str =
    "for pid; do echo \"pid $pid $(cat /proc/$pid/comm)\"; cat /proc/$pid/cgroup; done 2>/dev/null; exit 0";

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
pub async fn processes(way: &dyn Access, ends: &[(IpAddr, u16)]) -> Result<HashMap<(IpAddr, u16), Process>, String> {
    let text = async |script: &str, more: &[&str]| {
        let arguments: Vec<&str> = ["-c", script, "sh"].iter().chain(more).copied().collect();
        let ran = way.run("sh", &arguments, None, LIMIT).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    let mut inodes = inodes(&text(TABLES, &[]).await?);
    inodes.retain(|end, _| ends.contains(end));
    if inodes.is_empty() {
        return Ok(HashMap::new());
    }
    let holders = holders(&text(FILES, &[]).await?);
    let mut pids: Vec<String> = inodes.values().filter_map(|inode| holders.get(inode)).map(u32::to_string).collect();
    pids.sort();
    pids.dedup();
    let pids: Vec<&str> = pids.iter().map(String::as_str).collect();
    let processes = groups(&text(GROUPS, &pids).await?);
    let process = |inode: &u64| processes.get(holders.get(inode)?).cloned();
    Ok(inodes.iter().filter_map(|(end, inode)| Some((*end, process(inode)?))).collect())
}

/// `sl local_address rem_address st … uid timeout inode`; addresses in words of four bytes, as the machine keeps them.
fn inodes(table: &str) -> HashMap<(IpAddr, u16), u64> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = cells.get(1)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let inode = cells.get(9)?.parse().ok().filter(|inode| *inode != 0)?;
        Some(((address_of(address)?, port), inode))
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
