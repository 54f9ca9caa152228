//! JSON Schemas inside workflows: checked for mistakes, compiled without any access to network or files.

use jsonschema::{ReferencingError, ValidationError, Validator};
use prunella_model::Code;
use serde_json::Value;

use crate::document::{Document, join};
use crate::problem::Problem;
use crate::suggest;
use crate::tree::TreeJson;

/// The validator of a schema: draft 2020-12 unless `$schema` names another, formats asserted, no reference
/// outside the schema followed.
pub(crate) fn compile(schema: &Value) -> Result<Validator, Box<ValidationError<'static>>> {
    jsonschema::options().offline().should_validate_formats(true).build(schema).map_err(Box::new)
}

/// The same for values that are only looked at in passing.
pub(crate) fn compile_for_trees(schema: &Value) -> Result<Validator<TreeJson>, Box<ValidationError<'static>>> {
    jsonschema::options_for::<TreeJson>().offline().should_validate_formats(true).build(schema).map_err(Box::new)
}

/// All mistakes of the schema at `pointer` of `document`.
pub(crate) fn check(document: &Document, pointer: &str) -> Vec<Problem> {
    let Some(schema) = document.get(pointer) else {
        return Vec::new();
    };
    if !schema.is_object() && !schema.is_boolean() {
        let message = "a JSON Schema must be an object";
        return vec![document.at_value(Code::WorkflowSchema, pointer, message)];
    }
    let mut problems = Vec::new();
    let mut references = References { document, schema, base: pointer, named: has_ids(schema), problems: Vec::new() };
    references.visit(schema, pointer);
    problems.append(&mut references.problems);
    match jsonschema::meta::validator_for(schema) {
        Ok(meta) => problems.extend(meta.iter_errors(schema).map(|error| invalid(document, pointer, &error))),
        Err(_) => {
            let at = join(pointer, "$schema");
            let message = format!("the dialect {} is not known", document.get(&at).unwrap_or(&Value::Null));
            let help = "leave `$schema` out (draft 2020-12), or name one of draft 4, 6, 7, 2019-09 and 2020-12";
            problems.push(document.at_value(Code::WorkflowSchema, &at, message).help(help));
        }
    }
    if problems.is_empty()
        && let Err(error) = compile(schema)
    {
        problems.push(invalid(document, pointer, &error));
    }
    problems
}

fn invalid(document: &Document, pointer: &str, error: &ValidationError<'_>) -> Problem {
    use jsonschema::error::ValidationErrorKind as Kind;
    let at = format!("{pointer}{}", error.instance_path().as_str());
    let keyword = at.rsplit('/').next().unwrap_or_default();
    let written = brief(error.instance());
    let message = match error.kind() {
        Kind::AnyOf { .. } | Kind::Enum { .. } if keyword == "type" => {
            format!("{written} is not a type of JSON Schema")
        }
        Kind::Type { .. } | Kind::AnyOf { .. } => {
            format!("{written} is not what the keyword `{keyword}` takes")
        }
        Kind::Format { format } if format == "regex" => {
            format!("{written} is not a regular expression")
        }
        _ => brief_text(&error.to_string()),
    };
    let types = ["string", "number", "integer", "boolean", "object", "array", "null"];
    let mut problem = document.at_value(Code::WorkflowSchema, &at, format!("the JSON Schema is not valid: {message}"));
    if keyword == "type" {
        problem.help = Some(format!("the types are {}", suggest::list(types)));
    }
    problem
}

fn brief(value: &Value) -> String {
    brief_text(&value.to_string())
}

fn brief_text(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Looks at every `$ref`, because only then is each one that leads nowhere reported, and with its place.
struct References<'a> {
    document: &'a Document,
    schema: &'a Value,
    /// Pointer of the schema inside the document.
    base: &'a str,
    /// Parts of the schema have names of their own (`$id`), so references need not be pointers.
    named: bool,
    problems: Vec<Problem>,
}

impl References<'_> {
    fn visit(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(item, &join(pointer, &index.to_string()));
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let field = join(pointer, name);
                    match (name.as_str(), value) {
                        // What stands in these is data, not schema.
                        ("const" | "enum" | "default" | "examples", _) => {}
                        ("$ref" | "$dynamicRef", Value::String(target)) => self.reference(target, &field),
                        _ => self.visit(value, &field),
                    }
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, target: &str, pointer: &str) {
        if let Some(fragment) = target.strip_prefix('#') {
            let found = fragment.is_empty() || self.schema.pointer(&percent_decoded(fragment)).is_some();
            if !found && fragment.starts_with('/') && !self.named {
                let message = format!("the reference {target:?} leads nowhere in this schema");
                self.report(pointer, message, None);
            }
            return;
        }
        let known = self.named || resolves_offline(target);
        if !known {
            let message = format!("the reference {target:?} leads out of this schema, and nothing is ever fetched");
            let help = "copy what it refers to under `$defs` and write \"#/$defs/…\"";
            self.report(pointer, message, Some(help));
        }
    }

    fn report(&mut self, pointer: &str, message: String, help: Option<&str>) {
        debug_assert!(pointer.starts_with(self.base));
        let mut problem = self.document.at_value(Code::WorkflowSchema, pointer, message);
        problem.help = help.map(str::to_owned);
        self.problems.push(problem);
    }
}

fn has_ids(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(has_ids),
        Value::Object(fields) => {
            fields.get("$id").or_else(|| fields.get("id")).is_some_and(Value::is_string) || fields.values().any(has_ids)
        }
        _ => false,
    }
}

/// The meta-schemas are built in.
fn resolves_offline(target: &str) -> bool {
    let schema = serde_json::json!({ "$ref": target });
    match compile(&schema) {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            jsonschema::error::ValidationErrorKind::Referencing(
                ReferencingError::Unretrievable { .. } | ReferencingError::InvalidUri(_)
            )
        ),
    }
}

fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
