//! The product from the outside: the real binary, a real Kafka, sources on real sockets.

mod bad_records;
mod cancel;
mod crash;
mod deadletters;
mod demo;
mod foreign_client;
mod guard;
mod healing;
mod healing_llm;
mod healing_outages;
mod healing_sealed;
mod hostile;
mod hostile_topics;
mod kills;
mod main_path;
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
