use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jlens_core::Options;
use serde_json::Value;

use super::failure;
use super::program::Program;
use super::writer::Writer;
use crate::{Bindings, EvalError, Limits, Moment, exact};

/// What an evaluation reads, as it came and, if it holds integers that need it, with marks.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Text { plain: &'a str, marked: Option<&'a str> },
    Value { plain: &'a Value, marked: Option<&'a Value> },
}

/// The result of an evaluation.
pub(super) struct Written {
    /// JSON text; `None` when the result is undefined.
    pub(super) text: Option<Vec<u8>>,
    /// Whether a value in it may not be what it looks like.
    pub(super) may_hide: bool,
    /// Whether an integer in it is longer than 64 bits.
    pub(super) long_integers: bool,
}

/// One evaluation: what it reads, and under which rules.
pub(super) struct Evaluation<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) bindings: &'a Bindings,
    pub(super) options: Options,
    pub(super) limits: &'a Limits,
    pub(super) exact: bool,
}

impl Evaluation<'_> {
    pub(super) fn run(&self, program: &Program, source: &str) -> Result<Written, EvalError> {
        let mut writer = Writer::new(self.exact, self.limits.max_result_bytes);
        let write = |output: jlens_core::output::Output<'_, '_>| output.write(&mut writer);
        let outcome = match self.subject {
            Subject::Text { plain, marked } => {
                let text = marked.filter(|_| self.exact).unwrap_or(plain);
                let input = program.read(text).map_err(|error| exact::input_error(&error))?;
                program.run_document(&input, &self.options, write)
            }
            Subject::Value { plain, marked } => {
                let value = marked.filter(|_| self.exact).unwrap_or(plain);
                program.run_value(value, self.variables(), &self.options, write)
            }
        };
        let outcome = outcome.map_err(|error| failure::of(&error, source, program.position(&error), self.limits))?;
        if writer.too_deep {
            return Err(failure::too_deep());
        }
        Ok(Written {
            may_hide: outcome.is_none() || writer.may_hide(),
            long_integers: writer.long_integers,
            text: outcome.map(|_| writer.into_text()),
        })
    }

    fn variables(&self) -> &jlens_core::Bindings {
        let marked = if self.exact { self.bindings.marked() } else { None };
        marked.unwrap_or_else(|| self.bindings.plain())
    }

    /// Fails when a text that is read could be taken for a mark.
    pub(super) fn check_text(&self) -> Result<(), EvalError> {
        let input = match self.subject {
            Subject::Text { plain, .. } => exact::holds_noncharacters(plain),
            Subject::Value { plain, .. } => exact::value_holds_noncharacters(plain),
        };
        if input || self.bindings.noncharacters() {
            return Err(exact::noncharacters());
        }
        Ok(())
    }
}

pub(super) fn options(moment: Moment, limits: &Limits) -> Options {
    Options::new()
        .now(moment.now_ms)
        .seed(moment.seed)
        .timeout(limits.timeout.duration())
        .max_steps(limits.max_steps)
        .max_depth(limits.max_depth)
        .max_string_length(limits.max_string_length.as_usize())
        .max_array_length(limits.max_array_length)
        .max_result_size(limits.max_result_bytes.as_usize())
}

/// Turns a panic of the engine into an error of this one evaluation.
pub(super) fn catching<R>(evaluate: impl FnOnce() -> Result<R, EvalError>) -> Result<R, EvalError> {
    // Nothing outlives a failed evaluation: what it had built is dropped by the unwinding.
    catch_unwind(AssertUnwindSafe(evaluate))
        .unwrap_or_else(|panic| Err(EvalError::Engine { reason: message_of(&*panic) }))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_one_evaluation() {
        let outcome = catching(|| -> Result<(), EvalError> { panic!("index {} of {}", 3, 2) });
        assert_eq!(outcome, Err(EvalError::Engine { reason: "index 3 of 2".to_owned() }));
        assert_eq!(catching(|| Ok(1)), Ok(1));
    }
}
