//! What a reader of committed records finds in the topics.

use std::collections::BTreeMap;

use prunella_testkit::harness::{Installation, ReadRecord, block_on};
use prunella_wire::records::RunState;
use prunella_wire::{Codec, ControlRecord};

pub(crate) struct Observed {
    /// Every state a run was ever in, in order, by workflow and idempotency key.
    pub(crate) runs: BTreeMap<(String, String), Vec<RunState>>,
    pub(crate) outputs: BTreeMap<&'static str, Vec<ReadRecord>>,
    pub(crate) letters: BTreeMap<&'static str, Vec<ReadRecord>>,
    pub(crate) system_letters: Vec<ReadRecord>,
}

pub(crate) const NAMES: [&str; 3] = ["chain", "orders", "ticks"];

impl Observed {
    pub(crate) fn read(installation: &Installation) -> Self {
        let of = |kind: &str| NAMES.map(|name| (name, installation.read(&format!("{kind}.default.{name}")))).into();
        Self {
            runs: runs(installation),
            outputs: of("output"),
            letters: of("deadletter"),
            system_letters: installation.read("deadletter._system"),
        }
    }

    pub(crate) fn ended(&self, workflow: &str) -> u64 {
        let ended = |states: &[RunState]| states.last().is_some_and(|state| state.status.is_terminal());
        let runs = self.runs.iter().filter(|((of, _), states)| of == workflow && ended(states));
        runs.count() as u64
    }
}

fn runs(installation: &Installation) -> BTreeMap<(String, String), Vec<RunState>> {
    let codec = Codec::new(None, None);
    let mut runs: BTreeMap<_, Vec<RunState>> = BTreeMap::new();
    for record in installation.read("state.runs") {
        let Some(value) = &record.value else { continue };
        let opened = block_on(codec.open(value)).expect("a control record");
        if opened.name() != RunState::NAME {
            continue;
        }
        let state: RunState = opened.read().expect("a run's state");
        let key = state.idempotency_key.clone().unwrap_or_default();
        runs.entry((state.workflow.to_string(), key)).or_default().push(state);
    }
    runs
}
