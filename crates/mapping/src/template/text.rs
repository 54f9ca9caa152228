use serde_json::Value;

use super::parse::{self, Part};
use crate::{Bindings, CompileError, EvalError, Expression, Input, Limits, Moment, StepReads};

/// Text in which `{{ … }}` holds JSONata.
///
/// Text that is one `{{ … }}` and nothing else stands for the value of the expression, with its type. In other text,
/// strings stand as they are, numbers and booleans as in JSON; other values are an error, as is an undefined value
/// anywhere. `{{` itself is written `{{ "{{" }}`; `}}` outside an expression is plain text.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// How values stand in the text of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Plain,
    /// For URLs: every byte of UTF-8 but the unreserved characters of RFC 3986 (letters, digits, `-._~`) is written `%XX`.
    /// An expression at the very start gives scheme and host, which are left as they are.
    Percent,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, CompileError> {
        Ok(Self { source: text.to_owned(), parts: parse::parse(text)? })
    }

    /// A template's text that gives `literal`, whatever it holds.
    pub fn escape(literal: &str) -> String {
        literal.replace(parse::OPEN, r#"{{ "{{" }}"#)
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the template holds no expression.
    pub fn is_static(&self) -> bool {
        self.expressions().next().is_none()
    }

    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(expression) => Some(expression),
            Part::Literal(_) => None,
        })
    }

    /// Which outputs of steps the template may read.
    pub fn step_reads(&self) -> StepReads {
        union(self.expressions().map(Expression::step_reads))
    }

    /// The value of the template: any JSON value if it is one expression, else a string.
    pub fn evaluate(
        &self,
        input: &Input<'_>,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Value, EvalError> {
        match self.parts.as_slice() {
            [Part::Expression(expression)] => value_of(expression, input, bindings, moment, limits),
            _ => self.render(Encoding::Plain, input, bindings, moment, limits).map(Value::String),
        }
    }

    /// The JSON text of the value, over the JSON text of what it reads.
    pub(super) fn evaluate_text(&self, text: &str, moment: Moment, limits: &Limits) -> Result<Vec<u8>, EvalError> {
        let bindings = Bindings::new();
        match self.parts.as_slice() {
            [Part::Expression(expression)] => {
                defined(expression, expression.evaluate_text(text, &bindings, moment, limits))
            }
            _ => Ok(self.evaluate(&Input::from_json(text)?, &bindings, moment, limits)?.to_string().into_bytes()),
        }
    }

    /// The text of the template.
    pub fn render(
        &self,
        encoding: Encoding,
        input: &Input<'_>,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<String, EvalError> {
        let mut out = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Expression(expression) => {
                    let text = text_of(expression, value_of(expression, input, bindings, moment, limits)?)?;
                    match encoding {
                        Encoding::Percent if index > 0 => percent_encode(&mut out, &text),
                        _ => out.push_str(&text),
                    }
                }
            }
        }
        Ok(out)
    }
}

pub(super) fn union(reads: impl Iterator<Item = StepReads>) -> StepReads {
    reads.fold(StepReads::Only(std::collections::BTreeSet::new()), StepReads::union)
}

fn value_of(
    expression: &Expression,
    input: &Input<'_>,
    bindings: &Bindings,
    moment: Moment,
    limits: &Limits,
) -> Result<Value, EvalError> {
    defined(expression, expression.evaluate_input(input, bindings, moment, limits))
}

fn defined<T>(expression: &Expression, result: Result<Option<T>, EvalError>) -> Result<T, EvalError> {
    let source = || expression.source().to_owned();
    result
        .map_err(|error| EvalError::Template { expression: source(), error: Box::new(error) })?
        .ok_or_else(|| EvalError::TemplateUndefined { expression: source() })
}

fn text_of(expression: &Expression, value: Value) -> Result<String, EvalError> {
    let found = match value {
        Value::String(text) => return Ok(text),
        Value::Number(number) => return Ok(number.to_string()),
        Value::Bool(boolean) => return Ok(boolean.to_string()),
        Value::Null => "null",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Err(EvalError::TemplateValue { expression: expression.source().to_owned(), found })
}

fn percent_encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}
