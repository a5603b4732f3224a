//! Facts of nodes: what `findmnt`, `df`, `systemctl`, `ls`, `sysctl` and the like print, line by line.
//!
//! An item may hold the output of several commands, one after the other. A line is taken for what its form says, and a
//! line without a known form is left out.

use std::sync::LazyLock;

use regex::Regex;

use super::listing::{self, Listing};
use super::log;
use super::times::{self, When};
use crate::evidence::{Item, ItemKind};

/// Something a node says, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact<T> {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// The node; empty when not told.
    pub node: String,
    /// What it says.
    pub value: T,
}

impl<T> Fact<T> {
    /// The same place with something else to say.
    pub fn with<U>(&self, value: U) -> Fact<U> {
        Fact { item: self.item, line: self.line, node: self.node.clone(), value }
    }
}

/// A mounted file system: `findmnt`, `mount`, `df -T`, `/proc/mounts`, `stat -f`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub target: String,
    /// What; empty when not told.
    pub source: String,
    /// `xfs`, `ext4`, `nfs4`, `cgroup2`, …
    pub kind: String,
    /// Options; empty when not told.
    pub options: String,
}

/// How full a file system is: `df`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Device.
    pub source: String,
    /// Where it is mounted.
    pub target: String,
    /// Per cent in use.
    pub percent: u32,
    /// Whether inodes were counted, not blocks.
    pub inodes: bool,
}

/// A systemd unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Name without `.service`.
    pub name: String,
    /// `active`, `inactive`, `failed`, `activating`, …; `absent` where there is no such unit.
    pub state: String,
    /// Since when.
    pub since: Option<When>,
}

/// A setting: `sysctl`, `systemctl show`, a file of `key = value`, `key=value` or `key: value` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Key.
    pub key: String,
    /// Value, without quotes.
    pub value: String,
}

/// A swap area in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// File or device.
    pub path: String,
}

/// `xfs_info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xfs {
    /// The device.
    pub device: String,
    /// Whether directory entries have types.
    pub ftype: bool,
}

/// All facts of an evidence.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Mounted file systems.
    pub mounts: Vec<Fact<Mount>>,
    /// How full file systems are.
    pub disks: Vec<Fact<Disk>>,
    /// Units.
    pub units: Vec<Fact<Unit>>,
    /// Settings.
    pub settings: Vec<Fact<Setting>>,
    /// Swap areas in use.
    pub swaps: Vec<Fact<Swap>>,
    /// XFS file systems.
    pub xfs: Vec<Fact<Xfs>>,
    /// Loaded kernel modules.
    pub modules: Vec<Fact<String>>,
    /// Directories.
    pub listings: Vec<Fact<Listing>>,
    /// Paths that do not exist.
    pub absent: Vec<Fact<String>>,
    /// What `date` said.
    pub dates: Vec<Fact<When>>,
}

static MOUNT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^(\S+) on (/\S*) type (\S+) \((.*)\)").ok());
static FINDMNT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[\s│├└─|`\-]*(/\S*)\s+(\S+)\s+([a-z][\w.\-]*)\s+((?:rw|ro)\b\S*)").ok());
static PROC_MOUNTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(\S+) (/\S*) ([a-z][\w.\-]*) ((?:rw|ro)\b\S*) \d \d$").ok());
static DF: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(\S+)\s+(?:([a-z][\w.\-]*)\s+)?([\d.]+[KMGTP]?i?)\s+([\d.]+[KMGTP]?i?)\s+([\d.]+[KMGTP]?i?)\s+(\d+)%\s+(/\S*)").ok()
});
static SWAP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\s*(/\S+)\s+(?:file|partition)\s+[\d.]+\w?\s+[\d.]+\w?\s+-?\d+\s*$").ok());
static SETTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^\s*(?:/\S+?:)?(?:\d+[:-])?\s*(?:-\s+)?"?([A-Za-z][\w .\-/]*?)"?\s*[:=]\s*(.*?)\s*$"#).ok()
});
static UNIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*[●○×*↻]?\s*([\w@.\-]+)\.service - ").ok());
static NO_UNIT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"Unit ([\w@.\-]+?)(?:\.service)? (?:could not be found|not found|not loaded)").ok());

impl Facts {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut facts = Self::default();
        for (number, item) in items.iter().enumerate() {
            match item.kind {
                ItemKind::NodeFacts | ItemKind::Text | ItemKind::CrictlOutput | ItemKind::CtrOutput => {
                    facts.read(number, item);
                }
                ItemKind::KubeletLog | ItemKind::KubectlOutput | ItemKind::KubeadmOutput => facts.plain(number, item),
                _ => {}
            }
        }
        facts
    }

    /// What may stand in journals and other outputs.
    fn plain(&mut self, number: usize, item: &Item) {
        let node = item.origin.node().unwrap_or_default();
        for (index, raw) in item.text.lines().enumerate() {
            let at = place(number, index, node);
            let line = log::journal(raw).map_or(raw, |(_, _, rest)| rest);
            self.swap(&at, line);
            self.absent.extend(listing::absent(line).map(|path| at.with(path)));
        }
    }

    fn read(&mut self, number: usize, item: &Item) {
        let node = item.origin.node().unwrap_or_default();
        let command = item.origin.source();
        let (mut unit, mut device, mut inodes) = (String::new(), String::new(), false);
        for (index, raw) in item.text.lines().enumerate() {
            let at = place(number, index, node);
            let line = log::journal(raw).map_or(raw, |(_, _, rest)| rest);
            self.mount(&at, line, command);
            self.swap(&at, line);
            self.unit(&at, line, &mut unit, command);
            if line.starts_with("Filesystem") {
                inodes = line.contains("IUse");
            }
            if let Some(row) = DF.as_ref().and_then(|form| form.captures(line)) {
                let percent = row[6].parse().unwrap_or_default();
                let disk = Disk { source: row[1].to_owned(), target: row[7].to_owned(), percent, inodes };
                self.disks.push(at.with(disk));
            }
            if let Some(rest) = line.strip_prefix("meta-data=") {
                rest.split_whitespace().next().unwrap_or_default().clone_into(&mut device);
            }
            if let Some((_, value)) = line.split_once("ftype=") {
                let xfs = Xfs { device: device.clone(), ftype: value.starts_with('1') };
                self.xfs.push(at.with(xfs));
            }
            if command.contains("lsmod") {
                let mut words = line.split_whitespace();
                if let (Some(name), Some(size)) = (words.next(), words.next())
                    && size.bytes().all(|byte| byte.is_ascii_digit())
                {
                    self.modules.push(at.with(name.to_owned()));
                }
            }
            if let Some(path) = listing::absent(line) {
                self.absent.push(at.with(path));
            } else if let Some(found) = SETTING.as_ref().and_then(|form| form.captures(line)) {
                let value = found[2].trim_matches(['"', '\'']).to_owned();
                self.settings.push(at.with(Setting { key: found[1].to_owned(), value }));
            }
            if line.len() < 48 && !line.contains('=') && !line.contains('/') {
                self.dates.extend(times::first(line).map(|when| at.with(when)));
            }
        }
        let first = place(number, 0, node);
        let at = |line| Fact { line, ..first.clone() };
        self.listings.extend(listing::read(command, at, &item.text));
    }

    fn mount(&mut self, at: &Fact<()>, line: &str, command: &str) {
        let mount = |target: &str, source: &str, kind: &str, options: &str| Mount {
            target: target.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            options: options.to_owned(),
        };
        let captures = |form: &'static LazyLock<Option<Regex>>| form.as_ref().and_then(|form| form.captures(line));
        let found = if let Some(row) = captures(&MOUNT) {
            mount(&row[2], &row[1], &row[3], &row[4])
        } else if let Some(row) = captures(&PROC_MOUNTS) {
            mount(&row[2], &row[1], &row[3], &row[4])
        } else if let Some(row) = captures(&FINDMNT) {
            mount(&row[1], &row[2], &row[3], &row[4])
        } else if let Some(row) = captures(&DF).filter(|row| row.get(2).is_some()) {
            mount(&row[7], &row[1], &row[2], "")
        } else if let Some(path) = stat_f(command)
            && ["cgroup2fs", "tmpfs", "xfs", "ext2/ext3", "nfs", "overlayfs", "zfs", "btrfs", "fuse"]
                .contains(&line.trim())
        {
            mount(path, "", if line.trim() == "cgroup2fs" { "cgroup2" } else { line.trim() }, "")
        } else {
            return;
        };
        self.mounts.push(at.with(found));
    }

    fn swap(&mut self, at: &Fact<()>, line: &str) {
        if let Some(row) = SWAP.as_ref().and_then(|form| form.captures(line)) {
            self.swaps.push(at.with(Swap { path: row[1].to_owned() }));
        }
    }

    fn unit(&mut self, at: &Fact<()>, line: &str, unit: &mut String, command: &str) {
        if let Some(found) = NO_UNIT.as_ref().and_then(|form| form.captures(line)) {
            let absent = Unit { name: found[1].to_owned(), state: "absent".to_owned(), since: None };
            self.units.push(at.with(absent));
        } else if let Some(found) = UNIT.as_ref().and_then(|form| form.captures(line)) {
            found[1].clone_into(unit);
        } else if let Some(state) = line.trim().strip_prefix("Active: ").or(line.strip_prefix("ActiveState=")) {
            let name = if unit.is_empty() { asked_unit(command) } else { unit.as_str() };
            let state = state.split_whitespace().next().unwrap_or_default().to_owned();
            self.units.push(at.with(Unit { name: name.to_owned(), state, since: times::first(line) }));
        } else if let Some(since) = line.strip_prefix("ActiveEnterTimestamp=") {
            let unit = Unit { name: asked_unit(command).to_owned(), state: String::new(), since: times::first(since) };
            self.units.push(at.with(unit));
        } else if command.contains("is-active") && matches!(line.trim(), "active" | "inactive" | "failed") {
            let unit = Unit { name: asked_unit(command).to_owned(), state: line.trim().to_owned(), since: None };
            self.units.push(at.with(unit));
        }
    }

    /// The mount that holds a path on a node: of those told, the one with the longest target.
    pub fn mount_of<'a>(&'a self, node: &str, path: &str) -> Option<&'a Fact<Mount>> {
        let holds = |target: &str| target == "/" || path == target || path.starts_with(&format!("{target}/"));
        let fits = |one: &&Fact<Mount>| super::same_node(&one.node, node) && holds(&one.value.target);
        self.mounts.iter().filter(fits).max_by_key(|one| one.value.target.len())
    }

    /// Settings of that key on a node.
    pub fn setting<'a>(&'a self, node: &'a str, key: &'a str) -> impl Iterator<Item = &'a Fact<Setting>> {
        self.settings.iter().filter(move |one| one.value.key == key && super::same_node(&one.node, node))
    }

    /// What is said of a unit on a node.
    pub fn unit_of<'a>(&'a self, node: &'a str, name: &'a str) -> impl Iterator<Item = &'a Fact<Unit>> {
        self.units.iter().filter(move |one| one.value.name == name && super::same_node(&one.node, node))
    }

    /// The listing of a directory on a node.
    pub fn listing<'a>(&'a self, node: &str, directory: &str) -> Option<&'a Fact<Listing>> {
        let wanted = directory.trim_end_matches('/');
        self.listings.iter().find(|one| one.value.directory == wanted && super::same_node(&one.node, node))
    }

    /// Whether a path is known not to exist on a node.
    pub fn is_absent(&self, node: &str, path: &str) -> bool {
        let wanted = path.trim_end_matches('/');
        self.absent.iter().any(|one| one.value.trim_end_matches('/') == wanted && super::same_node(&one.node, node))
    }
}

fn place(item: usize, index: usize, node: &str) -> Fact<()> {
    Fact { item, line: u32::try_from(index + 1).unwrap_or(u32::MAX), node: node.to_owned(), value: () }
}

/// The path that `stat -f` was asked about.
fn stat_f(command: &str) -> Option<&str> {
    let part = command.split(';').find(|part| part.contains("stat -f"))?;
    part.split_whitespace().rev().find(|word| word.starts_with('/'))
}

/// The unit that `systemctl` was asked about.
fn asked_unit(command: &str) -> &str {
    let part = command.split(';').find(|part| part.contains("systemctl")).unwrap_or_default();
    let mut words = part.split_whitespace().skip_while(|word| *word != "systemctl").skip(2);
    words.find(|word| !word.starts_with('-')).unwrap_or_default().trim_end_matches(".service")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    fn facts(origin: &str, text: &str) -> Facts {
        Facts::of(&[Item { kind: ItemKind::NodeFacts, origin: Origin(origin.to_owned()), text: text.to_owned() }])
    }

    #[test]
    fn mounts_in_many_forms() {
        let text = "TARGET SOURCE    FSTYPE OPTIONS\n/      /dev/sda2 ext4   rw,relatime\n/dev/sdb1 on /data type xfs (rw,relatime)\n/dev/sdc1 xfs 100G 20G 80G 20% /srv\n";
        let read = facts("n1: findmnt", text);
        let kind = |path: &str| read.mount_of("n1", path).unwrap().value.kind.clone();
        assert_eq!([kind("/data/x"), kind("/var/lib"), kind("/srv")], ["xfs", "ext4", "xfs"]);
        assert_eq!(read.disks[0].value.percent, 20);
        let cgroup = facts("n1: stat -fc %T /sys/fs/cgroup", "cgroup2fs\n");
        assert_eq!(cgroup.mounts[0].value.kind, "cgroup2");
    }

    #[test]
    fn directories_units_and_settings() {
        let text = "/etc/cni/net.d:\n-rw-r--r-- 1 root root 292 10:45 10-flannel.conflist\n\n/opt/cni/bin:\nbridge  loopback\nls: cannot access '/x/y': No such file or directory\nActiveEnterTimestamp=Mon 2022-12-19 10:42:32 UTC\nMon Dec 19 10:52:37 UTC 2022\n";
        let read = facts(
            "n1: ls -l /etc/cni/net.d /opt/cni/bin /x/y; systemctl show containerd -p ActiveEnterTimestamp; date",
            text,
        );
        let net = read.listing("n1", "/etc/cni/net.d/").unwrap();
        assert_eq!((net.value.entries.len(), net.value.entries[0].name.as_str()), (1, "10-flannel.conflist"));
        assert!(read.listing("", "/opt/cni/bin").unwrap().value.entry("bridge").is_some());
        assert!(read.is_absent("n1", "/x/y"));
        let since = read.unit_of("n1", "containerd").next().unwrap().value.since.unwrap();
        assert_eq!(read.dates[0].value.after(&since), 605);
        let gone = facts("n1: systemctl status containerd", "Unit containerd.service could not be found.\n");
        assert_eq!(gone.units[0].value.state, "absent");
        let sysctl = facts("n1: sysctl net.bridge", "net.bridge.bridge-nf-call-iptables = 0\n");
        assert_eq!(sysctl.setting("n1", "net.bridge.bridge-nf-call-iptables").next().unwrap().value.value, "0");
        let swap = facts("n1: cat /proc/swaps", "Filename Type Size Used Priority\n/swap.img file 2097148 524 -2\n");
        assert_eq!(swap.swaps[0].value.path, "/swap.img");
    }
}
