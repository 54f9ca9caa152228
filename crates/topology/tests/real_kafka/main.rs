//! What only a real Kafka decides.

mod apply;
mod check;
mod connect;
mod support;
