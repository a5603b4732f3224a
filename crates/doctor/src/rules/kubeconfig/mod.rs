//! kubectl and its configuration (`SM04xx`).

rules! {}
