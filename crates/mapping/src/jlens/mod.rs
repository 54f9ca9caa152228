//! The default engine: `jlens-core`, within limits, with integers of any length carried exactly.

mod compiled;
mod evaluation;
mod failure;
pub(crate) mod functions;
mod program;
mod rewrite;
mod source;
mod survey;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use crate::{CompileError, CompiledExpression, Engine};

/// JSONata 2.2 by the crate `jlens-core`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JlensEngine;

impl Engine for JlensEngine {
    fn name(&self) -> &'static str {
        "jlens-core"
    }

    fn version(&self) -> &'static str {
        "0.26.0"
    }

    fn compile(&self, source: &str) -> Result<Arc<dyn CompiledExpression>, CompileError> {
        Ok(Arc::new(compiled::JlensExpression::compile(source)?))
    }
}
