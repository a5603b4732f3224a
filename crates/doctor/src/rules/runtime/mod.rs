//! The node (`SM02xx`): container runtime, kubelet, pod network.

rules! {}
