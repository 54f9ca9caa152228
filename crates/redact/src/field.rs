use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The path of fields to redact: `customer.email`, `*.iban`, `**.ssn`. Items of arrays are passed through without a
/// word of the path, so `orders.iban` is the `iban` of every order. `*` is any one field, `**` any number of them, `\.`
/// a dot in a name. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Name(String),
    AnyOne,
    AnyNumber,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    text: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a path of fields: write names with dots between, such as customer.email or **.iban",
            self.text
        )
    }
}

impl std::error::Error for FieldError {}

impl FieldPattern {
    /// Whether the field at `path`, the names from the root without places in arrays, is meant.
    pub(crate) fn matches(&self, path: &[String]) -> bool {
        matches(&self.parts, path)
    }
}

/// Takes the fields that are meant out of a value, with all below them.
pub fn remove(value: &mut Value, fields: &[FieldPattern]) {
    if !fields.is_empty() {
        remove_at(value, fields, &mut Vec::new());
    }
}

fn remove_at(value: &mut Value, fields: &[FieldPattern], path: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.retain(|name, value| {
            path.push(name.clone());
            let is_meant = fields.iter().any(|field| field.matches(path));
            if !is_meant {
                remove_at(value, fields, path);
            }
            path.pop();
            !is_meant
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| remove_at(item, fields, path)),
        _ => {}
    }
}

fn matches(parts: &[Part], path: &[String]) -> bool {
    match (parts.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((Part::AnyNumber, rest)), None) => matches(rest, path),
        (Some((Part::AnyNumber, rest)), Some((_, deeper))) => matches(rest, path) || matches(parts, deeper),
        (Some((Part::AnyOne, rest)), Some((_, deeper))) => matches(rest, deeper),
        (Some((Part::Name(name), rest)), Some((found, deeper))) => {
            *name == found.to_lowercase() && matches(rest, deeper)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

impl FromStr for FieldPattern {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let error = || FieldError { text: text.to_owned() };
        let mut names = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '.' => names.push(String::new()),
                '\\' => names.last_mut().ok_or_else(error)?.push(characters.next().ok_or_else(error)?),
                other => names.last_mut().ok_or_else(error)?.push(other),
            }
        }
        let mut parts = Vec::new();
        for name in names {
            match name.as_str() {
                "" => return Err(error()),
                "*" => parts.push(Part::AnyOne),
                // Two in a row say no more than one, and cost time.
                "**" if parts.last() == Some(&Part::AnyNumber) => {}
                "**" => parts.push(Part::AnyNumber),
                name => parts.push(Part::Name(name.to_lowercase())),
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for FieldPattern {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<FieldPattern> for String {
    fn from(pattern: FieldPattern) -> String {
        pattern.text
    }
}

impl JsonSchema for FieldPattern {
    fn schema_name() -> Cow<'static, str> {
        "FieldPattern".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(pattern: &str, path: &str) -> bool {
        let path: Vec<String> = path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        pattern.parse::<FieldPattern>().expect(pattern).matches(&path)
    }

    #[test]
    fn paths_are_met_as_they_are_written() {
        for (pattern, path) in [
            ("customer.email", "customer/email"),
            ("Customer.EMAIL", "customer/Email"),
            ("*.iban", "bank/iban"),
            ("**.ssn", "ssn"),
            ("**.ssn", "a/b/c/ssn"),
            ("a.**.z", "a/z"),
            ("a.**.z", "a/b/c/z"),
            ("**.**.z", "z"),
            (r"a\.b.c", "a.b/c"),
        ] {
            assert!(meets(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("customer.email", "email"),
            ("customer.email", "customer/email/host"),
            ("*.iban", "iban"),
            ("*.iban", "a/b/iban"),
            ("**.ssn", "ssn/last"),
            ("a", ""),
        ] {
            assert!(!meets(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn fields_are_taken_out_wherever_they_are_meant() {
        let fields: Vec<FieldPattern> =
            ["customer.email", "**.iban"].iter().map(|text| text.parse().expect("path")).collect();
        let mut value = serde_json::json!({
            "email": "stays", "customer": { "name": "Ann", "email": "a@b.example" },
            "payments": [{ "iban": { "number": "DE1" }, "cents": 1 }, { "cents": 2 }],
        });
        remove(&mut value, &fields);
        let left = serde_json::json!({
            "email": "stays", "customer": { "name": "Ann" }, "payments": [{ "cents": 1 }, { "cents": 2 }],
        });
        assert_eq!(value, left);
    }

    #[test]
    fn what_is_no_path_says_what_one_is() {
        for text in ["", ".", "a..b", "a.", ".a", "a\\"] {
            let error = text.parse::<FieldPattern>().expect_err(text);
            assert!(error.to_string().contains("customer.email"), "{error}");
        }
    }
}
