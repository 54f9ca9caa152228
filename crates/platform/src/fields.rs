//! What is wrong with an item, field by field, without showing what stands in it.

use jsonschema::{ValidationError, Validator};
use serde::Serialize;
use serde_json::Value;

/// One thing that a schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer of the field in the item.
    pub pointer: String,
    /// Keyword of the schema that is not satisfied, such as `type` or `minimum`.
    pub keyword: String,
    /// What the schema says there, cut to a length that fits a header.
    pub expected: String,
    /// Type and size of what is there; never the text itself.
    pub found: String,
}

const LONGEST_EXPECTATION: usize = 200;

/// The first `limit` errors of `item`; empty when it is valid.
pub fn field_errors(schema: &Validator, item: &Value, limit: usize) -> Vec<FieldError> {
    schema.iter_errors(item).take(limit).map(|error| field_error(&error, item)).collect()
}

fn field_error(error: &ValidationError<'_>, item: &Value) -> FieldError {
    let pointer = error.instance_path().as_str().to_owned();
    let found = item.pointer(&pointer).map_or_else(|| "nothing".to_owned(), excerpt);
    let keyword = error.kind().keyword().to_owned();
    FieldError { expected: expectation(error), pointer, keyword, found }
}

/// The message of the error with the value masked: messages quote instances, which may be secrets.
fn expectation(error: &ValidationError<'_>) -> String {
    let mut text = error.masked().to_string();
    if text.len() > LONGEST_EXPECTATION {
        let end = (0..=LONGEST_EXPECTATION).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What kind of value it is, and how large.
fn excerpt(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(number) if number.is_f64() => "number".to_owned(),
        Value::Number(_) => "integer".to_owned(),
        Value::String(text) => format!("string of {} characters", text.chars().count()),
        Value::Array(items) => format!("array of {} items", items.len()),
        Value::Object(fields) => format!("object of {} fields", fields.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_place_keyword_and_expectation_and_hides_the_value() {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": { "email": { "type": "string", "pattern": "^[a-z]+$" }, "age": { "minimum": 18 } }
        });
        let schema = jsonschema::validator_for(&schema).expect("compiles");
        let errors = field_errors(&schema, &json!({ "email": "S3CRET@x", "age": 3 }), 10);
        let places: Vec<_> = errors.iter().map(|error| (error.pointer.as_str(), error.keyword.as_str())).collect();
        assert!(places.contains(&("/email", "pattern")), "{errors:?}");
        assert!(places.contains(&("/age", "minimum")), "{errors:?}");
        assert!(places.contains(&("", "required")), "{errors:?}");
        assert!(!format!("{errors:?}").contains("S3CRET"), "{errors:?}");
        let email = errors.iter().find(|error| error.pointer == "/email").expect("found above");
        assert_eq!(email.found, "string of 8 characters");
        assert_eq!(field_errors(&schema, &json!({ "email": "S3CRET@x", "age": 3 }), 2).len(), 2);
    }
}
