//! A stream as its author writes it. Doc comments become the descriptions of `schemas/stream.schema.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::workflow::{Mapping, SchemaSource};
use crate::{KafkaTopic, WorkflowName};

/// A stream: every record of a topic is mapped, validated and written to another topic, continuously.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stream {
    /// Always `stream`. A file without `kind` is a workflow.
    pub kind: StreamKind,
    /// Name of the stream, part of its topic names and of its consumer group. Streams and workflows of a workspace share
    /// one set of names.
    pub stream: WorkflowName,
    /// What the stream is for, shown in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the records come from.
    pub input: StreamInput,
    /// The JSONata mapping from the value of a record to the wanted shape, inline or in a file. Without it, values pass as
    /// they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Mapping>,
    /// The JSON Schema that every mapped value must satisfy, inline or in a file. Without it, every value is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// Where the valid records go.
    #[serde(default)]
    pub output: StreamOutput,
    /// What happens to records that cannot be read, mapped or written, or are not valid.
    #[serde(default)]
    pub on_invalid: OnInvalidRecord,
    /// Take no records until a later version says otherwise. Nothing is lost: the stream goes on where it stopped.
    #[serde(default)]
    pub paused: bool,
}

/// What tells a stream from a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StreamKind {
    #[default]
    Stream,
}

/// Where the records of a stream come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StreamInput {
    /// Full name of the topic. It is yours: Prunella reads it and changes nothing about it.
    pub topic: KafkaTopic,
    /// How the values are written.
    #[serde(default)]
    pub format: ValueFormat,
}

/// How the values of a topic are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValueFormat {
    /// JSON text.
    #[default]
    Json,
    /// Avro in the Confluent wire format, its schema in the schema registry.
    Avro,
}

/// Where the valid records of a stream go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StreamOutput {
    /// Full name of a topic that exists. Without it `<prefix>output.<workspace>.<stream>`, which `apply` creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<KafkaTopic>,
    /// A JSONata expression over the valid value that gives its key. Without it the key of the input record stays, byte
    /// for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How the values are written.
    #[serde(default)]
    pub format: ValueFormat,
    /// For `format: avro`: the Avro schema of the values, inline or in a file. It is registered by `apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avro_schema: Option<SchemaSource>,
    /// For `format: avro`: the subject of the schema in the registry. Without it `<topic>-value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// What happens to records that cannot be read, mapped or written, or are not valid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalidRecord {
    /// Send the record to the dead-letter topic of the stream, byte for byte; the other records go on.
    #[default]
    Deadletter,
    /// Stop the partition at the record until a later version of the stream takes it.
    Hold,
}
