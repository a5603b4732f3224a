//! Runs the cluster's decisions: controllers, garbage collection, node life cycle, the scheduler, simulated nodes.
//!
//! Deciding is pure, on views ([`planner`], [`scheduler`]); acting is one loop ([`run`]) that commits through the
//! server's in-process door, as anybody else would. Deliberately absent: the store, sockets, and knowledge of how
//! an object gets from JSON to disk.

pub mod account_tokens;
pub mod door;
pub mod garbage;
pub mod nodes;
pub mod planner;
pub mod root_ca;
pub mod run;
pub mod scheduler;
pub mod simulated;

use std::sync::Arc;

use api::View;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use door::{Door, Follow};
pub use planner::{Controlled, Planner};

/// What cannot be read from a view.
#[derive(Clone, Debug)]
pub struct Config {
    /// Certificate of the authority that signed the API server's certificate, as PEM; published in every namespace.
    pub root_ca: String,
    /// When this process started: nodes get their grace period from then on, however long the cluster was stopped.
    pub started: Timestamp,
}

/// Every planner of a cluster that needs nothing but views.
pub fn planners(config: &Config, view: &View) -> Vec<Arc<dyn Planner>> {
    let controlled = kinds::controllers().iter().filter_map(|def| Controlled::new(*def, view));
    let mut planners: Vec<Arc<dyn Planner>> = controlled.map(|planner| Arc::new(planner) as Arc<dyn Planner>).collect();
    planners.push(Arc::new(root_ca::RootCa::new(config.root_ca.clone())));
    planners.push(Arc::new(garbage::Garbage));
    planners.push(Arc::new(nodes::lifecycle::Lifecycle::new(config.started)));
    planners.push(Arc::new(nodes::eviction::Eviction));
    planners.push(Arc::new(nodes::lost::LostPods));
    planners.push(Arc::new(nodes::finished::FinishedPods));
    planners.push(Arc::new(simulated::SimulatedNodes));
    planners
}

/// Runs everything until `stop`.
pub async fn run<D: Door>(door: D, config: Config, stop: CancellationToken) {
    let mut planners = planners(&config, &door.view());
    let signer = door.clone();
    planners
        .push(Arc::new(account_tokens::AccountTokens::new(config.root_ca, move |view, namespace, account, secret| {
            signer.account_token(view, namespace, account, secret)
        })));
    tracing::info!(n_planners = planners.len(), "controllers and scheduler run");
    tokio::join!(run::run(door.clone(), planners, stop.clone()), scheduler::run(door, stop));
}
