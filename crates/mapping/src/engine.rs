use std::sync::Arc;

use serde_json::Value;

use crate::{Bindings, CompileError, EvalError, Input, Limits, Moment, Reads};

/// An implementation of JSONata.
pub trait Engine: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> &'static str;
    fn compile(&self, source: &str) -> Result<Arc<dyn CompiledExpression>, CompileError>;
}

/// An expression compiled by an [`Engine`]. Evaluations share nothing: many threads may use one at once.
pub trait CompiledExpression: Send + Sync {
    fn source(&self) -> &str;

    /// What the expression may read of its input and of its variables.
    fn reads(&self) -> &Reads;

    /// Evaluates over a value; `None` when the result is undefined.
    fn evaluate(
        &self,
        input: &Input<'_>,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Value>, EvalError>;

    /// Evaluates over JSON text and gives the JSON text of the result; `None` when it is undefined.
    fn evaluate_text(
        &self,
        text: &str,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>, EvalError>;
}
