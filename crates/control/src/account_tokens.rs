//! Fills Secrets of type `kubernetes.io/service-account-token`, the old way to a token that does not end by itself.
//!
//! Such a Secret names its service account in an annotation, and gets the token, the cluster's certificate and the
//! namespace. It goes when there is no such account, or another one than it was filled for.
//!
//! Deliberately absent: removing tokens that nobody has used for long.

use api::{Blocked, Key, LogEntry, LogType, Object, Plan, Status, View};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kinds::workload::meta::Meta;
use server::User;

use crate::planner::Planner;

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// Makes a token from a view and the names of a namespace, a service account and a Secret.
type Sign = Box<dyn Fn(&View, &str, &str, &str) -> Result<String, Status> + Send + Sync>;

/// Fills Secrets with tokens of one server.
pub struct AccountTokens {
    root_ca: String,
    sign: Sign,
}

impl AccountTokens {
    /// Fills in `root_ca` (PEM) and what `sign` makes.
    pub fn new(
        root_ca: String,
        sign: impl Fn(&View, &str, &str, &str) -> Result<String, Status> + Send + Sync + 'static,
    ) -> Self {
        Self { root_ca, sign: Box::new(sign) }
    }

    /// Puts into a Secret what it lacks.
    fn fill(&self, secret: &mut Secret, account: &ServiceAccount, view: &View) -> Result<(), Status> {
        let (namespace, name) = (secret.namespace().to_owned(), secret.name().to_owned());
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(ACCOUNT_UID.to_owned(), account.uid().to_owned());
        let data = secret.data.get_or_insert_default();
        let lacks = |field: Option<&ByteString>| field.is_none_or(|value| value.0.is_empty());
        if lacks(data.get("token")) {
            let token = (self.sign)(view, &namespace, account.name(), &name)?;
            data.insert("token".to_owned(), ByteString(token.into_bytes()));
        }
        if lacks(data.get("namespace")) {
            data.insert("namespace".to_owned(), ByteString(namespace.into_bytes()));
        }
        if !self.root_ca.is_empty() {
            data.insert("ca.crt".to_owned(), ByteString(self.root_ca.clone().into_bytes()));
        }
        Ok(())
    }
}

impl Planner for AccountTokens {
    fn name(&self) -> &'static str {
        "service-account-token"
    }

    fn user(&self, _: &Key) -> User {
        User::new("system:kube-controller-manager", ["system:authenticated"])
    }

    fn all(&self, view: &View) -> Vec<Key> {
        let secrets = view.objects(view.catalogue().id_of::<Secret>());
        secrets.filter(|object| account_of(object).is_some()).map(|object| object.header.key.clone()).collect()
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let key = &entry.object.header.key;
        let secrets = view.catalogue().id_of::<Secret>();
        if key.kind == secrets {
            let there = entry.kind != LogType::Deleted && account_of(&entry.object).is_some();
            return if there { vec![key.clone()] } else { Vec::new() };
        }
        if key.kind != view.catalogue().id_of::<ServiceAccount>() {
            return Vec::new();
        }
        let its = view.objects_in(secrets, &key.namespace).filter(|object| account_of(object) == Some(&*key.name));
        its.map(|object| object.header.key.clone()).collect()
    }

    /// Signing is the one step of a plan that is random; it happens only where a token is missing.
    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(object) = view.object(key).filter(|object| object.header.deleting.is_none()) else { return Ok(()) };
        let (Some(name), Some(secret)) = (account_of(object), object.typed::<Secret>()) else { return Ok(()) };
        let account = view.get::<ServiceAccount>(&key.namespace, name);
        let filled_for = secret.annotation(ACCOUNT_UID).filter(|uid| !uid.is_empty());
        let Some(account) = account.filter(|account| filled_for.is_none_or(|uid| uid == account.uid())) else {
            plan.delete(object, "there is no such service account");
            return Ok(());
        };
        let mut filled = secret.clone();
        self.fill(&mut filled, account, view).map_err(|why| Blocked::new("NoToken", why.to_string()))?;
        if filled != *secret {
            plan.update(&filled, "a token of the service account is asked for");
        }
        Ok(())
    }
}

/// The service account that a Secret of this type names.
fn account_of(object: &Object) -> Option<&str> {
    let secret = object.typed::<Secret>().filter(|secret| secret.type_.as_deref() == Some(TYPE))?;
    secret.annotation(ACCOUNT).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::Change;
    use serde_json::{Value, json};

    use super::*;

    fn view(objects: &[Value]) -> View {
        let mut view = View::empty(Arc::new(kinds::catalogue()));
        for object in objects {
            let kind = view.catalogue().by_kind("", object["kind"].as_str().unwrap()).unwrap();
            let object = Object::seal(kind, object.clone(), 1);
            view.insert(Arc::new(object));
        }
        view
    }

    fn account(uid: &str) -> Value {
        json!({"kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "till", "uid": uid}})
    }

    fn secret(annotations: Value, data: Value) -> Value {
        json!({
            "kind": "Secret",
            "metadata": {"namespace": "shop", "name": "till-token", "uid": "s-1", "annotations": annotations},
            "type": TYPE,
            "data": data,
        })
    }

    fn planned(objects: &[Value]) -> Vec<Change> {
        let sign = |_: &View, namespace: &str, account: &str, secret: &str| -> Result<String, Status> {
            Ok(format!("{namespace} {account} {secret}"))
        };
        let tokens = AccountTokens::new("PEM".to_owned(), sign);
        let view = view(objects);
        let mut plan = Plan::default();
        for key in tokens.all(&view) {
            tokens.plan(&key, &view, &mut plan).unwrap();
        }
        plan.changes.into_iter().map(|(change, _)| change).collect()
    }

    #[test]
    fn a_secret_gets_a_token_once() {
        let changes = planned(&[account("a-1"), secret(json!({ACCOUNT: "till"}), json!({"more": "eA=="}))]);
        let [Change::Update(filled, _)] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(filled["metadata"]["annotations"][ACCOUNT_UID], "a-1");
        let data = serde_json::from_value::<Secret>(filled.clone()).unwrap().data.unwrap();
        let text = |field: &str| String::from_utf8(data[field].0.clone()).unwrap();
        assert_eq!(["token", "namespace", "ca.crt", "more"].map(text), ["shop till till-token", "shop", "PEM", "x"]);
        assert!(planned(&[account("a-1"), filled.clone()]).is_empty());
    }

    #[test]
    fn a_secret_goes_with_its_account() {
        let filled_for = |uid: &str| secret(json!({ACCOUNT: "till", ACCOUNT_UID: uid}), json!({}));
        for objects in [vec![filled_for("a-1")], vec![filled_for("a-1"), account("a-2")]] {
            let changes = planned(&objects);
            assert!(matches!(changes.as_slice(), [Change::Delete { uid, .. }] if uid == "s-1"), "{changes:?}");
        }
    }

    #[test]
    fn other_secrets_are_left_alone() {
        let mut opaque = secret(json!({ACCOUNT: "till"}), json!({}));
        opaque["type"] = json!("Opaque");
        assert!(planned(&[opaque]).is_empty());
        assert!(planned(&[secret(json!({}), json!({}))]).is_empty());
    }
}
