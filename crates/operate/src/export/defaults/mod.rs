//! Which fields of an object the server would set by itself: told by its own dry run, not by a list.
//!
//! Everything that may be a default is left out at once, and the server is asked what it would make of the rest. What it
//! misses or makes otherwise is put back, until it makes the same object. Objects that are alike in all that defaults can
//! depend on are asked about once.

mod pattern;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use kube::Client;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::ask::{self, Refused};
use super::clean::clean;
use super::kinds::Kind;
use pattern::{Differing, candidates, forget_numbers, pattern, put_back, remove, shape};

pub(super) use pattern::Pattern;

/// How often something is put back before the object stays as it is.
const ROUNDS: usize = 12;
/// As what the object would be called: nothing is made.
pub(super) const TRIAL: &str = "shipmate-dry-run";

type Answer = Result<Arc<BTreeSet<Pattern>>, String>;

/// Asks a server about defaults, and remembers its answers.
pub(super) struct Defaults<'a> {
    client: &'a Client,
    answers: Mutex<HashMap<String, Arc<OnceCell<Answer>>>>,
    /// Kinds for which the server may not be asked in a namespace, and why.
    refused: Mutex<BTreeMap<(String, String), String>>,
}

impl<'a> Defaults<'a> {
    pub(super) fn of(client: &'a Client) -> Self {
        Self { client, answers: Mutex::default(), refused: Mutex::default() }
    }

    /// A clean object without what the server would set by itself, and which fields these are. `Err` tells why it could
    /// not be told.
    pub(super) async fn leave_out(&self, kind: &Kind, object: &Value) -> Result<(Value, Vec<Pattern>), String> {
        let mut found = BTreeSet::new();
        candidates(object, &Pattern::default(), &mut found);
        if found.is_empty() || !kind.creatable {
            return Ok((object.clone(), Vec::new()));
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let place = (kind.shown(), namespace.to_owned());
        if let Some(why) = self.refused.lock().ok().and_then(|refused| refused.get(&place).cloned()) {
            return Err(why);
        }
        let shape = format!("{} {}", kind.shown(), shape(object));
        let cell = match self.answers.lock() {
            Ok(mut answers) => answers.entry(shape).or_default().clone(),
            Err(_) => Arc::default(),
        };
        let answer = cell.get_or_init(|| self.ask(kind, object, found, place)).await.clone()?;
        let mut left = object.clone();
        let mut gone = Vec::new();
        for pattern in answer.iter() {
            if remove(&mut left, &pattern.0) {
                gone.push(pattern.clone());
            }
        }
        Ok((left, gone))
    }

    async fn ask(&self, kind: &Kind, object: &Value, all: BTreeSet<Pattern>, place: (String, String)) -> Answer {
        let mut whole = object.clone();
        forget_numbers(&mut whole);
        let found = match self.narrow(kind, &whole, all).await {
            // What was missing only because something else was left out is tried once more.
            Ok((out, again)) if !again.is_empty() => {
                let more = self.narrow(kind, &whole, out.union(&again).cloned().collect()).await;
                more.map_or(Ok(out), |(more, _)| Ok(more))
            }
            found => found.map(|(out, _)| out),
        };
        found.map(Arc::new).map_err(|refused| {
            if refused.code == 403
                && let Ok(mut all) = self.refused.lock()
            {
                all.insert(place, refused.why.clone());
            }
            refused.why
        })
    }

    /// Puts back what the server misses, until it makes the whole of the rest. Also returns what it had not made at all,
    /// when other things were missing, too.
    async fn narrow(
        &self,
        kind: &Kind,
        whole: &Value,
        mut out: BTreeSet<Pattern>,
    ) -> Result<(BTreeSet<Pattern>, BTreeSet<Pattern>), Refused> {
        let mut again = BTreeSet::new();
        for _ in 0..ROUNDS {
            if out.is_empty() {
                return Ok((out, again));
            }
            let mut asked = whole.clone();
            for pattern in &out {
                remove(&mut asked, &pattern.0);
            }
            let before = out.clone();
            match self.dry_run(kind, asked).await {
                Ok(mut made) => {
                    forget_numbers(&mut made);
                    let mut differing = Differing::default();
                    differing.compare(whole, &made, &Pattern::default());
                    if differing.is_empty() {
                        return Ok((out, again));
                    }
                    put_back(&mut out, &differing.missing);
                    again.extend(before.difference(&out).cloned());
                    put_back(&mut out, &differing.other);
                }
                Err((refused, causes)) if causes.is_empty() => return Err(refused),
                // What is wrong may be so because of something else that is missing, and is named, too.
                Err((_, causes)) => {
                    let (known, unknown): (Vec<_>, Vec<_>) =
                        causes.into_iter().partition(|cause| out.iter().any(|pattern| pattern.touches(cause)));
                    put_back(&mut out, if known.is_empty() { &unknown } else { &known });
                }
            }
            if out == before {
                return Err(Refused::because("the server makes it otherwise, whatever is left out"));
            }
        }
        Err(Refused::because(format!("the server did not make the same of it in {ROUNDS} tries")))
    }

    /// What the server would make of an object; else why not, and the fields that it misses.
    async fn dry_run(&self, kind: &Kind, mut object: Value) -> Result<Value, (Refused, Vec<Pattern>)> {
        let (name, namespace) = (object["metadata"]["name"].take(), object["metadata"]["namespace"].clone());
        object["metadata"]["name"] = TRIAL.into();
        let path = format!("{}?dryRun=All&fieldValidation=Ignore", kind.path(namespace.as_str()));
        match ask::write(self.client, http::Method::POST, &path, "application/json", &object).await {
            Ok(mut made) => {
                made["metadata"]["name"] = name;
                clean(&mut made, &mut BTreeSet::new());
                Ok(made)
            }
            Err(refused) => {
                let causes = refused.fields.iter().map(|field| pattern(field)).collect();
                Err((refused, causes))
            }
        }
    }
}
