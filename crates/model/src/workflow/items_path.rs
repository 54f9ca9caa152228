//! Where the items stand inside an answer.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a path of items ({reason}): write field names separated by dots, such as data.orders; a name with other characters stands in `backticks`; $ alone is the whole answer"
)]
pub struct ItemsPathError {
    text: String,
    reason: &'static str,
}

/// A path of field names separated by dots, such as `data.orders`. A name that holds anything but letters,
/// digits, `_`, `-`, `@` and `:` stands in backticks. `$` alone is the whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemsPath {
    text: String,
    fields: Vec<String>,
}

impl ItemsPath {
    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Field names from the outermost inwards; empty for `$`.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The value at this path of `answer`, `None` when a field on the way is missing or its parent is not an object.
    pub fn find<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        self.fields.iter().try_fold(answer, |value, field| value.as_object()?.get(field))
    }

    /// As [`ItemsPath::find`], for taking the value out without a copy.
    pub fn find_mut<'a>(&self, answer: &'a mut Value) -> Option<&'a mut Value> {
        self.fields.iter().try_fold(answer, |value, field| value.as_object_mut()?.get_mut(field))
    }
}

impl FromStr for ItemsPath {
    type Err = ItemsPathError;

    fn from_str(text: &str) -> Result<Self, ItemsPathError> {
        parse_fields(text)
            .map(|fields| Self { text: text.to_owned(), fields })
            .map_err(|reason| ItemsPathError { text: text.to_owned(), reason })
    }
}

fn parse_fields(text: &str) -> Result<Vec<String>, &'static str> {
    if text == "$" {
        return Ok(Vec::new());
    }
    if text.starts_with("$.") {
        return Err("leave out the leading `$.`");
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('`') {
            Some(quoted) => quoted.split_once('`').ok_or("a backtick is not closed")?,
            None => rest.split_at(rest.find(|c: char| !is_bare(c)).unwrap_or(rest.len())),
        };
        if field.is_empty() {
            return Err(match rest.chars().next() {
                None | Some('.') => "a field name is missing",
                Some(_) => "a character that needs backticks",
            });
        }
        fields.push(field.to_owned());
        if after.is_empty() {
            return Ok(fields);
        }
        rest = after.strip_prefix('.').ok_or("a character that needs backticks")?;
    }
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | ':')
}

impl TryFrom<String> for ItemsPath {
    type Error = ItemsPathError;
    fn try_from(text: String) -> Result<Self, ItemsPathError> {
        text.parse()
    }
}

impl From<ItemsPath> for String {
    fn from(path: ItemsPath) -> String {
        path.text
    }
}

impl fmt::Display for ItemsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for ItemsPath {
    fn schema_name() -> Cow<'static, str> {
        "ItemsPath".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(\$|(`[^`]+`|[\p{L}\p{N}_@:-]+)(\.(`[^`]+`|[\p{L}\p{N}_@:-]+))*)$",
            "examples": ["data.orders"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_read_with_and_without_backticks() {
        let fields = |text: &str| text.parse::<ItemsPath>().expect(text).fields().to_vec();
        assert_eq!(fields("data.orders"), ["data", "orders"]);
        assert_eq!(fields("`a.b`.c-d.`[x]`"), ["a.b", "c-d", "[x]"]);
        assert_eq!(fields("@graph.ns:item"), ["@graph", "ns:item"]);
        assert!(fields("$").is_empty());
    }

    #[test]
    fn what_is_not_a_path_says_why() {
        for (bad, reason) in [
            ("", "missing"),
            ("a..b", "missing"),
            ("a.", "missing"),
            ("$.data", "leave out"),
            ("data[0]", "backticks"),
            ("a b", "backticks"),
            ("`a", "not closed"),
            ("`a`b", "backticks"),
        ] {
            let error = bad.parse::<ItemsPath>().expect_err(bad).to_string();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn a_path_finds_its_value() {
        let answer = json!({ "data": { "orders": [1] } });
        let path: ItemsPath = "data.orders".parse().expect("valid");
        assert_eq!(path.find(&answer), Some(&json!([1])));
        assert_eq!("data.x".parse::<ItemsPath>().expect("valid").find(&answer), None);
        assert_eq!("$".parse::<ItemsPath>().expect("valid").find(&answer), Some(&answer));
    }
}
