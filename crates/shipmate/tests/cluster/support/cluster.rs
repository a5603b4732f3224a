//! One cluster, and kubectl on it.

use std::ops::Deref;

use serde_json::Value;

use super::machine::tool;
use super::place::Place;
use super::program::{Answer, Running, words};
use super::{archive, table};

/// A cluster that runs, in a place of its own.
pub struct Cluster {
    pub name: String,
    place: Place,
}

impl Deref for Cluster {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Cluster {
    /// With nodes that have containers, and the image with a shell.
    pub fn start(purpose: &str, nodes: u32) -> Self {
        let cluster = Self::of(purpose, &nodes.to_string());
        let archive = archive(cluster.dir());
        cluster.shipmate(&format!("image load --name {} {archive}", cluster.name)).ok();
        cluster
    }

    /// With nodes without containers.
    pub fn simulated(purpose: &str, nodes: u32) -> Self {
        Self::of(purpose, &format!("simulated:{nodes}"))
    }

    fn of(purpose: &str, nodes: &str) -> Self {
        let place = Place::new(purpose);
        let name = place.name("");
        place.shipmate(&format!("start --name {name} --nodes {nodes}")).ok();
        Self { name, place }
    }

    /// Starts kubectl, with the words of a line.
    pub fn running(&self, line: &str) -> Running {
        self.running_with(&words(line))
    }

    /// Starts kubectl, with words that may be anything.
    pub fn running_with<W: AsRef<std::ffi::OsStr>>(&self, words: &[W]) -> Running {
        let mut command = self.command(tool("kubectl"));
        command.args(words);
        Running::start(command)
    }

    /// Runs kubectl to its end, however it ends.
    #[track_caller]
    pub fn answer(&self, line: &str) -> Answer {
        self.running(line).finish()
    }

    /// Runs kubectl; what it printed.
    #[track_caller]
    pub fn kubectl(&self, line: &str) -> String {
        self.answer(line).ok().trim_end().to_owned()
    }

    /// Runs kubectl, which must fail with exit code 1; what it complained about.
    #[track_caller]
    pub fn refused(&self, line: &str) -> String {
        self.answer(line).fails(1)
    }

    /// Runs kubectl with something on its stdin.
    #[track_caller]
    pub fn fed(&self, line: &str, input: impl AsRef<[u8]>) -> Answer {
        let mut running = self.running(line);
        running.send(input.as_ref());
        running.finish()
    }

    /// Applies a manifest.
    #[track_caller]
    pub fn apply(&self, manifest: impl ToString) -> String {
        self.fed("apply -f -", manifest.to_string()).ok().trim_end().to_owned()
    }

    /// Applies several manifests.
    #[track_caller]
    pub fn apply_all(&self, manifests: &[Value]) -> String {
        self.apply(manifests.iter().map(|manifest| format!("---\n{manifest}\n")).collect::<String>())
    }

    /// What kubectl gives as JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.kubectl(&format!("{line} -o json"))).unwrap()
    }

    /// What kubectl gives as a table.
    #[track_caller]
    pub fn rows(&self, line: &str) -> Vec<table::Row> {
        table(&self.kubectl(line))
    }

    /// One field of one object.
    #[track_caller]
    pub fn field(&self, object: &str, path: &str) -> String {
        self.kubectl(&format!("get {object} -o 'jsonpath={{{path}}}'"))
    }

    /// Waits as `kubectl wait` does, with the usual patience.
    #[track_caller]
    pub fn wait(&self, line: &str) -> String {
        self.kubectl(&format!("wait --timeout={}s {line}", super::PATIENCE.as_secs()))
    }

    /// Waits until a pod is ready.
    #[track_caller]
    pub fn ready(&self, pods: &str) {
        self.wait(&format!("--for=condition=Ready {pods}"));
    }
}
