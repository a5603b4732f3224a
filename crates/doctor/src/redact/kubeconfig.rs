//! A kubeconfig without its tokens, keys and passwords.

use std::ops::Range;
use std::sync::LazyLock;

use granit_parser::{Event, Options, Parser, StrInput};
use regex::Regex;

use super::{is_secret_name, masked, text};

/// Keys whose values are secret.
const KEYS: [&str; 9] = [
    "token",
    "password",
    "client-key-data",
    "id-token",
    "refresh-token",
    "access-token",
    "client-secret",
    "idp-certificate-authority-key",
    "secret",
];

/// The same by lines, for files that are no YAML.
static LINES: LazyLock<Regex> = LazyLock::new(|| {
    let keys = KEYS.join("|");
    Regex::new(&format!(r#"(?m)(?:^|[{{,])[ \t-]*["']?(?:{keys})["']?[ \t]*:[ \t]*["']?([^\s"',}}|>][^\n"',}}]*)"#))
        .expect("the pattern is a constant and tested")
});

/// The kubeconfig's text without what is secret in it.
#[must_use]
pub fn kubeconfig(config: String) -> String {
    let mut spans = secrets(&config);
    spans.extend(LINES.captures_iter(&config).filter_map(|found| found.get(1)).map(|secret| secret.range()));
    text(masked(config, &spans))
}

/// What a collection is being read.
enum Frame {
    /// A mapping: the key whose value comes next, and what was seen of `name` and `value`.
    Map { key: Option<String>, name: String, value: Option<Range<usize>> },
    /// A list under a key, and its item before.
    List { key: String, before: String },
}

/// Bytes of the secret values, as far as the text is YAML.
fn secrets(config: &str) -> Vec<Range<usize>> {
    let mut options = Options::default();
    options.emit_comments = false;
    let (mut spans, mut frames) = (Vec::new(), Vec::<Frame>::new());
    for next in Parser::with_options(StrInput::new(config), options) {
        let Ok((event, span)) = next else { break };
        match event {
            Event::MappingStart(..) => {
                enter(&mut frames);
                frames.push(Frame::Map { key: None, name: String::new(), value: None });
            }
            Event::SequenceStart(..) => {
                let key = enter(&mut frames);
                frames.push(Frame::List { key, before: String::new() });
            }
            Event::MappingEnd => {
                if let Some(Frame::Map { name, value: Some(value), .. }) = frames.pop()
                    && is_secret_name(&name)
                {
                    spans.push(value);
                }
            }
            Event::SequenceEnd => drop(frames.pop()),
            Event::Scalar(value, ..) => {
                let place = span.byte_range().map(|whole| inner(config, whole));
                spans.extend(scalar(&mut frames, &value, place));
            }
            Event::Alias(..) => drop(enter(&mut frames)),
            _ => {}
        }
    }
    spans
}

/// A collection or alias stands where a key or a value is expected; the key that it is under.
fn enter(frames: &mut [Frame]) -> String {
    match frames.last_mut() {
        Some(Frame::Map { key, .. }) => match key.take() {
            Some(key) => key,
            // A collection as a key: nothing of kubectl's.
            None => {
                *key = Some(String::new());
                String::new()
            }
        },
        _ => String::new(),
    }
}

fn scalar(frames: &mut [Frame], text: &str, place: Option<Range<usize>>) -> Option<Range<usize>> {
    match frames.last_mut()? {
        Frame::Map { key: key @ None, .. } => {
            *key = Some(text.to_owned());
            None
        }
        Frame::Map { key, name, value } => {
            let key = key.take().unwrap_or_default();
            match key.as_str() {
                "name" => text.clone_into(name),
                "value" => value.clone_from(&place),
                _ => {}
            }
            place.filter(|_| KEYS.contains(&key.as_str()))
        }
        Frame::List { key, before } if key == "args" => {
            let place = place?;
            let secret = match text.split_once('=') {
                Some((option, _)) if option.starts_with('-') && is_secret_name(option) => {
                    Some(place.start + option.len() + 1..place.end)
                }
                _ if before.starts_with('-') && !before.contains('=') && is_secret_name(before) => Some(place),
                _ => None,
            };
            text.clone_into(before);
            secret
        }
        Frame::List { .. } => None,
    }
}

/// A scalar without its quotes, or without the head of a block.
fn inner(config: &str, whole: Range<usize>) -> Range<usize> {
    let Some(raw) = config.get(whole.clone()) else { return whole };
    match raw.chars().next() {
        Some('"' | '\'') if raw.len() >= 2 => whole.start + 1..whole.end - 1,
        Some('|' | '>') => whole.start + raw.find('\n').map_or(raw.len(), |at| at + 1)..whole.end,
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: &str, secrets: &[&str], stays: &[&str]) {
        let seen = kubeconfig(config.to_owned());
        assert_eq!((seen.len(), seen.lines().count()), (config.len(), config.lines().count()), "{seen}");
        for secret in secrets {
            assert!(!seen.contains(secret), "{secret} is left:\n{seen}");
        }
        for stays in stays {
            assert!(seen.contains(stays), "{stays} is gone:\n{seen}");
        }
    }

    #[test]
    fn values_of_every_style_go() {
        check(
            "users:\n- name: a\n  user:\n    token: plainsecret1\n    client-certificate-data: Q0VSVA==\n- name: b\n  \
             user: {password: \"flow secret2\", username: bob}\n- name: c\n  user:\n    client-key-data: |\n      \
             block3\n      block4\n    auth-provider:\n      config:\n        refresh-token: 'r5'\n  ",
            &["plainsecret1", "flow secret2", "block3", "block4", "'r5'"],
            &["client-certificate-data: Q0VSVA==", "username: bob", "name: c"],
        );
        check(r#"{"users":[{"name":"a","user":{"token":"json6"}}]}"#, &["json6"], &[r#""name":"a""#]);
    }

    #[test]
    fn arguments_and_variables_of_plugins_go() {
        check(
            "users:\n- user:\n    exec:\n      command: oidc\n      args: [--client-secret=one1, --token, two2, \
             --issuer=https://idp]\n      env:\n      - name: AWS_PROFILE\n        value: sandbox\n      - \
             name: AWS_SECRET_ACCESS_KEY\n        value: three3\n",
            &["one1", "two2", "three3"],
            &["--issuer=https://idp", "value: sandbox", "AWS_SECRET_ACCESS_KEY"],
        );
    }

    #[test]
    fn what_is_no_yaml_is_read_by_lines() {
        check(
            "current-context: prod: x\nusers:\n- name: u\n  user:\n    token: leftover\n    client-key-data: S0VZ\n",
            &["leftover", "S0VZ"],
            &["current-context: prod: x"],
        );
    }
}
