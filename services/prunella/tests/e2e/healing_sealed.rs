//! What healing keeps of the data is closed to whoever has no key, and a lost or wrong key loses nothing.

use std::time::Duration;

use prunella_testkit::harness::{Installation, ReadRecord, wait_until};
use serde_json::json;

use crate::healing::{
    as_it_is_now, assert_all_right, assert_all_succeed, learn, settings, start, workflow, workflow_with,
};
use crate::support::install_with;

const KEY: &str = "MASTER_ENCRYPTION_KEY";
const OLD_KEYS: &str = "MASTER_ENCRYPTION_KEYS_OLD";

fn key(name: &str) -> String {
    format!("{name}-0123456789abcdefghijklmnopqrstuvwxyz")
}

/// Whether anything of an order can be read in the value.
fn tells(record: &ReadRecord) -> bool {
    let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    text.contains("Customer ")
}

fn assert_closed(installation: &Installation) {
    for topic in ["state.samples", "state.parked", "stage.heal"] {
        let records = installation.read(topic);
        assert!(!records.is_empty(), "{topic}");
        assert!(!records.iter().any(tells), "{topic} can be read");
    }
}

fn remember(installation: &Installation) {
    learn(installation);
}

#[test]
fn remembered_and_parked_items_are_closed_and_outlive_a_change_of_the_key() {
    let installation = install_with(&settings()).with_environment(KEY, &key("first"));
    let running = installation.up();
    installation.apply(&workflow("review"));
    remember(&installation);
    let drifted = start(&installation, 16..24, as_it_is_now);
    let proposed = || installation.cli(&["mappings", "list"]).json()["mappings"][0]["candidates"] == json!([2]);
    wait_until(Duration::from_secs(60), "a proposal", || proposed().then_some(()));
    assert_closed(&installation);
    running.kill();

    // With a key that opens nothing, nothing is decided, and the log says why.
    let wrong = installation.up_with(&[(KEY, key("wrong"))]);
    wait_until(Duration::from_secs(60), "an error with its code", || wrong.log().contains("PRN-1002").then_some(()));
    wrong.kill();

    // The key changes: what was sealed with the former one is sealed anew.
    let changing = installation.up_with(&[(KEY, key("second")), (OLD_KEYS, key("first"))]);
    let resealed = installation.count("state.parked");
    wait_until(Duration::from_secs(60), "the change", || {
        (changing.log().contains("stage=\"healer\"") && installation.count("state.parked") > resealed).then_some(())
    });
    std::thread::sleep(Duration::from_secs(3));
    changing.kill();
    let installation = installation.with_environment(KEY, &key("second"));
    let _running = installation.up();
    installation.cli(&["mappings", "approve", "healing/orders", "2"]).exits_with(0);
    assert_all_succeed(&installation, &drifted);
    assert_all_right(&installation);
    assert_eq!(installation.count("deadletter.default.healing"), 0);
    assert_closed(&installation);
}

#[test]
fn fields_that_are_not_to_be_kept_are_not_and_nothing_is_if_the_author_wants() {
    let installation = install_with(&settings());
    let _running = installation.up();
    installation.apply(&workflow_with("auto", "{ redact: [customer_name, customer] }"));
    remember(&installation);
    let samples = installation.read("state.samples");
    assert!(samples.len() > 5 && !samples.iter().any(tells), "{}", samples.len());
    installation.apply(&workflow_with("auto", "{ remember: off }"));
    remember(&installation);
    assert_eq!(installation.count("state.samples"), i64::try_from(samples.len()).expect("a number"));
}
