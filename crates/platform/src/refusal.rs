use bytes::Bytes;
use jsonschema::Validator;
use serde_json::Value;

use prunella_mapping::{Bindings, EvalError, Expression, Limits, Moment};
use prunella_model::Code;

use crate::fields::{FieldError, field_errors};

/// Why a value is not sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    /// What the schema does not allow, if that is the reason.
    pub fields: Vec<FieldError>,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new() }
    }

    /// The refusal of a value that `schema` does not allow, with at most `limit` field errors.
    pub fn invalid(schema: &Validator, value: &Value, limit: usize) -> Self {
        let fields = field_errors(schema, value, limit);
        Self { code: Code::ItemInvalid, message: summary(&fields), fields }
    }
}

impl From<EvalError> for Refusal {
    fn from(error: EvalError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

fn summary(fields: &[FieldError]) -> String {
    let first = fields.first().map_or_else(String::new, |field| {
        let place = if field.pointer.is_empty() { "the item" } else { &field.pointer };
        format!("{place}: {} (found {})", field.expected, field.found)
    });
    match fields.len() {
        0 | 1 => first,
        more => format!("{first}; and {} more", more - 1),
    }
}

/// The key that `output.key` gives for a valid value. A key is text: strings as they are, everything else as JSON.
///
/// # Errors
/// [`Refusal`] when the expression fails or gives no value.
pub fn output_key(
    expression: &Expression,
    value: &Value,
    bindings: &Bindings,
    moment: Moment,
    limits: &Limits,
) -> Result<Bytes, Refusal> {
    let key = expression.evaluate(value, bindings, moment, limits);
    match key.map_err(|error| Refusal::new(error.code(), format!("output.key: {error}")))? {
        None | Some(Value::Null) => Err(Refusal::new(
            Code::OutputKey,
            "output.key gives no value for this item: name a field that every item has",
        )),
        Some(Value::String(text)) => Ok(Bytes::from(text)),
        Some(other) => Ok(Bytes::from(other.to_string())),
    }
}
