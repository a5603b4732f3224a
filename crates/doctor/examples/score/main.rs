//! Scores the rules on a file of labelled cases: one JSON object a line, whose `evidence` is a bundle's.
//!
//! The last line is `decidable A/B, undecidable C/D, false alarms E/F`; `cargo xtask score FILE` calls this.

mod scoring;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, only @ ..] = arguments.as_slice() else {
        eprintln!("usage: score FILE [FAMILY…]");
        return ExitCode::from(2);
    };
    let score = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match score.and_then(|text| scoring::score(&text, only)) {
        Ok(score) => {
            for line in &score.wrong {
                println!("{line}");
            }
            println!("places {}", score.places);
            println!("{}", score.line());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: score `{path}`: {error}");
            ExitCode::FAILURE
        }
    }
}
