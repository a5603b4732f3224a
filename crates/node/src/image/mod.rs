//! Images: the credentials to pull them, pulling, and removing what nobody uses.

pub(crate) mod collect;
pub(crate) mod credentials;
pub(crate) mod pull;
