//! Publishes the certificate by which pods know the API server: the ConfigMap `kube-root-ca.crt` of each namespace.

use api::{Blocked, Key, LogEntry, Plan, View};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::workload::meta::Meta;
use server::User;

use crate::planner::Planner;

const NAME: &str = "kube-root-ca.crt";
const FIELD: &str = "ca.crt";

/// Publishes one certificate.
pub struct RootCa {
    certificate: String,
}

impl RootCa {
    /// Publishes `certificate` (PEM).
    pub fn new(certificate: String) -> Self {
        Self { certificate }
    }
}

impl Planner for RootCa {
    fn name(&self) -> &'static str {
        "root-ca-cert-publisher"
    }

    fn user(&self, _: &Key) -> User {
        account("root-ca-cert-publisher")
    }

    fn all(&self, view: &View) -> Vec<Key> {
        view.objects(view.catalogue().id_of::<Namespace>()).map(|object| object.header.key.clone()).collect()
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let key = &entry.object.header.key;
        let namespace = view.catalogue().id_of::<Namespace>();
        if key.kind == namespace {
            vec![key.clone()]
        } else if &*key.name == NAME && key.kind == view.catalogue().id_of::<ConfigMap>() {
            vec![Key::new(namespace, "", &key.namespace)]
        } else {
            Vec::new()
        }
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(namespace) = view.object(key).filter(|object| object.header.deleting.is_none()) else { return Ok(()) };
        let stored = view.get::<ConfigMap>(&namespace.header.key.name, NAME);
        let published = stored.and_then(|map| map.data.as_ref()?.get(FIELD));
        if published == Some(&self.certificate) || stored.is_some_and(Meta::deleting) {
            return Ok(());
        }
        let mut map = stored.cloned().unwrap_or_else(|| ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(namespace.header.key.name.to_string()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        });
        map.data.get_or_insert_default().insert(FIELD.to_owned(), self.certificate.clone());
        match stored {
            Some(_) => plan.update(&map, "it holds another certificate"),
            None => plan.create(&map, "the namespace has none"),
        }
        Ok(())
    }
}

/// A service account in `kube-system` whose name is none of `<controller>-controller`.
pub(crate) fn account(name: &str) -> User {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
    User::new(&format!("system:serviceaccount:kube-system:{name}"), groups)
}
