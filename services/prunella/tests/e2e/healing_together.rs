//! Two healers, and a source that drifts under load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prunella_testkit::harness::{Installation, block_on};
use prunella_testkit::llm::{FakeAnswer, FakeLlm};

use crate::drift::{Drift, Processes, RECODED, RECODED_ANSWER, RENAMED, assert_healed_once, config, drift_under_load};
use crate::support::PRUNELLA;

/// Each wants the machine for itself.
static ALONE: Mutex<()> = Mutex::new(());

/// Gives how often a model was asked.
fn healed_by_two(drift: Drift, answers: impl IntoIterator<Item = FakeAnswer>) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let llm = block_on(FakeLlm::start(answers)).expect("a provider");
    let installation = Arc::new(Installation::new(PRUNELLA, &config(&llm)));
    let mut processes = Processes::start(&installation, "");
    let sent = drift_under_load(&installation, &mut processes, drift, Duration::from_secs(5));
    assert_healed_once(&installation, &sent);
    assert_eq!(processes.kills, 0, "nobody ended");
    llm.calls()
}

#[test]
fn two_healers_heal_a_drift_once_without_asking_anybody() {
    assert_eq!(healed_by_two(RENAMED, [FakeAnswer::status(500, "nobody was to ask")]), 0);
}

#[test]
fn two_healers_ask_a_model_once_about_a_drift() {
    let answer = FakeAnswer::candidates(&[(RECODED_ANSWER, "letters for words")]);
    assert_eq!(healed_by_two(RECODED, [answer]), 1);
}
