//! JSON text as a tree that is only good for being validated: texts stand where they stand in the source, objects are
//! lists. A third of the cost of a `serde_json::Value`, which copies every text and hashes every name.

use std::borrow::Cow;
use std::fmt;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, cmp};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// A value of a JSON text. Of fields with equal names the last counts, but all are there: not for text of strangers,
/// whose repeated fields would be counted as several.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTree<'t> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'t, str>),
    Array(Vec<JsonTree<'t>>),
    Object(Vec<(Cow<'t, str>, JsonTree<'t>)>),
}

/// Names [`JsonTree`] as what a validator is for.
pub struct TreeJson;

impl<'t> JsonTree<'t> {
    /// # Errors
    /// What is not JSON, as `serde_json` tells it.
    pub fn parse(text: &'t [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::String(text) => Value::String(text.clone().into_owned()),
            Self::Array(items) => items.iter().map(JsonTree::value).collect(),
            Self::Object(fields) => {
                Value::Object(fields.iter().map(|(name, field)| (name.clone().into_owned(), field.value())).collect())
            }
        }
    }
}

struct TreeVisitor;

/// A text, borrowed where it has no escapes.
struct Text<'t>(Cow<'t, str>);
struct TextVisitor;

impl<'t> Visitor<'t> for TextVisitor {
    type Value = Text<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<Text<'t>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'t>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'t> Deserialize<'t> for Text<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'t> Visitor<'t> for TreeVisitor {
    type Value = JsonTree<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<JsonTree<'t>, E> {
        Ok(JsonTree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonTree<'t>, E> {
        Ok(JsonTree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsonTree<'t>, E> {
        Ok(JsonTree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<JsonTree<'t>, E> {
        Ok(JsonTree::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<JsonTree<'t>, E> {
        Ok(Number::from_f64(value).map_or(JsonTree::Null, JsonTree::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<JsonTree<'t>, E> {
        Ok(JsonTree::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<JsonTree<'t>, E> {
        Ok(JsonTree::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<JsonTree<'t>, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element()? {
            found.push(item);
        }
        Ok(JsonTree::Array(found))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut fields: A) -> Result<JsonTree<'t>, A::Error> {
        let mut found = Vec::new();
        while let Some((Text(name), field)) = fields.next_entry::<Text<'t>, JsonTree<'t>>()? {
            found.push((name, field));
        }
        Ok(JsonTree::Object(found))
    }
}

impl<'t> Deserialize<'t> for JsonTree<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

impl Json for TreeJson {
    type Node<'a> = &'a JsonTree<'a>;
    type PreparedKey = String;
    type StringBuffer = ();
    // A lookup goes through the list.
    const KEYS_PER_LOOKUP: usize = 4;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Self::Node<'_>) -> T) -> T {
        f(&JsonTree::String(Cow::Borrowed(string)))
    }
}

impl<'a> Node<'a, TreeJson> for &'a JsonTree<'a> {
    type Object = &'a [(Cow<'a, str>, JsonTree<'a>)];
    type Array = &'a [JsonTree<'a>];
    type Number = &'a Number;

    fn as_object(&self) -> Option<Self::Object> {
        match self {
            JsonTree::Object(fields) => Some(fields),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Self::Array> {
        match self {
            JsonTree::Array(items) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            JsonTree::String(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self {
            JsonTree::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            JsonTree::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, JsonTree::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            JsonTree::Null => JsonType::Null,
            JsonTree::Bool(_) => JsonType::Boolean,
            JsonTree::Number(_) => JsonType::Number,
            JsonTree::String(_) => JsonType::String,
            JsonTree::Array(_) => JsonType::Array,
            JsonTree::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self, expected) {
            (JsonTree::String(text), Value::String(expected)) => text == expected,
            (JsonTree::String(_), _) | (_, Value::String(_)) => false,
            _ => cmp::equal(&self.value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(self.value())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<JsonTree<'_>>(self) as usize))
    }
}

/// The fields of an object, in the order of the text.
pub struct Members<'a>(std::slice::Iter<'a, (Cow<'a, str>, JsonTree<'a>)>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a JsonTree<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, field)| (name.as_ref(), field))
    }
}

impl<'a> Object<'a, TreeJson> for &'a [(Cow<'a, str>, JsonTree<'a>)] {
    type Node = &'a JsonTree<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn get(&self, key: &String) -> Option<&'a JsonTree<'a>> {
        self.iter().rev().find(|(name, _)| name == key).map(|(_, field)| field)
    }

    fn members(&self) -> Members<'a> {
        Members(self.iter())
    }
}

impl<'a> Array<'a, TreeJson> for &'a [JsonTree<'a>] {
    type Node = &'a JsonTree<'a>;
    type ElementsIter = std::slice::Iter<'a, JsonTree<'a>>;

    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn elements(&self) -> Self::ElementsIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json_schema::{compile, compile_for_trees};

    #[test]
    fn validates_what_a_value_validates() {
        let schemas = [
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } }),
            json!({ "additionalProperties": false, "properties": { "a": {}, "b": {} }, "minProperties": 1 }),
            json!({ "properties": { "s": { "minLength": 2, "maxLength": 3, "pattern": "^[a-zü]+$" } } }),
            json!({ "properties": { "s": { "format": "date" }, "a": { "exclusiveMinimum": 1, "multipleOf": 0.5 } } }),
            json!({ "properties": { "s": { "enum": ["ab", "a\nb", 1, null, [1, 2]] }, "b": { "const": { "x": 1.0 } } } }),
            json!({ "properties": { "l": { "uniqueItems": true, "items": { "type": "number" }, "maxItems": 3 } } }),
            json!({ "propertyNames": { "maxLength": 1 }, "patternProperties": { "^a": { "type": ["integer", "null"] } } }),
            json!({ "$ref": "#/$defs/t", "$defs": { "t": { "properties": { "b": { "$ref": "#/$defs/t" }, "a": { "maximum": 2 } } } } }),
            json!({ "anyOf": [{ "required": ["s"] }, { "properties": { "l": { "contains": { "const": 2 } } }, "required": ["l"] }] }),
            json!({ "if": { "required": ["a"] }, "then": { "required": ["b"] }, "unevaluatedProperties": false, "properties": { "a": true } }),
            json!(true),
            json!(false),
        ];
        let texts = [
            "null",
            "1",
            "\"ab\"",
            "[]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1.5,"b":{"x":1}}"#,
            r#"{"a":"1"}"#,
            r#"{"a":3,"c":1}"#,
            r#"{"s":"ab"}"#,
            r#"{"s":"ü\u0062"}"#,
            r#"{"s":"a\nb"}"#,
            r#"{"s":"2026-01-31"}"#,
            r#"{"s":[1,2.0]}"#,
            r#"{"s":null}"#,
            r#"{"l":[1,2,3]}"#,
            r#"{"l":[1,1.0]}"#,
            r#"{"l":[1,"2"]}"#,
            r#"{"long":true}"#,
            r#"{"b":{"b":{"a":3}}}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"a":1e400}"#,
            r#"{"a":-0.0}"#,
        ];
        let mut verdicts = [0, 0];
        for schema in &schemas {
            let (plain, fast) = (compile(schema).expect("compiles"), compile_for_trees(schema).expect("compiles"));
            for text in texts {
                let Ok(value) = serde_json::from_str::<Value>(text) else {
                    assert!(JsonTree::parse(text.as_bytes()).is_err(), "{text}");
                    continue;
                };
                let tree = JsonTree::parse(text.as_bytes()).expect(text);
                assert_eq!(tree.value(), value, "{text}");
                let valid = plain.is_valid(&value);
                assert_eq!(fast.is_valid(&tree), valid, "{text} of {schema}");
                verdicts[usize::from(valid)] += 1;
            }
        }
        assert!(verdicts.iter().all(|count| *count > 50), "{verdicts:?}");
    }
}
