//! What happens to one record: decode, map, validate, encode. No Kafka, no waiting.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_model::stream::ValueFormat;
use prunella_model::{ByteSize, Code};
use prunella_platform::{Refusal, ValidatorSettings, output_key};
use prunella_stream::Record;
use prunella_wire::{ValueSchemas, ValueWriter, WireError, schema_id};
use prunella_workflow::{JsonTree, StreamPlan};

/// The name under which expressions find what stands beside the value.
const RECORD: &str = "record";

/// Key and value of an output. A value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// Limits of the work on one record.
#[derive(Debug, Clone, Default)]
pub struct WorkLimits {
    pub mapping: Limits,
    pub output: ValidatorSettings,
}

/// A version of a stream, ready to be applied to records by any number of threads.
pub struct Work {
    plan: Arc<StreamPlan>,
    schemas: Arc<ValueSchemas>,
    writer: Option<Arc<ValueWriter>>,
    limits: WorkLimits,
    /// What every evaluation starts with.
    no_bindings: Bindings,
    reads_record: bool,
    /// Key or writer read the mapped value, so it must be a value and not only text.
    reads_value: bool,
}

impl Work {
    /// `writer` is for a plan whose outputs are Avro.
    pub fn new(
        plan: Arc<StreamPlan>,
        schemas: Arc<ValueSchemas>,
        writer: Option<Arc<ValueWriter>>,
        limits: WorkLimits,
    ) -> Self {
        let reads_record = |expression: &Option<Arc<Expression>>| {
            expression.as_ref().is_some_and(|expression| expression.reads().binding(RECORD))
        };
        Self {
            reads_record: reads_record(&plan.transform) || reads_record(&plan.key),
            reads_value: plan.key.is_some() || writer.is_some(),
            no_bindings: Bindings::new(),
            plan,
            schemas,
            writer,
            limits,
        }
    }

    pub fn plan(&self) -> &Arc<StreamPlan> {
        &self.plan
    }

    pub(crate) fn max_header_bytes(&self) -> ByteSize {
        self.limits.output.max_header_bytes
    }

    /// The media type of output values.
    pub fn content_type(&self) -> Option<&'static str> {
        self.writer.is_none().then_some("application/json")
    }

    /// The schema that must be asked for before [`Work::run`] can read this record.
    pub fn unknown_schema(&self, record: &Record) -> Option<u32> {
        let value = record.value.as_ref().filter(|_| self.plan.stream().input.format == ValueFormat::Avro)?;
        let (id, _) = schema_id(value).ok()?;
        self.schemas.known(id).is_none().then_some(id)
    }

    /// Maps one record. The same record gives the same output whenever it is mapped again: clock and chance inside the
    /// mapping come from its place and timestamp.
    ///
    /// # Errors
    /// [`Refusal`] with what `on-invalid` has to deal with.
    pub fn run(&self, record: &Record) -> Result<Mapped, Refusal> {
        let moment = Moment::new(record.timestamp, seed_of(record));
        let bindings = match self.reads_record {
            false => Cow::Borrowed(&self.no_bindings),
            true => Cow::Owned(Bindings::new().with(RECORD, about(record))),
        };
        let Some(value) = &record.value else {
            return self.tombstone(record, &bindings, moment);
        };
        let text = self.decode(value)?;
        let mapped = match &self.plan.transform {
            Some(mapping) => mapping.map_item(&text, &bindings, moment, &self.limits.mapping)?.into(),
            None => text,
        };
        let value = self.valid(&mapped)?;
        let key = match (&self.plan.key, &value) {
            (Some(key), Some(value)) => Some(output_key(key, value, &bindings, moment, &self.limits.mapping)?),
            _ => record.key.clone(),
        };
        let encoded = match (&self.writer, &value) {
            (Some(writer), Some(value)) => writer.encode(value).map_err(refused)?.into(),
            _ => mapped,
        };
        self.check_size(key.as_ref(), &encoded)?;
        Ok(Mapped { key, value: Some(encoded) })
    }

    /// What the mapping made of a record that was refused afterwards, for its dead letter.
    pub fn mapped_text(&self, record: &Record) -> Option<Bytes> {
        let mapping = self.plan.transform.as_ref()?;
        let bindings = match self.reads_record {
            false => Bindings::new(),
            true => Bindings::new().with(RECORD, about(record)),
        };
        let text = self.decode(record.value.as_ref()?).ok()?;
        let moment = Moment::new(record.timestamp, seed_of(record));
        mapping.map_item(&text, &bindings, moment, &self.limits.mapping).ok().map(Bytes::from)
    }

    /// The value of a record as JSON text; JSON itself is not copied.
    fn decode(&self, value: &Bytes) -> Result<Bytes, Refusal> {
        if self.plan.stream().input.format == ValueFormat::Json {
            return Ok(value.clone());
        }
        let (id, body) = schema_id(value).map_err(refused)?;
        let Some(reader) = self.schemas.known(id) else {
            return Err(Refusal::new(Code::SchemaUnknown, format!("the schema with id {id} is not at hand")));
        };
        Ok(reader.to_json(body).map_err(refused)?.to_string().into())
    }

    /// Checks the mapped text, and gives it as a value if something reads it.
    fn valid(&self, mapped: &Bytes) -> Result<Option<Value>, Refusal> {
        if self.is_valid_in_passing(mapped) {
            return Ok(None);
        }
        let value: Value = serde_json::from_slice(mapped)
            .map_err(|error| Refusal::new(Code::ItemNotJson, format!("the value is not JSON: {error}")))?;
        match &self.plan.schema {
            Some(schema) if !schema.is_valid(&value) => {
                Err(Refusal::invalid(schema, &value, self.limits.output.max_field_errors))
            }
            _ => Ok(Some(value)),
        }
    }

    /// Whether the text is valid and nothing reads its value: the common case, for which no value is built. Only of text
    /// that a mapping has written, whose fields do not repeat.
    fn is_valid_in_passing(&self, mapped: &Bytes) -> bool {
        if self.reads_value {
            return false;
        }
        match (&self.plan.transform, &self.plan.tree_schema) {
            (Some(_), None) => true,
            (Some(_), Some(schema)) => JsonTree::parse(mapped).is_ok_and(|tree| schema.is_valid(&tree)),
            (None, None) => serde_json::from_slice::<&RawValue>(mapped).is_ok(),
            (None, Some(_)) => false,
        }
    }

    /// A record without value deletes its key downstream, so it passes. A computed key is computed from nothing: it can
    /// come from `$record` alone.
    fn tombstone(&self, record: &Record, bindings: &Bindings, moment: Moment) -> Result<Mapped, Refusal> {
        let key = match &self.plan.key {
            None => record.key.clone(),
            Some(key) => {
                let computed = output_key(key, &Value::Null, bindings, moment, &self.limits.mapping);
                Some(computed.map_err(|refusal| match refusal.code {
                    Code::OutputKey => Refusal::new(
                        Code::OutputKey,
                        "the record has no value that output.key could be computed from: a key that tombstones can have is computed from $record alone",
                    ),
                    _ => refusal,
                })?)
            }
        };
        Ok(Mapped { key, value: None })
    }

    fn check_size(&self, key: Option<&Bytes>, value: &Bytes) -> Result<(), Refusal> {
        let limit = self.limits.output.max_output_bytes;
        let size = value.len() + key.map_or(0, Bytes::len);
        if size as u64 <= limit.bytes() {
            return Ok(());
        }
        let message = format!("the output has {size} bytes, the limit is {limit} (validator.max-output-bytes)");
        Err(Refusal::new(Code::OutputTooLarge, message))
    }
}

fn refused(error: WireError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}

/// What expressions read as `$record`. Key and headers that are not text are left out.
fn about(record: &Record) -> Value {
    let text = |bytes: &Bytes| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let headers = record.headers.iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?)?.into())));
    let headers: serde_json::Map<String, Value> = headers.collect();
    let mut about = json!({
        "topic": &*record.source.topic, "partition": record.source.partition, "offset": record.offset,
        "timestamp": record.timestamp, "headers": headers,
    });
    if let Some(key) = record.key.as_ref().and_then(text) {
        about["key"] = key.into();
    }
    about
}

/// A number that is the same for the same record on every machine and in every release.
fn seed_of(record: &Record) -> u64 {
    let source = &record.source;
    let (partition, offset) = (source.partition.to_be_bytes(), record.offset.to_be_bytes());
    prunella_model::seed_of([source.topic.as_bytes(), &partition, &offset])
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
