//! Workloads, scheduling, storage (`SM06xx`).

rules! {}
