//! Every controller that decides from a view alone. Those that also need a configuration or the time at which
//! the process started are in the `control` crate.

use api::ControllerDef;

use crate::{apps, batch, core};

/// Every controller, in the order in which they are started.
pub const CONTROLLERS: &[ControllerDef] = &[
    ControllerDef::of(&apps::deployment::controller::CONTROLLER),
    ControllerDef::of(&apps::replica_set::controller::CONTROLLER),
    ControllerDef::of(&core::replication_controller::controller::CONTROLLER),
    ControllerDef::of(&apps::daemon_set::controller::CONTROLLER),
    ControllerDef::of(&apps::stateful_set::controller::CONTROLLER),
    ControllerDef::of(&batch::job::controller::CONTROLLER),
    ControllerDef::of(&batch::job::controller::ORPHANS),
    ControllerDef::of(&batch::job::ttl::CONTROLLER),
];
