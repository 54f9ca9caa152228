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
    healing: HOW
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

/// The workflow with this policy.
pub(crate) fn workflow(heal: &str) -> String {
    workflow_with(heal, "{}")
}

pub(crate) fn workflow_with(heal: &str, how: &str) -> String {
    WORKFLOW.replace("HEAL", heal).replace("HOW", how)
}

pub(crate) fn settings() -> Value {
    json!({ "healing": { "gather": "300ms", "patience": "3s", "remember-every": "20ms" } })
}

fn install() -> Installation {
    install_with(&settings())
}

fn number_of(order: u64) -> u64 {
    order % 40
}

/// What becomes of an order, whatever its shape.
pub(crate) fn expected(order: u64) -> Value {
    let number = number_of(order);
    json!({ "id": format!("A-{number:04}"), "customer": format!("Customer {}", number * 7), "cents": 1000 + number * 37 })
}

pub(crate) fn as_it_was(order: u64) -> Value {
    let wanted = expected(order);
    json!({ "order_id": wanted["id"], "customer_name": wanted["customer"], "total_cents": wanted["cents"], "note": "" })
}

pub(crate) fn as_it_is_now(order: u64) -> Value {
    let wanted = expected(order);
    json!({
        "reference": wanted["id"], "buyer": { "name": wanted["customer"], "vip": number_of(order).is_multiple_of(3) },
        "amount": { "cents": wanted["cents"], "currency": "EUR" },
    })
}

fn as_it_is_later(order: u64) -> Value {
    let wanted = expected(order);
    json!({
        "number": wanted["id"], "buyer": { "fullName": wanted["customer"] },
        "amount": { "minor": wanted["cents"], "currency": "EUR" },
    })
}

pub(crate) fn payload(run: u64, shape: fn(u64) -> Value) -> Value {
    json!({ "orders": (run * 5..run * 5 + 5).map(shape).collect::<Vec<Value>>() })
}

/// Starts runs of five orders each, all at once.
pub(crate) fn start(installation: &Installation, runs: std::ops::Range<u64>, shape: fn(u64) -> Value) -> Vec<String> {
    installation.start_runs("healing", &runs.map(|run| payload(run, shape)).collect::<Vec<Value>>())
}

/// Starts runs of five orders each, with time between them for what is learned of one after the other.
fn start_in_turn(installation: &Installation, runs: std::ops::Range<u64>, shape: fn(u64) -> Value) -> Vec<String> {
    runs.map(|run| installation.start_run("healing", &payload(run, shape))).collect()
}

/// Puts out every order once as it was, so that what becomes of it is remembered.
pub(crate) fn learn(installation: &Installation) {
    assert_all_succeed(installation, &start_in_turn(installation, 0..16, as_it_was));
}

/// Waits for the ends of runs, each of which has put out its five orders.
pub(crate) fn assert_all_succeed(installation: &Installation, runs: &[String]) {
    for report in installation.wait_for_ends(runs, Duration::from_secs(90)) {
        assert_status(&report, "succeeded");
        assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(5), &json!(0)), "{report:#}");
    }
}

pub(crate) fn outputs(installation: &Installation) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for output in installation.read("output.default.healing") {
        found.entry(output.key_text().to_owned()).or_default().push(output.json());
    }
    found
}

pub(crate) fn assert_all_right(installation: &Installation) {
    let mut outputs = outputs(installation);
    for order in 0..40 {
        let wanted = expected(order);
        let id = wanted["id"].as_str().expect("text");
        let found = outputs.remove(id).unwrap_or_default();
        assert!(!found.is_empty(), "{id} is missing");
        assert!(found.iter().all(|output| *output == wanted), "{id}: {found:?}");
    }
}

#[test]
fn a_source_that_changed_is_followed_and_nothing_is_lost() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    learn(&installation);
    let drifted = start(&installation, 16..32, as_it_is_now);
    assert_all_succeed(&installation, &drifted);
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
    assert_all_succeed(&installation, &later);
}

#[test]
fn a_source_that_changes_again_at_once_is_followed_again() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    for (runs, shape) in [(0..16, as_it_was as fn(u64) -> Value), (16..28, as_it_is_now), (28..40, as_it_is_later)] {
        assert_all_succeed(&installation, &start_in_turn(&installation, runs, shape));
    }
    assert_all_right(&installation);
    let history = installation.cli(&["mappings", "show", "healing/orders"]).json()["history"].clone();
    let used = history.as_array().into_iter().flatten().filter(|it| it["status"] != "candidate");
    let parents: Vec<Value> = used.map(|it| it["parent"].clone()).collect();
    assert_eq!((parents.len(), &parents[0]), (2, &json!(1)), "one healing for each change");
}

#[test]
fn bad_data_now_and_then_goes_to_the_dead_letters_and_changes_nothing() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    assert_all_succeed(&installation, &start(&installation, 0..8, as_it_was));
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
    installation.apply(&workflow("auto"));
    learn(&installation);
    let drifted = start(&installation, 16..48, as_it_is_now);
    // Before the repair, and when its version is there and what waits is being driven.
    for topic in ["state.parked", "state.mappings"] {
        wait_until(Duration::from_secs(60), topic, || (installation.count(topic) > 0).then_some(()));
        running.kill();
        running = installation.up();
    }
    assert_all_succeed(&installation, &drifted);
    assert_all_right(&installation);
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}

#[test]
fn a_proposal_waits_for_a_person_who_may_change_their_mind() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("review"));
    learn(&installation);
    let drifted = start(&installation, 16..24, as_it_is_now);
    let candidates = || installation.cli(&["mappings", "list"]).json()["mappings"][0]["candidates"].clone();
    wait_until(Duration::from_secs(60), "a proposal", || (candidates() == json!([2])).then_some(()));
    assert_eq!(installation.count("output.default.healing"), 80, "nothing is used before it is approved");

    let shown = installation.cli(&["mappings", "show", "healing/orders"]).exits_with(0);
    let change = &shown.json()["history"][0]["evidence"]["fields"][0];
    assert_eq!((&change["old"], &change["new"]), (&json!("order_id"), &json!("reference")), "{change:#}");
    installation.cli(&["mappings", "approve", "healing/orders", "2", "--reason", "looks right"]).exits_with(0);
    assert_all_succeed(&installation, &drifted);
    assert_all_right(&installation);
    installation.cli(&["mappings", "approve", "healing/orders", "2"]).exits_with(6);

    // Back to the author's text: new records fail again, and what a person decided is not decided anew by a machine.
    installation.cli(&["mappings", "rollback", "healing/orders", "1"]).exits_with(0);
    let again = start(&installation, 24..25, as_it_is_now);
    wait_until(Duration::from_secs(30), "a parked batch", || {
        (installation.count("state.parked") > 8 * 2).then_some(())
    });
    installation.cli(&["mappings", "rollback", "healing/orders", "2"]).exits_with(0);
    assert_all_succeed(&installation, &again);
    assert_eq!(installation.count("deadletter.default.healing"), 0);
    let audit = installation.count("log.audit");
    assert!(audit >= 4, "each decision is in the audit log");
}

#[test]
fn a_wrong_mapping_that_a_person_uses_is_rolled_back_and_what_waited_waits_again() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("review"));
    learn(&installation);
    let drifted = start_in_turn(&installation, 16..24, as_it_is_now);
    let shown = || installation.cli(&["mappings", "show", "healing/orders"]).json();
    let status = |version: i64| {
        let history = shown()["history"].as_array().cloned().unwrap_or_default();
        history.iter().find(|it| it["version"] == version).map(|it| it["status"].clone()).unwrap_or_default()
    };
    wait_until(Duration::from_secs(60), "a proposal", || (status(2) == "candidate").then_some(()));
    let waiting = || installation.count("state.parked");
    wait_until(Duration::from_secs(60), "all that is to wait", || (waiting() >= 8).then_some(()));

    // Valid, and a hundred times what it was.
    let wrong = r#"{ "id": reference, "customer": buyer.name, "cents": amount.cents * 100 }"#;
    let file = installation.write("wrong.jsonata", wrong).display().to_string();
    installation.cli(&["mappings", "edit", "healing/orders", "--file", &file, "--reason", "in a hurry"]);
    wait_until(Duration::from_secs(60), "the guard", || (status(3) == "rolled-back").then_some(()));
    assert_eq!(installation.count("output.default.healing"), 80, "nothing of it was written");
    let evidence = shown()["history"][1]["evidence"]["rolled_back"]["reason"].clone();
    assert_eq!(evidence, json!("cents is about 100 times what it was"));

    installation.cli(&["mappings", "approve", "healing/orders", "2"]).exits_with(0);
    assert_all_succeed(&installation, &drifted);
    assert_all_right(&installation);
    assert_eq!(installation.count("output.default.healing"), 120, "each once");
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}

#[test]
fn a_mapping_that_is_healed_gets_the_authors_examples_right() {
    let example = json!([{ "name": "as it began", "input": as_it_was(7), "output": expected(7) }]);
    let installation = install();
    let _running = installation.up();
    let text = workflow_with("auto", &format!("{{}}\n    tests: {example}"));
    installation.apply(&text);
    let file = installation.write("workflow.yaml", &text).display().to_string();
    installation.cli(&["mappings", "test", &file]).exits_with(0);
    learn(&installation);
    assert_all_succeed(&installation, &start(&installation, 16..24, as_it_is_now));
    // The old shape goes on as well as the new one, with the same version.
    let both = [start(&installation, 24..28, as_it_was), start(&installation, 28..32, as_it_is_now)].concat();
    assert_all_succeed(&installation, &both);
    assert_all_right(&installation);
    let listed = installation.cli(&["mappings", "list"]).json();
    assert_eq!(listed["mappings"][0]["versions"], json!([2]), "one healing, and no more");

    let broken = installation.write("broken.yaml", &text.replace("total_cents", "total_cents + 1"));
    let answer = installation.cli(&["mappings", "test", &broken.display().to_string()]).exits_with(3);
    assert!(answer.stdout.contains("as it began"), "{}", answer.stdout);

    // The text that was healed comes into the file, and the file's author has the last word.
    let eval = installation.write("order.json", &as_it_is_now(3).to_string()).display().to_string();
    let output = installation.cli(&["mappings", "eval", "healing/orders", "--input", &eval]).exits_with(0).json();
    assert_eq!(output["output"], expected(3));
    installation.cli(&["mappings", "pull", "healing/orders", &file]).exits_with(0);
    let pulled = std::fs::read_to_string(&file).expect("the file");
    assert!(pulled.contains("$exists(") && pulled.contains("/* the shop's own number */"), "{pulled}");
    let applied = installation.cli(&["apply", &file]).exits_with(0).json();
    assert_eq!(applied["version"], json!(2));
    assert_all_succeed(&installation, &start(&installation, 32..33, as_it_is_now));
}

#[test]
fn a_file_whose_mapping_has_not_changed_undoes_no_healing_and_a_newer_text_wins() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    learn(&installation);
    assert_all_succeed(&installation, &start(&installation, 16..24, as_it_is_now));
    let versions = || -> std::collections::BTreeSet<String> {
        let outputs = installation.read("output.default.healing");
        outputs.iter().filter_map(|output| output.header("prunella-mapping-version").map(ToOwned::to_owned)).collect()
    };
    let parked = installation.count("state.parked");
    // Another deadline, the same mapping.
    installation.apply(&workflow("auto").replace("deadline: 5m", "deadline: 6m"));
    let run = start(&installation, 24..25, as_it_is_now).remove(0);
    let report = installation.wait_for_end(&run, Duration::from_secs(30));
    assert_eq!((&report["version"], &report["valid"]), (&json!(2), &json!(5)), "{report:#}");
    assert_eq!(installation.count("state.parked"), parked, "nothing has to wait");

    let newer = r#"{ "id": reference, "customer": $uppercase(buyer.name), "cents": amount.cents }"#;
    let before = &workflow("auto");
    let start_of_text = before.find("      {\n").expect("the mapping");
    let end_of_text = before.find("    schema:").expect("the schema");
    installation.apply(&format!("{}      {newer}\n{}", &before[..start_of_text], &before[end_of_text..]));
    let run = start(&installation, 25..26, as_it_is_now).remove(0);
    assert_status(&installation.wait_for_end(&run, Duration::from_secs(30)), "succeeded");
    let last = installation.read("output.default.healing").into_iter().map(|output| output.json());
    let shouted = last.filter(|output| output["customer"].as_str().is_some_and(|name| name.starts_with("CUSTOMER")));
    assert_eq!(shouted.count(), 5, "the author's newer text is used");
    assert_eq!(versions().into_iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn two_shapes_that_arrive_in_turns_are_served_by_one_version() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    learn(&installation);
    let mut runs = Vec::new();
    for turn in 0..20 {
        runs.extend(start(&installation, 16 + turn..17 + turn, if turn % 2 == 0 { as_it_is_now } else { as_it_was }));
    }
    assert_all_succeed(&installation, &runs);
    let versions = || installation.cli(&["mappings", "list"]).json()["mappings"][0]["versions"].clone();
    let settled = versions();
    assert!(settled.as_array().is_some_and(|versions| versions.len() <= 2), "{settled}");
    // From now on nothing has to wait, whichever shape comes.
    let parked = installation.count("state.parked");
    let both = [start(&installation, 36..38, as_it_was), start(&installation, 38..40, as_it_is_now)].concat();
    assert_all_succeed(&installation, &both);
    assert_eq!((versions(), installation.count("state.parked")), (settled, parked));
    assert_all_right(&installation);
}
