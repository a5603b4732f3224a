//! A rule: one cause, and the function that recognises it.

use crate::evidence::Evidence;
use crate::finding::{Certainty, Finding, Place, Severity};

/// One cause of trouble.
pub struct Rule {
    /// Such as `SM0101`: `SM`, area, number. Never used again for another cause.
    pub code: &'static str,
    /// The cause's key.
    pub key: &'static str,
    /// What is wrong, in lower case, without a full stop and without the remedy.
    pub title: &'static str,
    /// How bad it usually is.
    pub severity: Severity,
    /// The page that `shipmate explain` shows; its examples are the rule's tests (see [`crate::page`]).
    pub page: &'static str,
    /// Looks at evidence and reports. Rules for open questions report what they can't decide as
    /// [`Certainty::Open`]; the examination keeps that only while no other rule proves its cause.
    pub check: fn(&Evidence, &mut Findings<'_>),
}

/// Where a rule puts what it found.
pub struct Findings<'a> {
    rule: &'a Rule,
    found: &'a mut Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub(crate) fn of(rule: &'a Rule, found: &'a mut Vec<Finding>) -> Self {
        Self { rule, found }
    }

    /// Reports what the evidence proves.
    pub fn proven(&mut self, place: Place, cause: impl Into<String>) -> &mut Finding {
        self.report(Certainty::Proven, place, cause.into())
    }

    /// Reports what fits best.
    pub fn likely(&mut self, place: Place, cause: impl Into<String>) -> &mut Finding {
        self.report(Certainty::Likely, place, cause.into())
    }

    /// Reports a question: say with [`Finding::or`] what else fits, and with [`Finding::needs`] what would decide.
    pub fn open(&mut self, place: Place, cause: impl Into<String>) -> &mut Finding {
        self.report(Certainty::Open, place, cause.into())
    }

    fn report(&mut self, certainty: Certainty, place: Place, cause: String) -> &mut Finding {
        let Rule { code, key, title, severity, .. } = *self.rule;
        self.found.push(Finding {
            code,
            key,
            title,
            severity,
            certainty,
            place,
            cause,
            quotes: Vec::new(),
            notes: Vec::new(),
            candidates: Vec::new(),
            needs: Vec::new(),
            fixes: Vec::new(),
            explains: Vec::new(),
            weight: 0,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }
}
