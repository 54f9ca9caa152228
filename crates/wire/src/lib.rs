//! What stands in Kafka records: control records in Avro, headers, trace context, and payloads that
//! are too large for Kafka.

mod claims;
mod codec;
mod error;
mod headers;
mod payload;
pub mod records;
mod registry;
mod schema;
mod trace;
mod values;

pub use claims::ClaimStore;
pub use codec::{Codec, Opened, SchemaSource};
pub use error::WireError;
pub use headers::{Headers, names};
pub use payload::{Claim, Payload};
pub use registry::{Registry, RegistryConfig};
pub use schema::{ControlRecord, Fingerprint, RecordSchema};
pub use trace::TraceContext;
pub use values::{ValueReader, ValueSchemas, ValueWriter, schema_id};
