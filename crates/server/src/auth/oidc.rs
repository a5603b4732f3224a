//! How others check our service account tokens: the OpenID Connect discovery documents (KEP-1393).

use serde_json::{Value, json};

use super::State;

/// `/.well-known/openid-configuration`.
pub fn openid_configuration(state: &State, external: &str) -> Value {
    json!({
        "issuer": state.tokens.issuer(),
        "jwks_uri": format!("https://{external}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// `/openid/v1/jwks`, as `application/jwk-set+json`.
pub fn jwks(state: &State) -> Value {
    json!({"keys": [state.tokens.jwk()]})
}
