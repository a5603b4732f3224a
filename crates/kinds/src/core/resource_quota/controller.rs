//! Reports what is used of each quota. Refusing what exceeds it is the server's part.

use api::{Blocked, Controller, Key, Object, Plan, Quantity, View, Wake};
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use k8s_openapi::apimachinery::pkg::api::resource;

use super::usage;
use crate::workload::meta::Meta;

/// Reports usage.
pub const CONTROLLER: Controller<ResourceQuota> =
    Controller { name: "resourcequota", wakes: &[Wake::Any(quotas_of)], plan };

fn plan(quota: &ResourceQuota, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(spec) = &quota.spec else { return Ok(()) };
    if quota.deleting() {
        return Ok(());
    }
    let used = usage::of(spec, quota.namespace(), view);
    let stored = quota.status.as_ref();
    let amount = |quantity: &resource::Quantity| Quantity::parse(&quantity.0).unwrap_or_default();
    let same_used = stored.and_then(|status| status.used.as_ref()).is_some_and(|stored| {
        stored.len() == used.len() && stored.iter().all(|(name, quantity)| used.get(name) == Some(&amount(quantity)))
    });
    if same_used && stored.and_then(|status| status.hard.as_ref()) == spec.hard.as_ref() {
        return Ok(());
    }
    let shown = |(name, amount): (String, Quantity)| {
        let text = usage::shown(&name, amount);
        (name, resource::Quantity(text))
    };
    let status = ResourceQuotaStatus { hard: spec.hard.clone(), used: Some(used.into_iter().map(shown).collect()) };
    plan.update_status(&ResourceQuota { status: Some(status), ..quota.clone() }, "what is used changed");
    Ok(())
}

/// The quotas of an object's namespace.
fn quotas_of(object: &Object, view: &View) -> Vec<Key> {
    let quotas = view.catalogue().id_of::<ResourceQuota>();
    if object.header.key.namespace.is_empty() || view.n_objects(quotas) == 0 {
        return Vec::new();
    }
    view.objects_in(quotas, &object.header.key.namespace).map(|quota| quota.header.key.clone()).collect()
}
