//! PostgreSQL connections (`SM07xx`).

rules! {}
