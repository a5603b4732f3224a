//! The containers of a pod's spec, of all classes, in the order in which they start.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

/// What part a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Runs to its end before what follows it.
    Init,
    /// An init container with `restartPolicy: Always` (KEP-753): started in turn, then kept running.
    Sidecar,
    Main,
    /// Added by `kubectl debug`; never restarted.
    Ephemeral,
}

/// A container of the spec.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    pub class: Class,
    pub container: Cow<'a, Container>,
    /// Whose process namespace an ephemeral container joins.
    pub target: Option<&'a str>,
    index: usize,
}

impl Member<'_> {
    pub fn name(&self) -> &str {
        &self.container.name
    }

    /// Where it stands in the pod, as events say it.
    pub fn field_path(&self) -> String {
        let list = match self.class {
            Class::Init | Class::Sidecar => "initContainers",
            Class::Main => "containers",
            Class::Ephemeral => "ephemeralContainers",
        };
        if self.name().is_empty() {
            return format!("spec.{list}[{}]", self.index);
        }
        format!("spec.{list}{{{}}}", self.name())
    }
}

/// All containers: init containers and sidecars, then ephemeral ones, then the main ones.
pub fn members(spec: &PodSpec) -> impl Iterator<Item = Member<'_>> {
    init(spec).chain(ephemeral(spec)).chain(main(spec))
}

/// Init containers and sidecars.
pub fn init(spec: &PodSpec) -> impl DoubleEndedIterator<Item = Member<'_>> {
    spec.init_containers.as_deref().unwrap_or_default().iter().enumerate().map(|(index, container)| {
        let class = if restarts_always(container) { Class::Sidecar } else { Class::Init };
        Member { class, container: Cow::Borrowed(container), target: None, index }
    })
}

/// The main containers.
pub fn main(spec: &PodSpec) -> impl Iterator<Item = Member<'_>> {
    spec.containers.iter().enumerate().map(|(index, container)| Member {
        class: Class::Main,
        container: Cow::Borrowed(container),
        target: None,
        index,
    })
}

/// The ephemeral containers.
pub fn ephemeral(spec: &PodSpec) -> impl Iterator<Item = Member<'_>> {
    spec.ephemeral_containers.iter().flatten().enumerate().map(|(index, container)| Member {
        class: Class::Ephemeral,
        container: Cow::Owned(as_container(container)),
        target: container.target_container_name.as_deref(),
        index,
    })
}

/// The member of that name.
pub fn find<'a>(spec: &'a PodSpec, name: &str) -> Option<Member<'a>> {
    members(spec).find(|member| member.name() == name)
}

fn restarts_always(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// An ephemeral container has a container's fields, and a target.
fn as_container(ephemeral: &EphemeralContainer) -> Container {
    Container {
        args: ephemeral.args.clone(),
        command: ephemeral.command.clone(),
        env: ephemeral.env.clone(),
        env_from: ephemeral.env_from.clone(),
        image: ephemeral.image.clone(),
        image_pull_policy: ephemeral.image_pull_policy.clone(),
        name: ephemeral.name.clone(),
        resources: ephemeral.resources.clone(),
        security_context: ephemeral.security_context.clone(),
        stdin: ephemeral.stdin,
        stdin_once: ephemeral.stdin_once,
        termination_message_path: ephemeral.termination_message_path.clone(),
        termination_message_policy: ephemeral.termination_message_policy.clone(),
        tty: ephemeral.tty,
        volume_mounts: ephemeral.volume_mounts.clone(),
        working_dir: ephemeral.working_dir.clone(),
        ..Container::default()
    }
}
