//! Work done again: shown, compared, done, cut off and gone on with; and groups that were rewound.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use prunella_testkit::harness::{Answer, Installation, wait_until};
use serde_json::{Value, json};

use crate::support::{COPY, install, is_fused};

mod compare;
mod pace;
mod rewound;

const PATIENCE: Duration = Duration::from_secs(90);

fn lines(answer: &Answer) -> Vec<Value> {
    answer.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A stream whose service does not run: only what is replayed is on its topics.
fn stream(records: u32) -> (Installation, String) {
    let installation = install();
    installation.cli(&["topics", "apply"]).exits_with(0);
    let input = installation.topic("shop.orders");
    installation.kafka().create_topic(&input, 3);
    installation.apply(&definition(&input, "n * 2"));
    let all: Vec<(String, String)> =
        (0..records).map(|n| (format!("k{n}"), json!({ "n": n, "id": format!("i{n}") }).to_string())).collect();
    installation.kafka().produce_all(&input, &all);
    (installation, input)
}

fn definition(input: &str, double: &str) -> String {
    format!(
        "kind: stream\nstream: orders\ninput: {{ topic: {input} }}\n\
         transform: '{{ \"id\": id, \"double\": {double}, \"list\": [n] }}'\n\
         schema: {{ type: object, properties: {{ double: {{ type: number }} }} }}\n"
    )
}

#[test]
fn a_replay_is_shown_before_it_is_done_and_takes_what_was_asked_for() {
    let (installation, input) = stream(300);
    let side = installation.topic("side");
    installation.kafka().create_topic(&side, 2);
    let shown = installation.cli(&["replay", "orders"]).exits_with(0).json();
    assert_eq!((&shown["dry_run"], &shown["preview"]["records"]), (&json!(true), &json!(300)), "{shown:#}");
    assert_eq!(shown["preview"]["target"], json!(installation.topic("output.default.orders")));
    assert_eq!(installation.count("output.default.orders"), 0);
    let end: i64 = installation.read("shop.orders").iter().filter(|record| record.partition == 1).count() as i64;
    let from = format!("1:{}", end - 5);
    let some = installation.cli(&["replay", "orders", "--from-offset", &from]).exits_with(0).json();
    assert_eq!(some["preview"]["partitions"], json!([{ "partition": 1, "from": end - 5, "until": end, "records": 5 }]));
    assert_eq!(
        installation.cli(&["replay", "orders", "--since", "2026-01-01", "--until", "2026-01-02"]).exits_with(0).json()
            ["preview"]["records"],
        0
    );
    let wrong = installation.cli(&["replay", "orders", "--from-offset", "9:0"]).exits_with(6);
    assert_eq!(wrong.error()["code"], "PRN-0902");
    installation.cli(&["replay", "orders", "--to", "nowhere", "--execute"]).exits_with(6);
    installation.cli(&["replay", "orders", "--to", &input, "--execute"]).exits_with(6);

    let done =
        installation.cli(&["replay", "orders", "--from-offset", &from, "--to", &side, "--execute"]).exits_with(0);
    let last = lines(&done).pop().expect("progress");
    assert_eq!(
        (&last["written"], &last["refused"], last["ended_at"].is_i64()),
        (&json!(5), &json!(0), true),
        "{last:#}"
    );
    let outputs = installation.read("side");
    let sources: Vec<&str> = outputs.iter().filter_map(|output| output.header("prunella-source")).collect();
    assert!(
        outputs.len() == 5 && sources.iter().all(|source| source.starts_with(&format!("{input}/1/"))),
        "{sources:?}"
    );
    assert!(outputs.iter().all(|output| output.header("prunella-replay") == last["replay"].as_str()));
    assert_eq!(installation.count("output.default.orders"), 0);
    // A replay that is done is done: going on with it writes nothing.
    let id = last["replay"].as_str().expect("an id");
    installation.cli(&["replay", "--resume", id]).exits_with(0);
    assert_eq!(installation.count("side"), 5);
    installation.cli(&["replay", "--resume", "nobody"]).exits_with(5);
}

/// Kills a replay in the middle and goes on with it; every record is on the side topic once.
fn killed_and_gone_on_with(records: u32, rate: u32, kills: u32) {
    let (installation, input) = stream(records);
    let side = installation.topic("side");
    installation.kafka().create_topic(&side, 3);
    let rate = rate.to_string();
    let mut arguments: Vec<String> =
        ["replay", "orders", "--to", &side, "--execute", "--rate", &rate].map(str::to_owned).to_vec();
    let mut killed_at = Vec::new();
    for kill in 1..=kills {
        let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child =
            installation.command(&given).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let enough = i64::from(records) * i64::from(kill) / i64::from(kills + 1);
        for line in output.lines() {
            let progress: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
            let written = progress["written"].as_i64().expect("a number");
            let id = progress["replay"].as_str().expect("an id").to_owned();
            arguments = ["replay", "--resume", &id, "--rate", &rate].map(str::to_owned).to_vec();
            if written >= enough {
                assert!(progress["ended_at"].is_null(), "it was not killed in the middle: {progress}");
                killed_at.push(written);
                break;
            }
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = lines(&installation.cli(&given).exits_with(0));
    let (first, last) = (&done[0], done.last().expect("progress"));
    assert!(first["written"].as_i64() >= killed_at.last().copied(), "it begins where it was: {first}");
    assert_eq!(last["written"], json!(records));
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for output in installation.read("side") {
        *found.entry(output.header("prunella-source").expect("a source").to_owned()).or_default() += 1;
    }
    assert_eq!(found.len(), records as usize);
    assert!(found.values().all(|times| *times == 1) && found.keys().all(|source| source.starts_with(&input)));
    eprintln!("killed at {killed_at:?} of {records}; every record is there once");
}

#[test]
fn a_replay_that_is_killed_goes_on_where_it_was() {
    killed_and_gone_on_with(3000, 1000, 2);
}

#[test]
#[ignore = "a hundred thousand records take a while; `make test-replay` runs it"]
fn a_replay_of_a_hundred_thousand_records_is_killed() {
    killed_and_gone_on_with(100_000, 10_000, 4);
}

fn runs(installation: &Installation) -> Vec<Value> {
    let listed = installation.cli(&["runs", "list", "--limit", "1000"]).exits_with(0).json();
    listed["runs"].as_array().expect("runs").clone()
}

fn wait_for_runs(installation: &Installation, count: usize) -> Vec<Value> {
    wait_until(PATIENCE, &format!("{count} runs have succeeded"), || {
        let found = runs(installation);
        (found.iter().filter(|run| run["status"] == "succeeded").count() >= count).then_some(found)
    })
}

fn originals(runs: &[Value]) -> BTreeMap<String, Option<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    runs.iter().map(|run| (text(&run["run"]).expect("an id"), text(&run["replay_of"]))).collect()
}

#[test]
fn triggers_are_done_again_as_runs_of_their_own() {
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    let first = installation.run_to_end("copy", &json!({ "list": [1, 2] }));
    let second = installation.run_to_end("copy", &json!({ "list": [3] }));
    let topic = installation.topic("trigger.default.copy");
    installation.kafka().produce(&topic, Some(b"mine"), Some(b"{\"list\":[4]}"), &[("mine", b"kept")]);
    wait_for_runs(&installation, 3);
    let run = first["run"].as_str().expect("an id");
    let done = installation.cli(&["replay", "copy", "--run", run, "--execute"]).exits_with(0);
    assert_eq!(lines(&done).pop().expect("progress")["written"], 1);
    let after = originals(&wait_for_runs(&installation, 4));
    let again: Vec<&String> = after.iter().filter(|(_, of)| of.as_deref() == Some(run)).map(|(run, _)| run).collect();
    assert_eq!(again.len(), 1, "{after:?}");
    assert_eq!(installation.show(again[0])["valid"], 2);
    // Of all the runs of this version, and of the one that was done again.
    let done = installation.cli(&["replay", "copy", "--of-version", "1", "--execute"]).exits_with(0);
    assert_eq!(lines(&done).pop().expect("progress")["written"], 4);
    let after = originals(&wait_for_runs(&installation, 8));
    assert_eq!(after.len(), 8);
    let of_second = after.values().filter(|of| of.as_deref() == second["run"].as_str()).count();
    assert_eq!(of_second, 1, "{after:?}");
    let again: Vec<_> =
        installation.read("trigger.default.copy").into_iter().filter(|trigger| trigger.key_text() == "mine").collect();
    assert!(again.len() == 2 && again.iter().all(|trigger| trigger.header("mine") == Some("kept")));
    installation.cli(&["replay", "copy", "--run", "020729f3f6871b0b93e417e78aaef269"]).exits_with(6);
}

#[test]
fn batches_are_mapped_again_by_the_version_that_is_live() {
    if is_fused() {
        return;
    }
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    let report = installation.run_to_end("copy", &json!({ "list": [1, 2, 3] }));
    installation.apply(&COPY.replace("items: list }", "items: list }\n    transform: '{ \"n\": $ }'"));
    let done = installation.cli(&["replay", "copy", "--batches", "--execute"]).exits_with(0);
    assert_eq!(lines(&done).pop().expect("progress")["written"], 1);
    let outputs = wait_until(PATIENCE, "outputs of both versions", || {
        let outputs = installation.read("output.default.copy");
        (outputs.len() >= 6).then_some(outputs)
    });
    let items = |version: &str| -> BTreeSet<String> {
        let of = outputs.iter().filter(|output| output.header("prunella-workflow") == Some(version));
        of.map(|output| output.header("prunella-item").expect("an item").to_owned()).collect()
    };
    assert_eq!(items("default/copy@1"), items("default/copy@2"), "the same items");
    assert!(outputs.iter().any(|output| output.json() == json!({ "n": 3 })));
    assert_eq!(installation.show(report["run"].as_str().expect("an id"))["valid"], 3, "the run stays as it was");
}
