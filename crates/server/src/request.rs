//! A request, parsed: who asks for what, as authorization and routing see it.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;

use crate::user::User;

/// Any error of a body that is being read or written.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, as it arrives.
pub type Incoming = BoxBody<Bytes, BoxError>;

/// What a request is about, in the words of authorization (RBAC, SubjectAccessReview).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower case
    /// when the path names no resource.
    pub verb: String,
    /// Whether the path names a resource (below `/api/v1` or `/apis/GROUP/VERSION`).
    pub is_resource: bool,
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural, for example `pods`.
    pub resource: String,
    /// For example `status`; empty for the resource itself.
    pub subresource: String,
    /// Empty when cluster-scoped or for all namespaces.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// Path as sent, percent-decoded.
    pub path: String,
    /// Segments of the path below the subresource (`proxy/a/b` has `a`, `b`).
    pub rest: Vec<String>,
}

/// Query parameters, decoded, in the order sent.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// A request that was authenticated and parsed.
pub struct Request {
    /// What it is about.
    pub attributes: Attributes,
    /// Who makes it.
    pub user: User,
    /// Method.
    pub method: http::Method,
    /// Path and query as sent.
    pub uri: http::Uri,
    /// Query parameters.
    pub query: Query,
    /// Headers.
    pub headers: http::HeaderMap,
    /// Body, not read yet.
    pub body: Incoming,
    /// The connection, for requests that ask to upgrade it.
    pub upgrade: Option<OnUpgrade>,
}

impl Query {
    /// Parses the part of a URI after `?`.
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_query(name), decode_query(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, unless it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A boolean as Kubernetes converts it: `0` and `false` are false, any other value true, absent false.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}

/// `+` is a space in a query, unlike in a path.
fn decode_query(text: &str) -> String {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

impl Attributes {
    /// Reads method, path and query as the API server does.
    pub fn parse(method: &http::Method, path: &str, query: &Query) -> Self {
        let path_text = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let mut attributes = Self { verb: method.as_str().to_ascii_lowercase(), path: path_text, ..Self::default() };
        let segments: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return attributes,
        };
        attributes.is_resource = true;
        group.clone_into(&mut attributes.group);
        version.clone_into(&mut attributes.version);
        attributes.verb = verb_of(method).to_owned();
        attributes.place(rest, query);
        attributes.finish_verb(method, query);
        attributes
    }

    /// Reads the segments below the version.
    fn place(&mut self, segments: &[&str], query: &Query) {
        let mut rest = segments;
        if let ["watch", below @ ..] = rest
            && !below.is_empty()
        {
            "watch".clone_into(&mut self.verb);
            rest = below;
        }
        if let ["namespaces", namespace, below @ ..] = rest {
            (*namespace).clone_into(&mut self.namespace);
            if !below.is_empty() && !matches!(below, ["status" | "finalize"]) {
                rest = below;
            }
        }
        if let [resource, below @ ..] = rest {
            (*resource).clone_into(&mut self.resource);
            if let [name, below @ ..] = below {
                (*name).clone_into(&mut self.name);
                if let [subresource, below @ ..] = below {
                    (*subresource).clone_into(&mut self.subresource);
                    self.rest = below.iter().map(|segment| (*segment).to_owned()).collect();
                }
            }
        }
        if self.name.is_empty()
            && let Some(name) = query.text("fieldSelector").and_then(named_by_selector)
        {
            self.name = name;
        }
    }

    fn finish_verb(&mut self, method: &http::Method, query: &Query) {
        let named_in_path = !self.name.is_empty() && query.text("fieldSelector").is_none();
        match *method {
            http::Method::GET | http::Method::HEAD if self.verb == "get" && !named_in_path => {
                let verb = if query.flag("watch") { "watch" } else { "list" };
                verb.clone_into(&mut self.verb);
            }
            http::Method::DELETE if self.name.is_empty() => "deletecollection".clone_into(&mut self.verb),
            _ => {}
        }
    }

    /// `pods` or `pods/log`, as rules name it.
    pub fn resource_and_sub(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

fn verb_of(method: &http::Method) -> &'static str {
    match *method {
        http::Method::POST => "create",
        http::Method::GET | http::Method::HEAD => "get",
        http::Method::PUT => "update",
        http::Method::PATCH => "patch",
        http::Method::DELETE => "delete",
        _ => "",
    }
}

/// The name that a field selector pins, which RBAC may grant by name.
fn named_by_selector(selector: &str) -> Option<String> {
    selector
        .split(',')
        .filter_map(|part| part.strip_prefix("metadata.name="))
        .map(|name| name.trim_start_matches('=').to_owned())
        .find(|name| !name.is_empty())
}
