//! Default ClusterRoles for people, nodes and the parts of the control plane that are no controllers.

use super::Facts;
use super::Grant::{self, Events, Named, On, Urls};

const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";
const READ_WRITE: &str = "create delete deletecollection get list patch update watch";
const READ_UPDATE: &str = "get list patch update watch";
const CERTIFICATES: &str = "certificates.k8s.io";

/// What a namespace's admin may beyond `edit`.
const ADMIN: &[Grant] = &[
    On("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    On(READ_WRITE, "rbac.authorization.k8s.io", "roles rolebindings"),
];

/// What an editor may beyond `view`.
const EDIT: &[Grant] = &[
    On(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    On("impersonate", "core", "serviceaccounts"),
    On(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    On("create", "core", "pods/eviction"),
    On(
        WRITE,
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets \
         serviceaccounts services services/proxy",
    ),
    On("create", "core", "serviceaccounts/token"),
    On(
        WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets \
         statefulsets/scale",
    ),
    On(WRITE, "autoscaling", "horizontalpodautoscalers"),
    On(WRITE, "batch", "cronjobs jobs"),
    On(
        WRITE,
        "extensions",
        "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets \
         replicasets/scale replicationcontrollers/scale",
    ),
    On(WRITE, "policy", "poddisruptionbudgets"),
    On(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    On(READ_WRITE, "coordination.k8s.io", "leases"),
    On(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

/// What a viewer may: everything of a namespace that gives no further power.
const VIEW: &[Grant] = &[
    On(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers \
         replicationcontrollers/scale serviceaccounts services services/status",
    ),
    On(
        READ,
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status \
         resourcequotas resourcequotas/status",
    ),
    On(READ, "core", "namespaces"),
    On(READ, "discovery.k8s.io", "endpointslices"),
    On(
        READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status \
         replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    On(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    On(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    On(
        READ,
        "extensions",
        "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status \
         networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale",
    ),
    On(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    On(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    On(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

/// What a kubelet needs; nobody is bound to it, because nodes have their own authorizer.
const NODE: &[Grant] = &[
    On("create", "authentication.k8s.io", "tokenreviews"),
    On("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    On(READ, "core", "services"),
    On("create get list watch", "core", "nodes"),
    On("patch update", "core", "nodes/status"),
    On("patch update", "core", "nodes"),
    On("create patch update", "core events.k8s.io", "events"),
    On(READ, "core", "pods"),
    On("create delete", "core", "pods"),
    On("patch update", "core", "pods/status"),
    On("create", "core", "pods/eviction"),
    On(READ, "core", "configmaps secrets"),
    On("get", "core", "persistentvolumeclaims persistentvolumes"),
    On("get", "core", "endpoints"),
    On("create get list watch", CERTIFICATES, "certificatesigningrequests"),
    On("create delete get patch update", "coordination.k8s.io", "leases"),
    On("get", "storage.k8s.io", "volumeattachments"),
    On("get patch update", "core", "persistentvolumeclaims/status"),
    On("create", "core", "serviceaccounts/token"),
    On("get", "core", "serviceaccounts"),
    On(READ, "storage.k8s.io", "csidrivers"),
    On("create delete get patch update", "storage.k8s.io", "csinodes"),
    On(READ, "node.k8s.io", "runtimeclasses"),
    On("get", "resource.k8s.io", "resourceclaims"),
    On("create delete deletecollection get list patch update watch", "resource.k8s.io", "resourceslices"),
    On(READ, CERTIFICATES, "clustertrustbundles"),
    On("create get list watch", CERTIFICATES, "podcertificaterequests"),
];

const SCHEDULER: &[Grant] = &[
    Events,
    On("create", "coordination.k8s.io", "leases"),
    Named("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
    On("create", "coordination.k8s.io", "leasecandidates"),
    Named(
        "delete deletecollection get list patch update watch",
        "coordination.k8s.io",
        "leasecandidates",
        "kube-scheduler",
    ),
    On(READ, "core", "nodes"),
    On("delete get list watch", "core", "pods"),
    On("create", "core", "bindings pods/binding"),
    On("patch update", "core", "pods/status"),
    On(READ, "core", "replicationcontrollers services"),
    On(READ, "apps extensions", "replicasets"),
    On(READ, "apps", "statefulsets"),
    On(READ, "policy", "poddisruptionbudgets"),
    On(READ, "core", "persistentvolumeclaims persistentvolumes"),
    On("create", "authentication.k8s.io", "tokenreviews"),
    On("create", "authorization.k8s.io", "subjectaccessreviews"),
    On(READ, "storage.k8s.io", "csinodes"),
    On(READ, "core", "namespaces"),
    On(READ, "storage.k8s.io", "csidrivers"),
    On(READ, "storage.k8s.io", "csistoragecapacities"),
    On(READ, "storage.k8s.io", "volumeattachments"),
    On(READ, "scheduling.k8s.io", "priorityclasses"),
    On(READ, "resource.k8s.io", "deviceclasses"),
    On(READ_UPDATE, "resource.k8s.io", "resourceclaims"),
    On("patch update", "resource.k8s.io", "resourceclaims/status"),
    On(READ, "resource.k8s.io", "devicetaintrules resourceslices"),
    On("patch update", "core", "pods/finalizers"),
];

const CONTROLLER_MANAGER: &[Grant] = &[
    Events,
    On("create", "coordination.k8s.io", "leases"),
    Named("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    On("create", "core", "secrets serviceaccounts"),
    On("delete", "core", "secrets"),
    On("get", "core", "configmaps namespaces secrets serviceaccounts"),
    On("update", "core", "secrets serviceaccounts"),
    On("create", "authentication.k8s.io", "tokenreviews"),
    On("create", "authorization.k8s.io", "subjectaccessreviews"),
    On("list watch", "*", "*"),
    On("create", "core", "serviceaccounts/token"),
];

const KUBELET_API: &[Grant] = &[
    On(READ, "core", "nodes"),
    On("proxy", "core", "nodes"),
    On(
        "*",
        "core",
        "nodes/checkpoint nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/spec \
         nodes/stats",
    ),
];

const PROXIER: &[Grant] = &[
    On("list watch", "core", "endpoints services"),
    On(READ, "core", "nodes"),
    Events,
    On("list watch", "discovery.k8s.io", "endpointslices"),
    On(READ, "networking.k8s.io", "servicecidrs"),
];

const MONITORING: &[Grant] =
    &[Urls("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")];

const DISCOVERY: &[Grant] =
    &[Urls("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")];

const BASIC_USER: &[Grant] = &[
    On("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
    On("create", "authentication.k8s.io", "selfsubjectreviews"),
];

const VOLUME_PROVISIONER: &[Grant] = &[
    On("create delete get list watch", "core", "persistentvolumes"),
    On("get list update watch", "core", "persistentvolumeclaims"),
    On(READ, "storage.k8s.io", "storageclasses"),
    On("watch", "core", "events"),
    Events,
];

const VOLUME_SCHEDULER: &[Grant] = &[
    On(READ_UPDATE, "core", "persistentvolumes"),
    On(READ, "storage.k8s.io", "storageclasses"),
    On(READ_UPDATE, "core", "persistentvolumeclaims"),
];

/// The roles, in the order of their creation.
pub const ROLES: &[Facts] = &[
    Facts::new("cluster-admin", &[On("*", "*", "*"), Urls("*", "*")], "group:system:masters"),
    Facts::new("system:discovery", DISCOVERY, "group:system:authenticated"),
    Facts::new("system:basic-user", BASIC_USER, "group:system:authenticated"),
    Facts::new(
        "system:public-info-viewer",
        &[Urls("get", "/healthz /livez /readyz /version /version/")],
        "group:system:authenticated group:system:unauthenticated",
    ),
    Facts::new("system:monitoring", MONITORING, "group:system:monitoring"),
    Facts::collecting("admin", ""),
    Facts::collecting("edit", "admin"),
    Facts::collecting("view", "edit"),
    Facts::part("system:aggregate-to-admin", "admin", ADMIN),
    Facts::part("system:aggregate-to-edit", "edit", EDIT),
    Facts::part("system:aggregate-to-view", "view", VIEW),
    // As metrics-server installs it.
    Facts::part("system:aggregated-metrics-reader", "admin edit view", &[On(READ, "metrics.k8s.io", "nodes pods")]),
    Facts::new(
        "system:heapster",
        &[On(READ, "core", "events namespaces nodes pods"), On(READ, "extensions", "deployments")],
        "",
    ),
    Facts::new("system:node", NODE, "-"),
    Facts::new(
        "system:node-problem-detector",
        &[On("get", "core", "nodes"), On("patch", "core", "nodes/status"), Events],
        "",
    ),
    Facts::new("system:kubelet-api-admin", KUBELET_API, "user:kube-apiserver-kubelet-client"),
    Facts::new(
        "system:node-bootstrapper",
        &[On("create get list watch", CERTIFICATES, "certificatesigningrequests")],
        "",
    ),
    Facts::new(
        "system:auth-delegator",
        &[
            On("create", "authentication.k8s.io", "tokenreviews"),
            On("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
        "",
    ),
    Facts::new(
        "system:kube-aggregator",
        &[On(READ, "core", "endpoints services"), On(READ, "discovery.k8s.io", "endpointslices")],
        "",
    ),
    Facts::new("system:kube-controller-manager", CONTROLLER_MANAGER, "user:system:kube-controller-manager"),
    Facts::new(
        "system:kube-dns",
        &[On("list watch", "core", "endpoints services"), On("list watch", "discovery.k8s.io", "endpointslices")],
        "account:kube-dns",
    ),
    Facts::new("system:persistent-volume-provisioner", VOLUME_PROVISIONER, ""),
    Facts::new(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        &[On("create", CERTIFICATES, "certificatesigningrequests/nodeclient")],
        "",
    ),
    Facts::new(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        &[On("create", CERTIFICATES, "certificatesigningrequests/selfnodeclient")],
        "",
    ),
    Facts::new("system:volume-scheduler", VOLUME_SCHEDULER, "user:system:kube-scheduler"),
    Facts::new(
        "system:certificates.k8s.io:legacy-unknown-approver",
        &[Named("approve", CERTIFICATES, "signers", "kubernetes.io/legacy-unknown")],
        "",
    ),
    Facts::new(
        "system:certificates.k8s.io:kubelet-serving-approver",
        &[Named("approve", CERTIFICATES, "signers", "kubernetes.io/kubelet-serving")],
        "",
    ),
    Facts::new(
        "system:certificates.k8s.io:kube-apiserver-client-approver",
        &[Named("approve", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client")],
        "",
    ),
    Facts::new(
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        &[Named("approve", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client-kubelet")],
        "",
    ),
    Facts::new(
        "system:service-account-issuer-discovery",
        &[Urls(
            "get",
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        )],
        "group:system:serviceaccounts",
    ),
    Facts::new(
        "system:cluster-trust-bundle-discovery",
        &[On(READ, CERTIFICATES, "clustertrustbundles")],
        "group:system:serviceaccounts",
    ),
    Facts::new("system:node-proxier", PROXIER, "user:system:kube-proxy"),
    Facts::new("system:kube-scheduler", SCHEDULER, "user:system:kube-scheduler"),
];
