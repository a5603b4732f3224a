//! Query parameters of reads, checked as `ListOptions` are.

use std::time::Duration;

use api::{FieldErrors, Path, Revision, Status, View};
use tokio::time::timeout;

use crate::Server;
use crate::request::Query;

/// How long a read waits for a revision that is not there yet.
const WAIT: Duration = Duration::from_secs(3);

/// How `resourceVersion` of a list is meant (`resourceVersionMatch`, KEP-2523).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Unset,
    NotOlderThan,
    Exact,
}

/// Parameters of a list or watch.
#[derive(Debug)]
pub(super) struct ListOptions {
    /// `None` when not given or empty.
    pub(super) revision: Option<Revision>,
    pub(super) matching: Match,
    /// 0 is no limit.
    pub(super) limit: usize,
    pub(super) start: Option<String>,
    pub(super) bookmarks: bool,
    pub(super) initial_events: Option<bool>,
    pub(super) timeout: Option<Duration>,
}

impl ListOptions {
    /// Reads and checks the parameters.
    ///
    /// # Errors
    /// 400 for what is no number, 422 for combinations that make no sense.
    pub(super) fn parse(query: &Query, watch: bool) -> Result<Self, Status> {
        let mut errors = FieldErrors::default();
        let given = query.text("resourceVersion");
        let matching = match query.text("resourceVersionMatch") {
            None => Match::Unset,
            Some("NotOlderThan") => Match::NotOlderThan,
            Some("Exact") => Match::Exact,
            Some(other) => {
                let supported = ["Exact", "NotOlderThan"];
                errors.not_supported(&Path::new("resourceVersionMatch"), other, &supported);
                Match::Unset
            }
        };
        let initial_events = query.text("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
        check(&mut errors, watch, given, matching, initial_events, query.text("continue"));
        if !errors.is_empty() {
            return Err(Status::invalid("meta.k8s.io", "ListOptions", "", &errors));
        }
        let seconds = number(query, "timeoutSeconds")?;
        Ok(Self {
            revision: revision(given)?,
            matching,
            limit: usize::try_from(number(query, "limit")?.unwrap_or_default()).unwrap_or(usize::MAX),
            start: query.text("continue").map(str::to_owned),
            bookmarks: query.flag("allowWatchBookmarks"),
            initial_events,
            timeout: seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        })
    }
}

fn check(
    errors: &mut FieldErrors,
    watch: bool,
    revision: Option<&str>,
    matching: Match,
    initial_events: Option<bool>,
    start: Option<&str>,
) {
    let match_path = Path::new("resourceVersionMatch");
    let initial_path = Path::new("sendInitialEvents");
    if watch {
        if initial_events.is_some() && matching != Match::NotOlderThan {
            errors.forbidden(&match_path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        if initial_events.is_none() && matching != Match::Unset {
            errors.forbidden(
                &match_path,
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            );
        }
        return;
    }
    if initial_events.is_some() {
        errors.forbidden(&initial_path, "sendInitialEvents is forbidden for list");
    }
    if matching == Match::Unset {
        return;
    }
    if start.is_some() {
        errors.forbidden(&match_path, "resourceVersionMatch is forbidden when continue is provided");
    }
    match revision {
        None => errors.forbidden(&match_path, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        Some("0") if matching == Match::Exact => {
            errors.forbidden(&match_path, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
        Some(_) => {}
    }
}

/// Reads a resource version; empty and absent are the same.
///
/// # Errors
/// 400 when it is no number.
pub(super) fn revision(text: Option<&str>) -> Result<Option<Revision>, Status> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Status::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

fn number(query: &Query, name: &str) -> Result<Option<u64>, Status> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let number: i64 = text
        .parse()
        .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax ({name})")))?;
    Ok(Some(u64::try_from(number).unwrap_or_default()))
}

impl Server {
    /// The newest view, which must not be older than `revision`.
    ///
    /// # Errors
    /// 504 when that revision has not come about in time.
    pub(super) async fn view_from(&self, revision: Revision) -> Result<View, Status> {
        let view = self.store.view();
        if view.revision() >= revision {
            return Ok(view);
        }
        let mut views = self.store.views();
        if let Ok(Ok(view)) = timeout(WAIT, views.wait_for(|view| view.revision() >= revision)).await {
            return Ok(view.clone());
        }
        Err(too_large(revision, self.store.view().revision()))
    }
}

/// 504 for a revision that does not exist yet.
pub(super) fn too_large(asked: Revision, current: Revision) -> Status {
    let message = format!("Too large resource version: {asked}, current: {current}");
    let mut status = Status::new(api::Reason::Timeout, format!("Timeout: {message}"));
    status.retry_after = Some(1);
    status.causes.push(api::Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    });
    status
}
