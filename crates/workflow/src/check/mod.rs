//! What the types cannot say: names that must exist, graphs that must end, expressions that must compile, files that
//! must be there.
//!
//! The checks look at the parsed file, not at the typed workflow, so that one mistake in its shape does not hide the
//! others. They say nothing about values of the wrong type: the shape check has.

mod expression;
mod http;
mod schema;
mod steps;
mod stream;

use prunella_model::{Code, Kind};
use serde_json::Value;

use self::expression::Root;
use crate::document::{Document, join};
use crate::files::Files;
use crate::limits::Limits;
use crate::problem::{Problem, Problems};
use crate::reads::Reads;
use crate::suggest;

/// All problems beyond the shape, and the file's value with mapping and schema files put in their place.
pub(crate) fn check(document: &Document, kind: Kind, files: &mut Files<'_>, limits: &Limits) -> (Vec<Problem>, Value) {
    let resolved = document.value().clone();
    let mut checker = Checker { document, files, limits, problems: Vec::new(), resolved };
    match kind {
        Kind::Workflow => checker.workflow(),
        Kind::Stream => checker.stream(),
    }
    (checker.problems, checker.resolved)
}

/// What the file declares. Everything else in it is read accordingly, so a wrong kind is the only problem that is told.
pub(crate) fn kind(document: &Document) -> Result<Kind, Problems> {
    let Some(kind) = document.get("/kind") else {
        if document.get("/stream").is_some() && document.get("/workflow").is_none() {
            let message = "a stream needs `kind: stream`";
            return Err(document.at_key(Code::WorkflowShape, "/stream", message).into());
        }
        return Ok(Kind::Workflow);
    };
    if kind == Kind::Stream.as_str() {
        return Ok(Kind::Stream);
    }
    let message = format!("`kind` must be stream, not {kind}");
    let problem = document.at_value(Code::WorkflowShape, "/kind", message);
    Err(problem.help("a file without `kind` is a workflow").into())
}

struct Checker<'a, 'f> {
    document: &'a Document,
    files: &'a mut Files<'f>,
    limits: &'a Limits,
    problems: Vec<Problem>,
    resolved: Value,
}

impl<'a> Checker<'a, '_> {
    fn workflow(&mut self) {
        self.longer_than_nothing("/deadline");
        let steps = self.steps();
        self.output(&steps);
    }

    fn output(&mut self, steps: &steps::Steps<'a>) {
        let output = "/output";
        if !self.is_object(output) {
            return;
        }
        self.exactly_one(output, &["from", "transform"], "where the records come from");
        if let Some(from) = self.text("/output/from")
            && !steps.exists(from)
        {
            let problem =
                self.document.at_value(Code::WorkflowGraph, "/output/from", format!("there is no step `{from}`"));
            self.problems.push(problem.help(steps.help_for_unknown(from)));
        }
        if self.document.get("/output/schema").is_some() && self.document.get("/output/transform").is_none() {
            let message =
                "`schema` belongs to `output.transform`; items of a step are validated by the step's own `schema`";
            self.report_key(Code::WorkflowShape, "/output/schema", message);
        }
        let reads = self.mapping("/output/transform", Root::Context);
        self.reads_only(reads, steps, None);
        self.schema("/output/schema");
        self.key();
    }

    /// The key is computed where a record is validated, which knows the record and not the run's other steps.
    fn key(&mut self) {
        let Some(read) = self.expression("/output/key", Root::Item) else {
            return;
        };
        if read.reads != Reads::default() {
            let message = "the key reads the outputs of steps, but it is computed from the validated record alone";
            self.report(Code::WorkflowGraph, &read.pointer, message);
        }
    }

    /// Reports none and more than one of `fields` in the object at `pointer`.
    fn exactly_one(&mut self, pointer: &str, fields: &[&str], what: &str) {
        let given: Vec<_> = fields.iter().filter(|field| self.document.get(&join(pointer, field)).is_some()).collect();
        match given.as_slice() {
            [_] => {}
            [] => {
                let choices = suggest::list(fields.iter().copied()).replace(" and ", " or ");
                let message = format!("{choices} is missing: it says {what}");
                let problem = self.document.at_key(Code::WorkflowShape, pointer, message);
                self.problems.push(problem);
            }
            [first, more @ ..] => {
                for field in more {
                    let message = format!("`{field}` cannot stand beside `{first}`: give exactly one of them");
                    self.report_key(Code::WorkflowShape, &join(pointer, field), message);
                }
            }
        }
    }

    fn longer_than_nothing(&mut self, pointer: &str) {
        let Some(text) = self.text(pointer) else {
            return;
        };
        let zero = text.parse::<prunella_model::Period>().is_ok_and(|period| period.duration().is_zero())
            || text.parse::<prunella_model::ByteSize>().is_ok_and(|size| size.bytes() == 0);
        if zero {
            self.report(Code::WorkflowValue, pointer, format!("`{}` must be more than 0", last(pointer)));
        }
    }

    fn text(&self, pointer: &str) -> Option<&'a str> {
        self.document.get(pointer).and_then(Value::as_str)
    }

    fn is_object(&self, pointer: &str) -> bool {
        self.document.get(pointer).is_some_and(Value::is_object)
    }

    fn report(&mut self, code: Code, pointer: &str, message: impl Into<String>) {
        self.problems.push(self.document.at_value(code, pointer, message));
    }

    fn report_key(&mut self, code: Code, pointer: &str, message: impl Into<String>) {
        self.problems.push(self.document.at_key(code, pointer, message));
    }
}

fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}
