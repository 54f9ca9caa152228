//! The product from the outside: the real binary, a real Kafka, sources on real sockets.

mod bad_records;
mod cancel;
mod crash;
mod deadletters;
mod demo;
#[path = "../shared/drift.rs"]
mod drift;
mod foreign_client;
mod guard;
mod healing;
mod healing_decided;
mod healing_llm;
mod healing_moved;
mod healing_outages;
mod healing_races;
mod healing_sealed;
mod healing_shapes;
mod healing_silent;
mod healing_together;
mod hostile;
mod hostile_topics;
mod kills;
mod main_path;
mod model_missing;
mod operator;
mod overload;
mod real_data;
mod registry;
mod replay;
mod secured;
mod streams;
mod streams_avro;
mod support;
mod switching;
mod workflows;
