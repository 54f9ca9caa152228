use std::borrow::Cow;

use serde_json::Value;

use crate::{EvalError, exact};

/// A JSON value made ready to be read by expressions, once for many evaluations.
///
/// Numbers are 64-bit floats in JSONata. Integers beyond ±9007199254740991 do not fit, so a second form of the value
/// is kept when it holds such integers, in which they travel as marked strings.
#[derive(Debug, Clone, PartialEq)]
pub struct Input<'a> {
    value: Cow<'a, Value>,
    marked: Option<Value>,
}

impl<'a> Input<'a> {
    pub fn borrowed(value: &'a Value) -> Self {
        Self { marked: exact::mark_value(value), value: Cow::Borrowed(value) }
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value with marked integers; `None` when it holds none that needs a mark.
    pub(crate) fn marked(&self) -> Option<&Value> {
        self.marked.as_ref()
    }

    pub(crate) fn into_value(self) -> Value {
        self.value.into_owned()
    }
}

impl Input<'static> {
    pub fn new(value: Value) -> Self {
        Self { marked: exact::mark_value(&value), value: Cow::Owned(value) }
    }

    /// Reads JSON text. Unlike [`Input::new`], integers longer than 64 bits keep all their digits too.
    pub fn from_json(text: &str) -> Result<Self, EvalError> {
        let value = exact::parse(text)?;
        let marked = exact::mark_text(text)?.as_deref().map(exact::parse).transpose()?;
        Ok(Self { value: Cow::Owned(value), marked })
    }
}

impl From<Value> for Input<'static> {
    fn from(value: Value) -> Self {
        Self::new(value)
    }
}
