//! Progress: a bar for the pull and one for each node. Without a terminal, a line where something ends or is tried again.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use operate::seed::{PullEvent, StageEvent};

/// The bars of one command.
pub(super) struct Bars {
    all: MultiProgress,
    terminal: bool,
    /// By node; the pull's is under an empty name.
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::new(), terminal: std::io::stderr().is_terminal(), bars: Mutex::default() }
    }

    fn bar(&self, node: &str) -> ProgressBar {
        let Ok(mut bars) = self.bars.lock() else { return ProgressBar::hidden() };
        let new = || {
            let bar = if self.terminal { self.all.add(ProgressBar::new(0)) } else { ProgressBar::hidden() };
            let style = ProgressStyle::with_template("{prefix:20!} {bar:30} {bytes:>11}/{total_bytes:11} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(if node.is_empty() { "pull".to_owned() } else { node.to_owned() });
            bar
        };
        bars.entry(node.to_owned()).or_insert_with(new).clone()
    }

    /// A line above the bars.
    pub(super) fn say(&self, line: &str) {
        if !self.terminal || self.all.println(line).is_err() {
            eprintln!("{line}");
        }
    }

    pub(super) fn pulled(&self, event: PullEvent) {
        let bar = self.bar("");
        match event {
            PullEvent::Total(total) => bar.set_length(total),
            PullEvent::Came(bytes) => bar.inc(bytes),
            PullEvent::Lost(bytes) => bar.set_position(bar.position().saturating_sub(bytes)),
            PullEvent::Again(why) => self.say(&format!("pull: {why}; trying again")),
        }
    }

    pub(super) fn staged(&self, node: &str, event: StageEvent) {
        let bar = self.bar(node);
        match event {
            StageEvent::Begins(total) => {
                bar.set_position(0);
                bar.set_length(total);
            }
            StageEvent::Came(bytes) => bar.inc(bytes),
            StageEvent::Again(why) => {
                bar.set_message("waiting");
                self.say(&format!("{node}: {why}; trying again"));
            }
            StageEvent::Verifying => bar.set_message("verifying"),
            StageEvent::Ended => bar.finish_with_message(""),
        }
    }

    /// Takes the bars away; what came of it is printed after them.
    pub(super) fn end(&self) {
        // A terminal that can't be cleared shows some lines more.
        drop(self.all.clear());
    }
}
