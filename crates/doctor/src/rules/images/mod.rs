//! Images and registries (`SM01xx`): why a pull fails.

rules! {
    endpoint_surrounding_whitespace,
}
