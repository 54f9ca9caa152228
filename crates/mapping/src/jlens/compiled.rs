use std::sync::OnceLock;

use jlens_core::Error;
use prunella_model::Code;
use serde_json::Value;

use super::evaluation::{Evaluation, Subject, Written, catching, options};
use super::program::Program;
use super::rewrite::{Purpose, rewrite};
use super::survey::Survey;
use super::{failure, functions};
use crate::{Bindings, CompileError, CompiledExpression, EvalError, Input, Limits, Moment, Reads, exact};

pub(super) struct JlensExpression {
    /// The author's text, as the engine understood it.
    author: jlens_core::Expression,
    survey: Survey,
    reads: Reads,
    plain: Program,
    /// For inputs with integers beyond ±(2^53 − 1), which are few: compiled when the first one comes.
    exact: OnceLock<Result<Program, EvalError>>,
}

impl JlensExpression {
    pub(super) fn compile(source: &str) -> Result<Self, CompileError> {
        let syntax = |error: Error| {
            let position = error.span().map_or(0, |span| span.start);
            CompileError::at(Code::MappingSyntax, source, position, error.message())
        };
        if let Some(position) = source.find("$prunella_") {
            let message = format!("names that begin with ${} are reserved", functions::RESERVED);
            return Err(CompileError::at(Code::MappingSyntax, source, position, message));
        }
        let author = jlens_core::Expression::compile(source).map_err(syntax)?;
        let survey = Survey::of(author.ast());
        let purpose = Purpose { exact: false, check: false };
        let plain = Program::compile(&author, rewrite(author.ast(), &survey, purpose)).map_err(syntax)?;
        let reads = Reads::analysed(author.reads_with(functions::guarded()));
        Ok(Self { author, survey, reads, plain, exact: OnceLock::new() })
    }

    fn program(&self, exact: bool) -> Result<&Program, EvalError> {
        if !exact {
            return Ok(&self.plain);
        }
        let purpose = Purpose { exact: true, check: false };
        self.exact.get_or_init(|| self.compile_for(purpose)).as_ref().map_err(Clone::clone)
    }

    fn compile_for(&self, purpose: Purpose) -> Result<Program, EvalError> {
        let source = self.author.source();
        if purpose.exact && exact::holds_noncharacters(source) {
            return Err(exact::noncharacters());
        }
        Program::compile(&self.author, rewrite(self.author.ast(), &self.survey, purpose)).map_err(|error| {
            EvalError::Engine { reason: format!("the rewritten expression does not compile: {error}") }
        })
    }

    fn run(&self, evaluation: &Evaluation<'_>) -> Result<Written, EvalError> {
        if evaluation.exact {
            evaluation.check_text()?;
        }
        let program = self.program(evaluation.exact)?;
        match evaluation.run(program, self.author.source()) {
            Ok(written) => {
                if written.may_hide && self.survey.may_hide {
                    self.look_behind_nulls(evaluation)?;
                }
                Ok(written)
            }
            Err(error) if evaluation.exact && failure::is_of_the_language(&error) => {
                Err(self.blame_marks(evaluation, error))
            }
            Err(error) => Err(error),
        }
    }

    /// A `null` or a missing field in the result may stand for a function, or for a number that is not finite.
    fn look_behind_nulls(&self, evaluation: &Evaluation<'_>) -> Result<(), EvalError> {
        let check = self.compile_for(Purpose { exact: evaluation.exact, check: true })?;
        // The check gathers all values of a result that is within its limits.
        let options = evaluation
            .options
            .clone()
            .max_steps(u64::MAX)
            .max_array_length(evaluation.limits.max_result_bytes.as_usize());
        let found = Evaluation { options, ..*evaluation }.run(&check, self.author.source())?;
        match found.text.as_deref() {
            Some(b"\"function\"") => Err(EvalError::FunctionResult),
            Some(b"\"number\"") => Err(EvalError::NotFinite { place: None }),
            _ => Ok(()),
        }
    }

    /// An operation was refused while integers were marked strings. If it goes through with rounded numbers, it was
    /// refused because of the marks.
    fn blame_marks(&self, evaluation: &Evaluation<'_>, error: EvalError) -> EvalError {
        let EvalError::Failed { place, .. } = &error else {
            return error;
        };
        let rounded = Evaluation { exact: false, options: evaluation.options.clone(), ..*evaluation };
        match rounded.run(&self.plain, self.author.source()) {
            Err(same) if same == error => error,
            _ => EvalError::InexactInteger { place: Some(*place) },
        }
    }

    /// Evaluates as if a variable held an integer that needs a mark.
    #[cfg(test)]
    pub(super) fn evaluate_exactly(
        &self,
        input: &Value,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Value>, EvalError> {
        let subject = Subject::Value { plain: input, marked: None };
        let options = options(moment, limits);
        let written = self.run(&Evaluation { subject, bindings, options, limits, exact: true })?;
        written.text.map(|text| read_back(&text)).transpose()
    }

    /// Whether, whatever numbers the input holds, integers that need marks may come from the expression, its variables,
    /// or the digits in a text.
    fn needs_marks(&self, bindings: &Bindings, input_digits: impl FnOnce() -> bool) -> bool {
        let variables = self.reads.any_binding();
        let makes_numbers = self.survey.is_builtin("number");
        self.survey.long_integers
            || variables && bindings.marked().is_some()
            || makes_numbers && (variables && bindings.long_digits() || input_digits())
    }
}

impl CompiledExpression for JlensExpression {
    fn source(&self) -> &str {
        self.author.source()
    }

    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn evaluate(
        &self,
        input: &Input<'_>,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Value>, EvalError> {
        let exact =
            input.marked().is_some() || self.needs_marks(bindings, || exact::value_holds_long_digits(input.value()));
        let subject = Subject::Value { plain: input.value(), marked: input.marked() };
        let options = options(moment, limits);
        let written = catching(|| self.run(&Evaluation { subject, bindings, options, limits, exact }))?;
        if written.long_integers {
            return Err(EvalError::InexactInteger { place: None });
        }
        written.text.map(|text| read_back(&text)).transpose()
    }

    fn evaluate_text(
        &self,
        text: &str,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>, EvalError> {
        let marked = exact::mark_text(text)?;
        let exact = marked.is_some() || self.needs_marks(bindings, || exact::may_need_marks(text.as_bytes()));
        let options = options(moment, limits);
        let written = catching(|| {
            if !self.reads.any_binding() {
                let subject = Subject::Text { plain: text, marked: marked.as_deref() };
                return self.run(&Evaluation { subject, bindings, options, limits, exact });
            }
            let plain = exact::parse(text)?;
            let marked = marked.as_deref().map(exact::parse).transpose()?;
            let subject = Subject::Value { plain: &plain, marked: marked.as_ref() };
            self.run(&Evaluation { subject, bindings, options, limits, exact })
        })?;
        Ok(written.text)
    }
}

/// A result as a value, from the text it was written as.
fn read_back(text: &[u8]) -> Result<Value, EvalError> {
    serde_json::from_slice(text)
        .map_err(|error| EvalError::Engine { reason: format!("its result cannot be read: {error}") })
}
