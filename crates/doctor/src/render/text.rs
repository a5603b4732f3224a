//! Reports for people.

use super::{Look, place};
use crate::evidence::Evidence;
use crate::examine::Report;

/// The report, worst first, with a line that sums it up.
pub fn text(evidence: &Evidence, report: &Report, _look: Look) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let at = place(evidence, &finding.place);
        text.push_str(&format!("{:?}[{}]: {}\n --> {at}\n", finding.severity, finding.code, finding.title));
    }
    text
}
