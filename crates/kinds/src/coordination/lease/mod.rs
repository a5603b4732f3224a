//! Who holds something, and until when.

use api::{KindDef, Rules};
use k8s_openapi::api::coordination::v1::Lease;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Lease>(&Rules::NONE);
