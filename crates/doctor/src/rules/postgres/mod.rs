//! PostgreSQL (`SM07xx`): connections, and who holds them.

mod cluster;

rules! {
    pg_max_connections,
    pgpool_children_exhausted,
    pg_connection_owner,
}
