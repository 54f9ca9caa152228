//! The part of a target schema that speaks of one field.

use jsonschema::Validator;
use serde_json::{Map, Value};

pub(crate) struct FieldSchema {
    validator: Option<Validator>,
    pub(crate) required: bool,
    /// All values that the field may have, if the schema counts them up; `null` is not among them.
    pub(crate) members: Vec<Value>,
}

/// A range of whole numbers up to this wide counts its values up.
const WIDEST_RANGE: i64 = 20;

impl FieldSchema {
    /// Of the field at these names, arrays walked through.
    pub(crate) fn of(schema: &Value, names: &[String]) -> Self {
        let mut at = resolve(schema, schema);
        let mut required = false;
        for name in names {
            at = at.and_then(|at| step_into(schema, at, name));
            let Some((next, needed)) = at.and_then(|at| field(schema, at, name)) else {
                return Self { validator: None, required: false, members: Vec::new() };
            };
            (at, required) = (Some(next), needed);
        }
        let validator = at.and_then(|at| {
            let mut own = at.as_object().cloned().unwrap_or_else(Map::new);
            for key in ["$defs", "definitions"] {
                if let Some(definitions) = schema.get(key) {
                    own.entry(key).or_insert_with(|| definitions.clone());
                }
            }
            jsonschema::options().offline().should_validate_formats(true).build(&Value::Object(own)).ok()
        });
        let members = at.map(members).unwrap_or_default();
        Self { validator, required, members }
    }

    /// Whether nothing is said about the field.
    pub(crate) fn is_open(&self) -> bool {
        self.validator.is_none()
    }

    pub(crate) fn allows(&self, value: Option<&Value>) -> bool {
        match value {
            None => !self.required,
            Some(value) => self.validator.as_ref().is_none_or(|validator| validator.is_valid(value)),
        }
    }
}

fn members(schema: &Value) -> Vec<Value> {
    if let Some(Value::Array(members)) = schema.get("enum") {
        return members.iter().filter(|member| !member.is_null()).cloned().collect();
    }
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
    let whole = schema.get("type").is_some_and(|kind| kind == "integer");
    match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) if whole && (0..WIDEST_RANGE).contains(&(high - low)) => {
            (low..=high).map(Value::from).collect()
        }
        _ => Vec::new(),
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let mut schema = schema;
    for _ in 0..8 {
        match schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => schema = root.pointer(pointer)?,
            None => return Some(schema),
        }
    }
    None
}

/// Through arrays and alternatives to the schema that has the field.
fn step_into<'a>(root: &'a Value, schema: &'a Value, name: &str) -> Option<&'a Value> {
    let mut schema = resolve(root, schema)?;
    for _ in 0..8 {
        if schema.get("properties").is_some_and(|properties| properties.get(name).is_some()) {
            return Some(schema);
        }
        let next = schema.get("items").or_else(|| {
            let options = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(key)?.as_array())?;
            options.iter().find(|option| option.get("properties").is_some() || option.get("items").is_some())
        })?;
        schema = resolve(root, next)?;
    }
    None
}

fn field<'a>(root: &'a Value, schema: &'a Value, name: &str) -> Option<(&'a Value, bool)> {
    let field = resolve(root, schema.get("properties")?.get(name)?)?;
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(|required| required.iter().any(|required| required == name));
    Some((field, required))
}
