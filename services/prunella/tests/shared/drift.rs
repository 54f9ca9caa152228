//! A source that drifts under load while several healers are at work, and what has to come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Installation, Prunella, ReadRecord, STEP_SERVICES, all_exactly_once, wait_until};
use prunella_testkit::llm::FakeLlmHandle;
use serde_json::{Value, json};

/// Five customers, two orders each: orders of one customer in one run keep their order.
const ORDERS_PER_RUN: u64 = 10;
const RUNS_A_SECOND: u64 = 50;
/// Below this many the records of a shape would be healed in one go, and nothing would have happened under load.
const LEAST_RUNS_OF_A_SHAPE: u64 = 100;
/// The shop tells of the same orders again and again, and not of the same ones first: the first of a run is remembered.
const ORDERS: u64 = 37;

/// How a source changes, and what its mapping has to become.
#[derive(Clone, Copy)]
pub(crate) struct Drift {
    pub(crate) workflow: &'static str,
    pub(crate) before: fn(u64) -> Value,
    pub(crate) after: fn(u64) -> Value,
}

/// Other names and places for the same values: structure is enough.
pub(crate) const RENAMED: Drift = Drift {
    workflow: r#"
workflow: drifting
trigger: {}
deadline: 10m
steps:
  - id: orders
    heal: auto
    extract: { trigger: {}, items: orders }
    transform: '{ "id": order_id, "customer": customer_name, "cents": total_cents, "state": state }'
    schema:
      type: object
      required: [id, customer, cents, state]
      properties:
        { id: { type: string }, customer: { type: string }, cents: { type: integer }, state: { enum: [open, paid, shipped] } }
output: { from: orders, key: customer }
"#,
    before,
    after: |order| {
        let wanted = expected(order);
        json!({
            "reference": wanted["id"], "buyer": { "name": wanted["customer"], "vip": number_of(order).is_multiple_of(3) },
            "amount": { "cents": wanted["cents"], "currency": "EUR" }, "state": wanted["state"],
        })
    },
};

/// Letters for words besides: what they stand for, no structure tells.
pub(crate) const RECODED: Drift = Drift {
    after: |order| {
        let mut now = (RENAMED.after)(order);
        let letter = ["O", "P", "S"][(number_of(order) % 3) as usize];
        now["st"] = json!(letter);
        now["amount"] = json!({ "hundreds": expected(order)["cents"].as_f64().expect("a number") / 100.0 });
        now.as_object_mut().expect("an object").remove("state");
        now
    },
    ..RENAMED
};

/// What a model has to answer to [`RECODED`].
pub(crate) const RECODED_ANSWER: &str = r#"{ "id": reference, "customer": buyer.name, "cents": $round(amount.hundreds * 100), "state": $lookup({"O": "open", "P": "paid", "S": "shipped"}, st) }"#;

fn before(order: u64) -> Value {
    let wanted = expected(order);
    json!({
        "order_id": wanted["id"], "customer_name": wanted["customer"], "total_cents": wanted["cents"],
        "state": wanted["state"],
    })
}

fn number_of(order: u64) -> u64 {
    order % ORDERS
}

/// What becomes of an order, whatever its shape.
fn expected(order: u64) -> Value {
    let number = number_of(order);
    let state = ["open", "paid", "shipped"][(number % 3) as usize];
    json!({
        // Identifiers that nobody takes for chance: by them a repair knows an order again.
        "id": format!("P-{:05}-{:04}", number * 7919 % 100_000, number * 613 % 10_000), "customer": format!("Customer {}", number % 5),
        "cents": 1000 + number * 37, "state": state,
    })
}

/// Every service exactly-once, so that each output can be counted; `changes` over that.
pub(crate) fn config(llm: &FakeLlmHandle) -> Value {
    let provider = json!({ "protocol": "openai", "url": format!("{}/v1", llm.base_url()) });
    json!({
        "processing": { "guarantee": all_exactly_once() },
        // A killed member is noticed when its session ends.
        "kafka": { "librdkafka": { "session.timeout.ms": "3000", "heartbeat.interval.ms": "500" } },
        "healing": { "gather": "500ms", "patience": "3s", "remember-every": "300ms" },
        "llm": { "model": "fake/small", "providers": { "fake": provider }, "retry-wait": "10ms" },
    })
}

/// The processes: everything but healing in one, and two healers, started again when they end.
pub(crate) struct Processes {
    installation: Arc<Installation>,
    _rest: Prunella,
    healers: [Prunella; 2],
    pub(crate) kills: u64,
}

impl Processes {
    /// `armed` is what the fault suite is to do to each healer.
    pub(crate) fn start(installation: &Arc<Installation>, armed: &str) -> Self {
        installation.cli(&["topics", "apply"]).exits_with(0);
        let rest = installation.serve(&STEP_SERVICES);
        let healers = [0, 1].map(|slot| healer(installation, slot, armed).once_serving());
        Self { installation: installation.clone(), _rest: rest, healers, kills: 0 }
    }

    /// Starts healers again that have ended, as a cluster manager would.
    pub(crate) fn tend(&mut self) {
        for slot in 0..2 {
            if self.healers[slot].try_wait().is_some() {
                self.kills += 1;
                self.healers[slot] = healer(&self.installation, slot, "");
            }
        }
    }
}

trait OnceServing {
    fn once_serving(self) -> Self;
}

impl OnceServing for Prunella {
    fn once_serving(self) -> Self {
        wait_until(Duration::from_secs(60), "a healer serves", || self.log().contains("serving").then_some(()));
        self
    }
}

fn healer(installation: &Installation, slot: usize, armed: &str) -> Prunella {
    let environment =
        [("PRUNELLA__PROCESSING__TRANSACTIONS__SLOT", slot.to_string()), ("PRUNELLA_CHAOS", armed.to_owned())];
    installation.launch(&["healer"], &environment)
}

/// What was asked of the pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) runs: u64,
    /// The first run of the new shape.
    pub(crate) drifted_from: u64,
    pub(crate) took: Duration,
}

impl Sent {
    fn records(&self) -> u64 {
        self.runs * ORDERS_PER_RUN
    }

    fn a_second(&self) -> f64 {
        self.records() as f64 / self.took.as_secs_f64()
    }
}

/// Triggers, [`RUNS_A_SECOND`] of them, until it is ended.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    drifted_from: Arc<AtomicU64>,
    began: Instant,
    thread: JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(installation: &Arc<Installation>, drift: Drift) -> Self {
        installation.apply(drift.workflow);
        let stop = Arc::new(AtomicBool::new(false));
        let (sent, drifted_from) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
        let began = Instant::now();
        let thread = std::thread::spawn({
            let (installation, stop) = (installation.clone(), stop.clone());
            let (sent, drifted_from) = (sent.clone(), drifted_from.clone());
            move || {
                let topic = installation.topic("trigger.default.drifting");
                while !stop.load(Ordering::Relaxed) {
                    let run = sent.fetch_add(1, Ordering::SeqCst);
                    let shape = if run < drifted_from.load(Ordering::SeqCst) { drift.before } else { drift.after };
                    let orders: Vec<Value> = (run * ORDERS_PER_RUN..(run + 1) * ORDERS_PER_RUN).map(shape).collect();
                    let payload = json!({ "orders": orders }).to_string();
                    let key = run.to_string();
                    let headers = [("idempotency-key", key.as_bytes())];
                    installation.kafka().produce(&topic, Some(key.as_bytes()), Some(payload.as_bytes()), &headers);
                    let due = began + Duration::from_millis((run + 1) * 1000 / RUNS_A_SECOND);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
        });
        Self { stop, sent, drifted_from, began, thread }
    }

    /// From now on the source is of the new shape.
    pub(crate) fn drift(&self) {
        self.drifted_from.store(self.sent.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    }

    pub(crate) fn end(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("records are accepted");
        Sent {
            runs: self.sent.load(Ordering::SeqCst),
            drifted_from: self.drifted_from.load(Ordering::SeqCst),
            took: self.began.elapsed(),
        }
    }
}

/// Lets `time` pass, with both healers at work.
pub(crate) fn wait(processes: &mut Processes, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        processes.tend();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Loads, lets the source drift in the middle, and waits until every run has ended.
pub(crate) fn drift_under_load(
    installation: &Arc<Installation>,
    processes: &mut Processes,
    drift: Drift,
    each_half: Duration,
) -> Sent {
    let load = Load::start(installation, drift);
    wait(processes, each_half);
    load.drift();
    wait(processes, each_half);
    let sent = load.end();
    for (shape, runs) in [("old", sent.drifted_from), ("new", sent.runs.saturating_sub(sent.drifted_from))] {
        assert!(runs >= LEAST_RUNS_OF_A_SHAPE, "{runs} runs of the {shape} shape show little");
    }
    let ended = Instant::now();
    wait_until(Duration::from_secs(180), "every run has ended", || {
        processes.tend();
        let runs = installation.cli(&["runs", "list", "--limit", "1000000"]).exits_with(0).json();
        let runs = runs["runs"].as_array().expect("a list");
        let succeeded = runs.iter().filter(|run| run["status"] == "succeeded").count() as u64;
        assert!(runs.iter().all(|run| run["ended_at"].is_null() || run["status"] == "succeeded"), "a run failed");
        (succeeded == sent.runs).then_some(())
    });
    eprintln!(
        "{} records in {} runs at {:.0}/s, the new shape from run {} on; all ended {:.1} s after the load",
        sent.records(),
        sent.runs,
        sent.a_second(),
        sent.drifted_from,
        ended.elapsed().as_secs_f64(),
    );
    sent
}

/// Each order is an output, once, right, and in the order of its batch; the mapping was healed once.
pub(crate) fn assert_healed_once(installation: &Installation, sent: &Sent) {
    let outputs = installation.read("output.default.drifting");
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut by_version: BTreeMap<&str, u64> = BTreeMap::new();
    for output in &outputs {
        let (run, index) = place(output);
        assert!(seen.insert(format!("{run}/{index}")), "item {index} of {run} is there twice");
        let value = output.json();
        assert!((0..ORDERS).any(|order| expected(order) == value), "{value}");
        *by_version.entry(output.header("prunella-mapping-version").unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(outputs.len() as u64, sent.records(), "every order, by version: {by_version:?}");
    assert_eq!(installation.count("deadletter.default.drifting"), 0);
    let healed = used_version(installation).to_string();
    let drifted = (sent.runs - sent.drifted_from) * ORDERS_PER_RUN;
    assert_eq!(by_version.get(healed.as_str()), Some(&drifted), "{by_version:?}");
    assert_eq!(by_version.len(), 2, "the author's and one healing: {by_version:?}");
    assert_in_order(&outputs);
}

/// The one version that ever came into use. Others may have been proposed.
fn used_version(installation: &Installation) -> i64 {
    let shown = installation.cli(&["mappings", "show", "drifting/orders"]).exits_with(0).json();
    let versions = shown["history"].as_array().expect("versions");
    let used: Vec<&Value> = versions.iter().filter(|version| version["status"] != "candidate").collect();
    assert_eq!(used.len(), 1, "one healing, and no more: {shown:#}");
    assert_eq!((&used[0]["status"], &used[0]["version"]), (&json!("active"), &shown["active"]));
    shown["active"].as_i64().expect("a number")
}

/// The run and the place in its one batch, from `run/step/attempt/batch/item`.
fn place(output: &ReadRecord) -> (String, u64) {
    let item = output.header("prunella-item").expect("a header");
    let parts: Vec<&str> = item.split('/').collect();
    (parts[0].to_owned(), parts[4].parse().expect("a number"))
}

/// Orders of one customer in one batch are in the order in which they came.
fn assert_in_order(outputs: &[ReadRecord]) {
    let mut last: BTreeMap<(String, String), (i64, u64)> = BTreeMap::new();
    let mut in_order: Vec<&ReadRecord> = outputs.iter().collect();
    in_order.sort_by_key(|output| (output.partition, output.offset));
    for output in in_order {
        let (run, index) = place(output);
        let key = (run, output.key_text().to_owned());
        if let Some((offset, before)) = last.insert(key.clone(), (output.offset, index)) {
            assert!(before < index, "{key:?}: item {index} at {} behind {before} at {offset}", output.offset);
        }
    }
}
