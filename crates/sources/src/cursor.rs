//! The position of a page, as it is journaled: text that later releases must be able to read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use prunella_model::Code;

use crate::error::SourceError;

/// Where a page is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Position {
    /// The address as the workflow has it.
    First,
    Page(u64),
    Offset(u64),
    Cursor(String),
    Link(String),
}

/// The position of the next page, opaque to whoever keeps it. Its text holds what the source said where the
/// next page is, which may be an address with a token of the source in it: keep it where payloads are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    v: u8,
    pub(crate) at: Position,
    /// Pages before this one.
    pub(crate) pages: u32,
    /// Digest of a position met earlier, replaced whenever the number of pages is a power of two: a source
    /// that goes in a circle comes back to it (Brent's algorithm), however long the circle is.
    mark: Fingerprint,
    /// Digest of the items of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Fingerprint>,
    /// A page has been as long as it was asked to be, so that a shorter one is the last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) full: bool,
}

const VERSION: u8 = 1;

impl Cursor {
    pub(crate) fn first() -> Self {
        let at = Position::First;
        Self { v: VERSION, mark: at.fingerprint(), at, pages: 0, before: None, full: false }
    }

    /// The cursor of the page after this one; `None` when the source has gone in a circle.
    pub(crate) fn next(&self, at: Position) -> Option<Self> {
        let fingerprint = at.fingerprint();
        if at == self.at || fingerprint == self.mark {
            return None;
        }
        let pages = self.pages.saturating_add(1);
        let mark = if pages.is_power_of_two() { fingerprint } else { self.mark.clone() };
        Some(Self { v: VERSION, at, pages, mark, before: None, full: self.full })
    }
}

impl Position {
    fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::First => Fingerprint::of(["first".as_bytes()]),
            Self::Page(number) => Fingerprint::of(["page".as_bytes(), &number.to_be_bytes()]),
            Self::Offset(number) => Fingerprint::of(["offset".as_bytes(), &number.to_be_bytes()]),
            Self::Cursor(text) => Fingerprint::of(["cursor".as_bytes(), text.as_bytes()]),
            Self::Link(text) => Fingerprint::of(["link".as_bytes(), text.as_bytes()]),
        }
    }
}

/// The first half of a SHA-256 in hexadecimal: short enough to journal, long enough never to be met by chance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Cursor {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let unreadable = |reason: String| {
            SourceError::permanent(Code::SourceCursor, format!("a journaled position cannot be read: {reason}"))
        };
        #[derive(Deserialize)]
        struct Versioned {
            v: u8,
        }
        let Versioned { v } = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        if v != VERSION {
            return Err(unreadable(format!("it has version {v}, this release reads version {VERSION}")));
        }
        serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(number: usize) -> Position {
        Position::Cursor(number.to_string())
    }

    /// Texts that releases have written: they stay here, and stay readable.
    #[test]
    fn the_journaled_form_stays_readable() {
        for text in [
            r#"{"v":1,"at":{"cursor":"abc"},"pages":3,"mark":"00112233445566778899aabbccddeeff"}"#,
            r#"{"v":1,"at":{"link":"https://a.example/?p=2"},"pages":1,"mark":"00112233445566778899aabbccddeeff"}"#,
            r#"{"v":1,"at":{"page":7},"pages":6,"mark":"00","before":"ff","full":true}"#,
            r#"{"v":1,"at":{"offset":700},"pages":7,"mark":"00"}"#,
        ] {
            assert_eq!(text.parse::<Cursor>().expect("released form").to_string(), text);
        }
        let later = r#"{"v":1,"at":{"page":7},"pages":6,"mark":"00","unknown":1}"#;
        assert!(later.parse::<Cursor>().is_ok(), "fields of later releases are passed over");
    }

    #[test]
    fn the_marks_of_a_journal_are_the_same_in_every_release() {
        let cursor = Cursor::first().next(Position::Page(2)).expect("straight");
        assert_eq!(
            cursor.to_string(),
            r#"{"v":1,"at":{"page":2},"pages":1,"mark":"9c4f8895cd7eb7b16b80aec01829a0a8"}"#
        );
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, part) in
            [("{}", "missing field"), ("", "EOF"), (r#"{"v":9,"at":7}"#, "version 9"), (r#"{"v":1}"#, "`at`")]
        {
            let error = text.parse::<Cursor>().expect_err(text);
            assert_eq!(error.code(), Code::SourceCursor);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_circle_of_any_length_behind_any_lead_is_noticed(lead in 0..40usize, length in 1..40usize) {
            let place = |step: usize| if step < lead { step } else { lead + (step - lead) % length };
            let mut cursor = Cursor::first();
            let mut steps = 0;
            while let Some(next) = cursor.next(position(place(steps))) {
                // The journal keeps everything that is needed to notice it.
                cursor = next.to_string().parse().expect("readable");
                steps += 1;
                prop_assert!(steps < 4 * (lead + length) + 8, "not noticed");
            }
        }

        #[test]
        fn a_straight_way_is_no_circle(length in 1..200usize) {
            let mut cursor = Cursor::first();
            for step in 0..length {
                cursor = cursor.next(position(step)).expect("straight");
            }
        }
    }
}
