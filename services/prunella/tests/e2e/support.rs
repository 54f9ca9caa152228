//! What the tests share: the binary, a shop's orders as a workflow maps them, and how they are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_testkit::harness::{Installation, Prunella, ReadRecord, STEP_SERVICES, block_on, wait_until};
use prunella_testkit::source::{Shop, ShopConfig, ShopHandle, customer, is_bad, order};
use serde_json::{Value, json};

pub(crate) const PRUNELLA: &str = env!("CARGO_BIN_EXE_prunella");

/// Puts out the items of its trigger's list as they are.
pub(crate) const COPY: &str = r#"
workflow: copy
trigger: {}
steps:
  - id: all
    extract: { trigger: {}, items: list }
output: { from: all }
"#;

pub(crate) fn install() -> Installation {
    Installation::new(PRUNELLA, &json!({}))
}

pub(crate) fn install_with(changes: &Value) -> Installation {
    Installation::new(PRUNELLA, changes)
}

pub(crate) fn open_shop(config: ShopConfig) -> ShopHandle {
    block_on(Shop::start(config)).expect("a shop")
}

/// `http://host:port` of the HTTP API of a process with a gateway.
pub(crate) fn api(process: &Prunella) -> String {
    wait_until(Duration::from_secs(20), "the HTTP API listens", || {
        let log = process.log();
        let listens = log.lines().find_map(|line| line.split_once("http api listens address="))?;
        Some(format!("http://{}", listens.1.split(' ').next()?))
    })
}

/// A metric of a process with a gateway, over all its labels. `name` may go on with the first of them.
pub(crate) fn metric(process: &Prunella, name: &str) -> f64 {
    let url = format!("{}/metrics", api(process));
    let text = async { reqwest::get(url).await?.text().await };
    let text = block_on(text).expect("metrics");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Memory of a process as the kernel counts it: `VmRSS:` now, `VmHWM:` at its peak.
pub(crate) fn memory_mib(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// A workflow that reads the orders of a shop, one record each. `extract` is the extractor's part of the step.
pub(crate) fn orders_workflow(name: &str, extract: &str) -> String {
    format!(
        r#"
workflow: {name}
trigger: {{}}
deadline: 5m
steps:
  - id: orders
    extract:
      {extract}
      items: data
    transform: |
      {{
        "id": orderId,
        "customer": customerId,
        "status": $uppercase(status),
        "lines": [items.{{ "sku": sku, "title": name, "quantity": qty, "cents": qty * unitPriceCents }}],
        "cents": $sum(items.(qty * unitPriceCents)) + shipping.costCents,
        "express": shipping.method = "express"
      }}
    schema: {ORDER_SCHEMA}
output: {{ from: orders, key: id }}
"#
    )
}

const ORDER_SCHEMA: &str = r##"{
      "type": "object", "required": ["id", "lines"],
      "properties": {
        "id": { "type": "string", "pattern": "^ORD-[0-9]{7}$" },
        "lines": { "type": "array", "items": { "properties": { "quantity": { "type": "integer", "minimum": 1 } } } }
      } }"##;

/// The record that the workflow makes of order `number`, computed without it.
pub(crate) fn expected_order(number: u64) -> Value {
    let order = order(number, 0);
    let integer = |value: &Value| value.as_i64().expect("an integer");
    let lines = order["items"].as_array().expect("lines");
    let cents = |line: &Value| integer(&line["qty"]) * integer(&line["unitPriceCents"]);
    json!({
        "id": order["orderId"],
        "customer": order["customerId"],
        "status": order["status"].as_str().expect("text").to_uppercase(),
        "lines": lines.iter().map(|line| json!({
            "sku": line["sku"], "title": line["name"], "quantity": line["qty"], "cents": cents(line),
        })).collect::<Vec<_>>(),
        "cents": lines.iter().map(cents).sum::<i64>() + integer(&order["shipping"]["costCents"]),
        "express": order["shipping"]["method"] == "express",
    })
}

/// First and last name of the customer of this id, such as `C-00007`.
pub(crate) fn customer_name(id: &str) -> String {
    let number = id.trim_start_matches("C-").parse().expect("a number");
    let customer = customer(number);
    format!("{} {}", customer["firstName"].as_str().expect("text"), customer["lastName"].as_str().expect("text"))
}

pub(crate) fn order_id(number: u64) -> String {
    format!("ORD-{number:07}")
}

/// Numbers of the orders that are fine, and of those that are not, among the first `count`.
pub(crate) fn good_and_bad(count: u64, one_in: u64) -> (BTreeSet<u64>, BTreeSet<u64>) {
    (0..count).partition(|number| !is_bad(*number, one_in))
}

/// Asserts that exactly the expected orders are there, as often as the guarantee of the suite says; gives the number of
/// records.
pub(crate) fn assert_orders(outputs: &[ReadRecord], expected: &BTreeSet<u64>) -> usize {
    assert_each_order(outputs, expected);
    if is_exactly_once() {
        assert_eq!(outputs.len(), expected.len(), "each exactly once");
    }
    outputs.len()
}

/// Asserts that exactly the expected orders are there, each at least once and always the same.
pub(crate) fn assert_each_order(outputs: &[ReadRecord], expected: &BTreeSet<u64>) {
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for output in outputs {
        let value = output.json();
        let before = found.insert(output.key_text().to_owned(), value.clone());
        assert!(before.is_none_or(|before| before == value), "two versions of {}", output.key_text());
    }
    for number in expected {
        let id = order_id(*number);
        let value = found.remove(&id).unwrap_or_else(|| panic!("{id} is not on the output topic"));
        assert_eq!(value, expected_order(*number));
    }
    assert!(found.is_empty(), "nobody expected {:?}", found.keys());
}

/// Whether the suite runs with stages joined in memory: the topics between them stay empty then.
pub(crate) fn is_fused() -> bool {
    std::env::var("PRUNELLA__PROCESSING__PLACEMENT").is_ok_and(|placement| placement == "fused")
}

/// Whether the suite runs with every service exactly-once.
pub(crate) fn is_exactly_once() -> bool {
    STEP_SERVICES.iter().all(|service| guarantee(service).is_some_and(|it| it == "exactly-once"))
}

/// Whether the suite runs with a service at-least-once, whatever a test configures.
pub(crate) fn is_at_least_once() -> bool {
    STEP_SERVICES.iter().any(|service| guarantee(service).is_some_and(|it| it == "at-least-once"))
}

/// What the environment says: it stands over every configuration file.
fn guarantee(service: &str) -> Option<String> {
    std::env::var(format!("PRUNELLA__PROCESSING__GUARANTEE__{}", service.to_uppercase())).ok()
}

/// Asserts a run's end, with the report in the message.
pub(crate) fn assert_status(report: &Value, status: &str) {
    assert_eq!(report["status"], status, "{report:#}");
}

/// The step of this id in a report.
pub(crate) fn step<'r>(report: &'r Value, id: &str) -> &'r Value {
    let steps = report["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["step"] == id).unwrap_or_else(|| panic!("no step {id}: {report:#}"))
}

/// A run of [`COPY`] ends as it should.
pub(crate) fn assert_still_works(installation: &Installation) {
    let report = installation.run_to_end("copy", &json!({ "list": [1, 2, 3] }));
    assert_status(&report, "succeeded");
    assert_eq!(report["valid"], 3, "{report:#}");
}
