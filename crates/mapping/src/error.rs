use prunella_model::Code;

use crate::{Limits, Place};

/// An expression, mapping or template that cannot be compiled. The message says what is wrong, in words of the
/// language; the place is in the text that was compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column})")]
pub struct CompileError {
    /// `MappingSyntax` or `TemplateSyntax`.
    pub code: Code,
    /// What is wrong and what was expected.
    pub message: String,
    /// Byte offset in the text.
    pub position: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl CompileError {
    pub(crate) fn at(code: Code, source: &str, position: usize, message: impl Into<String>) -> Self {
        let place = Place::of(source, position);
        Self { code, message: message.into(), position: place.position, line: place.line, column: place.column }
    }
}

/// A limit of [`Limits`] that an evaluation can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    Timeout,
    Steps,
    Depth,
    StringLength,
    ArrayLength,
    ResultSize,
    InputSize,
}

impl LimitKind {
    pub const fn code(self) -> Code {
        match self {
            Self::Timeout => Code::MappingTimeout,
            Self::Steps => Code::MappingSteps,
            Self::Depth => Code::MappingDepth,
            Self::StringLength => Code::MappingStringLength,
            Self::ArrayLength => Code::MappingArrayLength,
            Self::ResultSize => Code::MappingResultSize,
            Self::InputSize => Code::MappingInputSize,
        }
    }

    /// The configuration key, within the section `mapping`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Steps => "max-steps",
            Self::Depth => "max-depth",
            Self::StringLength => "max-string-length",
            Self::ArrayLength => "max-array-length",
            Self::ResultSize => "max-result-bytes",
            Self::InputSize => "max-input-bytes",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Timeout => "the evaluation ran longer than",
            Self::Steps => "the evaluation took more steps than",
            Self::Depth => "the evaluation nests calls and expressions deeper than",
            Self::StringLength => "the evaluation built a string longer than",
            Self::ArrayLength => "the evaluation built an array of more items than",
            Self::ResultSize => "the result, or what a function was given, is larger than",
            Self::InputSize => "the input is larger than",
        }
    }

    pub(crate) fn error(self, limits: &Limits) -> EvalError {
        let value = match self {
            Self::Timeout => limits.timeout.to_string(),
            Self::Steps => limits.max_steps.to_string(),
            Self::Depth => limits.max_depth.to_string(),
            Self::StringLength => limits.max_string_length.to_string(),
            Self::ArrayLength => limits.max_array_length.to_string(),
            Self::ResultSize => limits.max_result_bytes.to_string(),
            Self::InputSize => limits.max_input_bytes.to_string(),
        };
        EvalError::Limit { kind: self, value }
    }
}

/// Why an evaluation gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    #[error("the input is not JSON: {reason}")]
    Input { reason: String },
    #[error("{message} [{engine_code}] at line {}, column {} of the expression", place.line, place.column)]
    Failed {
        /// The error code of the language, such as `T2001`.
        engine_code: String,
        message: String,
        place: Place,
    },
    #[error("the mapping gives no value for this item: its result is undefined (a path that leads nowhere?)")]
    Undefined,
    #[error("the result holds a function: call it, or leave it out of the result")]
    FunctionResult,
    #[error(
        "the expression divides by zero or computes a number too large, which JSON cannot hold{}: test the divisor first",
        at(place)
    )]
    NotFinite { place: Option<Place> },
    #[error(
        "the expression computes with an integer beyond ±9007199254740991, which would lose digits{}: copy such numbers, compare them with each other, or make strings of them with $string",
        at(place)
    )]
    InexactInteger { place: Option<Place> },
    #[error("$eval is not allowed: write the expression out{}", at(place))]
    EvalDenied { place: Option<Place> },
    #[error("{} {value}: simplify it, or raise the limit `mapping.{}`", kind.what(), kind.key())]
    Limit { kind: LimitKind, value: String },
    #[error("{what} is nested more than {limit} levels deep")]
    Nesting { what: &'static str, limit: usize },
    #[error("the mapping engine failed: {reason}; please report this with the expression and its input")]
    Engine { reason: String },
    #[error(
        "`{{{{ {expression} }}}}` gives no value (a path that leads nowhere?); write `{expression} ?? \"\"` if it may be absent"
    )]
    TemplateUndefined { expression: String },
    #[error(
        "`{{{{ {expression} }}}}` gives {found}, which cannot stand inside text; make a string of it with $string or $join"
    )]
    TemplateValue { expression: String, found: &'static str },
    #[error("in `{{{{ {expression} }}}}`: {error}")]
    Template { expression: String, error: Box<EvalError> },
}

fn at(place: &Option<Place>) -> String {
    match place {
        Some(place) => format!(" (line {}, column {})", place.line, place.column),
        None => String::new(),
    }
}

impl EvalError {
    pub fn code(&self) -> Code {
        match self {
            Self::Input { .. } => Code::MappingInput,
            Self::Failed { .. } => Code::MappingFailed,
            Self::Undefined => Code::MappingUndefined,
            Self::FunctionResult => Code::MappingFunctionResult,
            Self::NotFinite { .. } => Code::MappingNotFinite,
            Self::InexactInteger { .. } => Code::MappingInexactInteger,
            Self::EvalDenied { .. } => Code::MappingEvalDenied,
            Self::Limit { kind, .. } => kind.code(),
            Self::Nesting { .. } => Code::MappingNesting,
            Self::Engine { .. } => Code::MappingEngine,
            Self::TemplateUndefined { .. } => Code::TemplateUndefined,
            Self::TemplateValue { .. } => Code::TemplateValue,
            Self::Template { error, .. } => error.code(),
        }
    }
}
