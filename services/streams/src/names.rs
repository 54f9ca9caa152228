//! What a stream is called in Kafka and in the registry.

use prunella_model::stream::Stream;
use prunella_model::workflow::SchemaSource;
use prunella_model::{WorkflowName, WorkspaceName};
use prunella_topology::Topics;

/// `stream.<workspace>.<name>`: the stage in metrics, logs and dead letters.
pub(crate) fn stage(workspace: &WorkspaceName, stream: &WorkflowName) -> String {
    format!("stream.{workspace}.{stream}")
}

/// The consumer group whose offsets are the stream's progress.
pub fn group(topics: &Topics, workspace: &WorkspaceName, stream: &WorkflowName) -> String {
    format!("{}{}", topics.prefix(), stage(workspace, stream))
}

/// Where the valid records go.
pub fn output_topic(topics: &Topics, workspace: &WorkspaceName, stream: &Stream) -> String {
    stream.output.topic.as_ref().map_or_else(|| topics.output(workspace, &stream.stream), ToString::to_string)
}

/// Subject and text of the Avro schema that output values are written with; `None` when they are JSON.
pub fn output_subject(stream: &Stream, output_topic: &str) -> Option<(String, String)> {
    let Some(SchemaSource::Inline(schema)) = &stream.output.avro_schema else { return None };
    let subject = stream.output.subject.clone().unwrap_or_else(|| format!("{output_topic}-value"));
    Some((subject, serde_json::Value::from(schema.clone()).to_string()))
}
