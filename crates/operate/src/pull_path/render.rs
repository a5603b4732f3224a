//! A node's way as people read it.

use std::fmt;

use super::{Endpoint, NodeTrace, Note, Place, Source, Step, Trial};

impl fmt::Display for NodeTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.stops.is_none() { "pulls" } else { "does not pull" };
        writeln!(f, "{} {verdict} {}", self.node, self.path.reference)?;
        let containerd = if self.containerd.is_empty() { "of unknown version" } else { &self.containerd };
        writeln!(f, "  containerd {containerd}, {}", self.config)?;
        writeln!(f, "  rule: {}", rule(&self.path.source))?;
        for note in &self.path.notes {
            let head = if note.bypassed { "bypassed" } else { "note" };
            write_note(f, head, note)?;
        }
        if let Some(refused) = &self.path.refused {
            write_note(f, "refused", refused)?;
        }
        for (number, endpoint) in self.path.endpoints.iter().enumerate() {
            let trial = self.trials.get(number).and_then(Option::as_ref);
            write_endpoint(f, number + 1, endpoint, trial, self.path.refused.is_none())?;
        }
        for secret in &self.secrets {
            writeln!(f, "  pull secret {secret}")?;
        }
        match &self.stops {
            Some(stops) => writeln!(f, "  stops {stops}"),
            None => writeln!(f, "  nothing stops it"),
        }
    }
}

fn rule(source: &Source) -> String {
    match source {
        Source::Nothing => "none applies: the registry itself".to_owned(),
        Source::Mirrors { key, place } => format!("mirrors table {key:?}, {}", at(place)),
        Source::Hosts { path } => path.clone(),
        Source::Certificates { directory } => format!("certificates in {directory}, no usable hosts.toml"),
    }
}

fn at(place: &Place) -> String {
    match place.position {
        Some(position) => format!("{}:{}:{}", place.path, position.line, position.column),
        None => place.path.clone(),
    }
}

fn write_note(f: &mut fmt::Formatter<'_>, head: &str, note: &Note) -> fmt::Result {
    writeln!(f, "  {head}: {}", note.words)?;
    let Some(place) = &note.place else { return Ok(()) };
    writeln!(f, "    --> {}", at(place))?;
    if let Some(position) = place.position {
        let number = position.line.to_string();
        let line = doctor::text::visible(&place.line);
        let before: String = place.line.chars().take(position.column.saturating_sub(1) as usize).collect();
        let indent = doctor::text::visible(&before).chars().count();
        writeln!(f, "    {number} | {line}")?;
        writeln!(f, "    {} | {}^", " ".repeat(number.len()), " ".repeat(indent))?;
    }
    Ok(())
}

fn write_endpoint(
    f: &mut fmt::Formatter<'_>,
    number: usize,
    endpoint: &Endpoint,
    trial: Option<&Trial>,
    asked: bool,
) -> fmt::Result {
    let from = endpoint.place.as_ref().map(|place| format!("  ({})", at(place))).unwrap_or_default();
    writeln!(f, "  {number}. HEAD {}{from}", endpoint.url)?;
    if !endpoint.headers.0.is_empty() {
        let names: Vec<&str> = endpoint.headers.0.iter().map(|(name, _)| name.as_str()).collect();
        writeln!(f, "     with its own headers: {}", names.join(", "))?;
    }
    if let Some(why) = &endpoint.left_out {
        return writeln!(f, "     left out: {why}");
    }
    let Some(trial) = trial else {
        let why = if asked { "an endpoint before it is good" } else { "nobody is asked" };
        return writeln!(f, "     not asked: {why}");
    };
    for step in &trial.steps {
        let Step { name, good, words } = step;
        let mark = match good {
            Some(true) => "ok",
            Some(false) => "STOP",
            None => "?",
        };
        let words = if good.is_none() { format!("not tried: {words}") } else { words.clone() };
        writeln!(f, "     {mark:4} {name:8} {words}")?;
    }
    let issuers: Vec<&str> = trial.certificates.iter().map(|certificate| certificate.issuer.as_str()).collect();
    if !issuers.is_empty() && !trial.good {
        writeln!(f, "          chain    signed by {}", issuers.join(", then "))?;
    }
    Ok(())
}
