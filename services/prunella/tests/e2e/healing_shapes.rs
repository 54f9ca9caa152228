//! Shapes of a source that arrive side by side: one version serves them all, and nothing flaps.

use std::time::Duration;

use prunella_testkit::harness::wait_until;
use serde_json::{Value, json};

use crate::healing::{
    as_it_is_now, as_it_was, assert_all_right, assert_all_succeed, expected, learn, settings, start, workflow,
};
use crate::support::install_with;

fn as_a_third_one_tells_it(order: u64) -> Value {
    let wanted = expected(order);
    json!({
        "order": { "no": wanted["id"] }, "party": { "label": wanted["customer"] },
        "sum": { "minor": wanted["cents"], "iso": "EUR" },
    })
}

#[test]
fn three_shapes_that_arrive_in_turns_are_served_by_one_version() {
    const SHAPES: [fn(u64) -> Value; 3] = [as_it_was, as_it_is_now, as_a_third_one_tells_it];
    let installation = install_with(&settings());
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    learn(&installation);
    let in_turns = |runs: std::ops::Range<u64>, shapes: &[fn(u64) -> Value]| {
        let ids: Vec<String> = runs
            .flat_map(|run| start(&installation, run..run + 1, shapes[(run % shapes.len() as u64) as usize]))
            .collect();
        assert_all_succeed(&installation, &ids);
    };
    in_turns(16..36, &SHAPES[..2]);
    in_turns(36..66, &SHAPES);
    let mapping = || installation.cli(&["mappings", "list"]).json()["mappings"][0].clone();
    wait_until(Duration::from_secs(20), "nothing waits for a decision", || {
        (mapping()["candidates"] == json!([])).then_some(())
    });
    // One version is in use, and from now on nothing has to wait, whichever shape comes.
    let (settled, parked) = (mapping(), installation.count("state.parked"));
    in_turns(66..72, &SHAPES);
    assert_eq!((mapping(), installation.count("state.parked")), (settled, parked));
    assert_all_right(&installation);
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}
