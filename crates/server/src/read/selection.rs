//! Which objects of a kind a list or watch is about.

use std::sync::Arc;

use api::{FieldSelector, Header, Key, Kind, LabelSelector, Object, Status, View};

use crate::request::Query;

/// Namespace and selectors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Empty for all namespaces.
    pub(crate) namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// Reads `labelSelector` and `fieldSelector`; `name` is that of the path, or empty.
    ///
    /// # Errors
    /// 400 when one of them is no selector.
    pub(crate) fn parse(kind: &Kind, namespace: &str, name: &str, query: &Query) -> Result<Self, Status> {
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default());
        let mut wanted = query.get("fieldSelector").unwrap_or_default().to_owned();
        if !name.is_empty() && !wanted.contains("metadata.name=") {
            wanted = format!("{wanted},metadata.name={name}");
        }
        Ok(Self {
            namespace: if kind.namespaced { namespace.to_owned() } else { String::new() },
            labels: labels.map_err(Status::bad_request)?,
            fields: FieldSelector::parse(kind, &wanted).map_err(Status::bad_request)?,
        })
    }

    /// Whether every object of the namespace is meant.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, header: &Header) -> bool {
        (self.namespace.is_empty() || *self.namespace == *header.key.namespace)
            && self.fields.matches(header)
            && self.labels.matches(header)
    }

    /// The objects that are meant, by namespace and name, those after (`namespace`, `name`) alone when that is given.
    pub(crate) fn objects<'a>(
        &'a self,
        view: &'a View,
        kind: &Kind,
        after: Option<&'a (String, String)>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let is_after = move |key: &Key| {
            after.is_none_or(|(namespace, name)| (&*key.namespace, &*key.name) > (namespace.as_str(), name.as_str()))
        };
        self.candidates(view, kind, after)
            .filter(move |object| is_after(&object.header.key) && self.matches(&object.header))
    }

    /// As few objects as an index can narrow it down to.
    fn candidates<'a>(
        &'a self,
        view: &'a View,
        kind: &Kind,
        after: Option<&'a (String, String)>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Object>> + Send + 'a> {
        if let Some(name) = self.fields.name()
            && (!kind.namespaced || !self.namespace.is_empty())
        {
            return Box::new(view.object(&Key::new(kind.id, &self.namespace, name)).into_iter());
        }
        if let Some(value) = self.fields.indexed().filter(|value| !value.is_empty()) {
            return Box::new(view.by_field(kind.id, value));
        }
        let (namespace, name) = match after {
            Some((namespace, name)) => (namespace.as_str(), name.as_str()),
            None => (self.namespace.as_str(), ""),
        };
        let objects = view.objects_after(kind.id, namespace, name);
        if self.namespace.is_empty() {
            return Box::new(objects);
        }
        Box::new(objects.take_while(|object| *object.header.key.namespace == *self.namespace))
    }
}
