//! Writes the rules of aggregated ClusterRoles: those of the roles that their selectors select.
//!
//! Who may do what does not wait for this: the authorizer follows the selectors itself. It is written down for those
//! who read the role.

use api::{Blocked, Controller, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::workload::meta::Meta;

/// Writes rules.
pub const CONTROLLER: Controller<ClusterRole> = Controller {
    name: "clusterrole-aggregation",
    wakes: &[Wake::Map(GroupKind::of::<ClusterRole>(), that_aggregate)],
    plan,
};

fn plan(role: &ClusterRole, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(aggregation) = role.aggregation_rule.as_ref().filter(|_| !role.deleting()) else { return Ok(()) };
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in aggregation.cluster_role_selectors.iter().flatten() {
        let selector = LabelSelector::from_object(selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
        // Views list by name, so the same roles give the same rules in the same order.
        let others = view.list::<ClusterRole>().filter(|other| other.name() != role.name());
        for other in others.filter(|other| selector.matches_map(other.metadata.labels.as_ref())) {
            for rule in other.rules.iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    if rules != role.rules.as_deref().unwrap_or_default() {
        plan.update(&ClusterRole { rules: Some(rules), ..role.clone() }, "the roles that it aggregates changed");
    }
    Ok(())
}

/// Every aggregated role: which labels a selector of theirs asks for is theirs to know.
fn that_aggregate(_: &Object, view: &View) -> Vec<Key> {
    let roles = view.objects(view.catalogue().id_of::<ClusterRole>());
    let aggregates = |object: &&std::sync::Arc<Object>| {
        object.typed::<ClusterRole>().is_some_and(|role| role.aggregation_rule.is_some())
    };
    roles.filter(aggregates).map(|object| object.header.key.clone()).collect()
}
