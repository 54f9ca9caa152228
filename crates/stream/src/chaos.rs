//! What the fault suite can do to a process from the inside: end or freeze it at a named point, move its clock, and break
//! what the runtime promises, to see that the suite notices. Without the feature `chaos` nothing of it is compiled:
//! [`at`] does nothing, [`sabotaged`] is `false` and the clock is the system's.

#[cfg(all(feature = "chaos", not(debug_assertions)))]
compile_error!("the feature `chaos` is for the fault suite; an optimised build must not have it");

/// A place between two effects, where an end of the process leaves one without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The outcome of a record is known; nothing of it is written.
    Decided,
    /// At least once: an outcome is written, its offset is not.
    Delivered,
    /// At least once: offsets are about to be committed.
    Committing,
    Begun,
    Written,
    OffsetsSent,
    /// Exactly once: the end of the transaction is being asked for.
    Ending,
    Committed,
    /// Some of a partition's state is read back.
    Restoring,
    Assigned,
    /// Partitions are about to be given up.
    Revoked,
    /// A stop was asked for; work is in flight.
    Draining,
    /// Work in flight is done and committed; the group is not left.
    Leaving,
    /// Healing: a mapping was found; whether it is right is not known yet.
    CandidateMade,
    /// Healing: an attempt is over; nobody knows of it yet.
    Proven,
    /// Healing: another version is used; nothing was driven with it.
    Published,
    /// Healing: some of what waited is driven, and the rest waits.
    Driven,
}

impl Point {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Delivered => "delivered",
            Self::Committing => "committing",
            Self::Begun => "begun",
            Self::Written => "written",
            Self::OffsetsSent => "offsets-sent",
            Self::Ending => "ending",
            Self::Committed => "committed",
            Self::Restoring => "restoring",
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
            Self::CandidateMade => "candidate-made",
            Self::Proven => "proven",
            Self::Published => "published",
            Self::Driven => "driven",
        }
    }
}

/// A promise broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "chaos"), allow(dead_code, reason = "named where it would break something"))]
pub(crate) enum Sabotage {
    /// Offsets move before outcomes are written.
    CommitEarly,
    /// Offsets are never moved.
    SkipCommit,
    /// Some outcomes are reported as written and are not.
    LoseProduce,
    /// Dead letters are reported as written and are not.
    LoseDeadLetters,
    /// Outcomes of assignments that ended are written.
    KeepLateOutcomes,
    /// Transactions do not prove that their member is in the group.
    DropGeneration,
    /// State of transactions that were never committed is restored.
    RestoreUncommitted,
    /// Records of one key go to any queue.
    MixLanes,
}

#[cfg(not(feature = "chaos"))]
mod absent {
    use rdkafka::consumer::ConsumerGroupMetadata;

    use super::{Point, Sabotage};

    #[inline(always)]
    pub const fn at(_stage: &str, _point: Point) {}

    #[inline(always)]
    pub(crate) const fn sabotaged(_what: Sabotage) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) const fn clock_offset() -> i64 {
        0
    }

    #[inline(always)]
    pub(crate) fn nobody(_group: &str) -> Option<ConsumerGroupMetadata> {
        None
    }
}

#[cfg(not(feature = "chaos"))]
pub use absent::at;
#[cfg(not(feature = "chaos"))]
pub(crate) use absent::{clock_offset, nobody, sabotaged};

#[cfg(feature = "chaos")]
mod present;

#[cfg(feature = "chaos")]
pub use present::at;
#[cfg(feature = "chaos")]
pub(crate) use present::{clock_offset, nobody, sabotaged};
