//! Framing of control records: Confluent wire format when a registry is configured, else Avro
//! single-object encoding. Both are always readable.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use futures::future::BoxFuture;

use crate::error::WireError;
use crate::registry::Registry;
use crate::schema::{ControlRecord, Fingerprint, RecordSchema};

const SINGLE_OBJECT_MAGIC: [u8; 2] = [0xc3, 0x01];
const CONFLUENT_MAGIC: u8 = 0;

/// Where the schemas of other releases are looked up: the topic `state.schemas`.
pub trait SchemaSource: Send + Sync {
    /// The text of the schema with this fingerprint; `None` when it is not there after waiting a
    /// reasonable time for it to arrive.
    fn find(&self, fingerprint: Fingerprint) -> BoxFuture<'_, Option<String>>;
}

struct WriterSchema {
    name: String,
    schema: Schema,
    fingerprint: Fingerprint,
}

/// Encodes and decodes control records. Shared by all stages of a process.
pub struct Codec {
    registry: Option<Registry>,
    source: Option<Arc<dyn SchemaSource>>,
    by_fingerprint: RwLock<HashMap<Fingerprint, Arc<WriterSchema>>>,
    by_id: RwLock<HashMap<u32, Arc<WriterSchema>>>,
    ids: RwLock<HashMap<(String, &'static str), u32>>,
}

impl Codec {
    pub fn new(registry: Option<Registry>, source: Option<Arc<dyn SchemaSource>>) -> Self {
        let known = crate::records::all().into_iter().map(|record| {
            let writer = WriterSchema {
                name: record.name.to_owned(),
                schema: record.schema.clone(),
                fingerprint: record.fingerprint,
            };
            (record.fingerprint, Arc::new(writer))
        });
        Self {
            registry,
            source,
            by_fingerprint: RwLock::new(known.collect()),
            by_id: RwLock::default(),
            ids: RwLock::default(),
        }
    }

    /// Registers the records that this process writes to `topic` (subject `<topic>-<record>`). Does
    /// nothing without a registry.
    ///
    /// # Errors
    /// [`WireError::Registry`] when the registry does not answer or refuses the schema.
    pub async fn register(&self, topic: &str, records: &[&'static RecordSchema]) -> Result<(), WireError> {
        let Some(registry) = &self.registry else { return Ok(()) };
        for record in records {
            let id = registry.register(topic, record).await?;
            write(&self.ids).insert((topic.to_owned(), record.name), id);
        }
        Ok(())
    }

    /// # Errors
    /// [`WireError::NotRegistered`] with a registry and without a prior [`Codec::register`].
    pub fn encode<T: ControlRecord>(&self, topic: &str, record: &T) -> Result<Vec<u8>, WireError> {
        let schema = T::schema();
        let mut bytes = Vec::with_capacity(256);
        if self.registry.is_some() {
            let id = read(&self.ids).get(&(topic.to_owned(), T::NAME)).copied();
            let id = id.ok_or_else(|| WireError::NotRegistered { record: T::NAME, topic: topic.to_owned() })?;
            bytes.push(CONFLUENT_MAGIC);
            bytes.extend_from_slice(&id.to_be_bytes());
        } else {
            bytes.extend_from_slice(&SINGLE_OBJECT_MAGIC);
            bytes.extend_from_slice(&schema.fingerprint.0);
        }
        schema
            .writer
            .write_ser(&mut bytes, record)
            .map_err(|error| WireError::Encode { record: T::NAME, reason: error.to_string() })?;
        Ok(bytes)
    }

    /// Finds out which record `bytes` hold. Waits only for a schema that this process has not met.
    pub async fn open<'b>(&self, bytes: &'b [u8]) -> Result<Opened<'b>, WireError> {
        match bytes {
            [0xc3, 0x01, rest @ ..] if rest.len() >= 8 => {
                let mut fingerprint = Fingerprint([0; 8]);
                fingerprint.0.copy_from_slice(&rest[..8]);
                Ok(Opened { writer: self.writer_by_fingerprint(fingerprint).await?, body: &rest[8..] })
            }
            [CONFLUENT_MAGIC, a, b, c, d, body @ ..] => {
                let id = u32::from_be_bytes([*a, *b, *c, *d]);
                Ok(Opened { writer: self.writer_by_id(id).await?, body })
            }
            _ => Err(WireError::Framing { length: bytes.len(), start: bytes.iter().take(8).copied().collect() }),
        }
    }

    /// Reads the one record type that may stand in a place.
    pub async fn decode<T: ControlRecord>(&self, bytes: &[u8]) -> Result<T, WireError> {
        self.open(bytes).await?.read()
    }

    async fn writer_by_fingerprint(&self, fingerprint: Fingerprint) -> Result<Arc<WriterSchema>, WireError> {
        if let Some(writer) = read(&self.by_fingerprint).get(&fingerprint) {
            return Ok(writer.clone());
        }
        // Once for each schema: every future that reads a record would have room for the asking.
        Box::pin(self.find_writer(fingerprint)).await
    }

    async fn find_writer(&self, fingerprint: Fingerprint) -> Result<Arc<WriterSchema>, WireError> {
        let unknown = || WireError::UnknownFingerprint { fingerprint: fingerprint.to_string() };
        let source = self.source.as_ref().ok_or_else(unknown)?;
        let text = source.find(fingerprint).await.ok_or_else(unknown)?;
        let writer = Arc::new(parse_writer(&text).map_err(|_| unknown())?);
        write(&self.by_fingerprint).insert(fingerprint, writer.clone());
        Ok(writer)
    }

    async fn writer_by_id(&self, id: u32) -> Result<Arc<WriterSchema>, WireError> {
        if let Some(writer) = read(&self.by_id).get(&id) {
            return Ok(writer.clone());
        }
        Box::pin(self.ask_for_writer(id)).await
    }

    async fn ask_for_writer(&self, id: u32) -> Result<Arc<WriterSchema>, WireError> {
        let registry = self.registry.as_ref().ok_or(WireError::NoRegistry { id })?;
        let text = registry.schema(id).await?;
        let writer = parse_writer(&text).map_err(|reason| WireError::UnknownRegistryId {
            id,
            url: registry.url().to_owned(),
            reason,
        })?;
        let writer = Arc::new(writer);
        write(&self.by_id).insert(id, writer.clone());
        Ok(writer)
    }
}

/// A control record whose type is known and whose body is not read yet.
pub struct Opened<'b> {
    writer: Arc<WriterSchema>,
    body: &'b [u8],
}

impl Opened<'_> {
    /// Full name of the record, `prunella.StartRun`.
    pub fn name(&self) -> &str {
        &self.writer.name
    }

    pub fn is<T: ControlRecord>(&self) -> bool {
        self.writer.name == T::NAME
    }

    /// The record as JSON, whatever its type, for people. Bytes that are text are shown as text.
    ///
    /// # Errors
    /// [`WireError::Decode`] when the body does not fit its schema.
    pub fn to_json(&self) -> Result<serde_json::Value, WireError> {
        let failed = |error: apache_avro::Error| WireError::Decode {
            writer: self.writer.name.clone(),
            reader: "JSON",
            reason: error.to_string(),
        };
        let reader = GenericDatumReader::builder(&self.writer.schema).build().map_err(failed)?;
        let mut body = self.body;
        Ok(json_of(reader.read_value(&mut body).map_err(failed)?))
    }

    /// Reads the record, resolving the writer's schema to this release's where they differ.
    pub fn read<T: ControlRecord>(&self) -> Result<T, WireError> {
        if !self.is::<T>() {
            return Err(WireError::UnexpectedRecord { found: self.writer.name.clone(), expected: T::NAME });
        }
        let reader_schema = T::schema();
        let failed = |reason: String| WireError::Decode {
            writer: format!("{} {}", self.writer.name, self.writer.fingerprint),
            reader: T::NAME,
            reason,
        };
        let mut body = self.body;
        let record = if self.writer.fingerprint == reader_schema.fingerprint {
            reader_schema.reader.read_deser::<T>(&mut body)
        } else {
            GenericDatumReader::builder(&self.writer.schema)
                .reader_schema(reader_schema.schema)
                .human_readable(false)
                .build()
                .and_then(|reader| reader.read_deser::<T>(&mut body))
        }
        .map_err(|error| failed(error.to_string()))?;
        if body.is_empty() { Ok(record) } else { Err(failed(format!("{} bytes are left over", body.len()))) }
    }
}

fn json_of(value: apache_avro::types::Value) -> serde_json::Value {
    use apache_avro::types::Value as Avro;
    match value {
        Avro::Null => serde_json::Value::Null,
        Avro::Boolean(value) => value.into(),
        Avro::Int(value) => value.into(),
        Avro::Long(value) | Avro::TimestampMillis(value) => value.into(),
        Avro::Float(value) => value.into(),
        Avro::Double(value) => value.into(),
        Avro::String(text) | Avro::Enum(_, text) => text.into(),
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(error) => format!("<{} bytes>", error.as_bytes().len()).into(),
        },
        Avro::Union(_, inner) => json_of(*inner),
        Avro::Array(items) => items.into_iter().map(json_of).collect(),
        Avro::Map(fields) => fields.into_iter().map(|(name, value)| (name, json_of(value))).collect(),
        Avro::Record(fields) => fields.into_iter().map(|(name, value)| (name, json_of(value))).collect(),
        other => format!("{other:?}").into(),
    }
}

fn parse_writer(text: &str) -> Result<WriterSchema, String> {
    let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let name = schema.name().map(ToString::to_string).ok_or("the schema is not a record")?;
    let fingerprint = Fingerprint::of(&schema);
    Ok(WriterSchema { name, schema, fingerprint })
}

// A poisoned lock means another thread panicked between two map operations; the maps stay valid.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
