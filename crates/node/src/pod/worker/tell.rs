//! Tells the API server and the rest of the node how a pod is.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::PodStatus;

use crate::event::{About, Level};
use crate::node::PodView;
use crate::pod::members;
use crate::pod::report::report;
use crate::pod::status::containers::back_off_message;
use crate::pod::worker::{Done, PULL_ERROR_SHOWN, Worker};

impl Worker {
    /// Shows the state to the rest of the node and to the API server.
    pub(super) fn tell_status(&mut self, status: PodStatus) {
        let due = self.report_after.is_none_or(|at| at <= Timestamp::now());
        if !self.memory.gone && !self.reporting && due && self.reported != status {
            self.reporting = true;
            let (task, old, new) = (self.task(), self.reported.clone(), status.clone());
            self.work.spawn(async move { Done::Reported(report(&task, &old, new).await) });
        }
        self.node.publish(PodView {
            id: self.id.clone(),
            pod: (!self.memory.gone).then(|| self.pod.clone()),
            seen: self.seen.clone(),
            status: Arc::new(status),
        });
    }

    /// A failed pull is shown as itself first, and then as waiting for the next one.
    pub(super) fn show_pull_back_off(&mut self, now: Timestamp) {
        let Some(spec) = &self.pod.spec else { return };
        for (name, memory) in &mut self.memory.containers {
            let Some(trouble) = memory.trouble.as_mut() else { continue };
            if trouble.reason != "ErrImagePull" || trouble.at + PULL_ERROR_SHOWN > now {
                continue;
            }
            let Some(member) = members::find(spec, name) else { continue };
            let image = member.container.image.as_deref().unwrap_or_default();
            trouble.message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", trouble.message);
            trouble.reason = "ImagePullBackOff".to_owned();
            let about = About::container(&self.id, &member.field_path());
            self.node.events.record(&about, Level::Normal, "BackOff", &format!("Back-off pulling image \"{image}\""));
            self.node.events.record(&about, Level::Warning, "Failed", "Error: ImagePullBackOff");
        }
    }

    /// Records that a container waits before its next start, once for each wait.
    pub(super) fn tell_back_off(&mut self, name: &str, delay: SignedDuration) {
        let reason = "CrashLoopBackOff";
        let message = back_off_message(delay, name, &self.id);
        let Some(spec) = &self.pod.spec else { return };
        let statuses = [&self.reported.container_statuses, &self.reported.init_container_statuses];
        let told = statuses.into_iter().flatten().flatten().any(|status| {
            let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
            status.name == name
                && waiting.is_some_and(|waiting| {
                    waiting.reason.as_deref() == Some(reason) && waiting.message.as_deref() == Some(&message)
                })
        });
        if !told && !self.reporting {
            let about = members::find(spec, name).map(|member| About::container(&self.id, &member.field_path()));
            let text = format!("Back-off restarting failed container {name} in pod {}", self.id);
            self.node.events.record(&about.unwrap_or_else(|| About::pod(&self.id)), Level::Warning, "BackOff", &text);
        }
    }
}
