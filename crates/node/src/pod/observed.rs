//! What the runtime has of one pod, as plain data.

use jiff::Timestamp;

use crate::labels::Notes;
use crate::pod::resources::Limits;

/// The sandboxes and containers of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Newest first.
    pub sandboxes: Vec<Sandbox>,
    /// Newest first, dead ones included.
    pub containers: Vec<Container>,
}

/// A pod sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sandbox {
    pub id: String,
    pub attempt: u32,
    pub ready: bool,
    /// In the order of the runtime; empty on the host's network.
    pub ips: Vec<String>,
    pub host_network: bool,
    pub created: Timestamp,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    Created,
    Running,
    Exited,
    /// The runtime lost it.
    #[default]
    Unknown,
}

/// A container, running or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    pub id: String,
    pub sandbox: String,
    pub name: String,
    /// What was recorded with it when it was created.
    pub notes: Notes,
    pub state: State,
    /// The reference that it was made from.
    pub image: String,
    /// The digest of that image.
    pub image_ref: String,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub exit_code: i32,
    pub reason: String,
    /// The termination message, or the runtime's own.
    pub message: String,
    pub log_path: String,
    /// The limits in force, if the runtime tells.
    pub limits: Option<Limits>,
}

impl Observed {
    /// The sandbox that counts.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first()
    }

    /// The newest container of that name, whatever its sandbox.
    pub fn newest(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The newest container of that name in the newest sandbox.
    pub fn current(&self, name: &str) -> Option<&Container> {
        let sandbox = self.sandbox()?;
        self.newest(name).filter(|container| container.sandbox == sandbox.id)
    }

    /// The container before the newest one of that name.
    pub fn previous(&self, name: &str) -> Option<&Container> {
        self.containers.iter().filter(|container| container.name == name).nth(1)
    }

    /// Containers with a process, or that may have one.
    pub fn alive(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.alive())
    }

    /// Whether nothing of the pod runs.
    pub fn quiet(&self) -> bool {
        self.alive().next().is_none() && self.sandboxes.iter().all(|sandbox| !sandbox.ready)
    }
}

impl Container {
    /// Whether it has a process, or may have one.
    pub fn alive(&self) -> bool {
        matches!(self.state, State::Running | State::Unknown)
    }
}
