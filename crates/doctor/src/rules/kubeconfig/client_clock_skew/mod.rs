//! The clocks of the client and the cluster differ.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::{Message, times};

pub const RULE: Rule = Rule {
    code: "SM0414",
    key: "client-clock-skew",
    title: "clocks of client and cluster differ",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let words = [&["x509: certificate has expired or is not yet valid", "is before"][..], &["oken used before issued"], &["oken not valid yet"], &["not valid until"]];
    let messages: Vec<&Message> = words.iter().flat_map(|words| client::said(evidence, words)).collect();
    let by_after: Vec<&Message> = client::said(evidence, &["certificate has expired or is not yet valid", "is after"]).collect();
    let apart = apart(evidence);
    let finding = if let Some(first) = messages.first() {
        let cause = match gap(&first.text) {
            Some(gap) if gap > 0 => {
                let zone = if (gap + 300) % 3600 < 600 { ": one side keeps local time as if it were UTC" } else { "" };
                format!("the certificate begins {} ahead of this client's time{zone}", told(gap))
            }
            _ => "something begins later than this client's clock shows".to_owned(),
        };
        let place = Place::Machine { node: first.node.clone(), what: "clock of client or control plane".to_owned() };
        if evidence.read().facts.dates.is_empty() {
            let both = ["date -u on the client", "date -u on the control plane"];
            findings.open(place, format!("{cause}; whose clock is off, the message does not tell")).needs(&both)
        } else {
            findings.proven(place, cause)
        }
    } else if let (Some((seconds, item, line)), Some(first)) = (apart, by_after.first()) {
        let place = Place::Machine { node: first.node.clone(), what: "clock of client or control plane".to_owned() };
        findings.proven(place, format!("the clocks are {} apart", told(seconds))).quote(item, line)
    } else {
        return;
    };
    for message in messages.into_iter().chain(by_after) {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("set the clock and time zone of the machine that is off")
            .step("date -u    # on both machines, and of a third one that is right")
            .step("timedatectl set-ntp true"),
    );
}

/// Seconds from the client's time to the beginning of the certificate.
fn gap(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("current time ")?;
    let (now, start) = rest.split_once(" is before ")?;
    Some(times::first(start)?.seconds() - times::first(now)?.seconds())
}

fn told(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7000 => format!("{} min", (seconds + 30) / 60),
        7000..172_800 => format!("{} h", (seconds + 900) / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Clocks of different machines that are more than five minutes apart.
fn apart(evidence: &Evidence) -> Option<(i64, usize, u32)> {
    let dates = &evidence.read().facts.dates;
    let first = dates.first()?;
    let other = dates.iter().find(|other| {
        other.node != first.node && (other.value.seconds() - first.value.seconds()).abs() > 300
    })?;
    Some(((other.value.seconds() - first.value.seconds()).abs(), other.item, other.line))
}
