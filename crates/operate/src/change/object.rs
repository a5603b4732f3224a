//! Objects of the API: patched while they are what was looked at.

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::GroupVersionKind;
use serde_json::{Map, Value};

use super::{ChangeError, Ground, ObjectChange};

impl ObjectChange {
    /// Kind, namespace and name.
    pub fn shown(&self) -> String {
        let name =
            if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) };
        format!("{} {name}", self.kind)
    }

    async fn api(&self, ground: &Ground) -> Result<Api<DynamicObject>, ChangeError> {
        let client = ground.client().ok_or(ChangeError::NoApi)?.clone();
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        let kind = GroupVersionKind::gvk(group, version, &self.kind);
        let (resource, _) =
            kube::discovery::pinned_kind(&client, &kind).await.map_err(|source| self.refused(source))?;
        Ok(match self.namespace.as_str() {
            "" => Api::all_with(client, &resource),
            namespace => Api::namespaced_with(client, namespace, &resource),
        })
    }

    fn refused(&self, source: kube::Error) -> ChangeError {
        match source {
            kube::Error::Api(status) if status.code == 409 => ChangeError::ObjectChanged(self.shown()),
            source => ChangeError::Api { object: self.shown(), source: Box::new(source) },
        }
    }

    /// The object as it is now.
    pub(super) async fn read(&self, ground: &Ground) -> Result<Value, ChangeError> {
        let api = self.api(ground).await?;
        let object = api.get(&self.name).await.map_err(|source| self.refused(source))?;
        Ok(serde_json::to_value(object).unwrap_or_default())
    }

    /// Patches the object at the revision of `now`; gives what it is then.
    pub(super) async fn patch(&self, ground: &Ground, patch: &Value, now: &Value) -> Result<Value, ChangeError> {
        let mut patch = patch.clone();
        patch["metadata"]["resourceVersion"] = now["metadata"]["resourceVersion"].clone();
        let api = self.api(ground).await?;
        let parameters = PatchParams { field_manager: Some("shipmate-doctor".to_owned()), ..PatchParams::default() };
        let patched = api.patch(&self.name, &parameters, &Patch::Merge(&patch)).await;
        Ok(serde_json::to_value(patched.map_err(|source| self.refused(source))?).unwrap_or_default())
    }
}

impl ObjectChange {
    /// Whether the object is there, with the id that it was created with.
    pub(super) async fn is_there(&self, ground: &Ground, uid: &str) -> Result<bool, ChangeError> {
        let api = self.api(ground).await?;
        match api.get_opt(&self.name).await.map_err(|source| self.refused(source))? {
            None => Ok(false),
            Some(object) if object.metadata.uid.as_deref() == Some(uid) => Ok(true),
            Some(_) => Err(ChangeError::ObjectChanged(self.shown())),
        }
    }

    /// Deletes the object, if it is the one with this id.
    pub(super) async fn delete(&self, ground: &Ground, uid: &str) -> Result<(), ChangeError> {
        let api = self.api(ground).await?;
        let condition = Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() };
        let parameters = DeleteParams::background().preconditions(condition);
        api.delete(&self.name, &parameters).await.map(drop).map_err(|source| self.refused(source))
    }
}

/// What an object has in the places that a merge patch touches; `null` where it has nothing.
pub(crate) fn touched(patch: &Value, object: &Value) -> Value {
    match (patch, object) {
        (Value::Object(patch), Value::Object(object)) => {
            let one = |(key, patch): (&String, &Value)| {
                (key.clone(), touched(patch, object.get(key).unwrap_or(&Value::Null)))
            };
            Value::Object(patch.iter().map(one).collect::<Map<String, Value>>())
        }
        (_, object) => object.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_inverse_of_a_merge_patch_is_what_it_touched() {
        let object = json!({"spec": {"a": 1, "b": {"c": [1, 2]}, "z": 0}});
        let patch = json!({"spec": {"a": 2, "b": {"c": [3], "d": 4}, "e": {"f": 5}}});
        let before = touched(&patch, &object);
        assert_eq!(before, json!({"spec": {"a": 1, "b": {"c": [1, 2], "d": null}, "e": null}}));
    }
}
