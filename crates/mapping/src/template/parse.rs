use prunella_model::Code;

use crate::{CompileError, Expression};

pub(super) const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// `}}` may stand inside an expression, in a string or closing two objects: this many are tried as its end.
const MOST_CLOSES: usize = 64;

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(String),
    Expression(Expression),
}

/// Splits `text` at its `{{ … }}`. An expression ends at the first `}}` up to which the text compiles: an unfinished
/// string, comment or bracket never does.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, CompileError> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find(OPEN).map(|found| at + found) {
        if open > at {
            parts.push(Part::Literal(text[at..open].to_owned()));
        }
        let (expression, end) = expression(text, open)?;
        parts.push(Part::Expression(expression));
        at = end;
    }
    if at < text.len() {
        parts.push(Part::Literal(text[at..].to_owned()));
    }
    Ok(parts)
}

/// The expression that `{{` at `open` begins, and where the text goes on behind its `}}`.
fn expression(text: &str, open: usize) -> Result<(Expression, usize), CompileError> {
    let start = open + OPEN.len();
    // The error to report, and whether it is that the text is unfinished.
    let mut best: Option<(CompileError, bool)> = None;
    let mut search = start;
    for _ in 0..MOST_CLOSES {
        let Some(close) = text[search..].find(CLOSE).map(|found| search + found) else {
            break;
        };
        let source = &text[start..close];
        if source.trim().is_empty() {
            return Err(CompileError::at(Code::TemplateSyntax, text, open, "there is no expression between {{ and }}"));
        }
        match Expression::compile(source.trim()) {
            Ok(expression) => return Ok((expression, close + CLOSE.len())),
            Err(error) => {
                let position = start + (source.len() - source.trim_start().len()) + error.position;
                // An error at the end may only mean that this is not the end.
                let unfinished = error.position >= source.trim().len();
                let error = CompileError::at(error.code, text, position, error.message);
                match &best {
                    Some((_, false)) => {}
                    Some((_, true)) if unfinished => {}
                    _ => best = Some((error, unfinished)),
                }
            }
        }
        // Of `}}}`, the first brace may belong to the expression.
        search = close + 1;
    }
    Err(best
        .map(|(error, _)| error)
        .unwrap_or_else(|| CompileError::at(Code::TemplateSyntax, text, open, "{{ has no }} that ends it")))
}
