//! Every controller that decides from a view alone. Those that also need a configuration or the time at which
//! the process started are in the `control` crate.

use api::ControllerDef;

use crate::{apps, batch, core, discovery, policy, rbac};

/// Every controller, in the order in which they are started.
pub const CONTROLLERS: &[ControllerDef] = &[
    ControllerDef::of(&core::namespace::controller::CONTROLLER),
    ControllerDef::of(&core::service_account::controller::CONTROLLER),
    ControllerDef::of(&apps::deployment::controller::CONTROLLER),
    ControllerDef::of(&apps::replica_set::controller::CONTROLLER),
    ControllerDef::of(&core::replication_controller::controller::CONTROLLER),
    ControllerDef::of(&apps::daemon_set::controller::CONTROLLER),
    ControllerDef::of(&apps::stateful_set::controller::CONTROLLER),
    ControllerDef::of(&batch::job::controller::CONTROLLER),
    ControllerDef::of(&batch::job::controller::ORPHANS),
    ControllerDef::of(&batch::job::ttl::CONTROLLER),
    ControllerDef::of(&batch::cron_job::controller::CONTROLLER),
    ControllerDef::of(&discovery::endpoint_slice::controller::CONTROLLER),
    ControllerDef::of(&core::endpoints::controller::CONTROLLER),
    ControllerDef::of(&core::endpoints::controller::LEFT_OVER),
    ControllerDef::of(&policy::pod_disruption_budget::controller::CONTROLLER),
    ControllerDef::of(&core::resource_quota::controller::CONTROLLER),
    ControllerDef::of(&rbac::cluster_role::controller::CONTROLLER),
];
