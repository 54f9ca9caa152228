//! The dead letters of a workflow or stream, and what became of them.

use std::collections::{HashMap, HashSet};

use prunella_model::WorkflowName;
use prunella_wire::{Headers, names};

use super::stream::Horizon;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::ledger::Ledger;
use crate::letters::{Letter, LetterPlace, Letters, State};
use crate::offsets::Offsets;

/// A letter without its value.
pub(super) struct Known {
    pub(super) letter: Letter,
    pub(super) state: State,
}

pub(super) struct KnownLetters {
    pub(super) all: Vec<Known>,
    /// Letters that came of others.
    pub(super) successors: HashSet<LetterPlace>,
    pub(super) horizon: i64,
}

pub(super) async fn letters(
    desk: &Desk,
    offsets: &Offsets,
    name: &WorkflowName,
    ledger: &Ledger,
) -> Result<KnownLetters, OperateError> {
    let topic = desk.topics.deadletter(&desk.workspace, name);
    let mut horizon = Horizon::of(&offsets.bounds(&topic).await?.unwrap_or_default());
    let mut found = KnownLetters { all: Vec::new(), successors: HashSet::new(), horizon: 0 };
    let mut letters = Letters::read(desk, offsets, &topic).await?;
    while let Some(letter) = letters.next().await {
        horizon.note(letter.place.partition, letter.failed_at);
        found.successors.extend(letter.came_of());
        let state = State::of(ledger.marks.get(&letter.place));
        let headers = slim(&letter.headers);
        found.all.push(Known { letter: Letter { key: None, value: None, headers, ..letter }, state });
    }
    found.horizon = horizon.time();
    Ok(found)
}

/// What an audit asks of a letter: a topic may hold a million of them.
fn slim(headers: &Headers) -> Headers {
    let mut kept = Headers::new();
    for name in [names::ITEM, names::IDEMPOTENCY_KEY] {
        if let Some(value) = headers.get(name) {
            // A copy of its own: the record it came from is let go.
            kept.push_known(name, value.to_vec());
        }
    }
    kept
}

impl KnownLetters {
    pub(super) fn summary(&self) -> String {
        let count = |state: State| self.all.iter().filter(|known| known.state == state).count();
        format!(
            "{} dead letters: {} open, {} redriven, {} discarded",
            self.all.len(),
            count(State::Open),
            count(State::Redriven),
            count(State::Discarded)
        )
    }
}

/// What became of records, by partition and offset; of several letters of one record the last decides.
pub(super) struct Fates(HashMap<(i32, i64), State>);

impl Fates {
    pub(super) fn of_records(letters: &KnownLetters, topic: &str) -> Self {
        let whole = letters.all.iter().filter(|known| known.letter.item().is_none());
        let of_topic = whole.filter_map(|known| {
            let original = known.letter.original.as_ref().filter(|original| original.topic == topic)?;
            Some(((original.partition, original.offset), known))
        });
        let mut last: HashMap<(i32, i64), &Known> = HashMap::new();
        for (place, known) in of_topic {
            let entry = last.entry(place).or_insert(known);
            if (known.letter.failed_at, &known.letter.place) > (entry.letter.failed_at, &entry.letter.place) {
                *entry = known;
            }
        }
        Self(last.into_iter().map(|(place, known)| (place, known.state)).collect())
    }

    pub(super) fn get(&self, place: &(i32, i64)) -> Option<State> {
        self.0.get(place).copied()
    }
}
