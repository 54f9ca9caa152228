//! A source changes its shape: what fails waits, the mapping is repaired and proven, and everything comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use prunella_testkit::harness::{Installation, wait_until};
use serde_json::{Value, json};

use crate::support::{assert_status, install_with};

const WORKFLOW: &str = r#"
workflow: healing
trigger: {}
deadline: 5m
steps:
  - id: orders
    heal: HEAL
    extract: { trigger: {}, items: orders }
    transform: |
      {
        /* the shop's own number */
        "id": order_id,
        "customer": customer_name,
        "cents": total_cents
      }
    schema:
      type: object
      required: [id, customer, cents]
      properties: { id: { type: string }, customer: { type: string }, cents: { type: integer } }
output: { from: orders, key: id }
"#;

fn install() -> Installation {
    install_with(&json!({ "healing": { "gather": "300ms", "patience": "3s", "remember-every": "1s" } }))
}

fn number_of(order: u64) -> u64 {
    order % 40
}

/// What becomes of an order, whatever its shape.
fn expected(order: u64) -> Value {
    let number = number_of(order);
    json!({ "id": format!("A-{number:04}"), "customer": format!("Customer {}", number * 7), "cents": 1000 + number * 37 })
}

fn as_it_was(order: u64) -> Value {
    let wanted = expected(order);
    json!({ "order_id": wanted["id"], "customer_name": wanted["customer"], "total_cents": wanted["cents"], "note": "" })
}

fn as_it_is_now(order: u64) -> Value {
    let wanted = expected(order);
    json!({
        "reference": wanted["id"], "buyer": { "name": wanted["customer"], "vip": number_of(order).is_multiple_of(3) },
        "amount": { "cents": wanted["cents"], "currency": "EUR" },
    })
}

/// Starts runs of five orders each.
fn start(installation: &Installation, runs: std::ops::Range<u64>, shape: fn(u64) -> Value) -> Vec<String> {
    runs.map(|run| {
        let orders: Vec<Value> = (run * 5..run * 5 + 5).map(shape).collect();
        installation.start_run("healing", &json!({ "orders": orders }))
    })
    .collect()
}

fn outputs(installation: &Installation) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for output in installation.read("output.default.healing") {
        found.entry(output.key_text().to_owned()).or_default().push(output.json());
    }
    found
}

fn assert_all_right(installation: &Installation) {
    for order in 0..40 {
        let wanted = expected(order);
        let id = wanted["id"].as_str().expect("text");
        let found = outputs(installation).remove(id).unwrap_or_default();
        assert!(!found.is_empty(), "{id} is missing");
        assert!(found.iter().all(|output| *output == wanted), "{id}: {found:?}");
    }
}

#[test]
fn a_source_that_changed_is_followed_and_nothing_is_lost() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&WORKFLOW.replace("HEAL", "auto"));
    for run in start(&installation, 0..16, as_it_was) {
        assert_status(&installation.wait_for_end(&run, Duration::from_secs(60)), "succeeded");
    }
    let drifted = start(&installation, 16..32, as_it_is_now);
    for run in &drifted {
        let report = installation.wait_for_end(run, Duration::from_secs(60));
        assert_status(&report, "succeeded");
        assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(5), &json!(0)), "{report:#}");
    }
    assert_all_right(&installation);
    assert_eq!(installation.count("deadletter.default.healing"), 0);
    assert_eq!(installation.count("output.default.healing"), 160, "each once");
    let versions: std::collections::BTreeSet<String> = installation
        .read("output.default.healing")
        .iter()
        .filter_map(|output| output.header("prunella-mapping-version").map(ToOwned::to_owned))
        .collect();
    assert_eq!(versions.into_iter().collect::<Vec<_>>(), ["1", "2"], "one healing, and no more");
    // What comes now is mapped at once.
    let later = start(&installation, 32..33, as_it_is_now);
    assert_status(&installation.wait_for_end(&later[0], Duration::from_secs(20)), "succeeded");
}

#[test]
fn bad_data_now_and_then_goes_to_the_dead_letters_and_changes_nothing() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&WORKFLOW.replace("HEAL", "auto"));
    for run in start(&installation, 0..8, as_it_was) {
        installation.wait_for_end(&run, Duration::from_secs(60));
    }
    let mut orders: Vec<Value> = (0..20).map(as_it_was).collect();
    orders[7]["total_cents"] = json!("a lot");
    let run = installation.start_run("healing", &json!({ "orders": orders }));
    let report = installation.wait_for_end(&run, Duration::from_secs(30));
    assert_status(&report, "succeeded");
    assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(19), &json!(1)), "{report:#}");
    let letters = installation.read("deadletter.default.healing");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("prunella-dead-code"), Some("PRN-0602"));
    assert_eq!(installation.count("state.mappings"), 0, "nothing was changed");
}

#[test]
fn a_killed_healer_goes_on_where_it_was() {
    let installation = install();
    let mut running = installation.up();
    installation.apply(&WORKFLOW.replace("HEAL", "auto"));
    for run in start(&installation, 0..16, as_it_was) {
        installation.wait_for_end(&run, Duration::from_secs(60));
    }
    let drifted = start(&installation, 16..48, as_it_is_now);
    // Before the repair, and when its version is there and what waits is being driven.
    for topic in ["state.parked", "state.mappings"] {
        wait_until(Duration::from_secs(60), topic, || (installation.count(topic) > 0).then_some(()));
        running.kill();
        running = installation.up();
    }
    for run in &drifted {
        let report = installation.wait_for_end(run, Duration::from_secs(90));
        assert_status(&report, "succeeded");
        assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(5), &json!(0)), "{report:#}");
    }
    assert_all_right(&installation);
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}

#[test]
fn a_proposal_waits_for_a_person_who_may_change_their_mind() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&WORKFLOW.replace("HEAL", "review"));
    for run in start(&installation, 0..16, as_it_was) {
        installation.wait_for_end(&run, Duration::from_secs(60));
    }
    let drifted = start(&installation, 16..24, as_it_is_now);
    let candidates = || installation.cli(&["mappings", "list"]).json()["mappings"][0]["candidates"].clone();
    wait_until(Duration::from_secs(60), "a proposal", || (candidates() == json!([2])).then_some(()));
    assert_eq!(installation.count("output.default.healing"), 80, "nothing is used before it is approved");

    let shown = installation.cli(&["mappings", "show", "healing/orders"]).exits_with(0);
    let change = &shown.json()["history"][0]["evidence"]["fields"][0];
    assert_eq!((&change["old"], &change["new"]), (&json!("order_id"), &json!("reference")), "{change:#}");
    installation.cli(&["mappings", "approve", "healing/orders", "2", "--reason", "looks right"]).exits_with(0);
    for run in &drifted {
        assert_status(&installation.wait_for_end(run, Duration::from_secs(60)), "succeeded");
    }
    assert_all_right(&installation);
    installation.cli(&["mappings", "approve", "healing/orders", "2"]).exits_with(3);

    // Back to the author's text: new records fail again, and what a person decided is not decided anew by a machine.
    installation.cli(&["mappings", "rollback", "healing/orders", "1"]).exits_with(0);
    let again = start(&installation, 24..25, as_it_is_now);
    wait_until(Duration::from_secs(30), "a parked batch", || {
        (installation.count("state.parked") > 8 * 2).then_some(())
    });
    installation.cli(&["mappings", "rollback", "healing/orders", "2"]).exits_with(0);
    assert_status(&installation.wait_for_end(&again[0], Duration::from_secs(60)), "succeeded");
    assert_eq!(installation.count("deadletter.default.healing"), 0);
    let audit = installation.count("log.audit");
    assert!(audit >= 4, "each decision is in the audit log");
}
