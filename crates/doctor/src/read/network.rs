//! A node's way to the world: clocks, resolvers, proxies, calls that somebody made by hand.

use std::ops::Range;

use super::pulls::Pull;
use super::same_node;
use super::times::{self, When};
use crate::evidence::{Evidence, Item, ItemKind, Origin};

/// What the evidence says of a node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Wrong.
    Wrong,
    /// Right.
    Right,
    /// Not told.
    Unknown,
}

/// Further apart than this, two clocks do not agree.
const APART: i64 = 12 * 3600;

/// Whether the clock is right that gave `now` in a pull's message.
pub fn clock(evidence: &Evidence, pull: &Pull, now: Option<When>) -> Clock {
    let mut clock = Clock::Unknown;
    for item in evidence.items() {
        let here = item.origin.node().is_none_or(|node| same_node(node, &pull.node));
        for line in item.text.lines().filter(|_| asked(item)) {
            let line = line.trim();
            if let Some(state) = line.strip_prefix("System clock synchronized:").filter(|_| here) {
                clock = if state.trim() == "yes" { Clock::Right } else { clock };
            }
            if let Some(offset) = chrony(line).filter(|_| here) {
                return if offset > 60.0 { Clock::Wrong } else { Clock::Right };
            }
        }
    }
    let Some(now) = now else { return clock };
    match others(evidence, pull).into_iter().map(|other| now.after(&other).abs()).max() {
        Some(apart) if apart > APART => Clock::Wrong,
        Some(_) => Clock::Right,
        None => clock,
    }
}

fn asked(item: &Item) -> bool {
    matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text | ItemKind::KubectlOutput)
}

/// `System time     : 3600.5 seconds slow of NTP time`.
fn chrony(line: &str) -> Option<f64> {
    let rest = line.strip_prefix("System time")?.trim_start().strip_prefix(':')?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Times that do not come from the node's own clock.
fn others(evidence: &Evidence, pull: &Pull) -> Vec<When> {
    let mut times = Vec::new();
    for (number, item) in evidence.items().iter().enumerate() {
        let other_node = match item.origin.node() {
            Some(node) => pull.node.is_empty() || !same_node(node, &pull.node),
            None => of_another_machine(&item.origin),
        };
        for line in item.text.lines() {
            let line = line.trim();
            let told = match item.kind {
                ItemKind::PodEvents => line.starts_with("Start Time:"),
                ItemKind::PodStatus | ItemKind::Pods | ItemKind::Objects => {
                    line.contains("\"startTime\"") || line.contains("\"creationTimestamp\"")
                }
                _ if asked(item) => {
                    let header = line.to_lowercase().starts_with("date: ");
                    let date = other_node && item.origin.source().contains("date") && !line.contains('=');
                    line.starts_with("RTC time:") || header || date
                }
                _ => false,
            };
            if told && let Some(mut when) = times::first(line) {
                if item.kind == ItemKind::PodEvents {
                    when = later(when, oldest(evidence, number));
                }
                times.push(when);
            }
        }
    }
    times
}

/// Whether the origin names a machine in words: `admin host: date -u`, `my laptop: date`.
fn of_another_machine(origin: &Origin) -> bool {
    let label = origin.0.split_once(": ").map_or("", |(label, _)| label);
    label.contains(' ') && label.split(' ').count() < 4 && label.chars().all(|one| one.is_alphanumeric() || one == ' ')
}

/// The age of an item's oldest event, in seconds.
fn oldest(evidence: &Evidence, item: usize) -> u64 {
    let messages = evidence.read().messages.iter().filter(|message| message.item == item);
    messages.filter_map(|message| message.age).max().unwrap_or(0)
}

fn later(when: When, seconds: u64) -> When {
    let span = jiff::Span::new().try_seconds(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    When { local: when.local.checked_add(span).unwrap_or(when.local), ..when }
}

/// The name server line of the node's `resolv.conf`: item and the address's bytes.
pub fn resolver(evidence: &Evidence, node: &str) -> Option<(usize, Range<usize>)> {
    evidence.asked("resolv", Some(node).filter(|node| !node.is_empty())).find_map(|(number, item)| {
        let at = item.text.find("nameserver ")? + "nameserver ".len();
        let length = item.text[at..].split_whitespace().next()?.len();
        Some((number, at..at + length))
    })
}

/// What is told of proxies on a node.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// The proxy in the runtime's unit: item, bytes, value.
    pub unit: Option<(usize, Range<usize>, String)>,
    /// Whether somebody looked at the unit.
    pub looked: bool,
    /// A proxy that shells or other programs of the node have: item, line number, value.
    pub shell: Option<(usize, u32, String)>,
}

/// Proxies of a node.
pub fn proxies(evidence: &Evidence, node: &str) -> Proxies {
    let mut proxies = Proxies::default();
    for (number, item) in evidence.items().iter().enumerate().filter(|(_, item)| asked(item)) {
        if !item.origin.node().is_none_or(|found| same_node(found, node)) {
            continue;
        }
        let source = item.origin.source();
        let units = ["containerd", "docker", "crio", "k3s", "rke2"];
        let of_unit = units.iter().any(|unit| source.contains(unit)) && !source.contains("crictl");
        let unit_asked =
            of_unit && (source.contains("systemctl") || source.contains("environ") || source.contains(".service"));
        proxies.looked |= unit_asked;
        if let Some(proxy) = tried(source).filter(|_| item.text.contains("established") || item.text.contains("HTTP/"))
        {
            proxies.shell.get_or_insert((number, 1, proxy.to_owned()));
        }
        let mut start = 0;
        for (index, line) in item.text.split_inclusive('\n').enumerate() {
            if let Some((at, value)) = proxy_value(line) {
                let shell = ["env |", "printenv", "profile", "/etc/environment", "bashrc"];
                let shell = line.contains("export ") || shell.iter().any(|word| source.contains(word));
                let in_unit = line.trim_start().starts_with("Environment") || (unit_asked && !shell);
                if in_unit && of_unit {
                    let span = start + at..start + at + value.len();
                    proxies.unit.get_or_insert((number, span, value.to_owned()));
                } else {
                    let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
                    proxies.shell.get_or_insert((number, line, value.to_owned()));
                }
            }
            start += line.len();
        }
    }
    proxies
}

/// The proxy that a command was told to use: `curl -x URL`.
fn tried(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace().skip_while(|word| !matches!(*word, "-x" | "--proxy"));
    words.nth(1).filter(|_| command.contains("curl"))
}

/// The value of `HTTPS_PROXY=…` or `HTTP_PROXY=…` in a line.
fn proxy_value(line: &str) -> Option<(usize, &str)> {
    let lower = line.to_ascii_lowercase();
    if lower.trim_start().starts_with('#') {
        return None;
    }
    let key = ["https_proxy=", "http_proxy=", "all_proxy="].into_iter().find(|key| lower.contains(key))?;
    let at = lower.find(key)? + key.len();
    let at = at + (line[at..].len() - line[at..].trim_start_matches(['"', '\'']).len());
    let value = line[at..].split(['"', '\'', ' ', '\n', '\r']).next()?;
    (!value.is_empty()).then_some((at, value))
}

/// Whether a call that somebody made from a node to a host went well; `None` when nobody did.
pub fn called(evidence: &Evidence, node: &str, host: &str) -> Option<bool> {
    const TOOLS: [&str; 6] = ["curl", "nc ", "telnet", "wget", "openssl s_client", "ping"];
    let mut last = None;
    for item in evidence.items().iter().filter(|item| asked(item) || item.kind == ItemKind::CtrOutput) {
        let source = item.origin.source();
        let made = TOOLS.iter().any(|tool| source.contains(tool)) && source.contains(host);
        let from = item.origin.node().is_none_or(|found| same_node(found, node));
        if !made || !from || host.is_empty() {
            continue;
        }
        let bad = ["refused", "timed out", "No route", "unreachable", "Could not resolve", "failed"];
        let good = ["succeeded", "open", "HTTP/", "Connected", "200", "401"];
        if bad.iter().any(|word| item.text.contains(word)) {
            last = Some(false);
        } else if good.iter().any(|word| item.text.contains(word)) {
            last = Some(true);
        }
    }
    last
}
