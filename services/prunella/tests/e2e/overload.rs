//! Twice what a process can take: the lag grows, memory does not beyond what a waiting run needs, and afterwards nothing
//! is missing.
//!
//! `MINUTES` is how long (`make overload`: 10).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Installation, Prunella, wait_until};
use serde_json::json;

use crate::support::{install_with, memory_mib, metric};

const MOST_MIB: u64 = 400;
/// A run that waits is in the memory of its home, with its trigger of 2 kB.
const MOST_KIB_PER_RUN: u64 = 20;
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
    kib_per_record: u64,
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
        let outputs = self.installation.read(self.output);
        let numbers: BTreeSet<u64> =
            outputs.iter().map(|output| output.json()["n"].as_u64().expect("a number")).collect();
        assert_eq!((numbers.len() as u64, outputs.len() as u64), (sent, sent), "each once");
        assert!(outputs.iter().all(|output| output.json()["sum"] == SUM));
        let most = MOST_MIB + (sent - done) * self.kib_per_record / 1024;
        assert!(peak < most, "{peak} MiB at the peak, {most} are allowed");
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
    Pipeline {
        installation: &installation,
        running: &running,
        topic,
        output: "output.default.heavy",
        done,
        kib_per_record: MOST_KIB_PER_RUN,
    }
    .overload();
}

#[test]
fn overload_of_a_stream() {
    let installation = install_with(&json!({ "telemetry": { "log-filter": "warn,prunella_gateway=info" } }));
    let topic = installation.topic("heavy.input");
    installation.kafka().create_topic(&topic, 3);
    let running = installation.up();
    installation.apply(&format!("kind: stream\nstream: ticks\ninput: {{ topic: {topic} }}\ntransform: '{MAPPING}'\n"));
    let done = "prunella_stage_records_total{stage=\"stream.default.ticks\"";
    Pipeline {
        installation: &installation,
        running: &running,
        topic,
        output: "output.default.ticks",
        done,
        kib_per_record: 0,
    }
    .overload();
}
