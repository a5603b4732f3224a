//! A character in an image name that cannot be seen, or that looks like another one.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::explain;
use crate::read::reference::{Flaw, flaw};
use crate::read::written::{Written, explain_flaw, flawed, place};
use crate::text::{is_invisible, visible};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0146",
    key: "image-invisible-character",
    title: "invisible character in an image name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for flawed in flawed(evidence, Flaw::Invisible) {
        let character = flawed.image[flawed.bytes.clone()].chars().next().unwrap_or_default();
        let code = u32::from(character);
        let cause = format!("the image name `{}` has the character U+{code:04X} in it", visible(&flawed.image));
        let finding = findings.proven(flawed.place.clone(), cause);
        explain_flaw(evidence, finding, &flawed);
        let fix = match &flawed.place {
            Place::Text { item, span } if is_invisible(character) => {
                Fix::safe("delete the character").edit(*item, span.clone(), "")
            }
            _ => Fix::manual("type the name anew where it comes from"),
        };
        finding.fix(fix);
    }
    unclear(evidence, findings);
}

/// A name that can't be read, and nothing to see why.
fn unclear(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let pull = read.pulls.iter().find(|pull| pull.answer == Answer::Reference && flaw(&pull.image).is_none());
    let row = read.pod_rows.iter().find(|row| row.status.ends_with("InvalidImageName"));
    let any = |image: &Written| flaw(&image.image).is_some();
    if read.images.iter().any(any) || read.pulls.iter().any(|pull| flaw(&pull.image).is_some()) {
        return;
    }
    let finding = if let Some(pull) = pull {
        let finding = findings.open(place(evidence, pull), format!("`{}` can't be read as the name of an image", pull.image));
        explain(finding, &read.messages, &[pull]);
        finding
    } else if let Some(row) = row {
        let place = Place::Object {
            kind: "Pod".to_owned(),
            namespace: row.namespace.clone().unwrap_or_default(),
            name: row.name.clone(),
            field: "spec.containers.image".to_owned(),
        };
        let finding = findings.open(place, format!("the image of pod `{}` can't be read as a name", row.name));
        finding.quote(row.item, row.line)
    } else {
        return;
    };
    finding
        .or(&["image-surrounding-whitespace", "image-name-not-lowercase", "unexpanded-variable-in-image"])
        .or(&["scheme-in-image-reference"])
        .needs(&[
            "InspectFailed event of the pod (kubectl describe pod)",
            "image of the pod, escaped (kubectl get pod -o json)",
            "manifest that was applied",
        ])
        .weigh(-1)
        .fix(Fix::manual("look at the name's characters").step("kubectl get pod POD -o json | jq '.spec.containers[].image' | cat -A"));
}
