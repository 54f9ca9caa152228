//! The HTTP API over real sockets, and on a real Kafka.

mod mappings;
mod openapi;
mod real_kafka;
mod support;
mod without_kafka;
