//! Drives every planner over a server in memory, in an order that a seed decides.
//!
//! Two keys are often planned from one view and carried out in turns, so that plans meet conflicts; now and then only
//! the beginning of a plan is carried out and everything starts anew, as after a crash. Time is virtual: it stands
//! still but for milliseconds while there is something to do, and jumps to the next timer when there is not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use api::{Change, Key, Listed, Plan, Propagation, Reason, Subresource, View};
use control::{Config, Planner};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::place::Place;
use crate::server::{Server, key_of};

/// Plans without an end in sight.
const ROUNDS_MAX: usize = 60_000;

type Law = Box<dyn Fn(&View) -> Result<(), String>>;

/// A cluster in virtual time.
pub struct Cluster {
    pub server: Server,
    seed: u64,
    random: StdRng,
    planners: Vec<Arc<dyn Planner>>,
    pending: BTreeSet<(usize, Key)>,
    timers: BTreeMap<(usize, Key), Timestamp>,
    laws: Vec<Law>,
    /// What was done last, for whoever has to find out why.
    trace: VecDeque<String>,
}

impl Cluster {
    /// A cluster of simulated nodes.
    pub fn new(seed: u64, n_nodes: usize) -> Self {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let server = Server::new(start);
        let config = Config { root_ca: "PEM".to_owned(), started: start };
        let mut planners = control::planners(&config, &server.view);
        planners.push(Arc::new(Place(seed)));
        let mut cluster = Self {
            server,
            seed,
            random: StdRng::seed_from_u64(seed),
            planners,
            pending: BTreeSet::new(),
            timers: BTreeMap::new(),
            laws: Vec::new(),
            trace: VecDeque::new(),
        };
        for namespace in ["default", "kube-system", "kube-node-lease"] {
            cluster.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"));
        }
        for node in control::simulated::nodes("c", n_nodes) {
            cluster.create(serde_json::to_value(node).unwrap());
        }
        cluster.settle(1);
        cluster
    }

    /// Something that must hold after every single write from now on.
    pub fn always(&mut self, law: impl Fn(&View) -> Result<(), String> + 'static) {
        self.laws.push(Box::new(law));
    }

    pub fn get<K: Listed>(&self, name: &str) -> Option<&K> {
        let kind = self.server.view.catalogue().kind(self.server.view.catalogue().id_of::<K>());
        self.server.view.get(if kind.namespaced { "default" } else { "" }, name)
    }

    pub fn list<K: Listed>(&self) -> Vec<&K> {
        self.server.view.list().collect()
    }

    /// Creates the objects of a YAML text.
    pub fn apply(&mut self, yaml: &str) {
        for text in yaml.split("\n---\n") {
            self.create(serde_saphyr::from_str(text).unwrap_or_else(|why| panic!("{why}\n{text}")));
        }
    }

    pub fn create(&mut self, mut value: Value) {
        if value["metadata"]["namespace"].is_null() {
            value["metadata"]["namespace"] = "default".into();
        }
        self.must(Change::Create(value));
    }

    fn must(&mut self, change: Change) {
        let text = format!("{change:?}");
        self.server.commit(change).unwrap_or_else(|why| panic!("{why}: {text}"));
        self.follow();
    }

    pub fn key<K: Listed>(&self, name: &str) -> Key {
        let kind = self.server.view.catalogue().kind(self.server.view.catalogue().id_of::<K>());
        Key::new(kind.id, if kind.namespaced { "default" } else { "" }, name)
    }

    /// Changes an object by a merge patch, as a person does.
    pub fn patch<K: Listed>(&mut self, name: &str, patch: Value) {
        self.patch_part::<K>(name, Subresource::Main, patch);
    }

    pub fn patch_part<K: Listed>(&mut self, name: &str, part: Subresource, patch: Value) {
        let key = self.key::<K>(name);
        let uid = self.server.view.object(&key).unwrap_or_else(|| panic!("no {key:?}")).header.uid.to_string();
        self.must(Change::Patch { key, uid, part, patch });
    }

    pub fn delete<K: Listed>(&mut self, name: &str, propagation: Propagation) {
        let key = self.key::<K>(name);
        self.server.delete(&key, propagation, None).unwrap();
        self.follow();
    }

    /// Wakes who is concerned by what happened.
    fn follow(&mut self) {
        let view = self.server.now();
        for entry in std::mem::take(&mut self.server.log) {
            for (number, planner) in self.planners.iter().enumerate() {
                self.pending.extend(planner.woken(&entry, &view).into_iter().map(|key| (number, key)));
            }
        }
        for law in &self.laws {
            if let Err(why) = law(&view) {
                self.fail(&why);
            }
        }
    }

    fn fail(&self, why: &str) -> ! {
        let trace: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        panic!("seed {}: {why}\nat {}, after\n{}", self.seed, self.server.now, trace.join("\n"));
    }

    /// Lets everything happen that happens in the next `seconds`; afterwards planning changes nothing.
    pub fn settle(&mut self, seconds: i64) {
        let until = self.server.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        let mut rounds = 0;
        loop {
            self.ring();
            if self.pending.is_empty() {
                match self.timers.values().min().copied() {
                    Some(next) if next <= until => self.server.now = next.max(self.server.now),
                    _ => break,
                }
                continue;
            }
            rounds += 1;
            if rounds > ROUNDS_MAX {
                self.fail("there is no end");
            }
            self.round();
        }
        self.server.now = until.max(self.server.now);
        self.steady();
    }

    /// Lets a few decisions be made, and no more.
    pub fn step(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.ring();
            if !self.pending.is_empty() {
                self.round();
            }
        }
    }

    /// Takes all finalizers off an object.
    pub fn release(&mut self, key: &Key) {
        let uid = self.server.view.object(key).unwrap().header.uid.to_string();
        let patch = json!({"metadata": {"finalizers": null}});
        self.must(Change::Patch { key: key.clone(), uid, part: Subresource::Main, patch });
    }

    fn ring(&mut self) {
        let now = self.server.now;
        let due: Vec<(usize, Key)> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.timers.remove(&key);
            self.pending.insert(key);
        }
    }

    fn take(&mut self) -> Option<(usize, Key)> {
        let nth = self.random.random_range(0..self.pending.len().max(1));
        let one = self.pending.iter().nth(nth).cloned()?;
        self.pending.remove(&one);
        Some(one)
    }

    /// Plans one or two keys and carries the plans out in turns, perhaps not to their ends.
    fn round(&mut self) {
        let step = self.random.random_range(0..20);
        self.server.now = self.server.now.checked_add(SignedDuration::from_millis(step)).unwrap();
        let view = self.server.now();
        let n_plans = self.random.random_range(1..=2);
        let mut running = Vec::new();
        for _ in 0..n_plans {
            let Some((number, key)) = self.take() else { break };
            let plan = self.decide(number, &key, &view);
            running.push((number, key, VecDeque::from(plan.changes)));
        }
        let crash = (self.random.random_range(0..25) == 0).then(|| self.random.random_range(0..5));
        let mut n_made = 0;
        while !running.is_empty() {
            if crash == Some(n_made) {
                self.trace("crash");
                return self.restart();
            }
            let nth = self.random.random_range(0..running.len());
            let Some((change, why)) = running[nth].2.pop_front() else {
                running.remove(nth);
                continue;
            };
            n_made += 1;
            let (number, key) = (running[nth].0, running[nth].1.clone());
            if self.carry_out(number, &key, change, &why).is_err() {
                running.remove(nth);
            }
        }
    }

    fn decide(&mut self, number: usize, key: &Key, view: &View) -> Plan {
        let mut plan = Plan::default();
        let planner = Arc::clone(&self.planners[number]);
        if let Err(blocked) = planner.plan(key, view, &mut plan) {
            self.trace(&format!("{} {key:?} is blocked: {}", planner.name(), blocked.message));
        }
        self.timers.remove(&(number, key.clone()));
        if let Some(at) = plan.wake_at.take() {
            self.timers.insert((number, key.clone()), at);
        }
        plan
    }

    fn carry_out(&mut self, number: usize, key: &Key, change: Change, why: &str) -> Result<(), ()> {
        let name = self.planners[number].name().to_owned();
        let text = short(&change);
        self.trace(&format!("{name} {key:?}: {text}, {why}"));
        let result = self.server.commit(change);
        self.follow();
        let Err(status) = result else { return Ok(()) };
        match status.reason {
            Reason::Conflict | Reason::NotFound | Reason::AlreadyExists => {
                self.trace("    conflict");
                self.pending.insert((number, key.clone()));
            }
            Reason::Forbidden => {
                // Refused: it comes back later, and whenever it is woken.
                let later = self.server.now.checked_add(SignedDuration::from_secs(1)).unwrap();
                self.timers.insert((number, key.clone()), later);
            }
            _ => self.fail(&format!("{name} {key:?} asks for something bad: {status}")),
        }
        Err(())
    }

    /// The process ended and another one starts: it knows nothing but what is stored.
    fn restart(&mut self) {
        self.pending.clear();
        self.timers.clear();
        let view = self.server.now();
        for (number, planner) in self.planners.iter().enumerate() {
            self.pending.extend(planner.all(&view).into_iter().map(|key| (number, key)));
        }
    }

    /// What was converged stays as it is: nobody was forgotten, and nobody wants to go on.
    fn steady(&self) {
        let view = self.server.now();
        for (number, planner) in self.planners.iter().enumerate() {
            for key in planner.all(&view) {
                let mut plan = Plan::default();
                let _blocked = planner.plan(&key, &view, &mut plan);
                if self.timers.get(&(number, key.clone())).is_some_and(|at| *at <= self.server.now) {
                    continue;
                }
                let change = plan.changes.iter().find(|(change, _)| !matches!(change, Change::Event { .. }));
                if let Some((change, why)) = change {
                    self.fail(&format!("{} {key:?} was not done: {}, {why}", planner.name(), short(change)));
                }
            }
        }
    }

    fn trace(&mut self, text: &str) {
        self.trace.push_back(format!("{} {text}", self.server.now));
        if self.trace.len() > 60 {
            self.trace.pop_front();
        }
    }

    /// Whether an object of this YAML's name is there.
    pub fn holds(&self, value: &Value) -> bool {
        key_of(self.server.view.catalogue(), value).is_ok_and(|key| self.server.view.object(&key).is_some())
    }
}

fn short(change: &Change) -> String {
    match change {
        Change::Create(value) => format!("create {} {}", value["kind"], value["metadata"]["name"]),
        Change::Update(value, part) => format!("update {part:?} of {} {}", value["kind"], value["metadata"]["name"]),
        Change::Patch { key, part, patch, .. } => {
            let text = patch.to_string();
            format!("patch {part:?} of {key:?}: {}", text.chars().take(160).collect::<String>())
        }
        Change::Event { reason, message, .. } => format!("tell {reason}: {message}"),
        other => format!("{other:?}"),
    }
}
