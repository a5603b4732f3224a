//! Before a machine becomes a node (`SM09xx`): what kubeadm's checks find that no other area has.

rules! {
    program_missing,
}
