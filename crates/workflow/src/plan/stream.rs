use std::sync::Arc;

use jsonschema::Validator;
use prunella_mapping::Expression;
use prunella_model::Kind;
use prunella_model::stream::Stream;
use prunella_model::workflow::SchemaSource;

use super::compile::{Parts, printed};
use crate::limits::Limits;
use crate::problem::Problems;
use crate::tree::TreeJson;

/// The executable form of one version of a stream.
#[derive(Debug, Clone)]
pub struct StreamPlan {
    stream: Stream,
    /// Evaluated on the value of a record, with `$record` bound; without it values pass as they are.
    pub transform: Option<Arc<Expression>>,
    /// Asserted on each mapped value.
    pub schema: Option<Arc<Validator>>,
    /// The same schema, for values that nothing else reads.
    pub tree_schema: Option<Arc<Validator<TreeJson>>>,
    /// Evaluated on each valid value, with `$record` bound; without it keys pass as they are.
    pub key: Option<Arc<Expression>>,
    /// The Avro schema of output values, as JSON text; without it they are JSON.
    pub avro_schema: Option<String>,
}

impl StreamPlan {
    /// Compiles a definition that has its mapping and schemas inside.
    ///
    /// Errors: as [`crate::Plan::compile`].
    pub fn compile(stream: &Stream, limits: &Limits) -> Result<Self, Problems> {
        let document = printed(Kind::Stream, &stream.stream, stream, limits)?;
        let parts = Parts { document: &document };
        let output = &stream.output;
        let avro_schema = match &output.avro_schema {
            None => None,
            Some(SchemaSource::Inline(schema)) => Some(serde_json::Value::from(schema.clone()).to_string()),
            Some(SchemaSource::File(_)) => return Err(parts.broken("/output/avro-schema", "the schema itself")),
        };
        Ok(Self {
            stream: stream.clone(),
            transform: stream.transform.as_ref().map(|mapping| parts.mapping(mapping, "/transform")).transpose()?,
            tree_schema: stream.schema.as_ref().map(|schema| parts.tree_schema(schema, "/schema")).transpose()?,
            schema: stream.schema.as_ref().map(|schema| parts.schema(schema, "/schema")).transpose()?,
            key: output.key.as_ref().map(|text| parts.expression(text, "/output/key")).transpose()?.map(Arc::new),
            avro_schema,
        })
    }

    /// The definition this was compiled from.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}
