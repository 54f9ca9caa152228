//! Topics as code: what `topics/*.yaml` declares, what the cluster has, and the way from one to the other.

mod apply;
mod catalogue;
mod check;
mod cluster;
mod config;
mod connection;
mod declaration;
mod desired;
mod diagnose;
mod error;
mod existing;
mod incremental;
mod name;
mod plan;
mod settle;

pub use apply::{Applied, Outcome};
pub use catalogue::{Catalogue, TopicKind};
pub use check::{ShapeProblem, problems};
pub use cluster::Cluster;
pub use config::{MinInsyncReplicas, Replication, TopicOverride, TopicsConfig};
pub use connection::{ConnectionEvent, ConnectionLog};
pub use declaration::{Cleanup, TopicDeclaration};
pub use desired::{DesiredTopic, Topology};
pub use diagnose::{diagnose, diagnose_text};
pub use error::{MissingPermission, TopologyError};
pub use existing::{ClusterShape, ExistingTopic};
pub use name::{TopicName, Topics};
pub use plan::{Action, Plan, PlannedTopic};
