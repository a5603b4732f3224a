//! "You must be logged in to the server": a certificate or a token that has run out, or somebody whom the cluster does
//! not know. Which of them it is, only further evidence tells.

use super::client;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::Finding;
use crate::read::kubeconfig::{Credential, User};
use crate::read::{Kubeconfig, Message, times};

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The client certificate has run out.
    Certificate,
    /// The token or session has run out.
    Token,
    /// The credential helper gives an identity that the cluster does not know.
    Identity,
}

/// A login that was refused.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Who said so.
    pub messages: Vec<&'a Message>,
    /// The user of the kubeconfig, if it was shown.
    pub user: Option<(&'a Kubeconfig, &'a User)>,
    /// What proves the user's identity.
    pub credential: Credential,
    /// The cause, if something decides; and where that stands.
    pub cause: Option<(Cause, usize, u32)>,
}

impl Refused<'_> {
    /// The cause to name first while nothing decides, and the others that fit.
    pub fn candidates(&self) -> (Cause, &'static [&'static str]) {
        match self.credential {
            Credential::Certificate => (Cause::Certificate, &[]),
            Credential::Token => (Cause::Token, &[]),
            Credential::Exec => (Cause::Identity, &["token-expired"]),
            Credential::Unknown => (Cause::Certificate, &["token-expired", "exec-plugin-wrong-identity"]),
        }
    }

    /// Adds the messages, and what would decide.
    pub fn explain(&self, finding: &mut Finding) {
        for message in &self.messages {
            finding.message(message);
        }
        if let Some((_, item, line)) = self.cause {
            finding.quote(item, line);
            return;
        }
        let (certificate, token, identity) = (
            "notAfter of the client certificate in the kubeconfig (openssl x509 -noout -enddate)",
            "exp of the token (its payload) and date -u",
            "identity that the exec plugin yields (aws sts get-caller-identity) and its environment",
        );
        let needs: &[&str] = match self.credential {
            Credential::Certificate => &[certificate, "date -u", "kubeadm certs check-expiration"],
            Credential::Token => &[token],
            Credential::Exec => &[identity, token, "aws-auth or other mapping of identities in the cluster"],
            Credential::Unknown => {
                &["kubectl config view --minify (kind of credentials of the user)", certificate, token, identity]
            }
        };
        finding.needs(needs);
    }
}

/// Logins that were refused, as one.
pub fn refused(evidence: &Evidence) -> Option<Refused<'_>> {
    const WORDS: [&str; 4] = [
        "asked for the client to provide credentials",
        "You must be logged in to the server",
        "Unauthorized",
        "Unable to authenticate the request",
    ];
    let all = client::said(evidence, &[]);
    let messages: Vec<&Message> =
        all.filter(|message| WORDS.iter().any(|words| message.text.contains(words)) || is_expired(message)).collect();
    if messages.is_empty() {
        return None;
    }
    let asked = client::asked_context(evidence);
    let configs = &evidence.read().kubeconfigs;
    let user = configs.iter().find_map(|config| Some((config, config.user_in_use(asked)?)));
    let credential = user.map_or(Credential::Unknown, |(_, user)| user.credential());
    let cause = cause(evidence, &messages, credential);
    Some(Refused { messages, user, credential, cause })
}

/// What a provider of tokens says of a session that is over.
fn is_expired(message: &Message) -> bool {
    const WORDS: [&str; 9] = [
        "oken is expired",
        "oken has expired",
        "oken expired",
        "ExpiredToken",
        "session associated with this profile has expired",
        "ession has expired",
        "refresh token",
        "invalid_grant",
        "reauth related error",
    ];
    WORDS.iter().any(|words| message.text.contains(words))
}

fn cause(evidence: &Evidence, messages: &[&Message], credential: Credential) -> Option<(Cause, usize, u32)> {
    if let Some(message) = messages.iter().find(|message| is_expired(message)) {
        return Some((Cause::Token, message.item, message.line));
    }
    if let Some((item, line)) = certificate_over(evidence, messages).filter(|_| credential != Credential::Token) {
        return Some((Cause::Certificate, item, line));
    }
    if let Some((item, line)) = token_over(evidence) {
        return Some((Cause::Token, item, line));
    }
    if matches!(credential, Credential::Exec | Credential::Unknown)
        && let Some((item, line)) = identity(evidence)
    {
        return Some((Cause::Identity, item, line));
    }
    None
}

/// The newest date that the evidence tells: now.
pub fn now(evidence: &Evidence) -> Option<i64> {
    evidence.read().facts.dates.iter().map(|date| date.value.seconds()).max()
}

/// Lines of what commands printed, each with its item and number.
fn lines(evidence: &Evidence) -> impl Iterator<Item = (usize, u32, &str)> {
    let told = |kind: ItemKind| matches!(kind, ItemKind::NodeFacts | ItemKind::KubectlOutput | ItemKind::Text);
    let items = evidence.items().iter().enumerate().filter(move |(_, item)| told(item.kind));
    items.flat_map(|(number, item)| {
        let lines = item.text.lines().enumerate();
        lines.map(move |(index, line)| (number, u32::try_from(index + 1).unwrap_or(u32::MAX), line))
    })
}

/// A line that shows the client certificate run out.
fn certificate_over(evidence: &Evidence, messages: &[&Message]) -> Option<(usize, u32)> {
    let logged = messages.iter().find(|message| message.text.contains("certificate has expired"));
    if let Some(message) = logged {
        return Some((message.item, message.line));
    }
    let now = now(evidence);
    let (mut mine, mut admin) = (None, None);
    for (item, line, text) in lines(evidence) {
        let source = evidence.items()[item].origin.source();
        let of_client = !source.contains("certificate-authority") && !source.contains("apiserver");
        if let Some((_, end)) = text.split_once("notAfter").filter(|_| of_client) {
            let end = times::first(end.trim_start_matches(['=', ':', ' '])).map(|end| end.seconds());
            if end.zip(now).is_some_and(|(end, now)| end < now) {
                return Some((item, line));
            }
        }
        let row = text.trim_start().starts_with("admin.conf") || text.contains("client cert");
        if (row && text.contains("<invalid>"))
            || text.contains("Certificate will expire") && source.contains("checkend 0")
            || text.contains("has expired") && text.contains("ertificate")
        {
            return Some((item, line));
        }
        // `stat`: a copy that is older than the file that it was copied from.
        let Some(when) = file_time(text) else { continue };
        if text.contains("/.kube/") {
            mine = Some((when, item, line));
        } else if text.contains("/etc/kubernetes/admin.conf") {
            admin = Some(when);
        }
    }
    const DAY: i64 = 86_400;
    let (mine, item, line) = mine?;
    // A client certificate of kubeadm lasts a year.
    (admin? - mine > 30 * DAY || now.is_some_and(|now| now - mine > 365 * DAY)).then_some((item, line))
}

/// The time before or after a path: `2024-04-07 08:04 /etc/kubernetes/admin.conf`, with or without seconds.
fn file_time(line: &str) -> Option<i64> {
    if !line.contains('/') {
        return None;
    }
    if let Some(when) = times::first(line) {
        return Some(when.seconds());
    }
    let date = line.split_whitespace().find(|word| {
        word.len() == 10
            && word.split('-').count() == 3
            && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    })?;
    times::first(&format!("{date} 00:00:00Z")).map(|when| when.seconds())
}

/// A line that shows a token run out.
fn token_over(evidence: &Evidence) -> Option<(usize, u32)> {
    let now = now(evidence);
    lines(evidence).find_map(|(item, line, text)| {
        let (_, rest) =
            text.split_once("\"exp\"").or_else(|| text.split_once("exp:")).or_else(|| text.split_once("exp="))?;
        let rest = rest.trim_start_matches([':', '=', ' ', '"']);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let end = match digits.parse::<i64>() {
            Ok(end) if digits.len() >= 9 => end,
            _ => times::first(rest)?.seconds(),
        };
        (end < now?).then_some((item, line))
    })
}

/// A line that shows who the helper makes of the user.
fn identity(evidence: &Evidence) -> Option<(usize, u32)> {
    const WORDS: [&str; 9] = [
        "get-caller-identity",
        "\"Arn\"",
        "aws-auth",
        "mapRoles",
        "mapUsers",
        "ACTIVE  ACCOUNT",
        "gcloud config",
        "az account show",
        "\"tenantId\"",
    ];
    let told = |item: usize, text: &str| {
        let source = evidence.items()[item].origin.source();
        WORDS.iter().any(|word| text.contains(word) || source.contains(word))
    };
    lines(evidence).find(|(item, _, text)| told(*item, text)).map(|(item, line, _)| (item, line))
}
