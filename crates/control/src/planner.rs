//! What the loop runs: a decision about one key, and which changes make it worth another look.

use api::{Blocked, ControllerDef, GroupKind, Key, KindId, LogEntry, LogType, Object, OwnerRef, Plan, View, Wake};
use server::User;

/// A decision that is made again and again.
pub trait Planner: Send + Sync + 'static {
    /// Name in logs.
    fn name(&self) -> &str;

    /// As whom the changes for `key` are made.
    fn user(&self, key: &Key) -> User;

    /// Everything to look at when starting.
    fn all(&self, view: &View) -> Vec<Key>;

    /// What to look at after a change; `view` shows the change.
    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key>;

    /// Decides. Pure: the same view gives the same plan. The object of `key` may be gone.
    ///
    /// # Errors
    /// When a person has to do something first.
    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked>;
}

/// Names the objects that a changed one concerns.
type Mapping = fn(&Object, &View) -> Vec<Key>;

/// A controller of the catalogue.
pub struct Controlled {
    def: ControllerDef,
    kind: KindId,
    owned: Vec<KindId>,
    /// Functions with the kind whose changes they are asked about; `None` is any.
    mapped: Vec<(Option<KindId>, Mapping)>,
}

impl Controlled {
    /// A controller over the kinds of `view`; `None` when its kind is not served.
    pub fn new(def: ControllerDef, view: &View) -> Option<Self> {
        let id = |name: GroupKind| view.kind_id(name);
        let mut controlled = Self { def, kind: id(def.kind)?, owned: Vec::new(), mapped: Vec::new() };
        for wake in def.wakes {
            match wake {
                Wake::Owned(kind) => controlled.owned.extend(id(*kind)),
                Wake::Map(kind, map) => controlled.mapped.extend(id(*kind).map(|kind| (Some(kind), *map))),
                Wake::Any(map) => controlled.mapped.push((None, *map)),
            }
        }
        Some(controlled)
    }

    fn owner(&self, object: &Object, view: &View) -> Option<Key> {
        let owner = object.header.controller().filter(|owner| is_of(owner, self.def.kind))?;
        let namespaced = view.catalogue().kind(self.kind).namespaced;
        let namespace = if namespaced { &*object.header.key.namespace } else { "" };
        Some(Key::new(self.kind, namespace, &owner.name))
    }
}

/// Whether an owner reference names a kind, in whatever version.
pub(crate) fn is_of(owner: &OwnerRef, kind: GroupKind) -> bool {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    owner.kind == kind.kind && group == kind.group
}

impl Planner for Controlled {
    fn name(&self) -> &str {
        self.def.name
    }

    fn user(&self, _: &Key) -> User {
        User::controller(self.def.name)
    }

    fn all(&self, view: &View) -> Vec<Key> {
        view.objects(self.kind).map(|object| object.header.key.clone()).collect()
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let kind = entry.object.header.key.kind;
        let mut keys = Vec::new();
        if kind == self.kind && entry.kind != LogType::Deleted {
            keys.push(entry.object.header.key.clone());
        }
        // What the object was before counts as well: whoever lost it has to notice.
        for object in [Some(&entry.object), entry.previous.as_ref()].into_iter().flatten() {
            if self.owned.contains(&kind) {
                keys.extend(self.owner(object, view).filter(|key| !keys.contains(key)));
            }
            for (_, map) in self.mapped.iter().filter(|(of, _)| of.is_none_or(|of| of == kind)) {
                for key in map(object, view) {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
        }
        keys
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        match view.object(key) {
            Some(object) => self.def.plan(object, view, plan),
            None => Ok(()),
        }
    }
}
