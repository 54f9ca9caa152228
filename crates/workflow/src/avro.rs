//! Avro schemas inside streams.

use apache_avro::Schema;
use serde_json::Value;

/// Checks the schema of output values.
///
/// Errors: what is wrong with it, in one sentence.
pub(crate) fn parse(schema: &Value) -> Result<(), String> {
    Schema::parse(schema).map(drop).map_err(|error| format!("the Avro schema is not valid: {error}"))
}
