//! kill -9 between any two steps of a transaction, again and again, under load: every trigger comes to one end, every
//! output is there, and no reader of committed records sees one twice.
//!
//! `KILLS` is how often (`make test-kills`: 200), `KILL_SEED` repeats a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Installation, Prunella, wait_until};
use serde_json::{Value, json};

use crate::support::install_with;

const WORKFLOW: &str = r#"
workflow: kills
trigger: {}
steps:
  - id: double
    extract: { inline: { n: "{{ trigger.n }}" } }
    transform: '{ "n": n, "twice": n * 2 }'
    schema: { type: object, required: [n, twice], properties: { twice: { type: integer } } }
  - id: again
    needs: [double]
    extract: { inline: { n: "{{ steps.double.n }}" } }
    transform: '{ "n": n, "twice": n * 2 }'
    schema: { type: object, required: [n, twice] }
output: { from: again, key: $string(n) }
"#;

/// As the runtime names the steps of a transaction.
const STEPS: [&str; 4] = ["begun", "written", "offsets-sent", "committed"];
const TRIGGERS_A_SECOND: u64 = 60;

/// xorshift: the same seed gives the same kills.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below the limit")
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Set in the environment, so that it holds whatever the suite runs with.
fn install(placement: &str) -> Installation {
    let installation = install_with(&json!({
        // A killed member is noticed when its session ends.
        "kafka": { "librdkafka": { "session.timeout.ms": "2500", "heartbeat.interval.ms": "500" } },
        "telemetry": { "log-format": "json", "log-filter": "info,prunella_stream::events=trace" },
    }));
    let services = ["ORCHESTRATOR", "EXTRACTOR", "TRANSFORMER", "VALIDATOR"];
    services.iter().fold(installation.with_environment("PRUNELLA__PROCESSING__PLACEMENT", placement), |it, service| {
        it.with_environment(&format!("PRUNELLA__PROCESSING__GUARANTEE__{service}"), "exactly-once")
    })
}

/// Kills `process` when one of its transactions reaches `step` for the `nth` time.
fn kill_at(process: Prunella, step: &str, nth: usize) {
    let reached = format!("\"step\":\"{step}\"");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if process.log().matches(&reached).count() >= nth {
            return process.kill();
        }
        assert!(Instant::now() < deadline, "{step} was reached {nth} times");
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn killed_again_and_again(placement: &str) {
    let kills = from_environment("KILLS", 4);
    let seed = from_environment("KILL_SEED", u64::from(std::process::id()) * 2_654_435_761 + 1);
    eprintln!("{placement}: {kills} kills, KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let installation = Arc::new(install(placement));
    let mut running = installation.up();
    installation.apply(WORKFLOW);

    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load = std::thread::spawn({
        let (installation, stop, sent) = (installation.clone(), stop.clone(), sent.clone());
        move || {
            let topic = installation.topic("trigger.default.kills");
            while !stop.load(Ordering::Relaxed) {
                let n = sent.fetch_add(1, Ordering::Relaxed);
                let payload = json!({ "n": n }).to_string();
                installation.kafka().produce_to(
                    &topic,
                    None,
                    Some(n.to_string().as_bytes()),
                    Some(payload.as_bytes()),
                    &[],
                );
                std::thread::sleep(Duration::from_millis(1000 / TRIGGERS_A_SECOND));
            }
        }
    });
    for _ in 0..kills {
        kill_at(running, STEPS[dice.below(STEPS.len())], 1 + dice.below(40));
        running = installation.up();
    }
    stop.store(true, Ordering::Relaxed);
    load.join().expect("no panic");
    let sent = sent.load(Ordering::Relaxed);

    let runs = wait_until(Duration::from_secs(120), "every run has ended", || {
        let runs = installation.cli(&["runs", "list", "--limit", "1000000"]).exits_with(0).json();
        let ended = |run: &&Value| run["ended_at"].is_i64();
        let ended = list_of(&runs).iter().filter(ended).count();
        (ended as u64 == sent).then_some(runs)
    });
    for run in list_of(&runs) {
        assert_eq!(run["status"], "succeeded", "{run:#}");
    }
    let mut outputs: BTreeMap<u64, usize> = BTreeMap::new();
    for output in installation.read("output.default.kills") {
        let value = output.json();
        let n = value["n"].as_u64().expect("a number");
        assert_eq!(value["twice"], n * 2);
        *outputs.entry(n).or_default() += 1;
    }
    let missing: Vec<u64> = (0..sent).filter(|n| !outputs.contains_key(n)).collect();
    assert!(missing.is_empty(), "lost: {missing:?}, KILL_SEED={seed}");
    let repeated: Vec<_> = outputs.iter().filter(|(_, times)| **times != 1).collect();
    assert!(repeated.is_empty(), "more than once: {repeated:?}, KILL_SEED={seed}");
    assert_eq!(outputs.len() as u64, sent);
    assert_eq!(installation.count("deadletter.default.kills"), 0);
    eprintln!("{placement}: {kills} kills, {sent} runs, each with its one output");
}

#[test]
fn staged_and_killed_between_the_steps_of_transactions() {
    killed_again_and_again("staged");
}

#[test]
fn fused_and_killed_between_the_steps_of_transactions() {
    killed_again_and_again("fused");
}

fn list_of(runs: &Value) -> &Vec<Value> {
    runs["runs"].as_array().expect("a list")
}
