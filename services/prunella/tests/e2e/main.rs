//! The product from the outside: the real binary, a real Kafka, sources on real sockets.

mod bad_records;
mod cancel;
mod crash;
mod foreign_client;
mod hostile;
mod main_path;
mod support;
mod workflows;
