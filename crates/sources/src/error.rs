use std::time::Duration;

use prunella_model::Code;

use crate::moved::Moved;
use crate::redact::Redactor;

/// Why a page could not be had. The message names the request, with secrets masked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    code: Code,
    message: String,
    again: Again,
    effort: Effort,
    moved: Option<Box<Moved>>,
}

/// Whether the same page may be had later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It may: `retry_after` is how long the source wants to be left alone, if it said so.
    Transient { retry_after: Option<Duration> },
    /// It will not until somebody changes the workflow or the source.
    Permanent,
}

/// What a page cost, whether it came or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Requests, redirects not counted.
    pub tries: u32,
    /// Bytes of all answers, after decompression.
    pub bytes: u64,
    /// Time with all tries and the waits between them.
    pub took: Duration,
}

/// When it is worth asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// A few times at once. After that it depends: a source that has given good pages in this extraction
    /// has a bad moment, one that never has is more likely the wrong address.
    Doubtful,
    /// Soon, by the source's own retry settings.
    Soon,
    /// Not before this time has passed: the source said so.
    After(Duration),
}

impl SourceError {
    pub(crate) fn permanent(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Again::Never)
    }

    pub(crate) fn doubtful(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Again::Doubtful)
    }

    pub(crate) fn transient(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, message.into(), Again::Soon)
    }

    fn new(code: Code, message: String, again: Again) -> Self {
        Self { code, message, again, effort: Effort::default(), moved: None }
    }

    /// The items of the answer have moved.
    pub(crate) fn moved_items(message: impl Into<String>, moved: Moved) -> Self {
        Self { moved: Some(Box::new(moved)), ..Self::permanent(Code::SourceMoved, message) }
    }

    #[must_use]
    pub(crate) fn not_before(self, wait: Option<Duration>) -> Self {
        match wait {
            Some(wait) => Self { again: Again::After(wait), ..self },
            None => self,
        }
    }

    /// Decides what a doubtful error is, now that its tries are used up.
    #[must_use]
    pub(crate) fn settled(self, source_has_worked: bool) -> Self {
        let again = match self.again {
            Again::Doubtful if source_has_worked => Again::Soon,
            Again::Doubtful => Again::Never,
            decided => decided,
        };
        Self { again, ..self }
    }

    /// Without what the source repeated of the request's secrets.
    #[must_use]
    pub(crate) fn masked(self, redactor: &Redactor) -> Self {
        Self { message: redactor.text(&self.message), ..self }
    }

    #[must_use]
    pub(crate) fn about(self, request: &str, effort: Effort) -> Self {
        let tries = if effort.tries > 1 { format!(" (tried {} times)", effort.tries) } else { String::new() };
        Self { message: format!("{request}: {}{tries}", self.message), effort, ..self }
    }

    pub(crate) fn may_be_tried_again(&self) -> bool {
        self.again != Again::Never
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn class(&self) -> Class {
        match self.again {
            Again::Never | Again::Doubtful => Class::Permanent,
            Again::Soon => Class::Transient { retry_after: None },
            Again::After(wait) => Class::Transient { retry_after: Some(wait) },
        }
    }

    /// The same page may be had later.
    pub fn is_transient(&self) -> bool {
        self.class() != Class::Permanent
    }

    /// How long the source wants to be left alone: ask the same page again after this time.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.class() {
            Class::Transient { retry_after } => retry_after,
            Class::Permanent => None,
        }
    }

    /// Where the items may be, if they have moved.
    pub fn moved(&self) -> Option<&Moved> {
        self.moved.as_deref()
    }

    /// What was spent before giving up.
    pub fn effort(&self) -> Effort {
        self.effort
    }
}
