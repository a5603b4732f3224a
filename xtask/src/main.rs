//! The project's own commands: `cargo xtask up`, `test`, `tidy`, `bench`, `score`, `schemas`.

mod bench;
mod run;
mod schemas;
mod setup;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask up             install what is missing, build, start a cluster, deploy the sample application
cargo xtask test           install what the tests need, check format and lints, run all tests (as root)
cargo xtask tidy           check layers, file sizes and words
cargo xtask bench [NAME…]  measure, and print figures and ratios; --markdown writes docs/benchmarks.md
cargo xtask score [FILE]   let the doctor's rules answer labelled cases, and print how many were right
cargo xtask schemas PATH   refresh the table of schema facts from a Kubernetes OpenAPI definitions file";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["up"] => setup::up(),
        ["test"] => run::test(),
        ["tidy"] => tidy::check(),
        ["bench", arguments @ ..] => bench::run_all(arguments),
        ["score", arguments @ ..] => score(arguments),
        ["schemas", path] => schemas::refresh(std::path::Path::new(path)),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Labelled cases of the project.
const CASES: &str = "crates/doctor/tests/cases-open.jsonl";

/// Scores a file of labelled cases, the project's own if none is named. Further words are families of cases.
fn score(arguments: &[&str]) -> anyhow::Result<()> {
    let arguments = if arguments.is_empty() { &[CASES] } else { arguments };
    // A path is meant from where the command is run; the example runs at the root of the work tree.
    let file = std::path::absolute(arguments[0])?;
    let file = if arguments[0] == CASES { run::root().join(CASES) } else { file };
    let file = file.to_string_lossy().into_owned();
    let mut words = vec!["run", "--quiet", "--package", "shipmate-doctor", "--example", "score", "--", &file];
    words.extend(&arguments[1..]);
    run::run("cargo", &words)
}
