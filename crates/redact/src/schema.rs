//! A JSON Schema without secrets: its words stay, what it gives as examples does not.

use serde_json::{Map, Value};

use crate::detect;
use crate::pass::Pass;

/// Keywords whose values are values of the field.
const SAMPLES: [&str; 5] = ["default", "const", "enum", "example", "examples"];
/// Keywords whose keys are names of fields.
const FIELDS: [&str; 1] = ["properties"];

impl Pass<'_> {
    /// The schema, with redacted examples, defaults and constants of the fields that are redacted.
    pub fn schema(&mut self, schema: &Value) -> Value {
        self.schema_at(schema, &mut Vec::new(), false)
    }

    fn schema_at(&mut self, schema: &Value, path: &mut Vec<String>, is_meant: bool) -> Value {
        match schema {
            Value::Object(words) => {
                let mut redacted = Map::new();
                for (word, value) in words {
                    let value = if FIELDS.contains(&word.as_str()) {
                        self.fields_of_schema(value, path)
                    } else if is_meant && SAMPLES.contains(&word.as_str()) {
                        self.all_of(value)
                    } else {
                        self.schema_at(value, path, is_meant)
                    };
                    redacted.insert(self.word(word), value);
                }
                Value::Object(redacted)
            }
            Value::Array(items) => items.iter().map(|item| self.schema_at(item, path, is_meant)).collect(),
            Value::String(text) => self.word(text).into(),
            other => other.clone(),
        }
    }

    fn fields_of_schema(&mut self, fields: &Value, path: &mut Vec<String>) -> Value {
        let Value::Object(fields) = fields else { return fields.clone() };
        let mut redacted = Map::new();
        for (name, schema) in fields {
            path.push(name.clone());
            let is_meant = detect::is_secret_name(name) || self.is_configured(path);
            let schema = self.schema_at(schema, path, is_meant);
            redacted.insert(self.word(name), schema);
            path.pop();
        }
        Value::Object(redacted)
    }

    fn all_of(&mut self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.all_of(item)).collect(),
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), self.all_of(value))).collect(),
            leaf => self.leaf(leaf, true),
        }
    }
}
