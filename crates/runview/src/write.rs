//! Changes, in transactions.

use std::collections::BTreeMap;

use prunella_model::RunId;
use prunella_wire::records::{RunEvent, RunState, StepState};
use redb::{Durability, ReadableTable, Table, WriteTransaction};

use crate::change::Change;
use crate::error::RunViewError;
use crate::store::Store;
use crate::tables::{
    BY_CREATED, ByCreatedKey, ByCreatedValue, EVENT_AGES, EVENTS, META, META_FED_AT, META_NEWEST, META_SOURCE,
    POSITIONS, RUNS, STEPS,
};

/// Old events forgotten with one chunk, so that no chunk takes long.
const FORGET_AT_ONCE: usize = 2_000;

/// Topic and partition to the next offset.
pub(crate) type Positions = BTreeMap<(String, i32), i64>;

/// What one transaction puts into the view.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) changes: Vec<Change>,
    /// Where reading goes on after this chunk, for the partitions it touches.
    pub(crate) positions: Positions,
    pub(crate) newest: Option<i64>,
    /// Records in it, those that change nothing included.
    pub(crate) records: usize,
    /// Milliseconds since the epoch, now.
    pub(crate) fed_at: i64,
    /// Events before this time are forgotten.
    pub(crate) forget_before: i64,
    /// Wait for the disk. Chunks that do not are lost together in a crash, and read again.
    pub(crate) durable: bool,
}

impl Store {
    pub(crate) fn apply(&self, chunk: &Chunk) -> Result<(), RunViewError> {
        self.write(|mut transaction| {
            transaction.set_durability(if chunk.durable { Durability::Immediate } else { Durability::None })?;
            // A view that was not closed opens at once, instead of after reading all of it.
            transaction.set_quick_repair(chunk.durable);
            Tables::open(&transaction)?.apply(chunk)?;
            note(&transaction, chunk)?;
            Ok(transaction)
        })
    }

    /// Notes where the view is read from.
    pub(crate) fn set_source(&self, source: &str) -> Result<(), RunViewError> {
        self.write(|transaction| {
            transaction.open_table(META)?.insert(META_SOURCE, source)?;
            Ok(transaction)
        })
    }
}

fn note(transaction: &WriteTransaction, chunk: &Chunk) -> Result<(), redb::Error> {
    let mut positions = transaction.open_table(POSITIONS)?;
    for ((topic, partition), next) in &chunk.positions {
        positions.insert((topic.as_str(), *partition), *next)?;
    }
    let mut meta = transaction.open_table(META)?;
    meta.insert(META_FED_AT, chunk.fed_at.to_string().as_str())?;
    let Some(newest) = chunk.newest else { return Ok(()) };
    let known = meta.get(META_NEWEST)?.and_then(|known| known.value().parse::<i64>().ok());
    if known.is_none_or(|known| known < newest) {
        meta.insert(META_NEWEST, newest.to_string().as_str())?;
    }
    Ok(())
}

struct Tables<'t> {
    runs: Table<'t, &'static str, &'static [u8]>,
    by_created: Table<'t, ByCreatedKey, ByCreatedValue>,
    steps: Table<'t, (&'static str, &'static str), &'static [u8]>,
    events: Table<'t, (&'static str, i64, i32, i64), &'static [u8]>,
    event_ages: Table<'t, (i64, i32, i64), &'static str>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            runs: transaction.open_table(RUNS)?,
            by_created: transaction.open_table(BY_CREATED)?,
            steps: transaction.open_table(STEPS)?,
            events: transaction.open_table(EVENTS)?,
            event_ages: transaction.open_table(EVENT_AGES)?,
        })
    }

    fn apply(&mut self, chunk: &Chunk) -> Result<(), redb::Error> {
        for change in &chunk.changes {
            match change {
                Change::Run(state) => self.put_run(state)?,
                Change::RunGone(run) => self.remove_run(run)?,
                Change::Step(step) => self.put_step(step)?,
                Change::StepGone(run, step) => drop(self.steps.remove((run.as_str(), step.as_str()))?),
                // Its topic keeps it longer than the view.
                Change::Event { event, .. } if event.at < chunk.forget_before => {}
                Change::Event { partition, offset, event } => self.put_event(*partition, *offset, event)?,
            }
        }
        self.forget_events(chunk.forget_before)
    }

    fn put_run(&mut self, state: &RunState) -> Result<(), redb::Error> {
        let run = state.run.as_str();
        if let Some(old) = self.run(run)? {
            self.by_created.remove((old.workspace.as_str(), old.created_at, run))?;
        }
        for step in &state.done_steps {
            self.put_step(step)?;
        }
        self.runs.insert(run, json(&RunState { done_steps: Vec::new(), ..state.clone() })?.as_slice())?;
        let error_code = state.error.as_ref().map_or("", |error| error.code.as_str());
        let filtered_by = (state.workflow.as_str(), state.status.as_str(), error_code);
        self.by_created.insert((state.workspace.as_str(), state.created_at, run), filtered_by)?;
        Ok(())
    }

    fn put_step(&mut self, step: &StepState) -> Result<(), redb::Error> {
        self.steps.insert((step.run.as_str(), step.step.as_str()), json(step)?.as_slice())?;
        Ok(())
    }

    fn remove_run(&mut self, run: &RunId) -> Result<(), redb::Error> {
        let run = run.as_str();
        if let Some(old) = self.run(run)? {
            self.by_created.remove((old.workspace.as_str(), old.created_at, run))?;
            self.runs.remove(run)?;
        }
        self.steps.retain_in((run, "")..=(run, LAST_STEP), |_, _| false)?;
        let (first, last) = ((run, i64::MIN, i32::MIN, i64::MIN), (run, i64::MAX, i32::MAX, i64::MAX));
        let mut ages = Vec::new();
        self.events.retain_in(first..=last, |(_, at, partition, offset), _| {
            ages.push((at, partition, offset));
            false
        })?;
        for age in ages {
            self.event_ages.remove(age)?;
        }
        Ok(())
    }

    fn put_event(&mut self, partition: i32, offset: i64, event: &RunEvent) -> Result<(), redb::Error> {
        self.events.insert((event.run.as_str(), event.at, partition, offset), json(event)?.as_slice())?;
        self.event_ages.insert((event.at, partition, offset), event.run.as_str())?;
        Ok(())
    }

    fn forget_events(&mut self, before: i64) -> Result<(), redb::Error> {
        let mut old = Vec::new();
        for entry in self.event_ages.range(..(before, i32::MIN, i64::MIN))?.take(FORGET_AT_ONCE) {
            let (age, run) = entry?;
            old.push((age.value(), run.value().to_owned()));
        }
        for ((at, partition, offset), run) in old {
            self.event_ages.remove((at, partition, offset))?;
            self.events.remove((run.as_str(), at, partition, offset))?;
        }
        Ok(())
    }

    fn run(&self, run: &str) -> Result<Option<RunState>, redb::Error> {
        let Some(found) = self.runs.get(run)? else { return Ok(None) };
        from_json(found.value()).map(Some)
    }
}

/// Sorts after every step id: they are of a-z, 0-9, `_` and `-`.
pub(crate) const LAST_STEP: &str = "~";

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(value).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(value).map_err(|error| redb::Error::Corrupted(error.to_string()))
}
