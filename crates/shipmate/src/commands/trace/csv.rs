//! Connections as CSV (RFC 4180), a row for each.

use operate::trace::report::Traced;
use operate::trace::who::Who;

const HEAD: &str = "pid,user,database,application,state,state_seconds,since,client,holder,namespace,pod,container,node,workload,socket,reason,gone,pooler,pool,behind,behind_kind,candidates";

pub(super) fn text(connections: &[Traced]) -> String {
    let mut text = format!("{HEAD}\r\n");
    for traced in connections {
        let own = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut cells = vec![
            traced.pid.to_string(),
            traced.user.clone(),
            traced.database.clone(),
            traced.application.clone(),
            traced.state.clone(),
            traced.state_seconds.map(|seconds| seconds.to_string()).unwrap_or_default(),
            own(&traced.since),
            own(&traced.client),
        ];
        cells.extend(holder(&traced.holder));
        cells.extend(behind(traced));
        let quoted: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&quoted.join(","));
        text.push_str("\r\n");
    }
    text
}

/// The kind, namespace, pod, container, node, workload, socket and reason.
fn holder(who: &Who) -> [String; 8] {
    let mut cells: [String; 8] = Default::default();
    match who {
        Who::Pod { namespace, pod, container, node, workload, socket, .. } => {
            cells = [
                "pod".to_owned(),
                namespace.clone(),
                pod.clone(),
                container.clone().unwrap_or_default(),
                node.clone(),
                workload.to_string(),
                socket.clone().unwrap_or_default(),
                String::new(),
            ];
        }
        Who::Host { node, candidates, process } => {
            cells[0] = "host".to_owned();
            cells[4].clone_from(node);
            cells[7] = match process {
                Some(process) => format!("process {process}, no pod"),
                None => format!("one of: {}, or no pod", candidates.join(" ")),
            };
        }
        Who::Local => cells[0] = "local".to_owned(),
        Who::Trace => cells[0] = "trace".to_owned(),
        Who::Outside { .. } => cells[0] = "outside".to_owned(),
        Who::Unknown { reason, .. } => {
            cells[0] = "unknown".to_owned();
            cells[7].clone_from(reason);
        }
    }
    cells
}

/// Whether the pod is gone; the pooler, its pool, who is behind it; who else it may be.
fn behind(traced: &Traced) -> [String; 6] {
    let mut cells: [String; 6] = Default::default();
    match &traced.holder {
        Who::Pod { gone, .. } => cells[0] = gone.to_string(),
        Who::Unknown { candidates, .. } => cells[5] = candidates.join(" "),
        _ => {}
    }
    if let Some(behind) = &traced.behind {
        cells[1].clone_from(&behind.pooler);
        cells[2].clone_from(&behind.pool);
        if let Some(client) = &behind.client {
            let [kind, namespace, pod, ..] = holder(client);
            cells[3] =
                if kind == "pod" { format!("{namespace}/{pod}") } else { operate::trace::report::holder(client) };
            cells[4] = "linked".to_owned();
        } else {
            let all: Vec<String> = behind.candidates.iter().map(|(who, count)| format!("{count} of {who}")).collect();
            cells[4] = "pool".to_owned();
            cells[5] = all.join("; ");
        }
    }
    cells
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}
