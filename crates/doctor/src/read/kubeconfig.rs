//! Kubeconfigs: which servers, users and contexts a file has, and which bytes say so.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::toml::{Refused, Spanned};
use super::yaml::{self, Node};
use crate::evidence::{Item, ItemKind};
use crate::text::Position;

/// One kubeconfig.
#[derive(Clone, Debug, Default)]
pub struct Kubeconfig {
    /// Number of its item.
    pub item: usize,
    /// The node it lies on; empty for the user's own machine.
    pub node: String,
    /// Its path, or the command that printed it.
    pub path: String,
    /// Why it can't be read to its end.
    pub refused: Option<Refused>,
    /// The context in use.
    pub current: Option<Spanned<String>>,
    /// Its clusters.
    pub clusters: Vec<Cluster>,
    /// Its contexts.
    pub contexts: Vec<Context>,
    /// Its users.
    pub users: Vec<User>,
}

/// A cluster of a kubeconfig.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Name.
    pub name: Spanned<String>,
    /// Address of the API server.
    pub server: Option<Spanned<String>>,
    /// `certificate-authority-data`.
    pub authority: Option<Spanned<String>>,
    /// `insecure-skip-tls-verify`.
    pub insecure: bool,
}

/// A context of a kubeconfig.
#[derive(Clone, Debug)]
pub struct Context {
    /// Name.
    pub name: Spanned<String>,
    /// Its cluster.
    pub cluster: Option<Spanned<String>>,
    /// Its user.
    pub user: Option<Spanned<String>>,
    /// Its namespace.
    pub namespace: Option<Spanned<String>>,
}

/// A user of a kubeconfig.
#[derive(Clone, Debug)]
pub struct User {
    /// Name.
    pub name: Spanned<String>,
    /// `client-certificate-data`.
    pub certificate_data: Option<Spanned<String>>,
    /// `client-certificate`: a file.
    pub certificate_file: Option<Spanned<String>>,
    /// `client-key-data`.
    pub key_data: Option<Spanned<String>>,
    /// `token`.
    pub token: Option<Spanned<String>>,
    /// `tokenFile`.
    pub token_file: Option<Spanned<String>>,
    /// `auth-provider`, by its name.
    pub provider: Option<Spanned<String>>,
    /// `exec`: a program that gives credentials.
    pub exec: Option<Exec>,
    /// The bytes of all that.
    pub span: Range<usize>,
}

/// A program that gives credentials.
#[derive(Clone, Debug)]
pub struct Exec {
    /// The program.
    pub command: Option<Spanned<String>>,
    /// Version of the protocol it is to speak.
    pub api_version: Option<Spanned<String>>,
    /// Its arguments.
    pub arguments: Vec<Spanned<String>>,
    /// Variables it gets: names and values.
    pub environment: Vec<(Spanned<String>, Spanned<String>)>,
}

/// What proves who the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A client certificate.
    Certificate,
    /// A bearer token, or a provider of tokens.
    Token,
    /// A program that gives credentials.
    Exec,
    /// Nothing is told.
    Unknown,
}

impl User {
    /// What it uses. A token wins over a certificate's silence, a plugin over both, as in clients.
    pub fn credential(&self) -> Credential {
        if self.exec.is_some() {
            Credential::Exec
        } else if self.token.is_some() || self.token_file.is_some() || self.provider.is_some() {
            Credential::Token
        } else if self.certificate_data.is_some() || self.certificate_file.is_some() {
            Credential::Certificate
        } else {
            Credential::Unknown
        }
    }
}

impl Kubeconfig {
    /// Reads an item that is a kubeconfig, or holds one (`kubectl config view`).
    pub(crate) fn read(number: usize, item: &Item) -> Option<Self> {
        let text = &item.text;
        let sections = ["clusters:", "contexts:"].iter().all(|section| {
            text.lines().any(|line| line.starts_with(section)) || text.contains(&format!("\"{}\":", &section[..8]))
        });
        match item.kind {
            ItemKind::Kubeconfig => {}
            ItemKind::KubectlOutput | ItemKind::NodeFacts | ItemKind::Text if sections => {}
            _ => return None,
        }
        let (documents, refused) = yaml::documents(text);
        let mut config = Self {
            item: number,
            node: item.origin.node().unwrap_or_default().to_owned(),
            path: item.origin.path().unwrap_or(item.origin.source()).to_owned(),
            refused: refused.filter(|_| item.kind == ItemKind::Kubeconfig),
            ..Self::default()
        };
        if let Some(root) = documents.first() {
            config.fill(root);
            if root.entries().is_empty() && config.refused.is_none() && item.kind == ItemKind::Kubeconfig {
                let message = "here stands no mapping with clusters, contexts and users".to_owned();
                config.refused =
                    Some(Refused { message, position: Position::of(text, root.span.start), span: root.span.clone() });
            }
        }
        Some(config)
    }

    fn fill(&mut self, root: &Node) {
        self.current = root.string(&["current-context"]).filter(|found| !found.value.is_empty());
        let named = |section: &str| -> Vec<(Spanned<String>, &Node)> {
            let items = root.get(section).map(Node::items).unwrap_or_default();
            items.iter().filter_map(|item| Some((item.string(&["name"])?, item))).collect()
        };
        let clusters = named("clusters").into_iter().map(|(name, node)| Cluster {
            name,
            server: node.string(&["cluster", "server"]),
            authority: node.string(&["cluster", "certificate-authority-data"]),
            insecure: node.string(&["cluster", "insecure-skip-tls-verify"]).is_some_and(|found| found.value == "true"),
        });
        self.clusters = clusters.collect();
        let contexts = named("contexts").into_iter().map(|(name, node)| Context {
            name,
            cluster: node.string(&["context", "cluster"]),
            user: node.string(&["context", "user"]),
            namespace: node.string(&["context", "namespace"]),
        });
        self.contexts = contexts.collect();
        self.users = named("users").into_iter().map(|(name, node)| user(name, node)).collect();
    }

    /// The context of that name.
    pub fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.iter().find(|context| context.name.value == name)
    }

    /// The cluster of that name.
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.name.value == name)
    }

    /// The user of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name.value == name)
    }

    /// The user of the context in use; of `context` where that is given, and the only user where nothing is told.
    pub fn user_in_use(&self, context: Option<&str>) -> Option<&User> {
        let context = context.or(self.current.as_ref().map(|current| current.value.as_str()));
        let user = context.and_then(|name| self.context(name)).and_then(|context| context.user.as_ref());
        match user {
            Some(user) => self.user(&user.value),
            None => self.users.first().filter(|_| self.users.len() == 1),
        }
    }
}

fn user(name: Spanned<String>, node: &Node) -> User {
    let string = |key: &str| node.string(&["user", key]);
    let exec = node.at(&["user", "exec"]).filter(|exec| !exec.entries().is_empty()).map(|exec| Exec {
        command: exec.string(&["command"]),
        api_version: exec.string(&["apiVersion"]),
        arguments: exec.get("args").map(Node::items).unwrap_or_default().iter().filter_map(Node::spanned).collect(),
        environment: exec
            .get("env")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|one| Some((one.string(&["name"])?, one.string(&["value"])?)))
            .collect(),
    });
    User {
        name,
        certificate_data: string("client-certificate-data"),
        certificate_file: string("client-certificate"),
        key_data: string("client-key-data"),
        token: string("token"),
        token_file: string("tokenFile"),
        provider: node.string(&["user", "auth-provider", "name"]),
        exec,
        span: node.span.clone(),
    }
}

/// Whether data was taken out before the file was shown.
pub fn is_left_out(data: &str) -> bool {
    let masks = ["OMITTED", "REDACTED", "<", "…", "..."];
    data.is_empty() || masks.iter().any(|mask| data.contains(mask)) || data.chars().all(|mark| "*xX.".contains(mark))
}

/// Why `…-data` of a kubeconfig can't be read as a certificate or key.
pub fn data_fault(data: &str) -> Option<&'static str> {
    if is_left_out(data) {
        return None;
    }
    if data.trim_start().starts_with("-----BEGIN") {
        return Some("is PEM itself, where base64 of it is expected");
    }
    match STANDARD.decode(data.split_whitespace().collect::<String>()) {
        Err(_) => Some("is no base64"),
        Ok(plain) if !plain.windows(11).any(|window| window == b"-----BEGIN ") => Some("holds no PEM"),
        Ok(_) => None,
    }
}

/// When the first certificate in a kubeconfig's data ends, in seconds since 1970.
pub fn certificate_end(data: &str) -> Option<i64> {
    let plain = STANDARD.decode(data.split_whitespace().collect::<String>()).ok()?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&plain).ok()?;
    Some(pem.parse_x509().ok()?.validity().not_after.timestamp())
}

/// When a JSON Web Token ends, in seconds since 1970.
pub fn token_end(token: &str) -> Option<i64> {
    let payload = token.trim().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Value>(&payload).ok()?["exp"].as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    fn read(text: &str) -> Kubeconfig {
        let origin = Origin("~/.kube/config".to_owned());
        Kubeconfig::read(0, &Item { kind: ItemKind::Kubeconfig, origin, text: text.to_owned() }).unwrap()
    }

    const FILE: &str = "apiVersion: v1\nclusters:\n- cluster:\n    server: \"https://a:6443 \"\n  name: one\ncontexts:\n- context: {cluster: one, user: u}\n  name: c\ncurrent-context: c\nusers:\n- name: u\n  user:\n    exec:\n      command: aws\n      env:\n      - {name: P, value: q}\n";

    #[test]
    fn parts_of_a_file_with_their_bytes() {
        let config = read(FILE);
        let server = config.cluster("one").unwrap().server.clone().unwrap();
        assert_eq!((server.value.as_str(), &FILE[server.span]), ("https://a:6443 ", "\"https://a:6443 \""));
        let user = config.user_in_use(None).unwrap();
        assert_eq!(user.credential(), Credential::Exec);
        assert_eq!(user.exec.as_ref().unwrap().environment[0].1.value, "q");
        assert_eq!(config.path, "~/.kube/config");
    }

    #[test]
    fn a_broken_file_is_read_as_far_as_it_goes() {
        let config = read("clusters:\n- cluster:\n    server: https://a\n  name: one\ncurrent-context: a: b\n");
        assert_eq!(config.refused.unwrap().position.line, 5);
        assert_eq!(config.clusters.len(), 1);
        for text in ["", "[]", "clusters: 7\n", "clusters:\n- name: [a]\n", "\u{0}", "users: [{name: a, user: }]"] {
            let _ = read(text);
        }
    }

    #[test]
    fn data_that_is_none_and_tokens_that_end() {
        assert_eq!(data_fault("DATA+OMITTED"), None);
        assert_eq!(data_fault("LS0tLS1CRUdJTiBYLS0tLS0K"), None);
        assert_eq!(data_fault("not base64!"), Some("is no base64"));
        assert_eq!(data_fault("aGVsbG8="), Some("holds no PEM"));
        assert_eq!(token_end("e30.eyJleHAiOjE3MDAwMDAwMDB9.x"), Some(1_700_000_000));
        assert_eq!((token_end("abc"), certificate_end("aGVsbG8=")), (None, None));
    }
}
