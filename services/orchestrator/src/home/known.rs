use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use prunella_model::{RunId, RunKey};
use prunella_stream::homes::Remembered;
use prunella_telemetry::metrics::RUNS_LIVE;

use super::packed::PackedRun;
use crate::machine::Run;
use crate::memory::Held;

pub(super) enum Form {
    /// At hand.
    Awake(Box<Run>),
    /// Read again when something comes for it.
    Asleep(PackedRun),
}

/// Ends of keys; no key holds a line feed. Runs of a workflow have much the same ones, and share them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Suffixes(Arc<Joined>);

/// With its length beside it, so that each of the many references to it is a word and not two.
#[derive(PartialEq, Eq, Hash)]
struct Joined(Box<str>);

impl Suffixes {
    pub(super) fn new<'s>(suffixes: impl IntoIterator<Item = &'s str>) -> Self {
        let mut joined = String::new();
        for suffix in suffixes {
            joined.push_str(suffix);
            joined.push('\n');
        }
        Self(Arc::new(Joined(joined.into())))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.0.split_terminator('\n')
    }
}

/// Suffixes that are looked for among those that others have, before those that nobody has are let go.
const SHARED: usize = 4096;

/// The runs of a home: those that live, each with the one moment when it is due by the clock, and those that have ended
/// and are recognised until their records are removed.
#[derive(Default)]
pub(super) struct KnownRuns {
    live: HashMap<RunKey, (i64, Form, Held)>,
    /// The due time of every live run, and nothing else.
    timers: BTreeSet<(i64, RunKey)>,
    /// What follows the run id in the keys of each.
    ended: Remembered<RunKey, Suffixes>,
    shared: HashSet<Suffixes>,
    awake: usize,
}

impl KnownRuns {
    pub(super) fn insert(&mut self, run: &RunId, due: i64, form: Form, held: Held) {
        self.remove(run);
        let key = RunKey::from(run);
        self.awake += usize::from(matches!(form, Form::Awake(_)));
        RUNS_LIVE.inc();
        self.timers.insert((due, key));
        self.live.insert(key, (due, form, held));
    }

    /// Takes a live run out.
    pub(super) fn remove(&mut self, run: &RunId) -> Option<(Form, Held)> {
        let key = RunKey::from(run);
        let (due, form, held) = self.live.remove(&key)?;
        self.timers.remove(&(due, key));
        self.awake -= usize::from(matches!(form, Form::Awake(_)));
        RUNS_LIVE.dec();
        Some((form, held))
    }

    /// The run has ended. It is recognised until `forgotten`.
    pub(super) fn retire(&mut self, run: &RunId, forgotten: i64, suffixes: Suffixes) {
        self.remove(run);
        let suffixes = self.share(suffixes);
        self.ended.insert(run.into(), forgotten, suffixes);
    }

    fn share(&mut self, suffixes: Suffixes) -> Suffixes {
        if let Some(shared) = self.shared.get(&suffixes) {
            return shared.clone();
        }
        if self.shared.len() >= SHARED {
            self.shared.retain(|one| Arc::strong_count(&one.0) > 1);
        }
        if self.shared.len() < SHARED {
            self.shared.insert(suffixes.clone());
        }
        suffixes
    }

    pub(super) fn postpone(&mut self, run: &RunId, due: i64) {
        if let Some((form, held)) = self.remove(run) {
            self.insert(run, due, form, held);
        }
    }

    pub(super) fn is_live(&self, run: &RunId) -> bool {
        self.live.contains_key(&run.into())
    }

    pub(super) fn is_ended(&self, run: &RunId) -> bool {
        self.ended.contains(&run.into())
    }

    pub(super) fn contains(&self, run: &RunId) -> bool {
        self.is_live(run) || self.is_ended(run)
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        let live = self.timers.first().map(|(at, _)| *at);
        live.into_iter().chain(self.ended.next_due()).min()
    }

    /// The live run that has been due for longest.
    pub(super) fn due(&self, now: i64) -> Option<RunId> {
        self.timers.first().filter(|(at, _)| *at <= now).and_then(|(_, key)| key.run())
    }

    /// Forgets a run that has ended long enough ago.
    pub(super) fn pop_forgotten(&mut self, now: i64) -> Option<(RunId, Suffixes)> {
        let (key, suffixes) = self.ended.pop_due(now)?;
        Some((key.run()?, suffixes))
    }

    pub(super) fn awake(&self) -> usize {
        self.awake
    }

    /// Puts every awake run to sleep that `pack` can pack.
    pub(super) fn put_to_sleep(&mut self, pack: impl Fn(&Run) -> Option<PackedRun>) {
        for (_, form, _) in self.live.values_mut() {
            if let Form::Awake(run) = form
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
        RUNS_LIVE.sub(i64::try_from(self.live.len()).unwrap_or(i64::MAX));
    }
}
