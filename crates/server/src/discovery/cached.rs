//! An answer that is made once: its bytes, compressed when they are many, and its entity tag.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use ring::digest;
use serde::Serialize;

use crate::Response;

/// From here on bytes are kept compressed.
const LARGE: usize = 16 * 1024;

/// An answer that is kept.
pub struct Cached {
    content_type: &'static str,
    bytes: Bytes,
    packed: bool,
    /// Entity tag, without quotes.
    pub tag: String,
}

impl Cached {
    /// JSON of a value.
    pub fn json<T: Serialize + ?Sized>(content_type: &'static str, value: &T) -> Self {
        let mut plain = Vec::new();
        write_json(value, &mut plain);
        Self::new(content_type, plain)
    }

    /// These bytes.
    pub fn new(content_type: &'static str, plain: Vec<u8>) -> Self {
        let tag = hex(digest::digest(&digest::SHA256, &plain).as_ref());
        let packed = plain.len() > LARGE;
        let bytes = if packed { pack(&plain) } else { plain.into() };
        Self { content_type, bytes, packed, tag }
    }

    /// The answer to a request: 304 when the client has it, compressed when it may be.
    pub fn answer(&self, headers: &HeaderMap, vary: &'static str) -> Response {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let quoted = format!("\"{}\"", self.tag);
        let known = text(IF_NONE_MATCH).split(',').any(|tag| tag.trim().trim_start_matches("W/") == quoted);
        let gzip =
            text(ACCEPT_ENCODING).split(',').any(|one| one.split(';').next().is_some_and(|it| it.trim() == "gzip"));
        let mut response = if known {
            Response::bytes(StatusCode::NOT_MODIFIED, self.content_type, Bytes::new())
        } else if self.packed && !gzip {
            Response::bytes(StatusCode::OK, self.content_type, unpack(&self.bytes))
        } else {
            Response::bytes(StatusCode::OK, self.content_type, self.bytes.clone())
        };
        if self.packed && gzip && !known {
            response.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response.headers.remove(CONTENT_LENGTH);
        response.headers.append(VARY, HeaderValue::from_static(vary));
        let tag = HeaderValue::from_str(&quoted).expect("hexadecimal digits make a header");
        response.headers.insert(ETAG, tag);
        response
    }
}

/// Writes JSON into anything.
pub fn write_json<T: Serialize + ?Sized>(value: &T, out: &mut impl Write) {
    serde_json::to_writer(out, value).expect("documents have text keys, and memory takes all that is written");
}

/// Hexadecimal digits of a hash.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn pack(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("memory takes all that is written");
    encoder.finish().expect("memory takes all that is written").into()
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain).expect("what was packed here unpacks");
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body;

    fn asked(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn bytes(response: Response) -> Bytes {
        match response.body {
            Body::Full(bytes) => bytes,
            Body::Stream(_) => panic!("an answer that is kept is all there"),
        }
    }

    #[test]
    fn large_answers_travel_compressed_to_who_takes_it() {
        let plain = vec![b'x'; LARGE + 1];
        let cached = Cached::new("text/plain", plain.clone());
        let packed = cached.answer(&asked(&[(ACCEPT_ENCODING, "br, gzip;q=0.5")]), "Accept");
        assert_eq!(packed.headers[CONTENT_ENCODING], "gzip");
        assert_eq!(unpack(&bytes(packed)), plain);
        let unpacked = cached.answer(&HeaderMap::new(), "Accept");
        assert!(!unpacked.headers.contains_key(CONTENT_ENCODING));
        assert_eq!(bytes(unpacked), plain);
    }

    #[test]
    fn who_has_an_answer_does_not_get_it_again() {
        let cached = Cached::new("text/plain", b"x".to_vec());
        let first = cached.answer(&HeaderMap::new(), "Accept");
        let tag = first.headers[ETAG].to_str().unwrap().to_owned();
        let again = cached.answer(&asked(&[(IF_NONE_MATCH, &tag)]), "Accept");
        assert_eq!((again.status, bytes(again).len()), (StatusCode::NOT_MODIFIED, 0));
        let other = cached.answer(&asked(&[(IF_NONE_MATCH, "\"0\"")]), "Accept");
        assert_eq!((other.status, bytes(other).len()), (StatusCode::OK, 1));
    }
}
