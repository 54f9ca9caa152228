//! Look-ups, lists and history.

use prunella_model::{RunId, WorkspaceName};
use prunella_wire::records::{RunEvent, RunState, StepState};
use redb::{ReadTransaction, ReadableTable};

use crate::cursor::{EventCursor, RunCursor};
use crate::error::RunViewError;
use crate::filter::RunFilter;
use crate::freshness::AsOf;
use crate::store::Store;
use crate::tables::{BY_CREATED, EVENTS, META, META_FED_AT, META_NEWEST, META_SOURCE, POSITIONS, RUNS, STEPS};
use crate::write::{LAST_STEP, Positions, from_json};

/// A page of a list of runs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPage {
    pub runs: Vec<RunState>,
    /// Where the next page starts; `None` on the last. A page may be short, even empty, and not the last:
    /// that is where the look at one page ended.
    pub next: Option<String>,
    pub as_of: AsOf,
}

/// A run with its steps, in the order they started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDetail {
    pub run: RunState,
    /// Steps that have started or ended; the others wait.
    pub steps: Vec<StepState>,
    pub as_of: AsOf,
}

/// A page of the events of a run, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<RunEvent>,
    pub next: Option<String>,
    pub as_of: AsOf,
}

/// What the view knows of where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) source: Option<String>,
    pub(crate) fed_at: Option<i64>,
    pub(crate) positions: Positions,
}

pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) next: Option<String>,
    pub(crate) newest: Option<i64>,
}

pub(crate) struct Detail {
    pub(crate) run: RunState,
    pub(crate) steps: Vec<StepState>,
    pub(crate) newest: Option<i64>,
}

impl Store {
    pub(crate) fn origin(&self) -> Result<Origin, RunViewError> {
        self.read(|transaction| {
            let meta = transaction.open_table(META)?;
            let source = meta.get(META_SOURCE)?.map(|found| found.value().to_owned());
            let fed_at = meta.get(META_FED_AT)?.and_then(|found| found.value().parse().ok());
            let mut positions = Positions::new();
            for entry in transaction.open_table(POSITIONS)?.iter()? {
                let (place, next) = entry?;
                let (topic, partition) = place.value();
                positions.insert((topic.to_owned(), partition), next.value());
            }
            Ok(Origin { source, fed_at, positions })
        })
    }

    /// One page of at most `limit` runs, after looking at no more than `scan_limit`.
    pub(crate) fn list(
        &self,
        workspace: &WorkspaceName,
        filter: &RunFilter,
        cursor: Option<&RunCursor>,
        limit: usize,
        scan_limit: usize,
    ) -> Result<Page<RunState>, RunViewError> {
        let workspace = workspace.as_str();
        let first = (workspace, filter.since.unwrap_or(i64::MIN), "");
        let until = filter.until.map_or((workspace, i64::MAX, LAST_RUN), |until| (workspace, until, ""));
        let end = cursor.map_or(until, |cursor| until.min((workspace, cursor.created_at, cursor.run.as_str())));
        self.read(|transaction| {
            let mut page = Page { entries: Vec::new(), next: None, newest: newest(transaction)? };
            if first >= end {
                return Ok(page);
            }
            let runs = transaction.open_table(RUNS)?;
            let by_created = transaction.open_table(BY_CREATED)?;
            let mut entries = by_created.range(first..end)?.rev();
            for scanned in 1.. {
                let Some(entry) = entries.next() else { break };
                let (key, value) = entry?;
                let (_, created_at, run) = key.value();
                let (workflow, status, error_code) = value.value();
                if filter.admits(workflow, status, error_code)
                    && let Some(state) = runs.get(run)?
                {
                    page.entries.push(from_json(state.value())?);
                }
                if page.entries.len() >= limit || scanned >= scan_limit {
                    page.next = entries.next().is_some().then(|| RunCursor::print(created_at, run));
                    break;
                }
            }
            Ok(page)
        })
    }

    /// Timestamp of the newest record applied.
    pub(crate) fn newest(&self) -> Result<Option<i64>, RunViewError> {
        self.read(newest)
    }

    pub(crate) fn run(&self, run: &RunId) -> Result<Option<RunState>, RunViewError> {
        self.read(|transaction| {
            let found = transaction.open_table(RUNS)?.get(run.as_str())?;
            found.map(|found| from_json(found.value())).transpose()
        })
    }

    pub(crate) fn detail(&self, workspace: &WorkspaceName, run: &RunId) -> Result<Option<Detail>, RunViewError> {
        self.read(|transaction| {
            let Some(found) = transaction.open_table(RUNS)?.get(run.as_str())? else { return Ok(None) };
            let state: RunState = from_json(found.value())?;
            if state.workspace != *workspace {
                return Ok(None);
            }
            let mut steps: Vec<StepState> = Vec::new();
            for entry in transaction.open_table(STEPS)?.range((run.as_str(), "")..=(run.as_str(), LAST_STEP))? {
                steps.push(from_json(entry?.1.value())?);
            }
            steps.sort_by_key(|step| step.started_at.unwrap_or(i64::MAX));
            Ok(Some(Detail { run: state, steps, newest: newest(transaction)? }))
        })
    }

    pub(crate) fn events(
        &self,
        run: &RunId,
        cursor: Option<EventCursor>,
        limit: usize,
    ) -> Result<Page<RunEvent>, RunViewError> {
        let run = run.as_str();
        let end = (run, i64::MAX, i32::MAX, i64::MAX);
        let first = cursor.map_or((run, i64::MIN, i32::MIN, i64::MIN), |after| {
            (run, after.at, after.partition, after.offset.saturating_add(1))
        });
        self.read(|transaction| {
            let mut page = Page { entries: Vec::new(), next: None, newest: newest(transaction)? };
            let events = transaction.open_table(EVENTS)?;
            let mut entries = events.range(first..=end)?;
            while let Some(entry) = entries.next() {
                let (key, value) = entry?;
                page.entries.push(from_json(value.value())?);
                if page.entries.len() >= limit {
                    let (_, at, partition, offset) = key.value();
                    page.next = entries.next().is_some().then(|| EventCursor { at, partition, offset }.print());
                    break;
                }
            }
            Ok(page)
        })
    }
}

/// Sorts after every run id: they are of 0-9 and a-f.
const LAST_RUN: &str = "~";

fn newest(transaction: &ReadTransaction) -> Result<Option<i64>, redb::Error> {
    let found = transaction.open_table(META)?.get(META_NEWEST)?;
    Ok(found.and_then(|found| found.value().parse().ok()))
}
