//! Fitting endpoints into slices with as few changes as possible.

use std::collections::{BTreeMap, BTreeSet};

use api::{Plan, View};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::core::endpoints::controller::HEADLESS;
use crate::workload::claim::{self, Held};
use crate::workload::meta::Meta;
use crate::workload::template;

/// Most endpoints in one slice.
const ENDPOINTS_MAX: usize = 100;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: (&str, &str) = ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");

/// Endpoints with the same ports.
pub struct Group {
    /// Their ports.
    pub ports: Vec<EndpointPort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// The slices of one Service in the making.
pub struct Slices<'s> {
    service: &'s Service,
    view: &'s View,
    kept: BTreeSet<String>,
    n_created: usize,
}

impl<'s> Slices<'s> {
    /// Starts for `service`.
    pub fn new(service: &'s Service, view: &'s View) -> Self {
        Self { service, view, kept: BTreeSet::new(), n_created: 0 }
    }

    /// Fits the endpoints of one address family. Without any there is one empty slice, which says so.
    pub fn family(&mut self, family: &str, held: &[Held<'_, EndpointSlice>], mut groups: Vec<Group>, plan: &mut Plan) {
        if groups.is_empty() {
            groups.push(Group { ports: Vec::new(), endpoints: Vec::new() });
        }
        for group in groups {
            let of_group = |slice: &&Held<'_, EndpointSlice>| {
                slice.address_type == family
                    && slice.label(MANAGED_BY.0) == Some(MANAGED_BY.1)
                    && slice.ports.as_deref().unwrap_or_default() == group.ports
                    && !slice.deleting()
            };
            let existing: Vec<&Held<'_, EndpointSlice>> = held.iter().filter(of_group).collect();
            self.group(family, &existing, group, plan);
        }
    }

    fn group(&mut self, family: &str, existing: &[&Held<'_, EndpointSlice>], group: Group, plan: &mut Plan) {
        let Group { ports, endpoints } = group;
        let is_empty = endpoints.is_empty();
        let mut by_pod: BTreeMap<String, Endpoint> =
            endpoints.into_iter().map(|endpoint| (uid(&endpoint).to_owned(), endpoint)).collect();
        let mut filled: Vec<Vec<Endpoint>> = existing.iter().map(|slice| keep(slice, &mut by_pod)).collect();
        let mut left: Vec<Endpoint> = by_pod.into_values().collect();
        for endpoints in &mut filled {
            let room = ENDPOINTS_MAX.saturating_sub(endpoints.len()).min(left.len());
            endpoints.extend(left.drain(..room));
        }
        for (nth, (slice, endpoints)) in existing.iter().zip(filled).enumerate() {
            if endpoints.is_empty() && !(is_empty && nth == 0) {
                continue; // Deleted with the others that are not kept.
            }
            self.kept.insert(slice.name().to_owned());
            let mut wanted = slice.typed.clone();
            wanted.metadata.labels = Some(self.labels());
            wanted.endpoints = Some(endpoints);
            if wanted.endpoints.as_deref().unwrap_or_default() == slice.endpoints.as_deref().unwrap_or_default() {
                wanted.endpoints.clone_from(&slice.endpoints);
            }
            if wanted != *slice.typed {
                plan.update(&wanted, "pods behind the Service changed");
            }
        }
        if is_empty && existing.is_empty() {
            self.create(family, &ports, Vec::new(), plan);
        }
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(ENDPOINTS_MAX));
            self.create(family, &ports, std::mem::replace(&mut left, rest), plan);
        }
    }

    fn create(&mut self, family: &str, ports: &[EndpointPort], endpoints: Vec<Endpoint>, plan: &mut Plan) {
        let base = format!("{}-", self.service.name());
        let name = template::generated_name(self.service, &base, self.view, self.n_created);
        self.n_created += 1;
        let slice = EndpointSlice {
            metadata: ObjectMeta {
                name: Some(name),
                generate_name: Some(base),
                namespace: self.service.metadata.namespace.clone(),
                labels: Some(self.labels()),
                owner_references: Some(vec![claim::reference(self.service)]),
                ..ObjectMeta::default()
            },
            address_type: family.to_owned(),
            endpoints: Some(endpoints),
            ports: Some(ports.to_vec()),
        };
        plan.create(&slice, "no slice has room for these endpoints");
    }

    fn labels(&self) -> std::collections::BTreeMap<String, String> {
        let mut labels = self.service.metadata.labels.clone().unwrap_or_default();
        labels.insert(SERVICE_NAME.to_owned(), self.service.name().to_owned());
        labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
        let headless = self.service.spec.as_ref().is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None"));
        if headless {
            labels.insert(HEADLESS.to_owned(), String::new());
        } else {
            labels.remove(HEADLESS);
        }
        labels
    }

    /// Deletes the slices that no endpoint is left for.
    pub fn delete_others(&self, held: &[Held<'_, EndpointSlice>], plan: &mut Plan) {
        let ours = |slice: &&Held<'_, EndpointSlice>| slice.label(MANAGED_BY.0) == Some(MANAGED_BY.1);
        for slice in held.iter().filter(ours).filter(|slice| !slice.deleting()) {
            if !self.kept.contains(slice.name()) {
                plan.delete(slice.object, "no endpoint is left in it");
            }
        }
    }
}

/// The endpoints of a slice that stay, as they are now; takes them out of `wanted`.
fn keep(slice: &EndpointSlice, wanted: &mut BTreeMap<String, Endpoint>) -> Vec<Endpoint> {
    slice.endpoints.iter().flatten().filter_map(|stored| wanted.remove(uid(stored))).collect()
}

/// The uid of the pod behind an endpoint.
fn uid(endpoint: &Endpoint) -> &str {
    endpoint.target_ref.as_ref().and_then(|pod| pod.uid.as_deref()).unwrap_or_default()
}
