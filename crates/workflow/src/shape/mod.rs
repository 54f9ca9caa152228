//! Whether a file has the shape of its kind: every field known, present where it must be, and of its type.
//!
//! The check walks the schema that is generated from the types, so that all mistakes are found at once
//! (deserialising stops at the first), each with its place and in plain words.

mod noun;
mod words;

use std::sync::LazyLock;

use prunella_model::{Code, Kind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::noun::NOUNS;
use self::words::{expected, first_sentence, found, name_of, short, type_name};
use crate::document::{Document, join};
use crate::problem::{Problem, Problems};
use crate::schema::schema_of;
use crate::suggest;

type Schema = Map<String, Value>;

/// All mistakes in the shape of `document`.
pub(crate) fn check(document: &Document, kind: Kind) -> Vec<Problem> {
    let root = schema_of(kind);
    let mut shape = Shape { document, root, problems: Vec::new() };
    if let Some(schema) = root.as_object() {
        shape.value(schema, document.value(), "");
    }
    shape.problems
}

/// The typed definition, for a document (or what its files made of it) that passed [`check`].
pub(crate) fn typed<T: DeserializeOwned>(document: &Document, resolved: &Value) -> Result<T, Problems> {
    serde_path_to_error::deserialize(resolved).map_err(|error| {
        let pointer = error.path().iter().fold(String::new(), |pointer, segment| {
            use serde_path_to_error::Segment;
            match segment {
                Segment::Seq { index } => join(&pointer, &index.to_string()),
                Segment::Map { key } => join(&pointer, key),
                Segment::Enum { .. } | Segment::Unknown => pointer,
            }
        });
        let message = error.inner().to_string();
        document.at_value(Code::WorkflowShape, &pointer, message).into()
    })
}

struct Shape<'a> {
    document: &'a Document,
    /// The schema that references lead into.
    root: &'static Value,
    problems: Vec<Problem>,
}

impl Shape<'_> {
    fn value(&mut self, schema: &'static Schema, value: &Value, pointer: &str) {
        let schema = self.branch(resolve(self.root, schema), value);
        if let Some(allowed) = allowed_words(schema) {
            return self.word(&allowed, value, pointer);
        }
        let Some(expected) = schema.get("type").and_then(Value::as_str) else {
            // Where any value may stand, null would read back as a field that was left out.
            if schema.contains_key("anyOf") || value.is_null() {
                self.wrong_type(schema, value, pointer);
            }
            return;
        };
        match (expected, value) {
            ("object", Value::Object(fields)) => self.object(schema, fields, pointer),
            ("array", Value::Array(items)) => self.array(schema, items, pointer),
            ("string", Value::String(text)) => self.text(schema, text, pointer),
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.integer(schema, number, pointer);
            }
            ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {}
            _ => self.wrong_type(schema, value, pointer),
        }
    }

    /// Of alternatives, the one that the author meant: the first of the value's type whose required fields are there.
    fn branch(&self, schema: &'static Schema, value: &Value) -> &'static Schema {
        let Some(Value::Array(branches)) = schema.get("anyOf") else {
            return schema;
        };
        let fitting = || {
            let branches = branches.iter().filter_map(Value::as_object).map(|branch| resolve(self.root, branch));
            branches.filter(|branch| branch.get("type").is_some_and(|name| name == type_name(value)))
        };
        let complete = fitting().find(|branch| required(branch).all(|field| value.get(field).is_some()));
        complete.or_else(|| fitting().next_back()).unwrap_or(schema)
    }

    fn object(&mut self, schema: &'static Schema, fields: &Map<String, Value>, pointer: &str) {
        static NONE: LazyLock<Schema> = LazyLock::new(Map::new);
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&NONE);
        for (name, value) in fields {
            let field = join(pointer, name);
            match (known.get(name), schema.get("additionalProperties")) {
                (Some(Value::Object(expected)), _) | (None, Some(Value::Object(expected))) => {
                    self.value(expected, value, &field);
                }
                (None, Some(Value::Bool(false))) => self.unknown(known, name, &field),
                _ => {}
            }
        }
        // A misspelt field is one mistake, not an unknown and a missing one.
        let names = || known.keys().map(String::as_str);
        let meant: Vec<_> = fields
            .keys()
            .filter(|name| !known.contains_key(*name))
            .filter_map(|name| suggest::nearest(name, names()))
            .collect();
        for name in required(schema).filter(|name| !fields.contains_key(*name) && !meant.contains(name)) {
            let description = known.get(name).and_then(|field| field.get("description")).and_then(Value::as_str);
            let mut problem = self.document.at_key(Code::WorkflowShape, pointer, format!("missing field `{name}`"));
            problem.help = description.map(|text| format!("`{name}`: {}", first_sentence(text)));
            self.problems.push(problem);
        }
    }

    fn unknown(&mut self, known: &Map<String, Value>, name: &str, field: &str) {
        let names = known.keys().map(String::as_str);
        let help = match suggest::nearest(name, names.clone()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "no fields are allowed here: write {}".to_owned(),
            None => format!("the fields here are {}", suggest::list(names)),
        };
        let message = format!("unknown field `{name}`");
        self.problems.push(self.document.at_key(Code::WorkflowShape, field, message).help(help));
    }

    fn array(&mut self, schema: &'static Schema, items: &[Value], pointer: &str) {
        if schema.get("minItems").and_then(Value::as_u64).is_some_and(|least| (items.len() as u64) < least) {
            let message = format!("{} needs at least one entry", name_of(pointer));
            self.problems.push(self.document.at_value(Code::WorkflowValue, pointer, message));
        }
        let Some(expected) = schema.get("items").and_then(Value::as_object) else {
            return;
        };
        for (index, item) in items.iter().enumerate() {
            self.value(expected, item, &join(pointer, &index.to_string()));
        }
    }

    fn text(&mut self, schema: &'static Schema, text: &str, pointer: &str) {
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
            return;
        };
        let Some(noun) = NOUNS.iter().find(|noun| noun.pattern == pattern) else {
            return;
        };
        if let Err(message) = (noun.parse)(text) {
            self.problems.push(self.document.at_value(noun.code, pointer, message));
        }
    }

    fn integer(&mut self, schema: &'static Schema, number: &serde_json::Number, pointer: &str) {
        let least = schema.get("minimum").and_then(Value::as_u64).unwrap_or_default();
        let most = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => u64::from(u32::MAX),
            _ => u64::MAX,
        };
        if !number.as_u64().is_some_and(|number| (least..=most).contains(&number)) {
            let bound = if number.as_u64().is_some_and(|number| number > most) {
                format!("at most {most}")
            } else {
                format!("at least {least}")
            };
            let message = format!("{} must be {bound}, not {number}", name_of(pointer));
            self.problems.push(self.document.at_value(Code::WorkflowValue, pointer, message));
        }
    }

    fn word(&mut self, allowed: &[&str], value: &Value, pointer: &str) {
        if value.as_str().is_some_and(|word| allowed.contains(&word)) {
            return;
        }
        let found = found(value);
        let choices = suggest::list(allowed.iter().copied()).replace(" and ", " or ");
        let message = format!("{} must be {choices}, not {found}", name_of(pointer));
        let mut problem = self.document.at_value(Code::WorkflowShape, pointer, message);
        problem.help = value
            .as_str()
            .and_then(|word| suggest::nearest(word, allowed.iter().copied()))
            .map(|meant| format!("did you mean `{meant}`?"));
        self.problems.push(problem);
    }

    fn wrong_type(&mut self, schema: &'static Schema, value: &Value, pointer: &str) {
        let expected = expected(self.root, schema);
        let name = name_of(pointer);
        let message = match value {
            Value::Null => format!("{name} has no value; expected {expected}"),
            value => format!("{name} must be {expected}, not {}", found(value)),
        };
        let mut problem = self.document.at_value(Code::WorkflowShape, pointer, message);
        let wants = schema.get("type").and_then(Value::as_str);
        problem.help = match (wants, value) {
            (_, Value::Null) => Some("give it a value or remove the field".to_owned()),
            (Some("boolean"), Value::String(_)) => Some("write true or false".to_owned()),
            (Some("string"), Value::Number(_) | Value::Bool(_)) if !schema.contains_key("pattern") => {
                Some(format!("put it in quotes: \"{value}\""))
            }
            (Some("integer"), Value::String(_)) => Some("write the number without quotes".to_owned()),
            (Some("array"), value) if !value.is_object() => Some(format!("write a list: [{}]", short(value))),
            _ => None,
        };
        self.problems.push(problem);
    }
}

fn resolve(root: &'static Value, schema: &'static Schema) -> &'static Schema {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| root.pointer(reference.strip_prefix('#')?))
        .and_then(Value::as_object);
    target.unwrap_or(schema)
}

fn required(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The words an enumeration allows, whether its variants have descriptions (`oneOf`) or not (`enum`).
fn allowed_words(schema: &Schema) -> Option<Vec<&str>> {
    if let Some(Value::Array(words)) = schema.get("enum") {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let Some(Value::Array(variants)) = schema.get("oneOf") else {
        return None;
    };
    Some(variants.iter().filter_map(|variant| variant.get("const")?.as_str()).collect())
}
