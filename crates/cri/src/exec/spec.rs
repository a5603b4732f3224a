//! The process of an exec, derived from the container's own.
//!
//! Only the command and the terminal differ. All else (user, groups, environment, directory,
//! capabilities, limits, seccomp's no-new-privileges, labels) is what the container runs with.

use prost_types::Any;
use serde_json::{Value, json};

use super::ExecOptions;
use crate::proto::containerd::services::containers::v1 as containers;
use crate::runtime::{QUERY, namespaced};
use crate::{Error, Runtime};

/// How containerd marks the JSON of an OCI process.
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";

impl Runtime {
    pub(super) async fn process_spec(&self, container: &str, options: &ExecOptions) -> Result<Any, Error> {
        const CALL: &str = "Containers.Get";
        let request = namespaced(containers::GetContainerRequest { id: container.to_owned() });
        let mut client = self.containers();
        let answer = self.call(CALL, QUERY, client.get(request)).await?;
        let record = self.part(CALL, "container", answer.container)?;
        let spec = self.part(CALL, "spec", record.spec)?;
        let process =
            derive(&spec.value, options).map_err(|problem| Error::Spec { container: container.to_owned(), problem })?;
        Ok(Any { type_url: PROCESS_TYPE.to_owned(), value: process.to_string().into_bytes() })
    }
}

fn derive(spec: &[u8], options: &ExecOptions) -> Result<Value, String> {
    let mut spec: Value = serde_json::from_slice(spec).map_err(|err| err.to_string())?;
    let mut process = spec["process"].take();
    let Some(fields) = process.as_object_mut() else {
        return Err("it has no process".to_owned());
    };
    fields.insert("args".to_owned(), json!(options.command));
    fields.insert("terminal".to_owned(), json!(options.terminal.is_some()));
    fields.remove("consoleSize");
    if let Some(size) = options.terminal {
        let size = json!({"height": size.height, "width": size.width});
        fields.insert("consoleSize".to_owned(), size);
        // A terminal needs a type; programs draw nothing without.
        let env = fields.entry("env").or_insert_with(|| json!([]));
        if let Some(env) = env.as_array_mut()
            && !env.iter().any(is_term)
        {
            env.push(json!("TERM=xterm"));
        }
    }
    Ok(process)
}

fn is_term(variable: &Value) -> bool {
    variable.as_str().is_some_and(|text| text.starts_with("TERM="))
}

#[cfg(test)]
mod tests {
    use super::super::TerminalSize;
    use super::*;

    const SPEC: &str = r#"{"ociVersion": "1.0.2", "process": {
        "terminal": true, "consoleSize": {"height": 1, "width": 2}, "args": ["sleep"],
        "user": {"uid": 7}, "env": ["A=b"], "cwd": "/srv", "noNewPrivileges": true}}"#;

    #[test]
    fn command_and_terminal_alone_are_replaced() {
        let options = ExecOptions { command: vec!["id".to_owned(), "-u".to_owned()], ..Default::default() };
        let expected = json!({"terminal": false, "args": ["id", "-u"], "user": {"uid": 7},
            "env": ["A=b"], "cwd": "/srv", "noNewPrivileges": true});
        assert_eq!(derive(SPEC.as_bytes(), &options), Ok(expected));
    }

    #[test]
    fn a_terminal_has_a_size_and_a_type() {
        let options = ExecOptions { terminal: Some(TerminalSize::default()), ..Default::default() };
        let process = derive(SPEC.as_bytes(), &options).unwrap();
        assert_eq!(process["consoleSize"], json!({"height": 24, "width": 80}));
        assert_eq!(process["env"], json!(["A=b", "TERM=xterm"]));
    }

    #[test]
    fn a_spec_without_process_is_refused() {
        assert!(derive(b"{}", &ExecOptions::default()).is_err());
        assert!(derive(b"{", &ExecOptions::default()).is_err());
    }
}
