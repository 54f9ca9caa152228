//! Cursors name the last entry of a page, so that entries that come or go elsewhere move nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prunella_model::RunId;

use crate::error::RunViewError;

/// A place in a list of runs: newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunCursor {
    pub(crate) created_at: i64,
    pub(crate) run: RunId,
}

impl RunCursor {
    pub(crate) fn print(created_at: i64, run: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("r1/{created_at}/{run}"))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, RunViewError> {
        let parts = || {
            let [created_at, run] = fields(text, "r1")?;
            Some(Self { created_at: created_at.parse().ok()?, run: run.parse().ok()? })
        };
        parts().ok_or_else(|| RunViewError::Cursor { text: text.to_owned() })
    }
}

/// A place in the events of a run: oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventCursor {
    pub(crate) at: i64,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl EventCursor {
    pub(crate) fn print(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("e1/{}/{}/{}", self.at, self.partition, self.offset))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, RunViewError> {
        let parts = || {
            let [at, partition, offset] = fields(text, "e1")?;
            Some(Self { at: at.parse().ok()?, partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        };
        parts().ok_or_else(|| RunViewError::Cursor { text: text.to_owned() })
    }
}

fn fields<const N: usize>(text: &str, kind: &str) -> Option<[String; N]> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = String::from_utf8(bytes).ok()?;
    let (found, rest) = plain.split_once('/')?;
    let fields: Vec<String> = rest.split('/').map(str::to_owned).collect();
    if found == kind { fields.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back_and_nothing_else_is_one() {
        let run: RunId = "0123456789abcdef0123456789abcdef".parse().expect("valid");
        let text = RunCursor::print(-7, run.as_str());
        assert_eq!(RunCursor::parse(&text).expect("printed"), RunCursor { created_at: -7, run });
        let event = EventCursor { at: 5, partition: 3, offset: 1 << 40 };
        assert_eq!(EventCursor::parse(&event.print()).expect("printed"), event);
        for bad in ["", "x", "????", &event.print(), &URL_SAFE_NO_PAD.encode("r1/1"), &URL_SAFE_NO_PAD.encode("r1/1/2")]
        {
            assert!(RunCursor::parse(bad).is_err(), "{bad}");
        }
        assert!(EventCursor::parse(&text).is_err());
    }
}
