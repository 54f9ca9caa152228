use prunella_model::RunId;

/// A run id in half the memory: a home remembers runs for days.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RunKey([u8; 16]);

impl From<&RunId> for RunKey {
    fn from(run: &RunId) -> Self {
        // A run id is 32 hexadecimal digits, or it is none.
        Self(u128::from_str_radix(run.as_str(), 16).unwrap_or_default().to_be_bytes())
    }
}

impl RunKey {
    pub(super) fn run(self) -> Option<RunId> {
        format!("{:032x}", u128::from_be_bytes(self.0)).parse().ok()
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
        }
    }
}
