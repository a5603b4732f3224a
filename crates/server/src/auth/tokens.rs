//! Service account tokens: JSON Web Tokens (RFC 7519) signed with ES256, and what makes them valid.
//!
//! A token lives no longer than what it is bound to: its service account, and a pod, secret or node, each with the
//! uid that it had when the token was made (KEP-1205, KEP-4193). Only the signature is remembered between
//! requests; everything else is checked against the view of each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::claims::{self, Claims};
use crate::config::TokenIssuer;
use crate::{SetupError, User};
use api::View;

/// Verified tokens that are remembered, at most.
const REMEMBERED: usize = 1_024;

/// DER of a SubjectPublicKeyInfo for P-256 up to the point itself (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a token is not good.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// It is no token of ours at all.
    #[error("invalid bearer token")]
    Malformed,
    /// Its signature or key is another one.
    #[error("token is signed by an unknown key")]
    Signature,
    /// It was issued by somebody else.
    #[error("token has another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("token audiences {0:?} is invalid for the target audiences {1:?}")]
    Audience(Vec<String>, Vec<String>),
    /// It is too late or too early.
    #[error("service account token has expired")]
    Expired,
    /// What it is bound to is gone.
    #[error("service account token has been invalidated: {0}")]
    Invalidated(String),
}

/// A token that is good.
#[derive(Debug)]
pub struct Verified {
    /// Whose it is.
    pub user: User,
    /// The audiences asked for that it is meant for.
    pub audiences: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

/// Signs and checks tokens.
pub struct Tokens {
    issuer: String,
    key: EcdsaKeyPair,
    kid: String,
    verified: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Tokens {
    /// Reads the signing key. When none is set, one is made, and tokens end with this process.
    ///
    /// # Errors
    /// When it is no P-256 key in PKCS#8 DER.
    pub fn new(config: &TokenIssuer) -> Result<Self, SetupError> {
        let refuse = |why: String| SetupError::Config { what: "tokens.signing_key", why };
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let key = if config.signing_key.is_empty() {
            let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|why| refuse(why.to_string()))?;
            EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random)
        } else {
            EcdsaKeyPair::from_pkcs8(algorithm, &config.signing_key, &random)
        };
        let key = key.map_err(|why| refuse(why.to_string()))?;
        let spki = [&SPKI_PREFIX[..], key.public_key().as_ref()].concat();
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &spki));
        Ok(Self { issuer: config.issuer.clone(), key, kid, verified: Mutex::default() })
    }

    /// `iss` of tokens, and their default audience.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn sign(&self, claims: &Value) -> Result<String, ring::error::Unspecified> {
        let header = json!({"alg": "ES256", "kid": self.kid});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Checks a token: signature, issuer, time, audiences, and that what it is bound to still exists.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn authenticate(
        &self,
        view: &View,
        token: &str,
        audiences: &[&str],
        now: Timestamp,
    ) -> Result<Verified, TokenError> {
        let claims = self.claims(token)?;
        if claims.iss == claims::LEGACY_ISSUER {
            let user = claims.legacy_user(view, token)?;
            // Tokens from before audiences are for the API server alone.
            return match audiences.contains(&self.issuer.as_str()) {
                true => Ok(Verified { user, audiences: vec![self.issuer.clone()] }),
                false => Err(TokenError::Audience(Vec::new(), owned(audiences))),
            };
        }
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        // Clocks of one cluster may differ by a minute.
        let leeway = SignedDuration::from_secs(60);
        if claims.expires()? < now || claims.not_before()? > now + leeway {
            return Err(TokenError::Expired);
        }
        let fitting: Vec<String> = audiences
            .iter()
            .filter(|one| claims.aud.iter().any(|own| own == *one))
            .map(|one| (*one).to_owned())
            .collect();
        if fitting.is_empty() {
            return Err(TokenError::Audience(claims.aud.clone(), owned(audiences)));
        }
        Ok(Verified { user: claims.bound_user(view, now)?, audiences: fitting })
    }

    /// The claims of a token that this server signed.
    fn claims(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(claims));
        }
        let claims = Arc::new(self.verify(token)?);
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(id, Arc::clone(&claims));
        Ok(claims)
    }

    fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        if header.alg != "ES256" || header.kid != self.kid {
            return Err(TokenError::Signature);
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref());
        key.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| TokenError::Signature)?;
        serde_json::from_slice(&decode(payload)?).map_err(|_| TokenError::Malformed)
    }

    /// The public key as a JSON Web Key (RFC 7517).
    pub fn jwk(&self) -> Value {
        // Uncompressed point: 0x04, x, y of 32 bytes each.
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({
            "use": "sig",
            "kty": "EC",
            "kid": self.kid,
            "crv": "P-256",
            "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        })
    }
}

fn owned(audiences: &[&str]) -> Vec<String> {
    audiences.iter().map(|one| (*one).to_owned()).collect()
}
