/// The clock and the seed of one evaluation. Fixed per record, so that evaluating a record again gives the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What `$now()` and `$millis()` say: milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: i64,
    /// Where `$random()` and `$shuffle()` start.
    pub seed: u64,
}

impl Moment {
    pub const fn new(now_ms: i64, seed: u64) -> Self {
        Self { now_ms, seed }
    }
}
