//! kubeadm (`SM03xx`): init, join, upgrade.

rules! {}
