//! How messages name what was expected and what was found.

use serde_json::Value;

use super::{Schema, required, resolve};
use crate::suggest;

pub(super) fn expected(root: &'static Value, schema: &'static Schema) -> String {
    if let Some(Value::Array(branches)) = schema.get("anyOf") {
        let branches = branches.iter().filter_map(Value::as_object);
        return branches.map(|branch| expected(root, resolve(root, branch))).collect::<Vec<_>>().join(" or ");
    }
    let example = schema.get("examples").and_then(|examples| examples.get(0)).and_then(Value::as_str);
    if let Some(example) = example {
        return format!("a text such as {example}");
    }
    let required: Vec<_> = required(schema).collect();
    match schema.get("type").and_then(Value::as_str) {
        Some("object") if !required.is_empty() => {
            format!("an object with {}", suggest::list(required))
        }
        Some("object") => "an object".to_owned(),
        Some("array") => "a list".to_owned(),
        Some("string") => "a text".to_owned(),
        Some("integer") => "a whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        _ => "a value".to_owned(),
    }
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => format!("the text {}", short(value)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

pub(super) fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}

/// How a message names what stands at `pointer`.
pub(super) fn name_of(pointer: &str) -> String {
    match pointer.rsplit_once('/') {
        None => "the file".to_owned(),
        Some((parent, last)) if last.bytes().all(|b| b.is_ascii_digit()) => match parent.rsplit_once('/') {
            Some((_, list)) => format!("an entry of `{list}`"),
            None => "an entry".to_owned(),
        },
        Some((_, last)) => format!("`{}`", last.replace("~1", "/").replace("~0", "~")),
    }
}

pub(super) fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}
