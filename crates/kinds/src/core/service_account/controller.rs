//! Gives every namespace its ServiceAccount `default`, again when somebody deletes it.

use api::{Blocked, Controller, GroupKind, Key, Object, Plan, View, Wake};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::workload::meta::Meta;

const NAME: &str = "default";

/// Makes `default` ServiceAccounts.
pub const CONTROLLER: Controller<Namespace> =
    Controller { name: "service-account", wakes: &[Wake::Map(GroupKind::of::<ServiceAccount>(), namespace_of)], plan };

fn plan(namespace: &Namespace, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    if namespace.deleting() || view.get::<ServiceAccount>(namespace.name(), NAME).is_some() {
        return Ok(());
    }
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.name().to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    plan.create(&account, "every namespace has one");
    Ok(())
}

fn namespace_of(account: &Object, view: &View) -> Vec<Key> {
    let key = &account.header.key;
    if &*key.name == NAME {
        vec![Key::new(view.catalogue().id_of::<Namespace>(), "", &key.namespace)]
    } else {
        Vec::new()
    }
}
