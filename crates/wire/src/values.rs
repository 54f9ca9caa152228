//! Avro values of users: records of their topics in the Confluent wire format, as JSON and back.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::{Number, Value};

use crate::error::WireError;
use crate::registry::Registry;

const MAGIC: u8 = 0;

/// The schemas that values were written with, by their id in the registry. Shared by all streams of a process; what is
/// known is found without waiting.
pub struct ValueSchemas {
    registry: Option<Registry>,
    by_id: RwLock<HashMap<u32, Arc<ValueReader>>>,
}

/// Reads values of one schema.
pub struct ValueReader {
    reader: GenericDatumReader<'static>,
}

/// Writes values of one schema that is registered.
pub struct ValueWriter {
    id: u32,
    schema: &'static Schema,
    writer: GenericDatumWriter<'static>,
}

/// The id of the schema that a value was written with, and the rest of the value.
///
/// # Errors
/// [`WireError::NotConfluent`] for a value that is not in the Confluent wire format.
pub fn schema_id(value: &[u8]) -> Result<(u32, &[u8]), WireError> {
    match value {
        [MAGIC, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        _ => Err(WireError::NotConfluent { length: value.len(), start: value.iter().take(5).copied().collect() }),
    }
}

impl ValueSchemas {
    pub fn new(registry: Option<Registry>) -> Self {
        Self { registry, by_id: RwLock::default() }
    }

    pub fn known(&self, id: u32) -> Option<Arc<ValueReader>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The reader of values with this id, asked of the registry if need be.
    pub async fn reader(&self, id: u32) -> Result<Arc<ValueReader>, WireError> {
        if let Some(reader) = self.known(id) {
            return Ok(reader);
        }
        let registry = self.registry.as_ref().ok_or(WireError::NoRegistry { id })?;
        let text = registry.schema(id).await?;
        let unusable = |reason: String| WireError::UnknownRegistryId { id, url: registry.url().to_owned(), reason };
        let schema = Schema::parse_str(&text).map_err(|error| unusable(error.to_string()))?;
        let reader = Arc::new(ValueReader::new(schema).map_err(unusable)?);
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(id, reader.clone());
        Ok(reader)
    }

    /// Registers a schema for what is about to be written.
    pub async fn writer(&self, subject: &str, schema: &str) -> Result<ValueWriter, WireError> {
        let registry =
            self.registry.as_ref().ok_or_else(|| WireError::NoRegistryToWrite { subject: subject.into() })?;
        let id = registry.register_value(subject, schema).await?;
        ValueWriter::new(id, schema)
    }
}

// Schemas live as long as the process: there are as many as users register.
fn leaked(schema: Schema) -> &'static Schema {
    Box::leak(Box::new(schema))
}

impl ValueReader {
    fn new(schema: Schema) -> Result<Self, String> {
        let reader = GenericDatumReader::builder(leaked(schema)).build().map_err(|error| error.to_string())?;
        Ok(Self { reader })
    }

    /// The value behind the schema id as JSON. Bytes become text of one character per byte, as in Avro's JSON encoding.
    ///
    /// # Errors
    /// [`WireError::Value`] when the bytes do not fit the schema, or hold what JSON cannot.
    pub fn to_json(&self, mut body: &[u8]) -> Result<Value, WireError> {
        let value =
            self.reader.read_value(&mut body).map_err(|error| WireError::Value { reason: error.to_string() })?;
        if !body.is_empty() {
            return Err(WireError::Value { reason: format!("{} bytes are left over", body.len()) });
        }
        json_of(value)
    }
}

impl ValueWriter {
    /// # Errors
    /// [`WireError::Value`] for text that is no Avro schema.
    pub fn new(id: u32, schema: &str) -> Result<Self, WireError> {
        let unusable = |error: apache_avro::Error| WireError::Value { reason: error.to_string() };
        let schema = leaked(Schema::parse_str(schema).map_err(unusable)?);
        let writer = GenericDatumWriter::builder(schema).build().map_err(unusable)?;
        Ok(Self { id, schema, writer })
    }

    /// The value in the Confluent wire format.
    ///
    /// # Errors
    /// [`WireError::ValueMisfit`] when the value does not fit the schema, or has a field that the schema has not.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, WireError> {
        let misfit = |reason: String| WireError::ValueMisfit { reason };
        let loose = loose(value).map_err(misfit)?;
        let mut avro = loose.resolve(self.schema).map_err(|error| misfit(error.to_string()))?;
        align(&mut avro, value, &mut String::new()).map_err(misfit)?;
        let mut bytes = Vec::with_capacity(256);
        bytes.push(MAGIC);
        bytes.extend_from_slice(&self.id.to_be_bytes());
        self.writer.write_value_ref(&mut bytes, &avro).map_err(|error| misfit(error.to_string()))?;
        Ok(bytes)
    }
}

/// The value in the types that JSON has, which the resolution turns into those of the schema.
fn loose(value: &Value) -> Result<Avro, String> {
    Ok(match value {
        Value::Null => Avro::Null,
        Value::Bool(value) => Avro::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Avro::Long(integer),
            (None, Some(float)) if number.is_f64() => Avro::Double(float),
            _ => return Err(format!("{number} is larger than Avro's long")),
        },
        Value::String(text) => Avro::String(text.clone()),
        Value::Array(items) => Avro::Array(items.iter().map(loose).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name.clone(), loose(field)?)));
            Avro::Map(fields.collect::<Result<_, String>>()?)
        }
    })
}

/// Makes up for two things the resolution does in silence: it drops fields that the schema does not have, which is an
/// error here, and it takes text for UTF-8 where the schema wants bytes, which are characters up to U+00FF here.
fn align(avro: &mut Avro, json: &Value, pointer: &mut String) -> Result<(), String> {
    match (avro, json) {
        (Avro::Union(_, inner), json) => align(inner, json, pointer),
        (Avro::Record(fields), Value::Object(given)) => {
            if let Some(unknown) = given.keys().find(|name| !fields.iter().any(|(known, _)| known == *name)) {
                return Err(format!("{pointer}/{unknown}: the schema has no such field"));
            }
            fields.iter_mut().try_for_each(|(name, field)| match given.get(name) {
                Some(json) => below(pointer, name, |pointer| align(field, json, pointer)),
                None => Ok(()),
            })
        }
        (Avro::Map(fields), Value::Object(given)) => fields.iter_mut().try_for_each(|(name, field)| {
            let json = given.get(name).unwrap_or(&Value::Null);
            below(pointer, name, |pointer| align(field, json, pointer))
        }),
        (Avro::Array(items), Value::Array(given)) => {
            items.iter_mut().zip(given).enumerate().try_for_each(|(index, (item, json))| {
                below(pointer, &index.to_string(), |pointer| align(item, json, pointer))
            })
        }
        (Avro::Bytes(bytes), Value::String(text)) => {
            let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            *bytes = latin.ok_or_else(|| format!("{pointer}: bytes are written as characters up to U+00FF"))?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn below(
    pointer: &mut String,
    name: &str,
    visit: impl FnOnce(&mut String) -> Result<(), String>,
) -> Result<(), String> {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(name);
    visit(pointer)?;
    pointer.truncate(length);
    Ok(())
}

fn json_of(value: Avro) -> Result<Value, WireError> {
    let cannot = |what: &str| Err(WireError::Value { reason: format!("{what} cannot be read as JSON") });
    Ok(match value {
        Avro::Null => Value::Null,
        Avro::Boolean(value) => value.into(),
        Avro::Int(value) | Avro::Date(value) | Avro::TimeMillis(value) => value.into(),
        Avro::Long(value)
        | Avro::TimeMicros(value)
        | Avro::TimestampMillis(value)
        | Avro::TimestampMicros(value)
        | Avro::TimestampNanos(value)
        | Avro::LocalTimestampMillis(value)
        | Avro::LocalTimestampMicros(value)
        | Avro::LocalTimestampNanos(value) => value.into(),
        // The shortest digits that mean the same float, not those of the nearest double.
        Avro::Float(value) => return float(value.to_string().parse().unwrap_or(f64::from(value))),
        Avro::Double(value) => return float(value),
        Avro::String(text) | Avro::Enum(_, text) => text.into(),
        Avro::Uuid(uuid) => uuid.to_string().into(),
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => bytes.into_iter().map(char::from).collect::<String>().into(),
        Avro::Union(_, inner) => return json_of(*inner),
        Avro::Array(items) => Value::Array(items.into_iter().map(json_of).collect::<Result<_, _>>()?),
        Avro::Map(fields) => {
            // In an order of its own, so that the same record gives the same bytes.
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            object(fields)?
        }
        Avro::Record(fields) => object(fields)?,
        Avro::Decimal(_) | Avro::BigDecimal(_) => return cannot("a decimal"),
        Avro::Duration(_) => return cannot("a duration"),
    })
}

fn object(fields: Vec<(String, Avro)>) -> Result<Value, WireError> {
    let fields = fields.into_iter().map(|(name, field)| Ok((name, json_of(field)?)));
    Ok(Value::Object(fields.collect::<Result<_, WireError>>()?))
}

fn float(value: f64) -> Result<Value, WireError> {
    let number = Number::from_f64(value).map(Value::Number);
    number.ok_or_else(|| WireError::Value { reason: format!("{value} cannot be read as JSON") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = r#"{ "type": "record", "name": "Order", "fields": [
        { "name": "id", "type": "string" },
        { "name": "cents", "type": "long" },
        { "name": "rate", "type": "double" },
        { "name": "note", "type": ["null", "string"], "default": null },
        { "name": "at", "type": { "type": "long", "logicalType": "timestamp-millis" } },
        { "name": "status", "type": { "type": "enum", "name": "Status", "symbols": ["PAID", "OPEN"] } },
        { "name": "hash", "type": "bytes" },
        { "name": "buyer", "type": ["null", { "type": "record", "name": "Buyer", "fields": [{ "name": "name", "type": "string" }] }] },
        { "name": "tags", "type": { "type": "array", "items": "string" } },
        { "name": "more", "type": { "type": "map", "values": "int" } }
    ] }"#;

    fn order() -> Value {
        json!({
            "id": "a", "cents": 9_007_199_254_740_993_i64, "rate": 2, "note": "ü", "at": 1_700_000_000_000_i64,
            "status": "PAID", "hash": "\u{0}ÿ", "buyer": { "name": "B" }, "tags": ["x"], "more": { "a": 1, "b": 2 }
        })
    }

    fn writer() -> ValueWriter {
        ValueWriter::new(7, SCHEMA).expect("a schema")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = writer().encode(&order()).expect("fits");
        let (id, body) = schema_id(&bytes).expect("framed");
        assert_eq!(id, 7);
        let reader = ValueReader::new(Schema::parse_str(SCHEMA).expect("parses")).expect("a reader");
        let mut expected = order();
        expected["rate"] = json!(2.0);
        assert_eq!(reader.to_json(body).expect("read"), expected);
        assert!(reader.to_json(&body[..body.len() - 1]).is_err());
        assert!(reader.to_json(&[body, &[0]].concat()).is_err());
    }

    #[test]
    fn defaults_fill_what_is_missing() {
        let mut order = order();
        order.as_object_mut().expect("an object").remove("note");
        writer().encode(&order).expect("note has a default");
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_never_dropped() {
        for (change, named) in [
            (json!({ "cents": "12" }), ""),
            (json!({ "status": "LOST" }), "LOST"),
            (json!({ "cents": 1.5 }), ""),
            (json!({ "extra": 1 }), "/extra"),
            (json!({ "buyer": { "name": "B", "vip": true } }), "/buyer/vip"),
            (json!({ "hash": "Ā" }), "/hash"),
        ] {
            let mut order = order();
            for (name, value) in change.as_object().expect("an object") {
                order[name] = value.clone();
            }
            let error = writer().encode(&order).expect_err(&change.to_string());
            assert!(error.to_string().contains(named), "{change}: {error}");
        }
        let mut order = order();
        order.as_object_mut().expect("an object").remove("id");
        assert!(writer().encode(&order).is_err());
    }

    #[test]
    fn other_framings_are_not_taken_for_values() {
        for bytes in [&b"{\"a\":1}"[..], b"", b"\x00\x00\x00\x01", b"\xc3\x01rest"] {
            assert!(matches!(schema_id(bytes), Err(WireError::NotConfluent { .. })), "{bytes:?}");
        }
    }
}
