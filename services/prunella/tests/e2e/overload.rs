//! Twice what a process can take: the lag grows, memory does not, and afterwards nothing is missing.
//!
//! `MINUTES` is how long (`make overload`: 10).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Installation, Prunella, wait_until};
use prunella_testkit::source::ShopConfig;
use serde_json::json;

use crate::support::{assert_status, install_with, memory_mib, metric, open_shop};

const MOST_MIB: u64 = 400;
/// What there is to do from the first moment on.
const AHEAD: u64 = 400;
/// Work for milliseconds: the mapping has to be what takes the time, not the way there.
const MAPPING: &str = "{ \"n\": n, \"sum\": $sum([1..5000].($ * 2)) }";
const SUM: u64 = 25_005_000;

/// Something that work can be sent to, and that tells how much of it is done.
struct Pipeline<'a> {
    installation: &'a Installation,
    running: &'a Prunella,
    topic: String,
    output: &'static str,
    done: &'static str,
}

impl Pipeline<'_> {
    fn send(&self, numbers: std::ops::Range<u64>) {
        let padding = "p".repeat(2000);
        let record = |n: u64| (n.to_string(), json!({ "n": n, "list": [{ "n": n }], "padding": padding }).to_string());
        self.installation.kafka().produce_all(&self.topic, &numbers.map(record).collect::<Vec<_>>());
    }

    /// As far as the process says; it has the last word.
    fn done(&self) -> u64 {
        metric(self.running, self.done) as u64
    }

    fn wait_for(&self, count: u64, patience: Duration) {
        wait_until(patience, &format!("{count} done"), || (self.done() >= count).then_some(()));
    }

    /// For every record that is done, two are sent.
    fn overload(&self) {
        let minutes: f64 = std::env::var("MINUTES").map_or(0.15, |text| text.parse().expect("MINUTES is a number"));
        let time = Duration::from_secs_f64(minutes * 60.0);
        let (began, mut told, mut sent) = (Instant::now(), Instant::now(), 0);
        while began.elapsed() < time {
            let done = self.done();
            let due = AHEAD + 2 * done;
            self.send(sent..due.max(sent));
            sent = due.max(sent);
            if told.elapsed() > time / 10 {
                told = Instant::now();
                let held = metric(self.running, "prunella_memory_held_bytes") / 1048576.0;
                let memory = memory_mib(self.running.pid(), "VmRSS:");
                let (seconds, output, behind) = (began.elapsed().as_secs(), self.output, sent - done);
                eprintln!(
                    "{seconds:4} s, {output}: sent {sent}, behind {behind}, {memory} MiB, {held:.1} MiB of it records"
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let (done, began) = (self.done(), Instant::now());
        self.wait_for(sent, time * 4 + Duration::from_secs(120));
        let (peak, caught_up) = (memory_mib(self.running.pid(), "VmHWM:"), began.elapsed().as_secs());
        let rate = done as f64 / time.as_secs_f64();
        eprintln!(
            "{}: took {rate:.0} of {:.0} records a second, caught up {} in {caught_up} s, {peak} MiB at the peak",
            self.output,
            sent as f64 / time.as_secs_f64(),
            sent - done
        );
        // A run may be told to have ended while its last output is still on its way.
        let outputs = wait_until(Duration::from_secs(30), "an output for each", || {
            let outputs = self.installation.read(self.output);
            (outputs.len() as u64 >= sent).then_some(outputs)
        });
        let numbers: BTreeSet<u64> =
            outputs.iter().map(|output| output.json()["n"].as_u64().expect("a number")).collect();
        assert_eq!((numbers.len() as u64, outputs.len() as u64), (sent, sent), "each once");
        assert!(outputs.iter().all(|output| output.json()["sum"] == SUM));
        assert!(peak < MOST_MIB, "{peak} MiB at the peak, {MOST_MIB} are allowed");
    }
}

#[test]
fn overload_of_runs() {
    let installation = install_with(&json!({ "telemetry": { "log-filter": "warn,prunella_gateway=info" } }));
    let running = installation.up();
    let text = format!(
        "workflow: heavy\ntrigger: {{}}\ndeadline: 2h\nsteps:\n  - id: all\n    extract: {{ trigger: {{}}, items: list }}\n    \
         transform: '{MAPPING}'\noutput: {{ from: all }}\n"
    );
    installation.apply(&text);
    let (topic, done) = (installation.topic("trigger.default.heavy"), "prunella_runs_ended_total");
    Pipeline { installation: &installation, running: &running, topic, output: "output.default.heavy", done }.overload();
}

/// Mappings that ran when it was stopped have had all of their time by the clock.
#[test]
fn a_process_that_stands_still_for_a_while_fails_no_item() {
    const RECORDS: u64 = 300;
    let installation = install_with(&json!({ "mapping": { "timeout": "300ms" } }));
    let running = installation.up();
    let mapping = MAPPING.replace("5000", "20000");
    installation.apply(&format!(
        "workflow: still\ntrigger: {{}}\nsteps:\n  - id: all\n    extract: {{ trigger: {{}} }}\n    transform: '{mapping}'\noutput: {{ from: all }}\n"
    ));
    let records: Vec<_> = (0..RECORDS).map(|n| (n.to_string(), json!({ "n": n }).to_string())).collect();
    installation.kafka().produce_all(&installation.topic("trigger.default.still"), &records);
    let ended = || metric(&running, "prunella_runs_ended_total") as u64;
    for part in 1..4 {
        wait_until(Duration::from_secs(60), "some are done", || (ended() >= part * RECORDS / 5).then_some(()));
        running.freeze();
        std::thread::sleep(Duration::from_secs(1));
        running.thaw();
    }
    wait_until(Duration::from_secs(120), "all are done", || (ended() >= RECORDS).then_some(()));
    let outputs = wait_until(Duration::from_secs(30), "an output for each", || {
        let outputs = installation.read("output.default.still");
        (outputs.len() as u64 >= RECORDS).then_some(outputs)
    });
    assert_eq!(outputs.len() as u64, RECORDS);
    assert!(installation.read("deadletter.default.still").is_empty());
}

#[test]
fn overload_of_a_stream() {
    let installation = install_with(&json!({ "telemetry": { "log-filter": "warn,prunella_gateway=info" } }));
    let topic = installation.topic("heavy.input");
    installation.kafka().create_topic(&topic, 3);
    let running = installation.up();
    installation.apply(&format!("kind: stream\nstream: ticks\ninput: {{ topic: {topic} }}\ntransform: '{MAPPING}'\n"));
    let done = "prunella_stage_records_total{stage=\"stream.default.ticks\"";
    Pipeline { installation: &installation, running: &running, topic, output: "output.default.ticks", done }.overload();
}

#[test]
fn triggers_wait_while_live_runs_take_too_much_memory_and_other_workflows_go_on() {
    const TRIGGERS: u64 = 1500;
    let latency = Duration::from_millis(80);
    let shop = open_shop(ShopConfig { orders: 1, page_size: 1, latency, ..ShopConfig::default() });
    let installation = install_with(&json!({ "runs": { "memory": "2MiB" }, "runtime": { "in-flight-records": 64 } }));
    let running = installation.up();
    installation.apply(
        "workflow: waits\ntrigger: {}\ndeadline: 10m\nsteps:\n  - id: orders\n    extract: { http: { url: '{{ trigger.shop }}/orders/by-cursor' }, items: data }\noutput: { from: orders }\n",
    );
    installation.apply("workflow: quick\ntrigger: {}\nsteps:\n  - id: all\n    extract: { trigger: {} }\n    transform: '{ \"n\": 1 }'\noutput: { from: all }\n");
    let (base, padding) = (shop.base_url(), "p".repeat(4000));
    let trigger = |n: u64| (n.to_string(), json!({ "shop": base, "n": n, "padding": padding }).to_string());
    installation
        .kafka()
        .produce_all(&installation.topic("trigger.default.waits"), &(0..TRIGGERS).map(trigger).collect::<Vec<_>>());
    let held_back = || metric(&running, "prunella_triggers_held_back") > 0.0;
    wait_until(Duration::from_secs(60), "triggers are held back", || held_back().then_some(()));
    assert!(running.log().contains("PRN-0707"), "the log says so");
    let live = metric(&running, "prunella_runs_live ");
    assert!(live < TRIGGERS as f64, "{live} runs are live, all that there is");

    let run = installation.start_run("quick", &json!({}));
    let started = |of: &str| metric(&running, &format!("prunella_runs_started_total{{workflow=\"{of}\"")) as u64;
    wait_until(Duration::from_secs(60), "the other one starts", || (started("quick") == 1).then_some(()));
    assert!(started("waits") < TRIGGERS, "it does not wait for the triggers of the first");
    assert_status(&installation.wait_for_end(&run, Duration::from_secs(120)), "succeeded");

    let ended = || metric(&running, "prunella_runs_ended_total{status=\"succeeded\",workflow=\"waits\"") as u64;
    wait_until(Duration::from_secs(240), "all have ended", || (ended() == TRIGGERS).then_some(()));
    assert!(!held_back(), "nothing waits any more");
    assert!(metric(&running, "prunella_runs_live_bytes").abs() < 1.0, "what they held is given back");
}
