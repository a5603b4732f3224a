//! What rules say: a fault, its place, why it is believed, and how it is mended.

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use crate::evidence::Evidence;
use crate::read::Message;
use crate::text::Position;

/// How bad a fault is. Findings are shown worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something will not work, or works by luck.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

/// How far the evidence goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The evidence decides.
    Proven,
    /// It fits, nothing speaks against it, and nothing else fits as well.
    Likely,
    /// Several causes fit. The finding names them, and what would decide.
    Open,
}

/// Where a fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes of an item of the evidence: a file's content, mostly.
    Text {
        /// Number of the item.
        item: usize,
        /// Its bytes; empty where something is missing.
        span: Range<usize>,
    },
    /// An object of the API.
    Object {
        /// Such as `Pod`.
        kind: String,
        /// Empty for objects without one.
        namespace: String,
        /// Its name.
        name: String,
        /// Such as `spec.containers[0].image`; empty for the whole object.
        field: String,
    },
    /// Something of a machine that is no file in the evidence: a mount, a socket, a clock, a program.
    Machine {
        /// The node; empty when it is the user's own machine or not known.
        node: String,
        /// What of it.
        what: String,
    },
    /// Another service: a registry, a mirror, the API server, a database.
    Service(String),
}

/// May a fix be applied without a person?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applicability {
    /// `doctor --fix` applies it.
    Safe,
    /// `doctor --fix --review` applies it, after asking.
    Review,
    /// It has a blank to fill in, or needs a person's judgement; it is only printed.
    Manual,
}

/// A change of a text: these bytes become those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Number of the item.
    pub item: usize,
    /// The bytes that go.
    pub span: Range<usize>,
    /// What takes their place.
    pub new: String,
}

/// A change of an object of the API: a JSON merge patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Patch {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Empty for objects without one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The merge patch.
    pub patch: Value,
}

/// How a fault is mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// Whether it may be applied.
    pub applicability: Applicability,
    /// What it does, in one line.
    pub title: String,
    /// Changes of texts.
    pub edits: Vec<Edit>,
    /// Changes of objects.
    pub patches: Vec<Patch>,
    /// The systemd unit that must be restarted afterwards, on the node of the first edit.
    pub restart: Option<String>,
    /// What a person types or does, line by line.
    pub steps: Vec<String>,
}

impl Fix {
    fn titled(applicability: Applicability, title: impl Into<String>) -> Self {
        let title = title.into();
        Self { applicability, title, edits: Vec::new(), patches: Vec::new(), restart: None, steps: Vec::new() }
    }

    /// A fix that is only told.
    pub fn manual(title: impl Into<String>) -> Self {
        Self::titled(Applicability::Manual, title)
    }

    /// A fix that `--fix` applies.
    pub fn safe(title: impl Into<String>) -> Self {
        Self::titled(Applicability::Safe, title)
    }

    /// A fix that is applied after a look.
    pub fn review(title: impl Into<String>) -> Self {
        Self::titled(Applicability::Review, title)
    }

    /// Adds a change of a text.
    #[must_use]
    pub fn edit(mut self, item: usize, span: Range<usize>, new: impl Into<String>) -> Self {
        self.edits.push(Edit { item, span, new: new.into() });
        self
    }

    /// Adds a change of an object.
    #[must_use]
    pub fn patch(mut self, patch: Patch) -> Self {
        self.patches.push(patch);
        self
    }

    /// Names the unit that must be restarted afterwards.
    #[must_use]
    pub fn restart(mut self, unit: &str) -> Self {
        self.restart = Some(unit.to_owned());
        self
    }

    /// Adds a line of what to type or do.
    #[must_use]
    pub fn step(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }
}

/// A line of the evidence that is quoted as proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Number of the item.
    pub item: usize,
    /// The line, from 1.
    pub line: u32,
}

/// One fault.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Such as `SM0101`.
    pub code: &'static str,
    /// The cause's key, such as `endpoint-surrounding-whitespace`.
    pub key: &'static str,
    /// The rule's title.
    pub title: &'static str,
    /// How bad.
    pub severity: Severity,
    /// How certain.
    pub certainty: Certainty,
    /// Where.
    pub place: Place,
    /// What is wrong here, in one sentence that names the thing.
    pub cause: String,
    /// Lines that prove it.
    pub quotes: Vec<Quote>,
    /// Further remarks.
    pub notes: Vec<String>,
    /// Keys of other causes that fit as well, when it is open.
    pub candidates: Vec<&'static str>,
    /// Evidence that would decide, when it is open.
    pub needs: Vec<String>,
    /// Ways to mend it, best first.
    pub fixes: Vec<Fix>,
    /// Numbers of the messages that it explains.
    pub explains: Vec<usize>,
    /// Breaks ties: a root cause stands above (more than 0) its symptoms (less).
    pub weight: i32,
}

impl Finding {
    /// Says that it explains this message, and quotes it.
    pub fn message(&mut self, message: &Message) -> &mut Self {
        self.explains.push(message.number);
        self.quote(message.item, message.line)
    }

    /// Quotes a line of an item.
    pub fn quote(&mut self, item: usize, line: u32) -> &mut Self {
        let quote = Quote { item, line };
        if !self.quotes.contains(&quote) {
            self.quotes.push(quote);
        }
        self
    }

    /// Quotes the first line of an item in which the word stands.
    pub fn quote_word(&mut self, evidence: &Evidence, item: usize, word: &str) -> &mut Self {
        if let Some(at) = evidence.items().get(item).and_then(|found| found.text.find(word).map(|at| (found, at))) {
            self.quote(item, Position::of(&at.0.text, at.1).line);
        }
        self
    }

    /// Adds a remark.
    pub fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a way to mend it.
    pub fn fix(&mut self, fix: Fix) -> &mut Self {
        self.fixes.push(fix);
        self
    }

    /// Names other causes that fit as well. For open findings.
    pub fn or(&mut self, keys: &[&'static str]) -> &mut Self {
        for key in keys {
            if *key != self.key && !self.candidates.contains(key) {
                self.candidates.push(key);
            }
        }
        self
    }

    /// Names evidence that would decide. For open findings.
    pub fn needs(&mut self, needs: &[&str]) -> &mut Self {
        for need in needs {
            if !self.needs.iter().any(|known| known == need) {
                self.needs.push((*need).to_owned());
            }
        }
        self
    }

    /// Puts it above (more than 0) or below (less) findings that are as bad and as certain.
    pub fn weigh(&mut self, weight: i32) -> &mut Self {
        self.weight = weight;
        self
    }

    /// Makes it less or more bad than the rule usually is.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }
}
