//! How figures are printed: one line each, with what they are compared to and the bar they are held against.

use std::time::Duration;

/// How the report is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For a terminal.
    Text,
    /// For `docs/benchmarks.md`.
    Markdown,
}

/// A measured amount.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    /// A time.
    Time(Duration),
    /// Memory or file size.
    Bytes(u64),
    /// How often something happened in a second.
    PerSecond(f64),
    /// Bytes in a second.
    BytesPerSecond(f64),
    /// A part of one core, 1.0 being the whole core.
    Core(f64),
    /// A number of things.
    Count(u64),
    /// So many times something else.
    Times(f64),
}

/// Something better than which the figure can't be, or something to compare it with.
pub(crate) struct Peer<'a> {
    pub(crate) what: &'a str,
    pub(crate) amount: Amount,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// Less than this.
    Under(Amount),
    /// At least this.
    AtLeast(Amount),
    /// At most so many times the peer.
    Times(f64),
}

/// One measured figure.
pub(crate) struct Figure<'a> {
    pub(crate) what: &'a str,
    pub(crate) amount: Amount,
    pub(crate) peer: Option<Peer<'a>>,
    pub(crate) bar: Option<Bar>,
}

/// Prints figures as they come.
pub(crate) struct Report {
    style: Style,
}

impl Report {
    pub(crate) fn new(style: Style) -> Self {
        Self { style }
    }

    /// Prints what was measured where.
    #[expect(clippy::print_stdout, reason = "the report is this program's output")]
    pub(crate) fn head(&self, machine: &[(&'static str, String)]) {
        match self.style {
            Style::Text => {
                for (what, value) in machine {
                    println!("{what:<12} {value}");
                }
            }
            Style::Markdown => {
                for (what, value) in machine {
                    println!("- {what}: {value}");
                }
                println!("\n| benchmark | measured | floor or peer | ratio | bar |\n|---|---|---|---|---|");
            }
        }
    }

    /// Prints a figure.
    #[expect(clippy::print_stdout, reason = "the report is this program's output")]
    pub(crate) fn figure(&self, figure: &Figure<'_>) {
        let measured = figure.amount.to_string();
        let peer = figure.peer.as_ref().map(|peer| format!("{} {}", peer.amount, peer.what)).unwrap_or_default();
        let ratio = figure.peer.as_ref().map(|peer| ratio(figure.amount, peer.amount));
        let ratio_text = ratio.map(|ratio| format!("{ratio:.2}x")).unwrap_or_default();
        let bar = figure.bar.map(|bar| bar.show(figure.amount, ratio)).unwrap_or_default();
        match self.style {
            Style::Text => println!("{:<58} {measured:>12}  {ratio_text:>7}  {bar:<22} {peer}", figure.what),
            Style::Markdown => println!("| {} | {measured} | {peer} | {ratio_text} | {bar} |", figure.what),
        }
    }
}

fn ratio(one: Amount, other: Amount) -> f64 {
    one.value() / other.value()
}

impl Amount {
    fn value(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Bytes(bytes) => bytes as f64,
            Self::Count(count) => count as f64,
            Self::PerSecond(value) | Self::BytesPerSecond(value) | Self::Core(value) | Self::Times(value) => value,
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(time) if time.as_secs_f64() >= 1.0 => write!(f, "{:.2} s", time.as_secs_f64()),
            Self::Time(time) if time.as_secs_f64() >= 0.01 => write!(f, "{:.0} ms", time.as_secs_f64() * 1e3),
            Self::Time(time) => write!(f, "{:.2} ms", time.as_secs_f64() * 1e3),
            Self::Bytes(bytes) => write!(f, "{:.1} MB", *bytes as f64 / 1e6),
            Self::PerSecond(rate) => write!(f, "{rate:.0}/s"),
            Self::BytesPerSecond(rate) => write!(f, "{:.0} MB/s", rate / 1e6),
            Self::Count(count) => write!(f, "{count}"),
            Self::Times(times) => write!(f, "{times:.0}x"),
            Self::Core(part) => write!(f, "{:.2} % core", part * 100.0),
        }
    }
}

impl Bar {
    fn show(self, amount: Amount, ratio: Option<f64>) -> String {
        let (met, text) = match self {
            Self::Under(limit) => (amount.value() < limit.value(), format!("under {limit}")),
            Self::AtLeast(limit) => (amount.value() >= limit.value(), format!("at least {limit}")),
            Self::Times(limit) => (ratio.is_some_and(|ratio| ratio <= limit), format!("at most {limit}x")),
        };
        format!("{text}: {}", if met { "met" } else { "missed" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_say_whether_they_are_met() {
        let under = Bar::Under(Amount::Time(Duration::from_secs(2)));
        assert_eq!(under.show(Amount::Time(Duration::from_millis(1999)), None), "under 2.00 s: met");
        assert_eq!(under.show(Amount::Time(Duration::from_secs(2)), None), "under 2.00 s: missed");
        let fast = Bar::AtLeast(Amount::PerSecond(2000.0));
        assert_eq!(fast.show(Amount::PerSecond(2000.0), None), "at least 2000/s: met");
        assert_eq!(Bar::Times(1.5).show(Amount::Core(0.1), Some(1.6)), "at most 1.5x: missed");
    }
}
