//! Dead letters of every kind: read, sent back once their cause is gone, and laid aside.

use std::time::Duration;

use prunella_testkit::harness::{Answer, Installation, wait_until};
use serde_json::{Value, json};

use crate::support::{assert_status, install, install_with, is_fused};

const PATIENCE: Duration = Duration::from_secs(60);

fn totals(installation: &Installation, name: &str) -> Value {
    installation.cli(&["deadletters", "list", name]).exits_with(0).json()
}

/// The documents that a command printed, one a line; the last is its total.
fn lines(answer: &Answer) -> Vec<Value> {
    answer.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn total(answer: &Answer) -> Value {
    lines(answer).pop().expect("a total")["total"].clone()
}

/// A part of a sum of an audit.
fn part(audit: &Value, account: usize, name: &str) -> u64 {
    let parts = audit["accounts"][account]["parts"].as_array().expect("parts");
    parts.iter().find(|part| part["name"] == name).map_or(0, |part| part["count"].as_u64().expect("a count"))
}

fn wait_for_letters(installation: &Installation, topic: &str, count: i64) {
    wait_until(PATIENCE, &format!("{count} letters on {topic}"), || (installation.count(topic) >= count).then_some(()));
}

/// Items 0 to 9, of which the mapping refuses one and the schema another; what they need of the trigger is in `unit`.
fn prices(division: &str, most: u32) -> String {
    format!(
        r#"
workflow: prices
trigger: {{}}
steps:
  - id: all
    extract: {{ trigger: {{}}, items: list }}
    transform: '{{ "n": n, "price": {division}, "unit": $trigger.unit }}'
    schema: {{ type: object, properties: {{ price: {{ type: number, maximum: {most} }} }} }}
output: {{ from: all, key: $string(n) }}
"#
    )
}

#[test]
fn items_go_back_to_the_mapping_that_takes_them_and_once() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&prices("$number(cents) / 100", 50));
    let list: Vec<Value> =
        (0..10).map(|n| json!({ "n": n, "cents": if n == 3 { json!("x") } else { json!(n * 1000) } })).collect();
    let report = installation.run_to_end("prices", &json!({ "unit": "EUR", "list": list }));
    assert_status(&report, "succeeded");
    // 3 has no number; 6 to 9 cost more than 50.
    assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(5), &json!(5)), "{report:#}");
    let listed = totals(&installation, "prices");
    assert_eq!(listed["total"], 5, "{listed:#}");
    assert_eq!(listed["letters"].as_array().map(Vec::len), Some(5));
    let count_of = |code: &str| {
        let counts = listed["counts"].as_array().expect("counts");
        counts.iter().filter(|one| one["code"] == code).map(|one| one["count"].as_i64().expect("a count")).sum::<i64>()
    };
    let filtered = installation.cli(&["deadletters", "list", "prices", "--code", "PRN-0602"]).exits_with(0).json();
    assert_eq!((count_of("PRN-0602"), &filtered["total"]), (4, &json!(4)), "{listed:#}");
    let none = installation.cli(&["deadletters", "list", "prices", "--step", "other"]).exits_with(0).json();
    assert_eq!(none["total"], 0);

    let id = filtered["letters"][0]["letter"].as_str().expect("an id").to_owned();
    let shown = installation.cli(&["deadletters", "show", &id]).exits_with(0).json();
    assert_eq!((&shown["code"], &shown["step"], &shown["run"]), (&json!("PRN-0602"), &json!("all"), &report["run"]));
    assert_eq!(shown["fields"][0]["pointer"], "/price", "{shown:#}");
    assert!(shown["value"].as_str().is_some_and(|value| value.contains("cents")), "{shown:#}");
    assert!(shown["original"]["topic"].is_string() && shown["output"].is_string(), "{shown:#}");

    // Nothing has changed: they would fail again, and a dry run changes nothing.
    let dry = installation.cli(&["deadletters", "redrive", "--all-of", "prices", "--dry-run"]).exits_with(0);
    assert_eq!(total(&dry), json!({ "redriven": 5, "left": 0, "refused": 0, "dry_run": true }));
    assert_eq!(totals(&installation, "prices")["total"], 5);

    // The cause is removed.
    installation.apply(&prices("$type(cents) = \"number\" ? cents / 100 : 0", 100));
    let arguments = ["deadletters", "redrive", "--all-of", "prices", "--code", "PRN-0602", "--reason", "limit raised"];
    let redriven = installation.cli(&arguments).exits_with(0);
    assert_eq!(total(&redriven)["redriven"], 4);
    let other = listed["letters"].as_array().expect("letters").iter().find(|one| one["code"] != "PRN-0602");
    let other = other.expect("the one without a number")["letter"].as_str().expect("an id").to_owned();
    assert_eq!(total(&installation.cli(&["deadletters", "redrive", &other]).exits_with(0))["redriven"], 1);
    wait_until(PATIENCE, "every item is put out", || (installation.count("output.default.prices") >= 10).then_some(()));
    // Twice is once.
    assert_eq!(total(&installation.cli(&["deadletters", "redrive", &other, &id]).exits_with(0))["left"], 2);
    assert_eq!(total(&installation.cli(&arguments).exits_with(0))["redriven"], 0);
    std::thread::sleep(Duration::from_millis(500));

    let outputs = installation.read("output.default.prices");
    let mut numbers: Vec<&str> = outputs.iter().map(|output| output.key_text()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    for output in outputs.iter().filter(|output| ["3", "6", "7", "8", "9"].contains(&output.key_text())) {
        // The same item of the same run, by the version that is live, and what it has come of.
        let item = output.header("prunella-item").expect("an item");
        assert!(item.starts_with(report["run"].as_str().expect("an id")), "{item}");
        assert_eq!(output.header("prunella-workflow"), Some("default/prices@2"));
        let of = output.header("prunella-redrive-of").expect("what it came of");
        assert!(of.starts_with(&installation.topic("deadletter.default.prices/")) && of.contains("PRN-0"), "{of}");
        assert_eq!(output.json()["unit"], "EUR", "the mapping reads the trigger");
    }
    let audit = installation.cli(&["audit", "prices"]).exits_with(0).json();
    assert_eq!(audit["adds_up"], true, "{audit:#}");
    assert_eq!(part(&audit, 0, "runs"), 1);
    assert_eq!((part(&audit, 1, "out"), part(&audit, 1, "redriven"), part(&audit, 1, "dead")), (5, 5, 0), "{audit:#}");
    assert_eq!(part(&audit, 2, "out"), 5);
    // The run has ended, and stays as it was.
    assert_eq!(installation.show(report["run"].as_str().expect("an id"))["valid"], 5);
    assert_eq!(totals(&installation, "prices")["total"], 0);
    let all = installation.cli(&["deadletters", "list", "prices", "--state", "redriven"]).exits_with(0).json();
    assert_eq!(all["total"], 5);
    let audited = installation.cli(&["topics", "tail", "log.audit", "--from-beginning"]).exits_with(0);
    let redrives: Vec<Value> =
        lines(&audited).into_iter().filter(|line| line["value"]["value"]["action"] == "letters-redriven").collect();
    assert_eq!(redrives.len(), 2, "{audited}", audited = audited.stdout);
    assert!(redrives[0]["value"]["value"]["detail"].as_str().is_some_and(|detail| detail.contains("limit raised")));
}

#[test]
fn what_fails_again_is_a_new_letter_with_its_history_and_what_is_discarded_stays_readable() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&prices("cents / 100", 5));
    let report = installation.run_to_end("prices", &json!({ "list": [{ "n": 1, "cents": 1000 }] }));
    assert_status(&report, "succeeded");
    let first = totals(&installation, "prices")["letters"][0]["letter"].as_str().expect("an id").to_owned();
    installation.cli(&["deadletters", "redrive", &first]).exits_with(0);
    wait_for_letters(&installation, "deadletter.default.prices", 2);
    let listed = totals(&installation, "prices");
    assert_eq!((&listed["total"], &listed["letters"][0]["redrives"]), (&json!(1), &json!(1)), "{listed:#}");
    let second = listed["letters"][0]["letter"].as_str().expect("an id").to_owned();
    installation.cli(&["deadletters", "redrive", &second]).exits_with(0);
    wait_for_letters(&installation, "deadletter.default.prices", 3);
    let third = totals(&installation, "prices")["letters"][0]["letter"].as_str().expect("an id").to_owned();
    let shown = installation.cli(&["deadletters", "show", &third]).exits_with(0).json();
    let history: Vec<&str> = shown["history"].as_array().expect("a history").iter().filter_map(Value::as_str).collect();
    assert_eq!(history.len(), 2, "{shown:#}");
    assert!(history.iter().all(|earlier| earlier.contains("PRN-0602")), "{shown:#}");

    installation.cli(&["deadletters", "discard", &third]).exits_with(2);
    let discarded = installation.cli(&["deadletters", "discard", &third, "--reason", "a test order"]).exits_with(0);
    assert_eq!(total(&discarded), json!({ "discarded": 1, "left": 0, "refused": 0, "dry_run": false }));
    assert_eq!(totals(&installation, "prices")["total"], 0);
    assert_eq!(total(&installation.cli(&["deadletters", "redrive", &third]).exits_with(0))["left"], 1);
    let shown = installation.cli(&["deadletters", "show", &third]).exits_with(0).json();
    assert_eq!((&shown["state"], &shown["decision"]["reason"]), (&json!("discarded"), &json!("a test order")));
    assert!(shown["decision"]["actor"].is_string() && shown["decision"]["at"].is_i64(), "{shown:#}");
    installation.cli(&["deadletters", "show", "prices/0/999"]).exits_with(5);
    let audit = installation.cli(&["audit", "prices"]).exits_with(0).json();
    assert_eq!((part(&audit, 1, "discarded"), part(&audit, 1, "out")), (1, 0), "{audit:#}");
    assert_eq!(part(&audit, 2, "dead again"), 2, "{audit:#}");
}

#[test]
fn a_trigger_goes_back_to_its_topic_and_is_one_run() {
    let installation = install_with(&json!({ "runs": { "max-trigger-bytes": "1KiB" } }));
    let running = installation.up();
    installation.apply(&prices("cents / 100", 50));
    let topic = installation.topic("trigger.default.prices");
    let large = json!({ "unit": "x".repeat(2000), "list": [{ "n": 1, "cents": 100 }] }).to_string();
    installation.kafka().produce(&topic, Some(b"k"), Some(large.as_bytes()), &[("mine", b"kept \xff")]);
    installation.kafka().produce(&topic, Some(b"k"), Some(b"{'not': 'JSON'}"), &[]);
    wait_for_letters(&installation, "deadletter.default.prices", 2);
    running.terminate(Duration::from_secs(30));

    let installation = installation.with_environment("PRUNELLA__RUNS__MAX_TRIGGER_BYTES", "1MiB");
    let _running = installation.up();
    let redriven = installation.cli(&["deadletters", "redrive", "--all-of", "prices"]).exits_with(0);
    assert_eq!(total(&redriven)["redriven"], 2);
    let run = wait_until(PATIENCE, "a run of the trigger", || {
        let listed = installation.cli(&["runs", "list", "--status", "succeeded"]).exits_with(0).json();
        listed["runs"][0]["run"].as_str().map(str::to_owned)
    });
    let triggers = installation.read("trigger.default.prices");
    assert_eq!(triggers.len(), 4);
    let again = triggers
        .iter()
        .find(|trigger| trigger.value.as_deref() == Some(large.as_bytes()) && trigger.headers.len() > 1)
        .expect("the copy");
    assert_eq!((again.key.as_deref(), &again.headers["mine"][..]), (Some(&b"k"[..]), &b"kept \xff"[..]));
    assert!(again.header("prunella-dead-code").is_none() && again.header("__connect.errors.topic").is_none());
    assert!(again.header("prunella-redrive-of").is_some_and(|of| of.contains("PRN-0702")), "{:?}", again.headers);
    // The same trigger once more, as if a redrive had been cut off and repeated without its mark: the same run.
    let key = again.headers["idempotency-key"].clone();
    installation.kafka().produce(&topic, Some(b"k"), Some(large.as_bytes()), &[("idempotency-key", &key)]);
    // What is not JSON is not JSON: a letter again, with where it came from.
    wait_for_letters(&installation, "deadletter.default.prices", 3);
    let listed = totals(&installation, "prices");
    assert_eq!((&listed["total"], &listed["letters"][0]["redrives"]), (&json!(1), &json!(1)), "{listed:#}");
    let report = installation.run_to_end("prices", &json!({ "list": [] }));
    assert_status(&report, "succeeded");
    assert_eq!(installation.cli(&["runs", "list"]).exits_with(0).json()["total"], 2, "{run} and that one");
    let audit = installation.cli(&["audit", "prices"]).exits_with(0).json();
    let found = ["runs", "redriven", "dead", "duplicates"].map(|name| part(&audit, 0, name));
    assert_eq!(found, [2, 2, 1, 1], "{audit:#}");
    assert_eq!((part(&audit, 2, "runs"), part(&audit, 2, "dead again")), (1, 1), "{audit:#}");
}

#[test]
fn a_record_goes_through_its_stream_again() {
    let installation = install();
    let input = installation.topic("shop.orders");
    installation.kafka().create_topic(&input, 2);
    let _running = installation.up();
    let stream = |most: u32| {
        format!(
            "kind: stream\nstream: orders\ninput: {{ topic: {input} }}\n\
             transform: '{{ \"n\": n, \"at\": $record.offset, \"of\": $record.headers.mine }}'\n\
             schema: {{ type: object, properties: {{ n: {{ type: integer, maximum: {most} }} }} }}\n"
        )
    };
    installation.apply(&stream(10));
    installation.kafka().produce_to(&input, Some(1), Some(b"a"), Some(br#"{ "n": 1 }"#), &[]);
    installation.kafka().produce_to(&input, Some(1), Some(b"b"), Some(br#"{ "n": 20 }"#), &[("mine", b"yes")]);
    wait_for_letters(&installation, "deadletter.default.orders", 1);
    let letter = totals(&installation, "orders")["letters"][0]["letter"].as_str().expect("an id").to_owned();
    // The live version refuses it still: it stays a letter.
    let refused = installation.cli(&["deadletters", "redrive", &letter]).exits_with(6);
    assert!(lines(&refused)[0]["detail"].as_str().is_some_and(|why| why.contains("PRN-0602")), "{}", refused.stdout);
    installation.apply(&stream(100));
    assert_eq!(total(&installation.cli(&["deadletters", "redrive", &letter]).exits_with(0))["redriven"], 1);
    assert_eq!(total(&installation.cli(&["deadletters", "redrive", &letter]).exits_with(0))["left"], 1);
    let outputs = installation.read("output.default.orders");
    assert_eq!(outputs.len(), 2);
    let again = outputs.iter().find(|output| output.key_text() == "b").expect("the redriven one");
    assert_eq!(again.json(), json!({ "n": 20, "at": 1, "of": "yes" }), "mapped as the record it was");
    assert_eq!(again.header("prunella-source"), Some(format!("{input}/1/1").as_str()));
    assert_eq!(again.header("prunella-stream"), Some("default/orders@2"));
    assert!(again.header("prunella-dead-code").is_none());
    let audit = installation.cli(&["audit", "orders"]).exits_with(0).json();
    assert_eq!((part(&audit, 0, "out"), part(&audit, 0, "redriven")), (1, 1), "{audit:#}");
    // Nobody else's topic was written to.
    assert_eq!(installation.kafka().count(&input), 2);
}

#[test]
fn garbage_of_nobody_is_listed_and_discarded() {
    let installation = install();
    let _running = installation.up();
    let topic = installation.topic("stage.progress");
    installation.kafka().produce_to(&topic, Some(1), Some(b"x"), Some(b"hello"), &[]);
    wait_for_letters(&installation, "deadletter._system", 1);
    let listed = installation.cli(&["deadletters", "list"]).exits_with(0).json();
    assert_eq!((&listed["total"], &listed["counts"][0]["code"]), (&json!(1), &json!("PRN-0301")), "{listed:#}");
    let letter = listed["letters"][0]["letter"].as_str().expect("an id").to_owned();
    assert!(letter.starts_with("_system/"), "{letter}");
    // It goes to the home that it stood in, and fails there once more.
    installation.cli(&["deadletters", "redrive", &letter]).exits_with(0);
    wait_for_letters(&installation, "deadletter._system", 2);
    assert_eq!(
        installation
            .read("stage.progress")
            .iter()
            .filter(|record| record.partition == 1 && record.key_text() == "x")
            .count(),
        2
    );
    let arguments = ["deadletters", "discard", "--all-of", "_system", "--reason", "garbage"];
    assert_eq!(total(&installation.cli(&arguments).exits_with(0))["discarded"], 1);
    installation.cli(&["deadletters", "list", "nobody"]).exits_with(5);
}

#[test]
fn a_whole_batch_goes_back_to_its_stage_when_its_payloads_are_there_again() {
    if is_fused() {
        return;
    }
    let installation = install_with(&json!({ "claims": { "threshold": "1KiB" }, "runtime": { "attempts": 2 } }));
    installation.cli(&["topics", "apply"]).exits_with(0);
    installation.apply(&prices("cents / 100", 50));
    let listen = |port: &str| [("PRUNELLA__TELEMETRY__LISTEN", format!("127.0.0.1:{port}"))];
    let _first = installation.serve_with(&["orchestrator", "extractor"], &listen("0"));
    let list = json!([{ "n": 1, "cents": 100, "note": "x".repeat(5000) }, { "n": 2, "cents": 200 }]);
    let run = installation.start_run("prices", &json!({ "unit": "EUR", "list": list }));
    wait_until(PATIENCE, "the batch waits", || (installation.count("stage.transform") >= 1).then_some(()));
    let claims = installation.directory().join("data/claims");
    let away = installation.directory().join("data/away");
    std::fs::rename(&claims, &away).expect("taken away");
    let _second = installation.serve_with(&["transformer", "validator"], &listen("0"));
    wait_for_letters(&installation, "deadletter.default.prices", 1);
    assert_status(&installation.wait_for_end(&run, PATIENCE), "failed");
    let letter = totals(&installation, "prices")["letters"][0].clone();
    assert_eq!((&letter["code"], &letter["item"]), (&json!("PRN-0304"), &Value::Null), "{letter:#}");

    std::fs::remove_dir_all(&claims).expect("an empty directory");
    std::fs::rename(&away, &claims).expect("put back");
    assert_eq!(
        total(&installation.cli(&["deadletters", "redrive", "--all-of", "prices"]).exits_with(0))["redriven"],
        1
    );
    let outputs = wait_until(PATIENCE, "the items of the batch", || {
        let outputs = installation.read("output.default.prices");
        (outputs.len() >= 2).then_some(outputs)
    });
    assert!(
        outputs.iter().all(|output| output.json()["unit"] == "EUR" && output.header("prunella-redrive-of").is_some())
    );
    // The run had failed and stays so; the audit knows what came of its letter.
    assert_status(&installation.show(&run), "failed");
    let audit = installation.cli(&["audit", "prices"]).exits_with(0).json();
    assert_eq!(part(&audit, 2, "sent"), 1, "{audit:#}");
}
