//! Who makes a request.

use std::collections::BTreeMap;

/// An authenticated user, or `system:anonymous`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name, for example `system:serviceaccount:kube-system:deployment-controller`.
    pub name: String,
    /// Unique id, when the authenticator knows one.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Whatever else the authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of these groups.
    pub fn new<'a>(name: &str, groups: impl IntoIterator<Item = &'a str>) -> Self {
        Self { name: name.to_owned(), groups: groups.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// Whoever gave no credentials.
    pub fn anonymous() -> Self {
        Self::new("system:anonymous", ["system:unauthenticated"])
    }

    /// The API server itself: may do everything.
    pub fn apiserver() -> Self {
        Self::new("system:apiserver", ["system:masters", "system:authenticated"])
    }

    /// A controller, as its own service account.
    pub fn controller(name: &str) -> Self {
        Self::new(
            &format!("system:serviceaccount:kube-system:{name}-controller"),
            ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        )
    }

    /// Whether the user is in a group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
