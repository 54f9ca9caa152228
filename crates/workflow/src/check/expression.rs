//! JSONata in a workflow: conditions, mappings, keys and what stands between `{{` and `}}`.

use prunella_mapping::{CompileError, Expression, Template};
use prunella_model::Code;
use serde_json::Value;

use super::Checker;
use crate::document::join;
use crate::reads::Reads;

/// What the document says the root of an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// `{trigger, steps, run}`.
    Context,
    /// An item; the context is bound as `$trigger`, `$steps` and `$run`.
    Item,
    /// The value of a stream's record; the record itself is bound as `$record`.
    Record,
}

impl Root {
    /// How expressions name the outputs of steps.
    pub(super) fn steps(self) -> &'static str {
        match self {
            Self::Context => "steps",
            Self::Item | Self::Record => "$steps",
        }
    }
}

/// What an expression reads of other steps.
pub(super) struct Read {
    /// The text that holds the expression, or that names its file.
    pub(super) pointer: String,
    pub(super) root: Root,
    pub(super) reads: Reads,
}

impl Read {
    fn new(pointer: &str, expression: &Expression, root: Root) -> Self {
        let reads = match root {
            Root::Context => Reads::of_context(expression),
            Root::Item => Reads::of_mapping(expression),
            Root::Record => Reads::default(),
        };
        Self { pointer: pointer.to_owned(), root, reads }
    }
}

impl Checker<'_, '_> {
    /// Compiles the expression at `pointer`, if there is one.
    pub(super) fn expression(&mut self, pointer: &str, root: Root) -> Option<Read> {
        let text = self.text(pointer)?;
        match Expression::compile(text) {
            Ok(expression) => {
                let problem = |message| self.document.at_value(Code::WorkflowExpression, pointer, message);
                let foreign = foreign_variable(&expression, root).map(problem);
                self.problems.extend(foreign);
                Some(Read::new(pointer, &expression, root))
            }
            Err(error) => {
                let mut problem =
                    self.document.in_text(Code::WorkflowExpression, pointer, error.position, error.message.clone());
                problem.help = braces(text);
                self.problems.push(problem);
                None
            }
        }
    }

    /// Compiles the mapping at `pointer`, in place or in its file, and puts the file's text in its place.
    pub(super) fn mapping(&mut self, pointer: &str, root: Root) -> Option<Read> {
        let file_field = join(pointer, "file");
        let Some(file) = self.text(&file_field) else {
            return self.expression(pointer, root);
        };
        let source = match self.files.read(file) {
            Ok(source) => source,
            Err(error) => {
                let mut problem = self.document.at_value(error.code, &file_field, error.message);
                problem.help = error.help;
                self.problems.push(problem);
                return None;
            }
        };
        match Expression::compile(source.text()) {
            Ok(expression) => {
                let problem = |message| source.problem(Code::WorkflowExpression, 0..0, "", message);
                self.problems.extend(foreign_variable(&expression, root).map(problem));
                self.put(pointer, Value::String(source.text().to_owned()));
                Some(Read::new(&file_field, &expression, root))
            }
            Err(error) => {
                let at = error.position..error.position;
                let mut problem = source.problem(Code::WorkflowExpression, at, "", error.message);
                problem.help = braces(source.text());
                self.problems.push(problem);
                None
            }
        }
    }

    /// Compiles every template in the texts of the value at `pointer`.
    pub(super) fn templates(&mut self, pointer: &str) -> Vec<Read> {
        let Some(value) = self.document.get(pointer) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        self.templates_in(value, pointer, &mut found);
        found
    }

    fn templates_in(&mut self, value: &Value, pointer: &str, found: &mut Vec<Read>) {
        match value {
            Value::String(text) => match Template::parse(text) {
                Ok(template) => {
                    let reads = Reads::of_template(&template);
                    found.push(Read { pointer: pointer.to_owned(), root: Root::Context, reads });
                }
                Err(CompileError { message, position, .. }) => {
                    let problem = self.document.in_text(Code::WorkflowExpression, pointer, position, message);
                    self.problems.push(problem);
                }
            },
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.templates_in(item, &join(pointer, &index.to_string()), found);
                }
            }
            Value::Object(fields) => {
                for (name, item) in fields {
                    self.templates_in(item, &join(pointer, name), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A stream has no run: what the expressions of a step are given would be undefined here, and silently.
fn foreign_variable(expression: &Expression, root: Root) -> Option<String> {
    let given = ["trigger", "steps", "run"];
    let name = given.iter().find(|name| root == Root::Record && expression.reads().binding(name))?;
    Some(format!("the expression reads ${name}, which a stream does not have: it has the value as $ and $record"))
}

fn braces(text: &str) -> Option<String> {
    text.trim_start()
        .starts_with("{{")
        .then(|| "this field is an expression already: write it without {{ and }}".to_owned())
}
