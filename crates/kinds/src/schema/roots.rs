//! The types from which all of Kubernetes' schema is reached.

use super::Collector;

/// Adds types of one module; what they use comes along.
macro_rules! add {
    ($collector:ident, $($segment:ident)::+: $($kind:ident)*) => {{
        use $($segment)::+ as module;
        $($collector.add::<module::$kind>();)*
    }};
}

/// Adds every kind, and the few types that no kind uses.
pub(super) fn add_all(collector: &mut Collector) {
    core_and_meta(collector);
    workloads(collector);
    access(collector);
    infrastructure(collector);
    extensions(collector);
}

fn core_and_meta(collector: &mut Collector) {
    add!(collector, k8s_openapi::api::core::v1:
        Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume
        PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount);
    add!(collector, k8s_openapi::api::events::v1: Event);
    add!(collector, k8s_openapi::apimachinery::pkg::apis::meta::v1:
        APIGroup APIGroupList APIResourceList APIVersions Patch Status);
    add!(collector, k8s_openapi::apimachinery::pkg::version: Info);
}

fn workloads(collector: &mut Collector) {
    add!(collector, k8s_openapi::api::apps::v1:
        ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet);
    add!(collector, k8s_openapi::api::autoscaling::v1: HorizontalPodAutoscaler Scale);
    add!(collector, k8s_openapi::api::autoscaling::v2: HorizontalPodAutoscaler);
    add!(collector, k8s_openapi::api::batch::v1: CronJob Job);
    add!(collector, k8s_openapi::api::lifecycle::v1alpha1: Eviction EvictionRequest);
    add!(collector, k8s_openapi::api::policy::v1: Eviction PodDisruptionBudget);
    add!(collector, k8s_openapi::api::scheduling::v1: PriorityClass);
    add!(collector, k8s_openapi::api::scheduling::v1alpha3: CompositePodGroup PodGroup Workload);
    add!(collector, k8s_openapi::api::scheduling::v1beta1: PodGroup Workload);
}

fn access(collector: &mut Collector) {
    add!(collector, k8s_openapi::api::authentication::v1: SelfSubjectReview TokenRequest TokenReview);
    add!(collector, k8s_openapi::api::authorization::v1:
        LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview);
    add!(collector, k8s_openapi::api::certificates::v1:
        CertificateSigningRequest ClusterTrustBundle PodCertificateRequest);
    add!(collector, k8s_openapi::api::certificates::v1beta1: ClusterTrustBundle PodCertificateRequest);
    add!(collector, k8s_openapi::api::rbac::v1: ClusterRole ClusterRoleBinding Role RoleBinding);
}

fn infrastructure(collector: &mut Collector) {
    add!(collector, k8s_openapi::api::apiserverinternal::v1alpha1: StorageVersion);
    add!(collector, k8s_openapi::api::coordination::v1: Lease);
    add!(collector, k8s_openapi::api::coordination::v1alpha2: LeaseCandidate);
    add!(collector, k8s_openapi::api::coordination::v1beta1: LeaseCandidate);
    add!(collector, k8s_openapi::api::discovery::v1: EndpointSlice);
    add!(collector, k8s_openapi::api::flowcontrol::v1: FlowSchema PriorityLevelConfiguration);
    add!(collector, k8s_openapi::api::networking::v1:
        IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR);
    add!(collector, k8s_openapi::api::node::v1: RuntimeClass);
    add!(collector, k8s_openapi::api::resource::v1:
        DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice);
    add!(collector, k8s_openapi::api::resource::v1alpha3: DeviceTaintRule ResourcePoolStatusRequest);
    add!(collector, k8s_openapi::api::resource::v1beta1:
        DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice);
    add!(collector, k8s_openapi::api::resource::v1beta2:
        DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice);
    add!(collector, k8s_openapi::api::storage::v1:
        CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass);
    add!(collector, k8s_openapi::api::storagemigration::v1: StorageVersionMigration);
    add!(collector, k8s_openapi::api::storagemigration::v1beta1: StorageVersionMigration);
}

fn extensions(collector: &mut Collector) {
    add!(collector, k8s_openapi::api::admissionregistration::v1:
        MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
        ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration);
    add!(collector, k8s_openapi::api::admissionregistration::v1alpha1:
        MutatingAdmissionPolicy MutatingAdmissionPolicyBinding);
    add!(collector, k8s_openapi::api::admissionregistration::v1beta1:
        MutatingAdmissionPolicy MutatingAdmissionPolicyBinding);
    add!(collector, k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1:
        CustomResourceDefinition);
    add!(collector, k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1: APIService);
}
