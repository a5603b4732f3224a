//! Manifests (`SM05xx`).

rules! {}
