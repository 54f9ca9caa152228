//! Work done again: shown, compared, done, cut off and gone on with; and groups that were rewound.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Answer, Installation, broker, wait_until};
use serde_json::{Value, json};

use crate::support::{install, install_with, is_fused};

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

/// A mapping that gives another result for one record in a thousand, and none for one in ten thousand.
fn names_exactly_what_changes(records: u32) {
    let (installation, _) = stream(records);
    let (step, gone) = (1000, 10_000);
    let changed = installation.write(
        "changed.jsonata",
        "{ \"id\": id, \"double\": n % 10000 = 77 ? \"none\" : n % 1000 = 500 ? n * 3 : n * 2, \"list\": [n] }",
    );
    let changed = changed.display().to_string();
    let began = Instant::now();
    let answer = installation
        .cli(&["replay", "orders", "--diff", "--with-mapping", &changed, "--samples", "1000000"])
        .exits_with(0);
    eprintln!("compared {records} records in {:?}", began.elapsed());
    let mut told = lines(&answer);
    let summary = told.pop().expect("a summary")["summary"].clone();
    let expected: BTreeSet<String> =
        (0..records).filter(|n| n % step == 500 || n % gone == 77).map(|n| format!("k{n}")).collect();
    let named: BTreeSet<String> =
        told.iter().map(|one| one["difference"]["key"].as_str().expect("a key").to_owned()).collect();
    assert_eq!(named, expected);
    assert_eq!(told.len(), expected.len(), "each once");
    let of = |outcome: &str| told.iter().filter(|one| one["difference"]["outcome"] == outcome).count() as u64;
    assert_eq!(summary["records"], u64::from(records));
    assert_eq!((&summary["changed"], &summary["now_refused"]), (&json!(of("changed")), &json!(of("now-refused"))));
    assert_eq!(summary["fields"]["changed /double"], json!(of("changed")), "{summary:#}");
    let first = told.iter().find(|one| one["difference"]["key"] == "k500").expect("k500");
    assert_eq!(
        first["difference"]["fields"],
        json!([{ "change": "changed", "pointer": "/double", "before": 1000, "after": 1500 }])
    );
    assert_eq!(installation.count("output.default.orders"), 0, "nothing was written");
}

#[test]
fn a_comparison_names_exactly_the_records_that_change() {
    names_exactly_what_changes(12_000);
}

#[test]
#[ignore = "a hundred thousand records take a while; `make test-replay` runs it"]
fn a_comparison_of_a_hundred_thousand_records() {
    names_exactly_what_changes(100_000);
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

const COPY: &str = r#"
workflow: copy
trigger: {}
steps:
  - id: all
    extract: { trigger: {}, items: list }
output: { from: all }
"#;

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
fn a_comparison_names_exactly_the_items_of_a_workflow_that_change() {
    if is_fused() {
        return;
    }
    const ITEMS: u64 = 3000;
    let definition = |double: &str| {
        COPY.replace("items: list }", &format!("items: list }}\n    transform: '{{ \"id\": id, \"double\": {double}, \"of\": $trigger.name }}'\n    schema: {{ type: object, properties: {{ double: {{ type: number }} }} }}"))
            .replace("from: all }", "from: all, key: id }")
    };
    let installation = install();
    let _running = installation.up();
    installation.apply(&definition("n * 2"));
    for first in (0..ITEMS).step_by(1000) {
        let list: Vec<Value> = (first..first + 1000).map(|n| json!({ "id": format!("i{n}"), "n": n })).collect();
        installation.run_to_end("copy", &json!({ "name": format!("from {first}"), "list": list }));
    }
    let other = "n % 1000 = 77 ? 'none' : n % 1000 = 500 ? n * 3 : n * 2";
    let mapping = format!("{{ \"id\": id, \"double\": {other}, \"of\": $trigger.name }}");
    let mapping = installation.write("other.jsonata", &mapping).display().to_string();
    let file = installation.write("other.yaml", &definition(&other.replace('\'', "\""))).display().to_string();
    for with in [mapping, file] {
        let answer = installation.cli(&["replay", "copy", "--diff", "--with-mapping", &with]).exits_with(0);
        let mut told = lines(&answer);
        let summary = told.pop().expect("a summary")["summary"].clone();
        assert_eq!((&summary["records"], &summary["same"]), (&json!(ITEMS), &json!(ITEMS - 6)), "{summary:#}");
        let of = |outcome: &str| -> BTreeSet<&str> {
            let told = told.iter().map(|one| &one["difference"]).filter(|one| one["outcome"] == outcome);
            told.map(|one| one["key"].as_str().expect("a key")).collect()
        };
        assert_eq!(of("changed"), BTreeSet::from(["i500", "i1500", "i2500"]));
        assert_eq!(of("now-refused"), BTreeSet::from(["i77", "i1077", "i2077"]));
        assert_eq!(summary["fields"], json!({ "changed /double": 3 }));
    }
    let outputs = installation.count("output.default.copy");
    assert_eq!(outputs, i64::try_from(ITEMS).expect("few"), "nothing was written");
    let wrong = ["replay", "copy", "--diff", "--with-mapping", "2", "--batches"];
    installation.cli(&wrong).exits_with(6);
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

/// Sets the offsets of the orchestrator's group back with Kafka's own tool.
fn rewind(installation: &Installation) {
    let group = installation.topic("orchestrator");
    let topic = installation.topic("trigger.default.copy");
    let server = broker().bootstrap_servers();
    wait_until(PATIENCE, "the group is rewound", || {
        let mut tool = broker().tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
        tool.args(["--bootstrap-server", &server, "--group", &group, "--topic", &topic]);
        let output = tool.args(["--reset-offsets", "--to-earliest", "--execute"]).output().expect("the tool starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // The group has to be empty first.
        (output.status.success() && said.contains("NEW-OFFSET") && !said.contains("Error")).then_some(())
    });
}

#[test]
fn a_group_that_was_rewound_is_a_replay_and_a_crash_is_none() {
    let installation = install_with(
        &json!({ "kafka": { "librdkafka": { "session.timeout.ms": "2500", "heartbeat.interval.ms": "500" } } }),
    );
    let running = installation.up();
    installation.apply(COPY);
    let topic = installation.topic("trigger.default.copy");
    for number in 0..3 {
        installation.start_run("copy", &json!({ "list": [number] }));
        installation.kafka().produce(
            &topic,
            Some(b"k"),
            Some(format!("{{\"list\":[{}]}}", number + 10).as_bytes()),
            &[],
        );
    }
    let first = originals(&wait_for_runs(&installation, 6));
    assert!(first.values().all(Option::is_none), "{first:?}");
    running.kill();
    let running = installation.up();
    installation.start_run("copy", &json!({ "list": [100] }));
    let first = originals(&wait_for_runs(&installation, 7));
    assert_eq!(first.len(), 7, "a crash starts nothing: {first:?}");
    running.terminate(Duration::from_secs(60));

    rewind(&installation);
    let running = installation.up();
    let after = originals(&wait_for_runs(&installation, 14));
    assert_eq!(after.len(), 14, "{after:?}");
    let done_again: BTreeSet<&String> = after.values().flatten().collect();
    assert_eq!(done_again, first.keys().collect(), "each run once more");
    assert_eq!(installation.count("output.default.copy"), 14);
    // What is read again after a crash in or after a rewound range is no replay of the replay.
    running.kill();
    let running = installation.up();
    installation.start_run("copy", &json!({ "list": [200] }));
    assert_eq!(wait_for_runs(&installation, 15).len(), 15);
    running.terminate(Duration::from_secs(60));
    // A second rewinding is another one: new runs for each record there is.
    rewind(&installation);
    let _running = installation.up();
    assert_eq!(wait_for_runs(&installation, 23).len(), 23);
}

#[test]
fn what_is_delivered_again_to_an_orchestrator_that_had_not_committed_is_the_same_run() {
    let installation = install_with(&json!({
        "kafka": { "librdkafka": { "session.timeout.ms": "2500", "heartbeat.interval.ms": "500" } },
        "processing": { "guarantee": { "orchestrator": "at-least-once" } },
    }));
    let running = installation.up();
    installation.apply(COPY);
    installation.start_run("copy", &json!({ "list": [1] }));
    wait_for_runs(&installation, 1);
    running.terminate(Duration::from_secs(60));
    let installation = installation.with_environment("PRUNELLA__RUNTIME__COMMIT_INTERVAL", "1h");
    let running = installation.up();
    for number in 0..3 {
        installation.start_run("copy", &json!({ "list": [number] }));
    }
    wait_for_runs(&installation, 4);
    running.kill();
    let _running = installation.up();
    installation.start_run("copy", &json!({ "list": [9] }));
    let found = originals(&wait_for_runs(&installation, 5));
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.values().all(Option::is_none), "{found:?}");
}

fn millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("in range")
}

/// Starts 20 runs a second for as long as `goes_on` says; gives the times from trigger to output in milliseconds, sorted.
fn live_latencies(installation: &Installation, round: &str, mut goes_on: impl FnMut(u32) -> bool) -> Vec<i64> {
    let topic = installation.topic("trigger.default.copy");
    let (began, mut sent) = (Instant::now(), 0_u32);
    while goes_on(sent) {
        let trigger = json!({ "list": [{ "round": round, "at": millis() }] }).to_string();
        installation.kafka().produce(&topic, None, Some(trigger.as_bytes()), &[]);
        sent += 1;
        std::thread::sleep((Duration::from_millis(50) * sent).saturating_sub(began.elapsed()));
    }
    let mut latencies = wait_until(PATIENCE, "every live run has put out", || {
        let outputs = installation.read("output.default.copy");
        let of_round =
            outputs.iter().map(|output| (output.json(), output.timestamp)).filter(|(it, _)| it["round"] == round);
        let found: Vec<i64> = of_round.map(|(it, out)| out - it["at"].as_i64().expect("a time")).collect();
        (found.len() >= sent as usize).then_some(found)
    });
    latencies.sort_unstable();
    latencies
}

fn percentile(sorted: &[i64], of_hundred: usize) -> i64 {
    sorted[(sorted.len() * of_hundred / 100).min(sorted.len() - 1)]
}

#[test]
#[ignore = "measures for a minute or two; `make test-replay` runs it"]
fn a_replay_of_a_hundred_thousand_triggers_leaves_the_live_work_its_pace() {
    let number = |name: &str, default: u32| std::env::var(name).map_or(default, |it| it.parse().expect("a number"));
    let (records, rate) = (number("REPLAY_RECORDS", 100_000), number("REPLAY_RATE", 2000).to_string());
    let installation = install();
    installation.cli(&["topics", "apply"]).exits_with(0);
    installation.apply(COPY);
    // Triggers of another workflow, which the orchestrators have left behind them.
    installation.apply(&COPY.replace("workflow: copy", "workflow: old"));
    let old = installation.topic("trigger.default.old");
    let all: Vec<(String, String)> = (0..records).map(|n| (format!("k{n}"), format!("{{\"list\":[{n}]}}"))).collect();
    for some in all.chunks(20_000) {
        installation.kafka().produce_all(&old, some);
    }
    skip_to_the_end(&installation, &old);
    let side = installation.topic("side");
    installation.kafka().create_topic(&side, 6);
    let _running = installation.up();
    live_latencies(&installation, "warm", |sent| sent < 100);
    let alone = live_latencies(&installation, "alone", |sent| sent < 600);
    let mut replay = installation
        .command(&["replay", "old", "--to", &side, "--rate", &rate, "--execute"])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let beside = live_latencies(&installation, "beside", |sent| {
        sent < 200 || replay.try_wait().expect("a child of ours").is_none()
    });
    assert!(replay.wait().expect("it ended").success());
    assert_eq!(installation.count("side"), i64::from(records));
    let figures = |of: &[i64]| (of.len(), percentile(of, 50), percentile(of, 99));
    eprintln!("alone (runs, p50, p99 in ms) {:?}; beside a replay at {rate}/s {:?}", figures(&alone), figures(&beside));
    let (before, during) = (percentile(&alone, 99), percentile(&beside, 99));
    assert!(during <= 2 * before.max(5), "p99 {before} ms became {during} ms");
}

/// Makes the orchestrators leave out what is on a topic.
fn skip_to_the_end(installation: &Installation, topic: &str) {
    let group = installation.topic("orchestrator");
    let mut tool = broker().tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
    tool.args(["--bootstrap-server", &broker().bootstrap_servers(), "--group", &group, "--topic", topic]);
    let output = tool.args(["--reset-offsets", "--to-latest", "--execute"]).output().expect("the tool starts");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("NEW-OFFSET"));
}
