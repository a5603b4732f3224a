//! Content negotiation: what a client sends and what it accepts, decided in this one place.
//!
//! JSON and YAML are spoken, and Kubernetes' protobuf is understood. Whoever accepts nothing but protobuf or CBOR is
//! answered with 406, whoever sends anything else with 415.

use api::{Reason, Status};
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Json,
    Yaml,
    /// Understood, never written.
    Protobuf,
}

/// What of the objects is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The objects.
    #[default]
    Whole,
    /// A server-side table.
    Table,
    /// Metadata alone (PartialObjectMetadata).
    Partial,
}

/// What a client accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) encoding: Encoding,
    pub(crate) shape: Shape,
    pub(crate) gzip: bool,
    /// Nothing that the client named can be had.
    refused: bool,
}

impl Accept {
    /// Reads `Accept` and `Accept-Encoding`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let gzip = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("gzip")));
        let mut wanted: Vec<(f32, &str)> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|one| !one.is_empty())
            .map(|one| (quality(one), one))
            .collect();
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = wanted.iter().find_map(|(_, one)| understood(one));
        let refused = found.is_none() && !wanted.is_empty();
        let (encoding, shape) = found.unwrap_or_default();
        Self { encoding, shape, gzip, refused }
    }

    /// Refuses clients that accept nothing that is spoken here.
    ///
    /// # Errors
    /// 406.
    pub(crate) fn check(&self) -> Result<(), Status> {
        if self.refused {
            return Err(not_acceptable());
        }
        Ok(())
    }
}

/// 406 in Kubernetes' words.
pub(crate) fn not_acceptable() -> Status {
    Status::new(
        Reason::NotAcceptable,
        "only the following media types are accepted: application/json, application/yaml",
    )
}

fn quality(media: &str) -> f32 {
    let weight = media.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.and_then(|weight| weight.trim().parse().ok()).unwrap_or(1.0)
}

/// One entry of `Accept`, when it can be had.
fn understood(media: &str) -> Option<(Encoding, Shape)> {
    let mut parts = media.split(';').map(str::trim);
    let encoding = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/json" | "*/*" | "application/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let mut shape = Shape::Whole;
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("as", "Table")) => shape = Shape::Table,
            Some(("as", "PartialObjectMetadata" | "PartialObjectMetadataList")) => shape = Shape::Partial,
            Some(("as", _)) => return None,
            Some(("g", group)) if group != "meta.k8s.io" => return None,
            Some(("v", version)) if version != "v1" && version != "v1beta1" => return None,
            _ => {}
        }
    }
    Some((encoding, shape))
}

/// What a body is written in.
///
/// # Errors
/// 415 for what is not understood.
pub(crate) fn body_encoding(headers: &HeaderMap) -> Result<Encoding, Status> {
    match content_type(headers).as_str() {
        "" | "application/json" | "*/*" => Ok(Encoding::Json),
        "application/yaml" => Ok(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Encoding::Protobuf),
        _ => Err(Status::new(
            Reason::UnsupportedMediaType,
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// `Content-Type` without parameters, in lower case.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_best_that_can_be_had_is_taken() {
        use Encoding::{Json, Yaml};
        let cases = [
            ("", Some((Json, Shape::Whole))),
            ("*/*", Some((Json, Shape::Whole))),
            ("application/yaml", Some((Yaml, Shape::Whole))),
            ("application/json;q=0.5, application/yaml", Some((Yaml, Shape::Whole))),
            ("application/vnd.kubernetes.protobuf,application/json", Some((Json, Shape::Whole))),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some((Json, Shape::Table))),
            ("application/json;as=Table;v=v1alpha9;g=meta.k8s.io,application/json", Some((Json, Shape::Whole))),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some((Json, Shape::Partial))),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
        ];
        for (header, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(header).unwrap());
            let accept = Accept::of(&headers);
            let found = accept.check().ok().map(|()| (accept.encoding, accept.shape));
            assert_eq!(found, expected, "{header}");
        }
    }
}
