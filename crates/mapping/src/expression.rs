use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::patience::patiently;
use crate::{
    Bindings, CompileError, CompiledExpression, Engine, EvalError, Input, JlensEngine, LimitKind, Limits, Moment,
    Reads, StepReads,
};

/// A JSONata expression or mapping, compiled once. Cheap to clone; may be used by many threads at once.
#[derive(Clone)]
pub struct Expression {
    compiled: Arc<dyn CompiledExpression>,
}

impl Expression {
    /// Compiles with the default engine.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Self::compile_with(&JlensEngine, source)
    }

    pub fn compile_with(engine: &dyn Engine, source: &str) -> Result<Self, CompileError> {
        Ok(Self { compiled: engine.compile(source)? })
    }

    pub fn source(&self) -> &str {
        self.compiled.source()
    }

    /// What the expression may read of its input and of its variables: never less than it reads.
    pub fn reads(&self) -> &Reads {
        self.compiled.reads()
    }

    /// Which outputs of steps the expression may read, as `$steps.<id>` or as `steps.<id>`.
    pub fn step_reads(&self) -> StepReads {
        self.reads().steps()
    }

    /// Evaluates over `input`; `None` when the result is undefined.
    pub fn evaluate(
        &self,
        input: &Value,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Value>, EvalError> {
        self.evaluate_input(&Input::borrowed(input), bindings, moment, limits)
    }

    /// Like [`Expression::evaluate`], over an input made ready once for many evaluations.
    pub fn evaluate_input(
        &self,
        input: &Input<'_>,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Value>, EvalError> {
        patiently(limits, |limits| self.compiled.evaluate(input, bindings, moment, limits))
    }

    /// Like [`Expression::evaluate`], from JSON text to JSON text. What the expression does not read is not built, and
    /// integers of any length that are only copied keep all their digits.
    pub fn evaluate_text(
        &self,
        text: &str,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>, EvalError> {
        patiently(limits, |limits| self.compiled.evaluate_text(text, bindings, moment, limits))
    }

    /// Maps one item: JSON text in, JSON text out. A result that is undefined is an error, as are functions and numbers
    /// that are not finite in it. Integers of any length that are only copied keep all their digits.
    pub fn map_item(
        &self,
        item: &[u8],
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Vec<u8>, EvalError> {
        if item.len() > limits.max_input_bytes.as_usize() {
            return Err(LimitKind::InputSize.error(limits));
        }
        let text = std::str::from_utf8(item)
            .map_err(|error| EvalError::Input { reason: format!("not UTF-8 at byte {}", error.valid_up_to()) })?;
        self.evaluate_text(text, bindings, moment, limits)?.ok_or(EvalError::Undefined)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source()).finish()
    }
}
