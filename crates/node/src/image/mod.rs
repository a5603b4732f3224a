//! Images: the credentials to pull them, and pulling.

pub(crate) mod credentials;
pub(crate) mod pull;
