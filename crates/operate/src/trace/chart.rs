//! A history as a picture: for the terminal in plain characters, and as an SVG that needs nothing else.
//!
//! Names come from clusters and processes, and may hold anything: what can't be seen is written out, what means something to
//! XML is escaped. Nothing is said by colour alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use doctor::text::visible;

use super::history::Sample;

/// Holders with a mark of their own, the largest ones; all others share one.
const NAMED: usize = 9;
const MARKS: [char; NAMED] = ['#', 'o', '+', 'x', '=', '%', '*', '@', '~'];
const REST: char = '.';
const COLOURS: [&str; NAMED + 1] =
    ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bb5500", "#225555", "#7f7fbf", "#bbbbbb"];
/// Rows of the terminal's picture.
const ROWS: u64 = 16;

/// A history, prepared for drawing.
pub struct Chart {
    samples: Vec<Sample>,
    /// The largest holders, and each one's most.
    named: Vec<(String, u64)>,
    top: u64,
}

impl Chart {
    /// Of some samples, in the order of time; none if there are none.
    pub fn of(mut samples: Vec<Sample>) -> Option<Self> {
        samples.sort_by_key(|sample| sample.time);
        let mut most: BTreeMap<&str, u64> = BTreeMap::new();
        for (holder, count) in samples.iter().flat_map(|sample| &sample.holders) {
            let most = most.entry(holder).or_default();
            *most = (*most).max(*count);
        }
        let mut named: Vec<(String, u64)> = most.into_iter().map(|(name, most)| (name.to_owned(), most)).collect();
        named.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        named.truncate(NAMED);
        let top = samples.iter().map(|sample| sample.max.max(sum(sample))).max()?.clamp(1, u64::MAX / 64);
        Some(Self { samples, named, top })
    }

    /// How many each named holder has in a sample, then all others.
    fn parts(&self, sample: &Sample) -> Vec<u64> {
        let mut parts: Vec<u64> =
            self.named.iter().map(|(name, _)| sample.holders.get(name).copied().unwrap_or_default()).collect();
        let rest = sum(sample).saturating_sub(parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part)));
        parts.push(rest);
        parts
    }

    /// In plain characters, at most so wide.
    pub fn text(&self, width: usize) -> String {
        let scale = self.top.to_string().len().max(5);
        let columns = width.saturating_sub(scale + 3).clamp(10, 400);
        let picked = self.picked(columns);
        let mut text = String::new();
        let (first, last) = (&self.samples[0], &self.samples[self.samples.len() - 1]);
        let _ = writeln!(text, "{}: connections by holder, {} samples", visible(&last.server), self.samples.len());
        for row in (1..=ROWS).rev() {
            // The row's upper and lower edge, in connections.
            let (upper, lower) = ((self.top * row).div_ceil(ROWS), self.top * (row - 1) / ROWS);
            let line: String = picked.iter().map(|sample| self.mark(sample, lower, upper)).collect();
            let label = if row == ROWS || row % 4 == 0 { upper.to_string() } else { String::new() };
            let _ = writeln!(text, "{label:>scale$} |{}", line.trim_end());
        }
        let _ = writeln!(text, "{:>scale$} +{}", 0, "-".repeat(picked.len()));
        let _ = writeln!(text, "{:>scale$}  {} to {}", "", clock(first.time), clock(last.time));
        let _ = writeln!(text, "{:>scale$}  _ max_connections", "");
        for (number, (name, most)) in self.named.iter().enumerate() {
            let now = last.holders.get(name).copied().unwrap_or_default();
            let _ = writeln!(text, "{:>scale$}  {} {}: {now} now, {most} at most", "", MARKS[number], visible(name));
        }
        if self.samples.iter().any(|sample| self.parts(sample).last().is_some_and(|rest| *rest > 0)) {
            let _ = writeln!(text, "{:>scale$}  {REST} all others", "");
        }
        text
    }

    /// One sample for each column: the fullest of those that fall into it.
    fn picked(&self, columns: usize) -> Vec<&Sample> {
        if self.samples.len() <= columns {
            return self.samples.iter().collect();
        }
        let (first, last) = (self.samples[0].time, self.samples[self.samples.len() - 1].time);
        let span = (last - first).max(1);
        let mut picked: Vec<Option<&Sample>> = vec![None; columns];
        for sample in &self.samples {
            let at = (i128::from(sample.time - first) * (columns as i128 - 1) / i128::from(span)) as usize;
            let place = &mut picked[at.min(columns - 1)];
            if place.is_none_or(|there| sum(there) <= sum(sample)) {
                *place = Some(sample);
            }
        }
        // Where nothing was looked at, nothing is drawn that was not there before.
        let mut before = &self.samples[0];
        picked.into_iter().map(|sample| *sample.insert_if(&mut before)).collect()
    }

    fn mark(&self, sample: &Sample, lower: u64, upper: u64) -> char {
        let mut height = 0;
        for (number, part) in self.parts(sample).into_iter().enumerate() {
            height = u64::saturating_add(height, part);
            if height > lower && part > 0 {
                return MARKS.get(number).copied().unwrap_or(REST);
            }
        }
        if sample.max > lower && sample.max <= upper { '_' } else { ' ' }
    }

    /// As a picture of its own: no script, no font, no address in it.
    pub fn svg(&self) -> String {
        const WIDTH: f64 = 960.0;
        const HEIGHT: f64 = 360.0;
        const LEFT: f64 = 60.0;
        const ABOVE: f64 = 40.0;
        let first = self.samples[0].time;
        let span = (self.samples[self.samples.len() - 1].time - first).max(1) as f64;
        let x = |sample: &Sample| LEFT + (sample.time - first) as f64 / span * WIDTH;
        let y = |count: u64| ABOVE + HEIGHT - count as f64 / self.top as f64 * HEIGHT;
        let below = ABOVE + HEIGHT + 50.0;
        let height = below + 22.0 * (self.named.len() + 2) as f64;
        let title = format!("{}: connections by holder", self.samples[self.samples.len() - 1].server);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{title}</text>\n",
            LEFT + WIDTH + 30.0,
            title = escaped(&title),
        );
        let stacked: Vec<Vec<u64>> = self.samples.iter().map(|sample| running(&self.parts(sample))).collect();
        for number in 0..=self.named.len() {
            let name = self.named.get(number).map_or("all others", |(name, _)| name.as_str());
            let upper = self.samples.iter().zip(&stacked).map(|(sample, sums)| point(x(sample), y(sums[number + 1])));
            let lower = self.samples.iter().zip(&stacked).rev().map(|(sample, sums)| point(x(sample), y(sums[number])));
            let points: Vec<String> = upper.chain(lower).collect();
            let colour = COLOURS[if number < self.named.len() { number } else { NAMED }];
            let _ = writeln!(
                svg,
                "<polygon fill=\"{colour}\" stroke=\"{colour}\" points=\"{}\"><title>{}</title></polygon>",
                points.join(" "),
                escaped(name)
            );
        }
        for (words, dash, of) in [
            ("max_connections", "none", (|sample: &Sample| sample.max) as fn(&Sample) -> u64),
            ("for ordinary roles", "6 4", |sample| sample.ordinary),
        ] {
            let points: Vec<String> = self.samples.iter().map(|sample| point(x(sample), y(of(sample)))).collect();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"black\" stroke-dasharray=\"{dash}\" points=\"{}\"><title>{words}</title></polyline>",
                points.join(" ")
            );
        }
        for quarter in 0..=4 {
            let count = self.top * quarter / 4;
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{count}</text>",
                LEFT - 8.0,
                y(count) + 4.0
            );
        }
        let last = &self.samples[self.samples.len() - 1];
        for (at, anchor, sample) in [(LEFT, "start", &self.samples[0]), (LEFT + WIDTH, "end", last)] {
            let _ = writeln!(
                svg,
                "<text x=\"{at:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>",
                ABOVE + HEIGHT + 20.0,
                clock(sample.time)
            );
        }
        self.legend(&mut svg, LEFT, below);
        svg.push_str("</svg>\n");
        svg
    }

    fn legend(&self, svg: &mut String, left: f64, below: f64) {
        let last = &self.samples[self.samples.len() - 1];
        let named = self.named.iter().enumerate().map(|(number, (name, most))| {
            let now = last.holders.get(name).copied().unwrap_or_default();
            (COLOURS[number], format!("{name}: {now} now, {most} at most"))
        });
        let lines = (COLOURS[NAMED], "all others; lines: max_connections, dashed: for ordinary roles".to_owned());
        for (number, (colour, words)) in named.chain([lines]).enumerate() {
            let y = below + 22.0 * number as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{left:.0}\" y=\"{:.0}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{y:.0}\">{}</text>",
                y - 11.0,
                left + 20.0,
                escaped(&words)
            );
        }
    }
}

/// What is there, or what was there before.
trait Insert<'a> {
    fn insert_if<'b>(self, before: &'b mut &'a Sample) -> &'b &'a Sample;
}

impl<'a> Insert<'a> for Option<&'a Sample> {
    fn insert_if<'b>(self, before: &'b mut &'a Sample) -> &'b &'a Sample {
        if let Some(sample) = self {
            *before = sample;
        }
        before
    }
}

fn sum(sample: &Sample) -> u64 {
    sample.holders.values().fold(0, |sum: u64, count| sum.saturating_add(*count))
}

/// 0, the first, the first two, …
fn running(parts: &[u64]) -> Vec<u64> {
    let mut sums = vec![0u64];
    for part in parts {
        sums.push(sums[sums.len() - 1].saturating_add(*part));
    }
    sums
}

fn point(x: f64, y: f64) -> String {
    format!("{x:.1},{y:.1}")
}

fn clock(time: i64) -> String {
    jiff::Timestamp::from_second(time)
        .map_or_else(|_| time.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // No character of XML.
            '\u{fffe}' | '\u{ffff}' => safe.push('?'),
            plain => safe.push(plain),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: i64, name: &str) -> Vec<Sample> {
        let one = |time: i64| Sample {
            time,
            server: "db:5432".to_owned(),
            max: 100,
            ordinary: 97,
            used: time as u64 % 100,
            holders: BTreeMap::from([(name.to_owned(), time as u64 % 100), ("b".to_owned(), 5)]),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_terminals_picture_is_plain_and_keeps_its_width() {
        for count in [1, 2, 50, 5000] {
            let text = Chart::of(samples(count, "deployment shop/web")).unwrap().text(60);
            assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 60), "{text}");
            assert!(text.contains("deployment shop/web:") && text.contains("_ max_connections"), "{text}");
        }
        // The peak is seen, however many samples share a column.
        let text = Chart::of(samples(5000, "web")).unwrap().text(60);
        assert!(text.contains('#') && text.contains("99 at most"), "{text}");
        assert!(Chart::of(Vec::new()).is_none());
    }

    #[test]
    fn hostile_names_are_only_names() {
        let name = "</text><script>alert(\"1\")</script>\u{1b}[2J\u{0}&'\u{ffff}";
        let chart = Chart::of(samples(3, name)).unwrap();
        let (svg, text) = (chart.svg(), chart.text(80));
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"), "{svg}");
        for picture in [&svg, &text] {
            assert!(picture.chars().all(|one| !one.is_control() || one == '\n'), "{picture:?}");
        }
        // Each thing that is opened is closed.
        for (open, close) in [("<text", "</text>"), ("<title>", "</title>"), ("<polygon", "</polygon>")] {
            assert_eq!(svg.matches(open).count(), svg.matches(close).count(), "{open}");
        }
        assert!(!svg.contains("href") && svg.matches("http").count() == 1);
    }

    #[test]
    fn figures_beyond_reason_do_no_harm() {
        let mut all = samples(2, "web");
        all[0].holders.insert("huge".to_owned(), u64::MAX / 64);
        all[1].time = i64::MAX / 4;
        let chart = Chart::of(all).unwrap();
        assert!(chart.text(80).contains("huge") && chart.svg().ends_with("</svg>\n"));
    }
}
