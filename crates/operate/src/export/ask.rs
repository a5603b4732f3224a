//! Questions to the API: what it serves, and lists in pages, each with its time limit.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use kube::{Client, Error};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::ExportError;
use super::index::Failed;
use super::kinds::{self, Kind};

/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Objects of one page.
const PAGE: u32 = 500;
/// Requests under way at the same time.
const AT_ONCE: usize = 6;

/// Why a question was not answered.
#[derive(Debug)]
pub(super) struct Refused {
    /// HTTP's code; 0 if there was no answer.
    pub(super) code: u16,
    /// In words.
    pub(super) why: String,
    /// The fields that are wrong.
    pub(super) fields: Vec<String>,
}

impl Refused {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self { code: 0, why: why.into(), fields: Vec::new() }
    }

    pub(super) fn asking(self, what: &str) -> ExportError {
        ExportError::Api { what: what.to_owned(), why: self.why }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(status) => {
                let causes = status.details.into_iter().flat_map(|details| details.causes);
                Self { code: status.code, why: status.message, fields: causes.map(|cause| cause.field).collect() }
            }
            error => {
                let mut why = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(next) = source {
                    let words = next.to_string();
                    if !why.contains(&words) {
                        why = format!("{why}: {words}");
                    }
                    source = next.source();
                }
                Self::because(why)
            }
        }
    }
}

/// One request. The answer is parsed here, because the client would log it when it is broken.
pub(super) async fn send(client: &Client, request: http::Request<Vec<u8>>) -> Result<Value, Refused> {
    let text = tokio::time::timeout(ANSWER, client.request_text(request))
        .await
        .map_err(|_| Refused::because(format!("there was no answer within {} s", ANSWER.as_secs())))??;
    // The text may hold secrets: the error must not.
    serde_json::from_str(&text).map_err(|_| Refused::because("the answer is no JSON"))
}

pub(super) async fn get(client: &Client, path: &str) -> Result<Value, Refused> {
    let request = http::Request::get(path).header(http::header::ACCEPT, "application/json").body(Vec::new());
    send(client, request.map_err(|error| Refused::from(Error::HttpError(error)))?).await
}

/// A request with a body.
pub(super) async fn write(
    client: &Client,
    method: http::Method,
    path: &str,
    kind: &str,
    body: &Value,
) -> Result<Value, Refused> {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, kind)
        .header(http::header::ACCEPT, "application/json")
        .body(body.to_string().into_bytes());
    send(client, request.map_err(|error| Refused::because(error.to_string()))?).await
}

/// The kinds that the API serves, and the groups that don't answer.
pub(super) async fn discover(client: &Client) -> Result<(Vec<Kind>, Vec<Failed>), ExportError> {
    let core = get(client, "/api/v1").await.map_err(|refused| refused.asking("/api/v1"))?;
    let groups = get(client, "/apis").await.map_err(|refused| refused.asking("/apis"))?;
    let versions = kinds::group_versions(&groups);
    let asked = versions.iter().map(|version| async move { (version, get(client, &format!("/apis/{version}")).await) });
    let answers: Vec<_> = stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    kinds::add(&mut found, "v1", &core);
    for (version, answer) in answers {
        match answer {
            Ok(resources) => kinds::add(&mut found, version, &resources),
            // It was removed since the groups were listed.
            Err(refused) if refused.code == 404 => {}
            Err(refused) => failed.push(Failed {
                what: version.clone(),
                why: refused.why,
                group: version.split('/').next().unwrap_or_default().to_owned(),
                kind: String::new(),
            }),
        }
    }
    Ok((found, failed))
}

/// A part of a list.
pub(super) enum Page {
    /// Some objects.
    Objects(Vec<Value>),
    /// What came before does not count: the list begins anew.
    Again,
}

/// A list, page by page; it ends after the first refusal.
pub(super) fn pages<'a>(client: &'a Client, path: String, selectors: String) -> BoxStream<'a, Result<Page, Refused>> {
    enum Next {
        First,
        More(String),
        Whole,
        Nothing,
    }
    let ask = move |next: Next| {
        let (path, selectors) = (path.clone(), selectors.clone());
        async move {
            let (limit, token) = match &next {
                Next::Nothing => return None,
                Next::First => (PAGE, String::new()),
                Next::More(token) => (PAGE, format!("&continue={}", utf8_percent_encode(token, NON_ALPHANUMERIC))),
                Next::Whole => (0, String::new()),
            };
            match get(client, &format!("{path}?limit={limit}{selectors}{token}")).await {
                Ok(mut list) => {
                    let more = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
                    let next = if more.is_empty() { Next::Nothing } else { Next::More(more) };
                    let items = match list["items"].take() {
                        Value::Array(items) => items,
                        _ => Vec::new(),
                    };
                    Some((Ok(Page::Objects(items)), next))
                }
                // The list's revision was compacted away while it was read: once more, in one piece.
                Err(refused) if refused.code == 410 && matches!(next, Next::More(_)) => {
                    Some((Ok(Page::Again), Next::Whole))
                }
                Err(refused) => Some((Err(refused), Next::Nothing)),
            }
        }
    };
    stream::unfold(Next::First, ask).boxed()
}

/// Selectors as a part of a query.
pub(super) fn selectors(labels: Option<&str>, fields: Option<&str>) -> String {
    let one = |name: &str, text: Option<&str>| {
        text.map(|text| format!("&{name}={}", utf8_percent_encode(text, NON_ALPHANUMERIC))).unwrap_or_default()
    };
    format!("{}{}", one("labelSelector", labels), one("fieldSelector", fields))
}
