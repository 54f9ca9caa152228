//! The HTTP API: start runs, look them up, cancel them; look at mappings and decide about them. It holds no state of its own: what it is asked to
//! do becomes a record in Kafka, what it answers comes from views of Kafka.

mod answers;
mod body;
mod config;
mod error;
mod events;
mod extract;
mod guard;
mod observe;
mod openapi;
mod problem;
mod routes;
mod server;
mod site;
mod token;
mod workflows;

pub use config::GatewayConfig;
pub use error::GatewayError;
pub use openapi::openapi_json;
pub use server::{Gateway, GatewayDeps, serve};
pub use site::ACTOR;
pub use workflows::{LiveWorkflow, Workflows};
