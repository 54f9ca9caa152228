//! A replay beside live work: it takes the rate it was given and no more.

use std::process::Stdio;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Installation, broker, wait_until};
use serde_json::json;

use super::PATIENCE;
use crate::support::{COPY, install};

/// Makes the orchestrators leave out what is on a topic.
fn skip_to_the_end(installation: &Installation, topic: &str) {
    let group = installation.topic("orchestrator");
    let mut tool = broker().tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
    tool.args(["--bootstrap-server", &broker().bootstrap_servers(), "--group", &group, "--topic", topic]);
    let output = tool.args(["--reset-offsets", "--to-latest", "--execute"]).output().expect("the tool starts");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("NEW-OFFSET"));
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
