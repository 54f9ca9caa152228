//! kill -9 of whichever healer owns the mapping, in the middle of every phase of a healing, under load.

use std::sync::Arc;
use std::time::Duration;

use prunella_testkit::harness::{Installation, block_on};
use prunella_testkit::llm::{FakeAnswer, FakeLlm};

use crate::drift::{Drift, Processes, RECODED, RECODED_ANSWER, RENAMED, assert_healed_once, config, drift_under_load};
use crate::round::binary;

/// Kills both healers at this point the first time they reach it; gives how often a model was asked, and the kills.
fn killed_at(point: &str, drift: Drift, answers: impl IntoIterator<Item = FakeAnswer>) -> (u64, u64) {
    let llm = block_on(FakeLlm::start(answers)).expect("a provider");
    let installation = Arc::new(Installation::new(&binary(), &config(&llm)));
    let mut processes = Processes::start(&installation, &format!("kill@healer:{point}"));
    let sent = drift_under_load(&installation, &mut processes, drift, Duration::from_secs(5));
    assert_healed_once(&installation, &sent);
    let (asked, kills) = (llm.calls() as u64, processes.kills);
    eprintln!("killed at {point}: {kills} kills, {asked} calls of a model");
    assert!(kills >= 1, "{point} was never reached");
    (asked, kills)
}

/// `POINT` chooses one of them.
fn is_chosen(point: &&str) -> bool {
    std::env::var("POINT").map_or(true, |chosen| chosen == *point)
}

#[test]
fn a_healer_killed_in_any_phase_leaves_one_healing_and_loses_nothing() {
    // A candidate was made, proven, published; some of what waited was driven; and the same inside the transactions.
    for point in [
        "candidate-made:1",
        "proven:1",
        "published:1",
        "driven:1",
        "driven:3",
        "decided:3",
        "written:4",
        "offsets-sent:5",
    ]
    .into_iter()
    .filter(is_chosen)
    {
        let (asked, _) = killed_at(point, RENAMED, [FakeAnswer::status(500, "nobody was to ask")]);
        assert_eq!(asked, 0, "{point}");
    }
}

#[test]
fn a_healer_killed_while_a_model_is_asked_costs_at_most_one_call_more() {
    let answer = || FakeAnswer::candidates(&[(RECODED_ANSWER, "letters for words")]);
    // The second time is after the answer: it is journaled then, and nobody is asked again.
    let points = ["candidate-made:1", "proven:1", "candidate-made:2", "proven:2", "published:1", "driven:1"];
    for point in points.into_iter().filter(is_chosen) {
        let (asked, kills) = killed_at(point, RECODED, [answer()]);
        assert!((1..=1 + kills).contains(&asked), "{point}: {asked} calls with {kills} kills");
    }
}
