//! A Deployment's strategy, resolved to numbers of pods.

use k8s_openapi::api::apps::v1::DeploymentSpec;

use crate::workload::fraction;

/// How a Deployment moves from template to template.
#[derive(Clone, Copy, Debug)]
pub struct Strategy {
    /// Wanted replicas.
    pub replicas: i32,
    /// Old pods go before new ones come.
    pub recreate: bool,
    /// How many pods more than `replicas` there may be.
    pub max_surge: i32,
    /// How many pods fewer than `replicas` may be available.
    pub max_unavailable: i32,
}

impl Strategy {
    /// The strategy of a spec.
    pub fn of(spec: &DeploymentSpec) -> Self {
        let replicas = spec.replicas.unwrap_or(1);
        let strategy = spec.strategy.as_ref();
        let recreate = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate"));
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let (max_surge, max_unavailable) = if recreate {
            (0, 0)
        } else {
            let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
            let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
            fraction::surge_and_unavailable(surge, unavailable, replicas)
        };
        Self { replicas, recreate, max_surge, max_unavailable: max_unavailable.min(replicas) }
    }

    /// Most pods that there may be at a time.
    pub fn most(&self) -> i32 {
        self.replicas.saturating_add(self.max_surge)
    }

    /// Fewest pods that must be available.
    pub fn fewest(&self) -> i32 {
        self.replicas - self.max_unavailable
    }
}
