use jlens_core::Error;

use super::functions::EVAL_DENIED;
use super::writer::DEEPEST_RESULT;
use crate::{EvalError, LimitKind, Limits, Place};

/// What an error of the engine means. `source` is the author's text, `position` a byte offset in it.
pub(super) fn of(error: &Error, source: &str, position: Option<usize>, limits: &Limits) -> EvalError {
    let place = position.map(|position| Place::of(source, position));
    match error.code() {
        EVAL_DENIED => EvalError::EvalDenied { place },
        "D1012" => LimitKind::Timeout.error(limits),
        "U1006" => LimitKind::Steps.error(limits),
        "D1011" => LimitKind::Depth.error(limits),
        // A range or `$pad` beyond ten million, which the language itself refuses.
        "D2014" | "D2015" => LimitKind::ArrayLength.error(limits),
        "D2016" => LimitKind::StringLength.error(limits),
        "D1001" | "D3001" | "D3061" => EvalError::NotFinite { place },
        "U1001" => size(error, source, limits),
        code => EvalError::Failed {
            engine_code: code.to_owned(),
            message: error.message(),
            place: place.unwrap_or(Place::of(source, 0)),
        },
    }
}

/// The engine has one code for all sizes; its messages tell them apart.
fn size(error: &Error, source: &str, limits: &Limits) -> EvalError {
    let message = error.message();
    let kinds = [
        ("A string would exceed", LimitKind::StringLength),
        ("An array would exceed", LimitKind::ArrayLength),
        ("The result would exceed", LimitKind::ResultSize),
        ("The arguments of a host function would exceed", LimitKind::ResultSize),
    ];
    if let Some((_, kind)) = kinds.iter().find(|(start, _)| message.starts_with(start)) {
        return kind.error(limits);
    }
    if message.starts_with("A value is nested more than") {
        return EvalError::Nesting { what: "a value", limit: 1_000 };
    }
    EvalError::Failed {
        engine_code: error.code().to_owned(),
        message,
        place: Place::of(source, error.span().map_or(0, |span| span.start)),
    }
}

pub(super) fn too_deep() -> EvalError {
    EvalError::Nesting { what: "the result", limit: DEEPEST_RESULT }
}

/// Whether the language, rather than a limit or we, refused the operation: perhaps because of a marked integer.
pub(super) fn is_of_the_language(error: &EvalError) -> bool {
    matches!(error, EvalError::Failed { .. })
}
