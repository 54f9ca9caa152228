//! Parts of mappings evaluated over rows, within the limits of the product.

use std::cell::RefCell;
use std::collections::HashMap;

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use serde_json::Value;

/// Compiles each text once.
#[derive(Default)]
pub(crate) struct Evaluator {
    compiled: RefCell<HashMap<String, Option<Expression>>>,
    limits: Limits,
}

/// Stands for the whole record in texts that are evaluated for a row. Names that begin with `prunella_` are the engine's.
const ROOT: &str = "whole_record_of_the_row";
/// Stands for a value that a text is tried with.
pub(crate) const VALUE: &str = "value_that_is_tried";

impl Evaluator {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { compiled: RefCell::default(), limits }
    }

    /// What the mapping makes of a record; the error is in words.
    pub(crate) fn map(&self, text: &str, record: &Value) -> Result<Value, String> {
        let expression = self.expression(text).ok_or_else(|| "does not compile".to_owned())?;
        match expression.evaluate(record, &Bindings::new(), Moment::new(0, 0), &self.limits) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err("gives no value".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A part of a mapping for a row of a record; `None` for no value, an error for what cannot be evaluated.
    pub(crate) fn part(&self, prelude: &str, text: &str, row: &Value, record: &Value) -> Result<Option<Value>, ()> {
        self.part_with(prelude, text, row, record, None)
    }

    /// The same, where [`VALUE`] in the text is a value.
    pub(crate) fn part_with(
        &self,
        prelude: &str,
        text: &str,
        row: &Value,
        record: &Value,
        value: Option<&Value>,
    ) -> Result<Option<Value>, ()> {
        let text = if prelude.is_empty() { text.to_owned() } else { format!("({prelude}{text})") };
        let around = text.contains("$$");
        let text = if around { text.replace("$$", &format!("${ROOT}")) } else { text };
        let expression = self.expression(&text).ok_or(())?;
        let mut bindings = Bindings::new();
        if around {
            bindings = bindings.with(ROOT, record.clone());
        }
        if let Some(value) = value {
            bindings = bindings.with(VALUE, value.clone());
        }
        expression.evaluate(row, &bindings, Moment::new(0, 0), &self.limits).map_err(|_| ())
    }

    fn expression(&self, text: &str) -> Option<Expression> {
        if let Some(known) = self.compiled.borrow().get(text) {
            return known.clone();
        }
        let compiled = Expression::compile(text).ok();
        self.compiled.borrow_mut().insert(text.to_owned(), compiled.clone());
        compiled
    }
}
