//! The JSON Schemas of workflow and stream files, as editors use it and as the shape check reads it.

use std::sync::LazyLock;

use prunella_model::Kind;
use prunella_model::stream::Stream;
use prunella_model::workflow::Workflow;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

static WORKFLOW: LazyLock<Value> = LazyLock::new(|| generate::<Workflow>("Prunella workflow"));
static STREAM: LazyLock<Value> = LazyLock::new(|| generate::<Stream>("Prunella stream"));

/// The JSON Schema (draft 2020-12) of a workflow file, published as `schemas/workflow.schema.json`.
pub fn workflow_schema() -> &'static Value {
    &WORKFLOW
}

/// The JSON Schema (draft 2020-12) of a stream file, published as `schemas/stream.schema.json`.
pub fn stream_schema() -> &'static Value {
    &STREAM
}

pub(crate) fn schema_of(kind: Kind) -> &'static Value {
    match kind {
        Kind::Workflow => workflow_schema(),
        Kind::Stream => stream_schema(),
    }
}

fn generate<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), title.into());
    }
    schema
}

/// A field is given or left out. The generator also allows `null` for optional fields, which in YAML is what
/// stands there when the value was forgotten.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    fields.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(branches)) = fields.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if let [one] = branches.as_slice() {
                    let one = one.clone();
                    fields.shift_remove("anyOf");
                    if let Value::Object(one) = one {
                        one.into_iter().for_each(|(key, value)| {
                            fields.entry(key).or_insert(value);
                        });
                    }
                }
            }
            if fields.get("default").is_some_and(Value::is_null) {
                fields.shift_remove("default");
            }
            fields.values_mut().for_each(without_null);
        }
        _ => {}
    }
}
