use prunella_wire::records::{LetterAction, LetterMark};

use super::letter::Letter;

/// What became of a letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing has been decided.
    #[default]
    Open,
    Redriven,
    Discarded,
    Any,
}

impl State {
    /// What `mark` says of a letter.
    pub fn of(mark: Option<&LetterMark>) -> Self {
        match mark.map(|mark| mark.action) {
            None | Some(LetterAction::Unknown) => Self::Open,
            Some(LetterAction::Redriven) => Self::Redriven,
            Some(LetterAction::Discarded) => Self::Discarded,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriven => "redriven",
            Self::Discarded => "discarded",
            Self::Any => "any",
        }
    }
}

/// Which letters are meant; what is not named does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub step: Option<String>,
    pub code: Option<String>,
    pub run: Option<String>,
    /// Given up at this time or later, in milliseconds.
    pub since: Option<i64>,
    /// Given up before this time.
    pub until: Option<i64>,
    pub state: State,
}

impl Filter {
    pub fn takes(&self, letter: &Letter, mark: Option<&LetterMark>) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|name| found == Some(name));
        is(&self.step, letter.step())
            && is(&self.code, Some(letter.code()))
            && is(&self.run, letter.run())
            && self.since.is_none_or(|since| letter.failed_at >= since)
            && self.until.is_none_or(|until| letter.failed_at < until)
            && (self.state == State::Any || self.state == State::of(mark))
    }
}
