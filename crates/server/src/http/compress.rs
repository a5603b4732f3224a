//! Gzip for large answers.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, VARY};

use crate::request::BoxError;
use crate::{Body, Response};

/// Smaller answers are not worth the work; the API server has the same limit.
const WORTH_IT: usize = 128 * 1024;

/// Compresses an answer that is large and all there, or a list that is made piece by piece. What has no end stays as
/// it is: each event of a watch must leave at once.
pub(super) fn gzip(mut response: Response) -> Response {
    if response.headers.contains_key(CONTENT_ENCODING) {
        return response;
    }
    response.body = match response.body {
        Body::Full(bytes) if bytes.len() > WORTH_IT => {
            let mut encoder = Encoder::new();
            let mut packed = encoder.piece(&bytes);
            packed.extend_from_slice(&encoder.end());
            Body::Full(packed.into())
        }
        Body::Stream(stream) if response.finite => {
            let packed =
                stream.map(Some).chain(futures::stream::iter([None])).scan(Encoder::new(), |encoder, piece| {
                    let packed: Result<Bytes, BoxError> = match piece {
                        Some(Ok(piece)) => Ok(encoder.piece(&piece).into()),
                        Some(Err(error)) => Err(error),
                        None => Ok(encoder.end().into()),
                    };
                    std::future::ready(Some(packed))
                });
            Body::Stream(Box::pin(
                packed.filter(|piece| std::future::ready(piece.as_ref().map_or(true, |piece| !piece.is_empty()))),
            ))
        }
        other => {
            response.body = other;
            return response;
        }
    };
    response.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response.headers.remove(CONTENT_LENGTH);
    response
}

struct Encoder(Option<GzEncoder<Vec<u8>>>);

impl Encoder {
    fn new() -> Self {
        Self(Some(GzEncoder::new(Vec::new(), Compression::fast())))
    }

    fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(encoder) = &mut self.0 else { return Vec::new() };
        encoder.write_all(bytes).expect("a vector takes all that is written");
        std::mem::take(encoder.get_mut())
    }

    fn end(&mut self) -> Vec<u8> {
        let Some(encoder) = self.0.take() else { return Vec::new() };
        encoder.finish().expect("a vector takes all that is written")
    }
}
