use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use prunella_model::RunId;
use prunella_telemetry::metrics::RUNS_LIVE;

use super::key::RunKey;
use super::packed::PackedRun;
use crate::machine::Run;
use crate::memory::Held;

/// What a home keeps of a run.
pub(super) enum Known {
    Live(Form, Held),
    /// Over, and recognised until its records are removed: what follows the run id in their keys.
    Ended(Suffixes),
}

pub(super) enum Form {
    /// At hand.
    Awake(Box<Run>),
    /// Read again when something comes for it.
    Asleep(PackedRun),
}

impl Known {
    fn is_live(&self) -> bool {
        matches!(self, Self::Live(..))
    }

    fn is_awake(&self) -> bool {
        matches!(self, Self::Live(Form::Awake(_), _))
    }
}

/// Ends of keys; no key holds a line feed. Runs of a workflow have much the same ones, and share them.
#[derive(Clone)]
pub(crate) struct Suffixes(Arc<str>);

impl Suffixes {
    pub(super) fn new<'s>(suffixes: impl IntoIterator<Item = &'s str>) -> Self {
        let mut joined = String::new();
        for suffix in suffixes {
            joined.push_str(suffix);
            joined.push('\n');
        }
        Self(joined.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator('\n')
    }
}

/// Suffixes that are looked for among those that others have, before those that nobody has are let go.
const SHARED: usize = 4096;

/// The runs of a home, each with the one moment when it is due by the clock.
#[derive(Default)]
pub(super) struct KnownRuns {
    runs: HashMap<RunKey, (i64, Known)>,
    /// The due time of every run, and nothing else.
    timers: BTreeSet<(i64, RunKey)>,
    shared: HashSet<Arc<str>>,
    live: usize,
    awake: usize,
}

impl KnownRuns {
    pub(super) fn insert(&mut self, run: &RunId, due: i64, known: Known) {
        self.remove(run);
        let known = match known {
            Known::Ended(suffixes) => Known::Ended(self.share(suffixes)),
            live => live,
        };
        self.live += usize::from(known.is_live());
        self.awake += usize::from(known.is_awake());
        RUNS_LIVE.add(i64::from(known.is_live()));
        let key = RunKey::from(run);
        self.timers.insert((due, key));
        self.runs.insert(key, (due, known));
    }

    fn share(&mut self, suffixes: Suffixes) -> Suffixes {
        if let Some(shared) = self.shared.get(&suffixes.0) {
            return Suffixes(shared.clone());
        }
        if self.shared.len() >= SHARED {
            self.shared.retain(|one| Arc::strong_count(one) > 1);
        }
        if self.shared.len() < SHARED {
            self.shared.insert(suffixes.0.clone());
        }
        suffixes
    }

    pub(super) fn remove(&mut self, run: &RunId) -> Option<Known> {
        let key = RunKey::from(run);
        let (due, known) = self.runs.remove(&key)?;
        self.timers.remove(&(due, key));
        self.live -= usize::from(known.is_live());
        self.awake -= usize::from(known.is_awake());
        RUNS_LIVE.sub(i64::from(known.is_live()));
        Some(known)
    }

    pub(super) fn postpone(&mut self, run: &RunId, due: i64) {
        if let Some(known) = self.remove(run) {
            self.insert(run, due, known);
        }
    }

    pub(super) fn is_live(&self, run: &RunId) -> bool {
        self.runs.get(&run.into()).is_some_and(|(_, known)| known.is_live())
    }

    pub(super) fn is_ended(&self, run: &RunId) -> bool {
        self.runs.get(&run.into()).is_some_and(|(_, known)| !known.is_live())
    }

    pub(super) fn contains(&self, run: &RunId) -> bool {
        self.runs.contains_key(&run.into())
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The run that has been due for longest.
    pub(super) fn due(&self, now: i64) -> Option<RunId> {
        self.timers.first().filter(|(at, _)| *at <= now).and_then(|(_, key)| key.run())
    }

    pub(super) fn awake(&self) -> usize {
        self.awake
    }

    /// Puts every awake run to sleep that `pack` can pack.
    pub(super) fn put_to_sleep(&mut self, pack: impl Fn(&Run) -> Option<PackedRun>) {
        for (_, known) in self.runs.values_mut() {
            if let Known::Live(form, _) = known
                && let Form::Awake(run) = form
                && let Some(packed) = pack(run)
            {
                *form = Form::Asleep(packed);
                self.awake -= 1;
            }
        }
    }
}

impl Drop for KnownRuns {
    fn drop(&mut self) {
        RUNS_LIVE.sub(i64::try_from(self.live).unwrap_or(i64::MAX));
    }
}
