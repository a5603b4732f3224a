//! What fixes come to: which files get which content, which objects which patch, what must be restarted.

use std::collections::BTreeMap;
use std::ops::Range;

use doctor::finding::Fix;
use doctor::{Evidence, redact, render};
use serde_json::Value;

use super::{ChangeError, Ground, file};

/// A file that gets another content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Its node; `None` for this machine.
    pub node: Option<String>,
    /// Its path.
    pub path: String,
    /// Its content.
    pub old: String,
    /// What it will be.
    pub new: String,
    /// The edits that lead from one to the other.
    pub edits: Vec<(Range<usize>, String)>,
}

/// An object that is patched.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectChange {
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
    /// The object as the evidence saw it, if it did.
    pub seen: Option<Value>,
}

/// All changes, and the units to be restarted after them, each with its node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Files.
    pub files: Vec<FileChange>,
    /// Objects.
    pub objects: Vec<ObjectChange>,
    /// Units.
    pub restarts: Vec<(Option<String>, String)>,
}

/// Why a fix is left out of a plan.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The item is no file.
    #[error("{0} is no file that could be changed")]
    NoFile(String),
    /// The fix touches what another one changes.
    #[error("it changes the same place as another fix: run `--fix` again afterwards")]
    Overlap,
    /// The fix would change a secret that was not looked at.
    #[error("it touches a secret in {0}, which is not looked at: change it by hand")]
    Secret(String),
    /// The file could not be read, or is another one now.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Plan {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.objects.is_empty()
    }

    /// Adds a fix: reads the files that it edits, and makes sure that they are what the evidence saw. The plan stays as it
    /// was when the fix does not fit.
    ///
    /// # Errors
    /// Why it is left out.
    pub async fn add(&mut self, evidence: &Evidence, fix: &Fix, ground: &Ground) -> Result<(), Refusal> {
        let mut plan = self.clone();
        let mut by_item: BTreeMap<usize, Vec<(Range<usize>, String)>> = BTreeMap::new();
        for edit in &fix.edits {
            by_item.entry(edit.item).or_default().push((edit.span.clone(), edit.new.clone()));
        }
        let mut node_of_first = None;
        for (number, edits) in by_item {
            let node = plan.edit(evidence, number, edits, ground).await?;
            node_of_first.get_or_insert(node);
        }
        for patch in &fix.patches {
            plan.objects.push(ObjectChange {
                api_version: patch.api_version.clone(),
                kind: patch.kind.clone(),
                namespace: patch.namespace.clone(),
                name: patch.name.clone(),
                patch: patch.patch.clone(),
                seen: seen(evidence, &patch.kind, &patch.namespace, &patch.name),
            });
        }
        if let (Some(unit), Some(node)) = (&fix.restart, node_of_first) {
            let restart = (node, unit.clone());
            if !plan.restarts.contains(&restart) {
                plan.restarts.push(restart);
            }
        }
        *self = plan;
        Ok(())
    }

    async fn edit(
        &mut self,
        evidence: &Evidence,
        number: usize,
        edits: Vec<(Range<usize>, String)>,
        ground: &Ground,
    ) -> Result<Option<String>, Refusal> {
        let item = evidence.items().get(number).ok_or_else(|| Refusal::NoFile(format!("item {number}")))?;
        let origin = &item.origin;
        let path = origin.path().filter(|path| *path != "stdin.yaml").map(absolute);
        let path = path.ok_or_else(|| Refusal::NoFile(origin.0.clone()))?;
        let node = origin.node().map(str::to_owned);
        let known = self.files.iter().position(|file| file.node == node && file.path == path);
        let old = match known {
            Some(at) => self.files[at].old.clone(),
            None => file::read(ground, node.as_deref(), &path).await?,
        };
        // The evidence has no secrets in it; without its own, the file must be the same.
        let redacted = redact::text(item.kind, &old);
        if redacted.text != item.text && old != item.text {
            return Err(ChangeError::FileChanged(file::shown(node.as_deref(), &path)).into());
        }
        let mut all = known.map(|at| self.files[at].edits.clone()).unwrap_or_default();
        for (span, new) in edits {
            let span = if old == item.text { Some(span) } else { redacted.original(&span) };
            let span = span.ok_or_else(|| Refusal::Secret(file::shown(node.as_deref(), &path)))?;
            // The same edit may mend several findings.
            if !all.contains(&(span.clone(), new.clone())) {
                all.push((span, new));
            }
        }
        let borrowed: Vec<(Range<usize>, &str)> = all.iter().map(|(span, new)| (span.clone(), new.as_str())).collect();
        let new = render::applied(&old, &borrowed).ok_or(Refusal::Overlap)?;
        let change = FileChange { node: node.clone(), path, old, new, edits: all };
        match known {
            Some(at) => self.files[at] = change,
            None => self.files.push(change),
        }
        Ok(node)
    }
}

/// A path of this machine or a node that does not depend on where this program was started.
fn absolute(path: &str) -> String {
    if let Some(rest) = path.strip_prefix("~/")
        && let Some(home) = std::env::var_os("HOME")
    {
        return std::path::Path::new(&home).join(rest).display().to_string();
    }
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// The object as it stands in the evidence.
fn seen(evidence: &Evidence, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    let mut objects = evidence.read().objects.iter();
    let found = objects.find(|found| (found.kind(), found.namespace(), found.name()) == (kind, namespace, name));
    found.map(|found| (*found.object).clone())
}
