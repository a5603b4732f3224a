//! `shipmate explain`: the page of a code.

use anyhow::Context as _;
use doctor::{page, rules};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::cli::doctor::Explain;
use crate::output;

pub(crate) fn run(arguments: &Explain) -> anyhow::Result<()> {
    let json = arguments.output.output == Format::Json;
    let Some(code) = &arguments.code else {
        return list(json);
    };
    let rule = rules::find(code)
        .with_context(|| format!("there is no code {code}: `shipmate explain` lists all that there are"))?;
    let prose = page::prose(rule.page);
    if json {
        return output::print_json(&json!({
            "code": rule.code, "key": rule.key, "title": rule.title, "severity": rule.severity, "page": prose,
        }));
    }
    output::print(&format!("{prose}\n"))
}

fn list(json: bool) -> anyhow::Result<()> {
    let mut rules: Vec<_> = rules::all().collect();
    rules.sort_by_key(|rule| rule.code);
    if json {
        let one = |rule: &&doctor::Rule| json!({"code": rule.code, "key": rule.key, "title": rule.title});
        return output::print_json(&rules.iter().map(one).collect::<Vec<Value>>());
    }
    let row = |rule: &&doctor::Rule| vec![rule.code.to_owned(), rule.title.to_owned()];
    output::print_table(&["CODE", "WHAT IS WRONG"], &rules.iter().map(row).collect::<Vec<_>>())
}
