//! The generated messages and clients of the files in `proto/`.
//!
//! Only what Shipmate calls is declared there; a field that containerd sends and we do not declare
//! is skipped by the decoder, so newer versions of containerd keep working.

#![allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    missing_docs,
    reason = "generated code follows the generator's style"
)]

use std::fmt;

tonic::include_proto!("services");

impl fmt::Debug for runtime::v1::AuthConfig {
    /// Says whose credentials they are, and never the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("server_address", &self.server_address)
            .finish_non_exhaustive()
    }
}
