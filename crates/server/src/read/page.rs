//! `continue` tokens: where a chunked list goes on, and at which revision.

use api::Status;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Where a chunked list goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    #[serde(rename = "v")]
    version: String,
    /// Revision of the list; -1 goes on at whatever is newest.
    #[serde(rename = "rv")]
    pub(super) revision: i64,
    /// `NAMESPACE/NAME` of the last object that was answered.
    start: String,
}

const VERSION: &str = "meta.k8s.io/v1";

impl Position {
    /// After the object (`namespace`, `name`).
    pub(super) fn after(revision: i64, namespace: &str, name: &str) -> Self {
        Self { version: VERSION.to_owned(), revision, start: format!("{namespace}/{name}") }
    }

    /// The token for clients.
    pub(super) fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a position always serialises"))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// 400 when it is none of ours.
    pub(super) fn parse(token: &str) -> Result<Self, Status> {
        let bad = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|error| bad(&error.to_string()))?;
        let position: Self = serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))?;
        if position.version != VERSION || !position.start.contains('/') || position.revision == 0 {
            return Err(bad("incorrect encoded start resourceVersion or position (version meta.k8s.io/v1)"));
        }
        Ok(position)
    }

    /// Namespace and name of the last object that was answered.
    pub(super) fn last(&self) -> (String, String) {
        let (namespace, name) = self.start.split_once('/').unwrap_or_default();
        (namespace.to_owned(), name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_others_do_not() {
        let position = Position::after(7, "default", "web-1");
        assert_eq!(Position::parse(&position.token()), Ok(position.clone()));
        assert_eq!(position.last(), ("default".to_owned(), "web-1".to_owned()));
        for token in ["", "x", "e30", "!!!"] {
            assert!(Position::parse(token).is_err(), "{token}");
        }
    }
}
