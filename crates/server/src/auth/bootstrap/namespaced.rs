//! Default Roles in kube-system and kube-public.

use super::Grant::{Events, Named, On};
use super::NamespacedFacts;

/// The roles, in the order of their creation.
pub const ROLES: &[NamespacedFacts] = &[
    NamespacedFacts {
        namespace: "kube-system",
        name: "extension-apiserver-authentication-reader",
        grants: &[Named("get list watch", "core", "configmaps", "extension-apiserver-authentication")],
        binding: "system::extension-apiserver-authentication-reader",
        bound_to: "user:system:kube-controller-manager user:system:kube-scheduler",
    },
    NamespacedFacts {
        namespace: "kube-system",
        name: "system:controller:bootstrap-signer",
        grants: &[On("get list watch", "core", "secrets")],
        binding: "",
        bound_to: "account:bootstrap-signer",
    },
    NamespacedFacts {
        namespace: "kube-system",
        name: "system:controller:cloud-provider",
        grants: &[On("create get list watch", "core", "configmaps")],
        binding: "",
        bound_to: "account:cloud-provider",
    },
    NamespacedFacts {
        namespace: "kube-system",
        name: "system:controller:token-cleaner",
        grants: &[On("delete get list watch", "core", "secrets"), Events],
        binding: "",
        bound_to: "account:token-cleaner",
    },
    NamespacedFacts {
        namespace: "kube-system",
        name: "system::leader-locking-kube-controller-manager",
        grants: &[
            On("watch", "core", "configmaps"),
            Named("get update", "core", "configmaps", "kube-controller-manager"),
        ],
        binding: "",
        bound_to: "user:system:kube-controller-manager account:kube-controller-manager",
    },
    NamespacedFacts {
        namespace: "kube-system",
        name: "system::leader-locking-kube-scheduler",
        grants: &[On("watch", "core", "configmaps"), Named("get update", "core", "configmaps", "kube-scheduler")],
        binding: "",
        bound_to: "user:system:kube-scheduler account:kube-scheduler",
    },
    NamespacedFacts {
        namespace: "kube-public",
        name: "system:controller:bootstrap-signer",
        grants: &[
            On("get list watch", "core", "configmaps"),
            Named("update", "core", "configmaps", "cluster-info"),
            Events,
        ],
        binding: "",
        bound_to: "account:bootstrap-signer",
    },
];
