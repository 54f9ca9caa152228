use std::cmp::Ordering;
use std::fmt;

use crate::RunId;

/// A run id in half the memory, for those that remember runs for days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunKey([u8; 16]);

/// In the order of its bytes, without a call to compare them: one among thousands is found by a dozen of them.
impl Ord for RunKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for RunKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&RunId> for RunKey {
    fn from(run: &RunId) -> Self {
        // A run id is 32 hexadecimal digits, or it is none.
        Self::of_text(run.as_str()).unwrap_or(Self([0; 16]))
    }
}

impl RunKey {
    /// Of the text of a run id; `None` for any other text.
    pub fn of_text(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_id)?;
        Some(Self(number.to_be_bytes()))
    }

    pub fn run(self) -> Option<RunId> {
        self.to_string().parse().ok()
    }

    fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// Its first four bytes; keys are sorted by them before anything else.
    pub fn prefix(self) -> u32 {
        (self.number() >> 96) as u32
    }

    /// The smallest key with this prefix.
    pub fn least(prefix: u32) -> Self {
        Self((u128::from(prefix) << 96).to_be_bytes())
    }
}

/// As the run id is written.
impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_again_under_its_key() {
        for text in ["00000000000000000000000000000001", "020729f3f6871b0b93e417e78aaef269"] {
            let run: RunId = text.parse().expect("a run id");
            assert_eq!(RunKey::from(&run).run(), Some(run));
            let key = RunKey::of_text(text).expect("a run id");
            assert_eq!(key.to_string(), text);
            assert_eq!(format!("{:08x}", key.prefix()), text[..8]);
            assert_eq!(RunKey::least(key.prefix()).to_string(), format!("{}{}", &text[..8], "0".repeat(24)));
        }
        for text in ["", "1", "020729F3f6871b0b93e417e78aaef269", "+20729f3f6871b0b93e417e78aaef269"] {
            assert_eq!(RunKey::of_text(text), None, "{text}");
        }
    }
}
