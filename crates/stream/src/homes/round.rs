//! Commands of one round: those of a home in order, homes side by side.

use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{Effects, Home, now_millis};
use crate::record::{OutRecord, Record};
use crate::stage::{StageError, without_panic};

/// A home does not go on with a round when what is to be written for it has become as large as this.
const LARGE_OUTCOME: usize = 1 << 20;

/// A home that is away from its slot, with its part of a round.
pub(super) struct Part<T: Home> {
    pub(super) number: i32,
    pub(super) home: T,
    pub(super) commands: Vec<Command<T::Command>>,
}

pub(super) struct Command<C> {
    /// Its place in the round.
    pub(super) place: usize,
    pub(super) record: Record,
    pub(super) command: C,
}

/// What a home has done of its part.
pub(super) struct Ended<T> {
    pub(super) number: i32,
    pub(super) home: T,
    pub(super) handled: Vec<Handled>,
    /// The command that failed, with which the home stopped.
    pub(super) failed: Option<(Record, StageError)>,
    /// What it did not come to, each with its place.
    pub(super) left: Vec<(usize, Record)>,
}

pub(super) struct Handled {
    pub(super) place: usize,
    pub(super) record: Record,
    pub(super) effects: Effects,
    pub(super) took: Duration,
}

/// Waits until each home has done its part, or stopped.
pub(super) async fn side_by_side<T: Home>(mut parts: Vec<Part<T>>) -> Vec<Ended<T>> {
    let Some(here) = parts.pop() else { return Vec::new() };
    let mut others: JoinSet<Ended<T>> = parts.into_iter().map(carry_out).collect();
    let mut ended = vec![carry_out(here).await];
    while let Some(joined) = others.join_next().await {
        match joined {
            Ok(part) => ended.push(part),
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
    ended
}

async fn carry_out<T: Home>(part: Part<T>) -> Ended<T> {
    let Part { number, mut home, commands } = part;
    let (mut handled, mut failed, mut size) = (Vec::with_capacity(commands.len()), None, 0);
    let mut commands = commands.into_iter();
    while failed.is_none()
        && size < LARGE_OUTCOME
        && let Some(Command { place, record, command }) = commands.next()
    {
        let started = Instant::now();
        match without_panic(home.handle(command, &record, now_millis())).await {
            Ok(effects) => {
                size += effects.records.iter().map(OutRecord::size).sum::<usize>();
                handled.push(Handled { place, record, effects, took: started.elapsed() });
            }
            Err(error) => failed = Some((record, error)),
        }
    }
    let left = commands.map(|it| (it.place, it.record)).collect();
    Ended { number, home, handled, failed, left }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use prunella_model::Code;
    use prunella_wire::Headers;
    use tokio::sync::Barrier;

    use super::*;
    use crate::offsets::AssignmentEpoch;
    use crate::record::TopicPartition;

    /// Writes what it is told to, in order.
    struct Scribe(Arc<Barrier>);

    enum Told {
        Write(usize),
        Fail,
        MeetAnother,
    }

    impl Home for Scribe {
        type Command = Told;

        async fn apply(&mut self, _: usize, _: &Bytes, _: Option<Bytes>) -> Result<(), String> {
            Ok(())
        }

        async fn restored(&mut self, _: i64) -> Effects {
            Effects::none()
        }

        async fn handle(&mut self, command: Told, record: &Record, _: i64) -> Result<Effects, StageError> {
            match command {
                Told::Write(bytes) => {
                    let key = record.offset.to_string();
                    Ok(Effects::of(vec![OutRecord::new("out", key, vec![b'x'; bytes])]))
                }
                Told::Fail => Err(StageError::new(Code::RecordMalformed, "told to")),
                Told::MeetAnother => {
                    self.0.wait().await;
                    Ok(Effects::none())
                }
            }
        }

        fn next_timer(&self) -> Option<i64> {
            None
        }

        async fn on_timer(&mut self, _: i64) -> Effects {
            Effects::none()
        }
    }

    fn part(number: i32, meeting: &Arc<Barrier>, told: Vec<Told>) -> Part<Scribe> {
        let source = TopicPartition { topic: "in".into(), partition: number };
        let command = |(place, command): (usize, Told)| {
            let record = Record {
                source: source.clone(),
                offset: i64::try_from(place).expect("a few"),
                timestamp: 0,
                key: None,
                value: None,
                headers: Headers::new(),
                epoch: AssignmentEpoch::new(1),
                sequence: 0,
                replay: None,
            };
            Command { place, record, command }
        };
        Part { number, home: Scribe(meeting.clone()), commands: told.into_iter().enumerate().map(command).collect() }
    }

    fn offsets(handled: &[Handled]) -> Vec<i64> {
        handled.iter().map(|it| it.record.offset).collect()
    }

    #[tokio::test]
    async fn a_home_that_waits_does_not_hold_up_another() {
        let meeting = Arc::new(Barrier::new(2));
        let parts = (0..2).map(|number| part(number, &meeting, vec![Told::MeetAnother, Told::Write(1)])).collect();
        let ended = tokio::time::timeout(Duration::from_secs(10), side_by_side(parts)).await.expect("they meet");
        assert!(ended.iter().all(|part| offsets(&part.handled) == [0, 1]));
    }

    #[tokio::test]
    async fn a_home_stops_at_a_command_that_fails_and_leaves_those_behind_it() {
        let told = vec![Told::Write(1), Told::Fail, Told::Write(1), Told::Write(1)];
        let ended = side_by_side(vec![part(0, &Arc::new(Barrier::new(1)), told)]).await;
        assert_eq!(offsets(&ended[0].handled), [0]);
        assert_eq!(ended[0].failed.as_ref().map(|(record, _)| record.offset), Some(1));
        assert_eq!(ended[0].left.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [2, 3]);
    }

    #[tokio::test]
    async fn a_home_stops_when_what_it_wants_written_has_become_large() {
        let told = vec![Told::Write(10), Told::Write(LARGE_OUTCOME), Told::Write(10)];
        let ended = side_by_side(vec![part(0, &Arc::new(Barrier::new(1)), told)]).await;
        assert_eq!(offsets(&ended[0].handled), [0, 1]);
        assert!(ended[0].failed.is_none() && ended[0].left.len() == 1);
    }
}
