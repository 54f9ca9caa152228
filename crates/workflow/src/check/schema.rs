//! JSON documents, in the workflow or in a file beside it.

use std::borrow::Cow;

use prunella_model::Code;
use serde_json::Value;

use super::Checker;
use crate::document::{Document, join};
use crate::json_schema;

impl<'a> Checker<'a, '_> {
    /// Checks the JSON Schema at `pointer`, if there is one, and puts the content of its file in its place.
    pub(super) fn schema(&mut self, pointer: &str) {
        if let Some((document, at)) = self.json_of(pointer) {
            self.problems.extend(json_schema::check(&document, &at));
        }
    }

    /// The JSON object at `pointer` or in the file it names, whose content is put in its place: the document that holds
    /// it, and where in there.
    pub(super) fn json_of(&mut self, pointer: &str) -> Option<(Cow<'a, Document>, String)> {
        if !self.is_object(pointer) {
            return None;
        }
        let file_field = join(pointer, "file");
        let Some(file) = self.document.get(&file_field) else {
            return Some((Cow::Borrowed(self.document), pointer.to_owned()));
        };
        let file = file.as_str()?;
        let source = match self.files.read(file) {
            Ok(source) => source,
            Err(error) => {
                let mut problem = self.document.at_value(error.code, &file_field, error.message);
                problem.help = error.help;
                self.problems.push(problem);
                return None;
            }
        };
        let found = match Document::from_source(source, self.limits) {
            Ok(found) => found,
            Err(problems) => {
                self.problems.extend(problems.into_vec());
                return None;
            }
        };
        if !found.value().is_object() {
            let message = "a schema must be an object";
            self.problems.push(found.at_value(Code::WorkflowSchema, "", message));
            return None;
        }
        self.put(pointer, found.value().clone());
        Some((Cow::Owned(found), String::new()))
    }

    pub(super) fn put(&mut self, pointer: &str, value: Value) {
        if let Some(place) = self.resolved.pointer_mut(pointer) {
            *place = value;
        }
    }
}
