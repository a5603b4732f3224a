//! Default ClusterRoles of controllers. Each is bound to the service account of the controller's name in kube-system.

use super::Facts;
use super::Grant::{self, Events, Named, On};

const READ: &str = "get list watch";

macro_rules! controller {
    ($name:literal, $grants:expr) => {
        Facts::new(concat!("system:controller:", $name), $grants, concat!("account:", $name))
    };
    ($name:literal also $other:literal, $grants:expr) => {
        Facts::new(concat!("system:controller:", $name), $grants, concat!("account:", $name, " account:", $other))
    };
}

const ATTACH_DETACH: &[Grant] = &[
    On("list watch", "core", "persistentvolumeclaims persistentvolumes"),
    On(READ, "core", "nodes"),
    On("patch update", "core", "nodes/status"),
    On("list watch", "core", "pods"),
    Events,
    On("create delete get list watch", "storage.k8s.io", "volumeattachments"),
    On(READ, "storage.k8s.io", "csidrivers"),
    On(READ, "storage.k8s.io", "csinodes"),
];

const CRON_JOB: &[Grant] = &[
    On("get list update watch", "batch", "cronjobs"),
    On("create delete get list patch update watch", "batch", "jobs"),
    On("update", "batch", "cronjobs/status"),
    On("update", "batch", "cronjobs/finalizers"),
    On("delete list watch", "core", "pods"),
    Events,
];

const DAEMON_SET: &[Grant] = &[
    On(READ, "apps extensions", "daemonsets"),
    On("update", "apps extensions", "daemonsets/status"),
    On("update", "apps extensions", "daemonsets/finalizers"),
    On("list watch", "core", "nodes"),
    On("create delete list patch watch", "core", "pods"),
    On("create", "core", "pods/binding"),
    On("create delete get list patch update watch", "apps", "controllerrevisions"),
    Events,
];

const DEPLOYMENT: &[Grant] = &[
    On("get list update watch", "apps extensions", "deployments"),
    On("update", "apps extensions", "deployments/status"),
    On("update", "apps extensions", "deployments/finalizers"),
    On("create delete get list patch update watch", "apps extensions", "replicasets"),
    On("get list update watch", "core", "pods"),
    Events,
];

const DISRUPTION: &[Grant] = &[
    On(READ, "apps extensions", "deployments"),
    On(READ, "apps extensions", "replicasets"),
    On(READ, "core", "replicationcontrollers"),
    On(READ, "policy", "poddisruptionbudgets"),
    On(READ, "apps", "statefulsets"),
    On("update", "policy", "poddisruptionbudgets/status"),
    On("patch update", "core", "pods/status"),
    On("get", "*", "*/scale"),
    Events,
];

const ENDPOINTS: &[Grant] = &[
    On(READ, "core", "pods services"),
    On("create delete get list update watch", "core", "endpoints"),
    On("create", "core", "endpoints/restricted"),
    Events,
];

const ENDPOINT_SLICE: &[Grant] = &[
    On(READ, "core", "nodes pods services"),
    On("update", "core", "services/finalizers"),
    On("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
    On("create", "discovery.k8s.io", "endpointslices/restricted"),
    Events,
];

const ENDPOINT_SLICE_MIRRORING: &[Grant] = &[
    On(READ, "core", "endpoints services"),
    On("update", "core", "services/finalizers"),
    On("update", "core", "endpoints/finalizers"),
    On("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
    On("create", "discovery.k8s.io", "endpointslices/restricted"),
    Events,
];

const EXPAND: &[Grant] = &[
    On("get list patch update watch", "core", "persistentvolumes"),
    On("patch update", "core", "persistentvolumeclaims/status"),
    On(READ, "core", "persistentvolumeclaims"),
    Events,
];

const EPHEMERAL_VOLUME: &[Grant] = &[
    On(READ, "core", "pods"),
    On("update", "core", "pods/finalizers"),
    On("create get list watch", "core", "persistentvolumeclaims"),
    Events,
];

const RESOURCE_CLAIM: &[Grant] = &[
    On(READ, "core", "pods"),
    On("update", "core", "pods/finalizers"),
    On("create delete get list watch", "resource.k8s.io", "resourceclaims"),
    On("patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
    On("patch update", "core", "pods/status"),
    Events,
];

const DEVICE_TAINT: &[Grant] = &[
    On("delete get list watch", "core", "pods"),
    On("patch update", "core", "pods/status"),
    On(READ, "resource.k8s.io", "deviceclasses devicetaintrules resourceclaims resourceslices"),
    On("patch update", "resource.k8s.io", "devicetaintrules/status"),
    Events,
];

const AUTOSCALER: &[Grant] = &[
    On(READ, "autoscaling", "horizontalpodautoscalers"),
    On("update", "autoscaling", "horizontalpodautoscalers/status"),
    On("get update", "*", "*/scale"),
    On("list watch", "core", "pods"),
    On("list watch", "metrics.k8s.io", "pods"),
    On(READ, "custom.metrics.k8s.io", "*"),
    On(READ, "external.metrics.k8s.io", "*"),
    Events,
];

const JOB: &[Grant] = &[
    On("get list patch update watch", "batch", "jobs"),
    On("update", "batch", "jobs/status"),
    On("update", "batch", "jobs/finalizers"),
    On("create delete list patch watch", "core", "pods"),
    Events,
];

const NAMESPACE: &[Grant] = &[
    On("delete get list watch", "core", "namespaces"),
    On("update", "core", "namespaces/finalize namespaces/status"),
    On("delete deletecollection get list watch", "*", "*"),
];

const NODE: &[Grant] = &[
    On("delete get list patch update watch", "core", "nodes"),
    On("patch update", "core", "nodes/status"),
    On("patch update", "core", "pods/status"),
    On("delete get list watch", "core", "pods"),
    Events,
];

const VOLUME_BINDER: &[Grant] = &[
    On("create delete get list update watch", "core", "persistentvolumes"),
    On("update", "core", "persistentvolumes/status"),
    On("get list update watch", "core", "persistentvolumeclaims"),
    On("update", "core", "persistentvolumeclaims/status"),
    On("create delete get list watch", "core", "pods"),
    On(READ, "storage.k8s.io", "storageclasses"),
    On("list watch", "core", "nodes"),
    Events,
    On("watch", "core", "events"),
];

const POD_GC: &[Grant] =
    &[On("delete list watch", "core", "pods"), On(READ, "core", "nodes"), On("patch", "core", "pods/status")];

const REPLICA_SET: &[Grant] = &[
    On("get list update watch", "apps extensions", "replicasets"),
    On("update", "apps extensions", "replicasets/status"),
    On("update", "apps extensions", "replicasets/finalizers"),
    On("create delete list patch watch", "core", "pods"),
    Events,
];

const REPLICATION: &[Grant] = &[
    On("get list update watch", "core", "replicationcontrollers"),
    On("update", "core", "replicationcontrollers/status"),
    On("update", "core", "replicationcontrollers/finalizers"),
    On("create delete list patch watch", "core", "pods"),
    Events,
];

const QUOTA: &[Grant] = &[On("list watch", "*", "*"), On("update", "core", "resourcequotas/status"), Events];

const SERVICE: &[Grant] = &[
    On(READ, "core", "services"),
    On("patch update", "core", "services/status"),
    On("list watch", "core", "nodes"),
    Events,
];

const SERVICE_CIDRS: &[Grant] = &[
    On("get list patch update watch", "networking.k8s.io", "servicecidrs"),
    On("patch update", "networking.k8s.io", "servicecidrs/finalizers"),
    On("patch update", "networking.k8s.io", "servicecidrs/status"),
    On(READ, "networking.k8s.io", "ipaddresses"),
    Events,
];

const STATEFUL_SET: &[Grant] = &[
    On("list watch", "core", "pods"),
    On(READ, "apps", "statefulsets"),
    On("update", "apps", "statefulsets/status"),
    On("update", "apps", "statefulsets/finalizers"),
    On("create delete get patch update", "core", "pods"),
    On("create delete get list patch update watch", "apps", "controllerrevisions"),
    On("create get list watch", "core", "persistentvolumeclaims"),
    On("delete update", "core", "persistentvolumeclaims"),
    On("update", "core", "pods/finalizers"),
    Events,
];

const CERTIFICATE: &[Grant] = &[
    On("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    On("update", "certificates.k8s.io", "certificatesigningrequests/approval certificatesigningrequests/status"),
    Named("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
    Named(
        "sign",
        "certificates.k8s.io",
        "signers",
        "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet \
         kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
    ),
    On("create", "authorization.k8s.io", "subjectaccessreviews"),
    Events,
];

const TRUST_BUNDLE: &[Grant] = &[
    Named("attest", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-serving"),
    On("create delete list update watch", "certificates.k8s.io", "clustertrustbundles"),
    Events,
];

/// The roles, in the order of their creation.
pub const ROLES: &[Facts] = &[
    controller!("attachdetach-controller", ATTACH_DETACH),
    controller!(
        "clusterrole-aggregation-controller",
        &[On("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")]
    ),
    controller!("cronjob-controller", CRON_JOB),
    controller!("daemon-set-controller" also "daemonset-controller", DAEMON_SET),
    controller!("deployment-controller", DEPLOYMENT),
    controller!("disruption-controller", DISRUPTION),
    controller!("endpoint-controller" also "endpoints-controller", ENDPOINTS),
    controller!("endpointslice-controller", ENDPOINT_SLICE),
    controller!("endpointslicemirroring-controller", ENDPOINT_SLICE_MIRRORING),
    controller!("expand-controller", EXPAND),
    controller!("ephemeral-volume-controller", EPHEMERAL_VOLUME),
    controller!("resource-claim-controller", RESOURCE_CLAIM),
    controller!("device-taint-eviction-controller", DEVICE_TAINT),
    controller!(
        "generic-garbage-collector" also "garbage-collector-controller",
        &[On("delete get list patch update watch", "*", "*"), Events]
    ),
    controller!("horizontal-pod-autoscaler", AUTOSCALER),
    controller!("job-controller", JOB),
    controller!("namespace-controller", NAMESPACE),
    controller!("node-controller", NODE),
    controller!("persistent-volume-binder", VOLUME_BINDER),
    controller!("pod-garbage-collector", POD_GC),
    controller!("replicaset-controller", REPLICA_SET),
    controller!("replication-controller", REPLICATION),
    controller!("resourcequota-controller", QUOTA),
    controller!("route-controller", &[On("list watch", "core", "nodes"), On("patch", "core", "nodes/status"), Events]),
    controller!("service-account-controller", &[On("create", "core", "serviceaccounts"), Events]),
    controller!("service-controller", SERVICE),
    controller!("service-cidrs-controller", SERVICE_CIDRS),
    controller!("statefulset-controller", STATEFUL_SET),
    controller!("ttl-controller", &[On("list patch update watch", "core", "nodes"), Events]),
    controller!("certificate-controller", CERTIFICATE),
    controller!(
        "podcertificaterequestcleaner",
        &[On("delete get list watch", "certificates.k8s.io", "podcertificaterequests")]
    ),
    controller!(
        "pvc-protection-controller",
        &[On("get list update watch", "core", "persistentvolumeclaims"), On(READ, "core", "pods"), Events]
    ),
    controller!("pv-protection-controller", &[On("get list update watch", "core", "persistentvolumes"), Events]),
    controller!(
        "volumeattributesclass-protection-controller",
        &[
            On(READ, "core", "persistentvolumeclaims persistentvolumes"),
            On("get list update watch", "storage.k8s.io", "volumeattributesclasses"),
            Events,
        ]
    ),
    controller!("ttl-after-finished-controller" also "job-controller", &[On("delete get list watch", "batch", "jobs"), Events]),
    controller!("root-ca-cert-publisher", &[On("create update", "core", "configmaps"), Events]),
    controller!("kube-apiserver-serving-clustertrustbundle-publisher", TRUST_BUNDLE),
    controller!(
        "validatingadmissionpolicy-status-controller",
        &[
            On(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
            On("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
            Events,
        ]
    ),
    controller!(
        "legacy-service-account-token-cleaner",
        &[
            Named("get", "core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
            On("delete patch", "core", "secrets"),
        ]
    ),
    controller!(
        "storage-version-migrator-controller",
        &[
            On("create list patch watch", "*", "*"),
            On("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
        ]
    ),
    controller!(
        "selinux-warning-controller",
        &[
            Events,
            On(READ, "core", "persistentvolumeclaims persistentvolumes pods"),
            On(READ, "storage.k8s.io", "csidrivers"),
        ]
    ),
];
