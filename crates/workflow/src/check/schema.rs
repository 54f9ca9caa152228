//! JSON Schemas, in the workflow or in a file beside it.

use prunella_model::Code;
use serde_json::Value;

use super::Checker;
use crate::document::{Document, join};
use crate::json_schema;

impl Checker<'_, '_> {
    /// Checks the schema at `pointer`, if there is one, and puts the content of its file in its place.
    pub(super) fn schema(&mut self, pointer: &str) {
        if !self.is_object(pointer) {
            return;
        }
        let file_field = join(pointer, "file");
        let Some(file) = self.document.get(&file_field) else {
            self.problems.extend(json_schema::check(self.document, pointer));
            return;
        };
        let Some(file) = file.as_str() else { return };
        let source = match self.files.read(file) {
            Ok(source) => source,
            Err(error) => {
                let mut problem = self.document.at_value(error.code, &file_field, error.message);
                problem.help = error.help;
                self.problems.push(problem);
                return;
            }
        };
        let schema = match Document::from_source(source, self.limits) {
            Ok(schema) => schema,
            Err(problems) => {
                self.problems.extend(problems.into_vec());
                return;
            }
        };
        if !schema.value().is_object() {
            let message = "a JSON Schema must be an object";
            self.problems.push(schema.at_value(Code::WorkflowSchema, "", message));
            return;
        }
        self.problems.extend(json_schema::check(&schema, ""));
        self.put(pointer, schema.value().clone());
    }

    pub(super) fn put(&mut self, pointer: &str, value: Value) {
        if let Some(place) = self.resolved.pointer_mut(pointer) {
            *place = value;
        }
    }
}
