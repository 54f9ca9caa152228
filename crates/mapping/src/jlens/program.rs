use std::collections::BTreeMap;

use jlens_core::output::Output;
use jlens_core::reads::Read;
use jlens_core::{Bindings, Document, Error, Expression, Options};
use serde_json::Value;

use super::functions;
use super::rewrite::Rewritten;
use super::source::Root;

/// Text compiled for one purpose.
pub(super) struct Program {
    expression: Expression,
    rewritten: Option<Rewritten>,
    /// What it reads of its input: the rest of a document need not be built.
    cut: Read,
}

impl Program {
    pub(super) fn compile(author: &Expression, rewritten: Option<Rewritten>) -> Result<Self, Error> {
        let expression = match &rewritten {
            Some(rewritten) => Expression::compile(&rewritten.text)?,
            None => author.clone(),
        };
        let reads = expression.reads_with(functions::guarded());
        let cut = reads.input().cloned().unwrap_or(Read::Fields(BTreeMap::new()));
        Ok(Self { expression, rewritten, cut })
    }

    /// Reads the JSON text of an input, as far as the program reads it. The rest is checked to be JSON.
    pub(super) fn read(&self, text: &str) -> serde_json::Result<Document> {
        Document::parse_cut(text, &self.cut)
    }

    pub(super) fn run_document<R>(
        &self,
        input: &Document,
        options: &Options,
        write: impl FnOnce(Output<'_, '_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.expression.evaluate_document_to(input, functions::guarded(), options, write)
    }

    pub(super) fn run_value<R>(
        &self,
        input: &Value,
        bindings: &Bindings,
        options: &Options,
        write: impl FnOnce(Output<'_, '_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.expression.evaluate_source_to(&Root(input), bindings, options, write)
    }

    /// Where in the author's text the error is.
    pub(super) fn position(&self, error: &Error) -> Option<usize> {
        let start = error.span()?.start;
        Some(self.rewritten.as_ref().map_or(start, |rewritten| rewritten.position(start)))
    }
}
