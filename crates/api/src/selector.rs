//! Label and field selectors: parsed from query text or from a `LabelSelector` object, matched against headers.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use crate::kind::Kind;
use crate::names;
use crate::object::Header;

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    NotExists(String),
    /// `key>value` and `key<value`, on whole numbers.
    Greater(String, i64),
    Less(String, i64),
}

/// Requirements on labels, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Selects everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether no requirement is made.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Selects what has all these labels.
    pub fn from_map<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let one = |(key, value): (&String, &String)| Requirement::In(key.clone(), BTreeSet::from([value.clone()]));
        Self(labels.into_iter().map(one).collect())
    }

    /// The selector that a `LabelSelector` object means; an empty object selects everything.
    ///
    /// # Errors
    /// When an operator is unknown or its values do not fit.
    pub fn from_object(selector: &meta::LabelSelector) -> Result<Self, String> {
        let mut requirements = Self::from_map(selector.match_labels.iter().flatten()).0;
        for expression in selector.match_expressions.iter().flatten() {
            let key = expression.key.clone();
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            requirements.push(match (expression.operator.as_str(), values.is_empty()) {
                ("In", false) => Requirement::In(key, values),
                ("NotIn", false) => Requirement::NotIn(key, values),
                ("Exists", true) => Requirement::Exists(key),
                ("DoesNotExist", true) => Requirement::NotExists(key),
                ("In" | "NotIn", true) => return Err(format!("values of {key:?} must not be empty for this operator")),
                ("Exists" | "DoesNotExist", false) => {
                    return Err(format!("values of {key:?} must be empty for this operator"));
                }
                (other, _) => return Err(format!("{other:?} is not a valid label selector operator")),
            });
        }
        Ok(Self(requirements))
    }

    /// Parses `labelSelector=` text: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    ///
    /// # Errors
    /// When the text is no selector; the message says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        split_outside_parentheses(text)
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| parse_requirement(part).map_err(|why| format!("unable to parse requirement: {why}")))
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
    }

    /// Whether labels given by look-up satisfy every requirement.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::NotExists(key) => label(key).is_none(),
            Requirement::Greater(key, bound) => number(label(key)).is_some_and(|value| value > *bound),
            Requirement::Less(key, bound) => number(label(key)).is_some_and(|value| value < *bound),
        })
    }

    /// Whether an object's labels satisfy every requirement.
    pub fn matches(&self, header: &Header) -> bool {
        self.matches_with(|key| header.label(key))
    }

    /// Whether a map of labels satisfies every requirement.
    pub fn matches_map(&self, labels: Option<&std::collections::BTreeMap<String, String>>) -> bool {
        self.matches_with(|key| labels?.get(key).map(String::as_str))
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_requirement(part: &str) -> Result<Requirement, String> {
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Requirement::NotExists(checked_key(key)?));
    }
    if let Some(open) = part.find('(') {
        return parse_set(part, open);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(checked_key(key)?, BTreeSet::from([checked_value(value)?])));
    }
    if let Some((key, value)) = part.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok(Requirement::In(checked_key(key)?, BTreeSet::from([checked_value(value)?])));
    }
    for (sign, greater) in [('>', true), ('<', false)] {
        if let Some((key, value)) = part.split_once(sign) {
            let bound = value.trim().parse().map_err(|_| format!("{value:?} is not an integer"))?;
            let key = checked_key(key)?;
            return Ok(if greater { Requirement::Greater(key, bound) } else { Requirement::Less(key, bound) });
        }
    }
    Ok(Requirement::Exists(checked_key(part)?))
}

fn parse_set(part: &str, open: usize) -> Result<Requirement, String> {
    let values = part[open + 1..].trim().strip_suffix(')').ok_or_else(|| format!("found {part:?}, expected: ')'"))?;
    let values = values.split(',').map(checked_value).collect::<Result<BTreeSet<_>, _>>()?;
    let mut words = part[..open].split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(key), Some("in"), None) => Ok(Requirement::In(checked_key(key)?, values)),
        (Some(key), Some("notin"), None) => Ok(Requirement::NotIn(checked_key(key)?, values)),
        _ => Err(format!("found {part:?}, expected: in, notin, =, ==, !=, gt, lt")),
    }
}

fn checked_key(key: &str) -> Result<String, String> {
    let key = key.trim();
    match names::qualified_name(key).first() {
        None => Ok(key.to_owned()),
        Some(why) => Err(format!("key: Invalid value: {key:?}: {why}")),
    }
}

fn checked_value(value: &str) -> Result<String, String> {
    let value = value.trim();
    match names::label_value(value).first() {
        None => Ok(value.to_owned()),
        Some(why) => Err(format!("values[0]: Invalid value: {value:?}: {why}")),
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
        let texts: Vec<String> = self
            .0
            .iter()
            .map(|requirement| match requirement {
                Requirement::In(key, values) if values.len() == 1 => format!("{key}={}", joined(values)),
                Requirement::In(key, values) => format!("{key} in ({})", joined(values)),
                Requirement::NotIn(key, values) if values.len() == 1 => format!("{key}!={}", joined(values)),
                Requirement::NotIn(key, values) => format!("{key} notin ({})", joined(values)),
                Requirement::Exists(key) => key.clone(),
                Requirement::NotExists(key) => format!("!{key}"),
                Requirement::Greater(key, bound) => format!("{key}>{bound}"),
                Requirement::Less(key, bound) => format!("{key}<{bound}"),
            })
            .collect();
        f.write_str(&texts.join(","))
    }
}

/// Requirements on fields, all of which must hold: `metadata.name=a,status.phase!=Running`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(Field, String, bool)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    Selectable(usize),
}

impl FieldSelector {
    /// Parses `fieldSelector=` text for a kind.
    ///
    /// # Errors
    /// When the text is malformed or names a field that the kind can't be selected by.
    pub fn parse(kind: &Kind, text: &str) -> Result<Self, String> {
        text.split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| field_requirement(kind, part))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether no requirement is made.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The name that alone can match, if one is asked for.
    pub fn name(&self) -> Option<&str> {
        self.0.iter().find(|(field, _, equal)| *field == Field::Name && *equal).map(|(_, value, _)| value.as_str())
    }

    /// The value asked of the kind's first selectable field, by which views are indexed.
    pub fn indexed(&self) -> Option<&str> {
        let wanted = |(field, _, equal): &&(Field, String, bool)| *field == Field::Selectable(0) && *equal;
        self.0.iter().find(wanted).map(|(_, value, _)| value.as_str())
    }

    /// Whether an object's fields satisfy every requirement.
    pub fn matches(&self, header: &Header) -> bool {
        self.0.iter().all(|(field, wanted, equal)| {
            let value = match field {
                Field::Name => &*header.key.name,
                Field::Namespace => &*header.key.namespace,
                Field::Selectable(index) => header.fields.get(*index).map_or("", String::as_str),
            };
            (value == wanted) == *equal
        })
    }
}

fn field_requirement(kind: &Kind, part: &str) -> Result<(Field, String, bool), String> {
    let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = part.split_once("==") {
        (path, value, true)
    } else if let Some((path, value)) = part.split_once('=') {
        (path, value, true)
    } else {
        return Err(format!("invalid selector: {part:?}; can't understand {part:?}"));
    };
    let field = match path.trim() {
        "metadata.name" => Field::Name,
        "metadata.namespace" if kind.namespaced => Field::Namespace,
        other => match kind.selectable.iter().position(|one| *one == other) {
            Some(index) => Field::Selectable(index),
            None => return Err(format!("field label not supported: {other}")),
        },
    };
    Ok((field, value.trim().replace("\\,", ",").replace("\\=", "="), equal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = LabelSelector::parse(selector).unwrap();
        selector.matches_with(|key| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
    }

    #[test]
    fn every_form_of_requirement_is_understood() {
        let labels = [("app", "web"), ("tier", "front"), ("n", "5")];
        let held = [
            "",
            "app",
            "!db",
            "app=web",
            "app==web",
            "app!=db",
            "db!=x",
            "app in (web, db)",
            "tier notin (back)",
            "n>4",
            "n<6",
            "app=web,tier in (front),!db",
        ];
        for selector in held {
            assert!(matches(selector, &labels), "{selector}");
        }
        for selector in
            ["db", "!app", "app=db", "app!=web", "app in (db)", "tier notin (front,back)", "n>5", "db>1", "app=web,db"]
        {
            assert!(!matches(selector, &labels), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for selector in ["a b", "a in b", "a in (b", "=x", "a=b c", "!", "a>x", "-a=b"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn a_printed_selector_parses_to_itself() {
        for selector in ["a=b", "a in (b,c)", "a!=b", "a notin (b,c)", "a", "!a", "a>1", "a=b,c"] {
            let parsed = LabelSelector::parse(selector).unwrap();
            assert_eq!(LabelSelector::parse(&parsed.to_string()).unwrap(), parsed);
        }
    }
}
