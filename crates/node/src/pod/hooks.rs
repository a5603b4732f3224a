//! Lifecycle hooks: what a container wants done after its start and before its end.

use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;

use crate::pod::members::Member;
use crate::pod::worker::Task;
use crate::probe::{ask, http, ports};

/// A hook has no limit of its own; who runs it sets one. This one only bounds a call that hangs.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs a hook to its end; the error is what went wrong.
pub(crate) async fn run(task: &Task, member: &Member<'_>, id: &str, hook: &LifecycleHandler) -> Result<(), String> {
    if let Some(action) = &hook.exec {
        return ask::exec(&task.node, id, action, LONGEST).await;
    }
    if let Some(action) = &hook.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(action.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    let spec = task.pod.spec.as_ref();
    let host = spec.map(|spec| task.ips(spec)).and_then(|ips| ips.into_iter().next()).unwrap_or_default();
    let ports = ports(member);
    if let Some(action) = &hook.http_get {
        let port = ask::port(&action.port, &ports)?;
        let request = ask::http_request(action, &host, port, "kube-lifecycle/1.37");
        return http::get(&request, LONGEST).await.map(drop);
    }
    if let Some(action) = &hook.tcp_socket {
        let port = ask::port(&action.port, &ports)?;
        let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&host);
        return ask::tcp(host, port, LONGEST).await;
    }
    Err("invalid handler: the hook has no action".to_owned())
}
