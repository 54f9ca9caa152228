//! A step most of whose items go to the dead letters is paused, alone; a command or time lets it go on.

use std::time::Duration;

use prunella_testkit::harness::{Installation, Prunella, wait_until};
use prunella_testkit::source::{ShopConfig, ShopHandle};
use serde_json::json;

use crate::support::{assert_status, install_with, metric, open_shop};

const ORDERS: u64 = 400;
const PATIENCE: Duration = Duration::from_secs(60);
/// More than may be on its way when the step is paused.
const SOME: i64 = 250;

fn slow_shop() -> ShopHandle {
    let latency = Duration::from_millis(100);
    open_shop(ShopConfig { orders: ORDERS, page_size: 20, latency, ..ShopConfig::default() })
}

/// Every item is good or bad by its schema.
fn apply(installation: &Installation, name: &str, status: &str) {
    let text = format!(
        "workflow: {name}\ntrigger: {{}}\ndeadline: 5m\nsteps:\n  - id: orders\n    extract:\n      http: {{ url: '{{{{ trigger.shop }}}}/orders/by-cursor', \
         pagination: {{ cursor: {{ path: next, param: cursor }} }} }}\n      items: data\n    \
         schema: {{ type: object, properties: {{ status: {{ type: {status} }} }} }}\noutput: {{ from: orders }}\n"
    );
    installation.apply(&text);
}

fn paused(running: &Prunella) -> bool {
    metric(running, "prunella_guard_paused_steps") > 0.0
}

#[test]
fn a_step_that_pours_into_the_dead_letters_is_paused_alone_until_a_command() {
    let shop = slow_shop();
    let installation = install_with(&json!({ "guard": { "share": 50, "least-items": 40, "pause": "1h" } }));
    let running = installation.up();
    apply(&installation, "sick", "integer");
    apply(&installation, "well", "string");
    let run = installation.start_run("sick", &json!({ "shop": shop.base_url() }));
    wait_until(PATIENCE, "the step is paused", || paused(&running).then_some(()));
    let log = running.log();
    assert!(log.contains("PRN-0607") && log.contains("sick"), "the log says so");

    let report = installation.run_to_end("well", &json!({ "shop": shop.base_url() }));
    assert_status(&report, "succeeded");
    assert_eq!(report["valid"], ORDERS);
    let letters = installation.count("deadletter.default.sick");
    assert!((40..SOME).contains(&letters), "{letters} dead letters of {ORDERS} items");
    assert!(installation.show(&run)["ended_at"].is_null(), "the run waits");

    installation.cli(&["workflows", "resume", "sick", "orders"]).exits_with(0);
    wait_until(PATIENCE, "the step goes on", || {
        (installation.count("deadletter.default.sick") > letters).then_some(())
    });
    wait_until(PATIENCE, "it is no better", || paused(&running).then_some(()));

    // What is mended is another version, and that is not paused.
    apply(&installation, "sick", "string");
    let report = installation.run_to_end("sick", &json!({ "shop": shop.base_url() }));
    assert_status(&report, "succeeded");
    assert_eq!(report["valid"], ORDERS);
}

#[test]
fn a_paused_step_goes_on_when_its_time_is_up_also_after_a_restart() {
    let shop = slow_shop();
    let installation = install_with(&json!({ "guard": { "share": 50, "least-items": 60, "pause": "2s" } }));
    let running = installation.up();
    apply(&installation, "sick", "integer");
    let run = installation.start_run("sick", &json!({ "shop": shop.base_url() }));
    wait_until(PATIENCE, "the step is paused", || paused(&running).then_some(()));
    running.terminate(Duration::from_secs(15));

    let _again = installation.up();
    let report = installation.wait_for_end(&run, PATIENCE);
    assert_status(&report, "succeeded");
    assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(0), &json!(ORDERS)));
}
