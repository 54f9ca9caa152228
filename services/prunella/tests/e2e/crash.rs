//! The process ends in the middle of its work, politely and not: the next one completes it, and nothing is missing.

use std::time::Duration;

use prunella_testkit::harness::{Installation, wait_until};
use prunella_testkit::source::{ShopConfig, ShopHandle};
use serde_json::{Value, json};

use crate::support::{assert_orders, assert_status, good_and_bad, install_with, open_shop, orders_workflow, step};

const ORDERS: u64 = 2000;
const ONE_IN: u64 = 100;
const EXTRACT: &str =
    "http: { url: '{{ trigger.shop }}/orders/by-cursor', pagination: { cursor: { path: next, param: cursor } } }";

/// Pages that take a moment and many small batches, so that there is a middle to be killed in.
fn slow_shop() -> ShopHandle {
    open_shop(ShopConfig {
        orders: ORDERS,
        page_size: 50,
        bad_one_in: ONE_IN,
        latency: Duration::from_millis(60),
        ..ShopConfig::default()
    })
}

fn install() -> Installation {
    let changes = json!({
        "extractor": { "batch-items": 10, "journal-batches": 2 },
        // A killed member is noticed when its session ends.
        "kafka": { "librdkafka": { "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000" } },
    });
    install_with(&changes)
}

fn wait_for_outputs(installation: &Installation, count: i64) {
    wait_until(Duration::from_secs(60), &format!("{count} outputs"), || {
        (installation.count("output.default.crash") >= count).then_some(())
    });
}

/// Everything is there, the counts of the run are those of its items, and its batches are complete.
fn assert_complete(installation: &Installation, report: &Value) {
    let (good, bad) = good_and_bad(ORDERS, ONE_IN);
    assert_status(report, "succeeded");
    assert_orders(&installation.read("output.default.crash"), &good);
    let letters = installation.read("deadletter.default.crash");
    let dead: std::collections::BTreeSet<String> =
        letters.iter().map(|letter| letter.json()["orderId"].to_string()).collect();
    assert_eq!(dead.len(), bad.len());
    assert!(letters.iter().all(|letter| letter.header("prunella-dead-code") == Some("PRN-0602")));
    let step = step(report, "orders");
    assert_eq!(step["batches"], step["batches_counted"], "{report:#}");
    for counts in [report, step] {
        let counts = (&counts["extracted"], &counts["valid"], &counts["dead_lettered"]);
        assert_eq!(counts, (&json!(ORDERS), &json!(good.len()), &json!(bad.len())), "{report:#}");
    }
}

fn killed_after(outputs: i64) {
    let shop = slow_shop();
    let installation = install();
    let first = installation.up();
    installation.apply(&orders_workflow("crash", EXTRACT));
    let run = installation.start_run("crash", &json!({ "shop": shop.base_url() }));
    wait_for_outputs(&installation, outputs);
    first.kill();
    let seen = installation.count("output.default.crash");
    assert!(seen < ORDERS as i64 * 9 / 10, "{seen} outputs were written before the kill: there was no middle");

    let _second = installation.up();
    let report = installation.wait_for_end(&run, Duration::from_secs(90));
    assert_complete(&installation, &report);
}

#[test]
fn killed_with_minus_9_early() {
    killed_after(1);
}

#[test]
fn killed_with_minus_9_in_the_middle() {
    killed_after(500);
}

#[test]
fn killed_with_minus_9_three_times() {
    let shop = slow_shop();
    let installation = install();
    let mut running = installation.up();
    installation.apply(&orders_workflow("crash", EXTRACT));
    let run = installation.start_run("crash", &json!({ "shop": shop.base_url() }));
    for outputs in [100, 700, 1200] {
        wait_for_outputs(&installation, outputs);
        running.kill();
        running = installation.up();
    }
    let report = installation.wait_for_end(&run, Duration::from_secs(90));
    assert_complete(&installation, &report);
}

#[test]
fn sigterm_under_load_ends_cleanly_within_ten_seconds() {
    let shop = slow_shop();
    let installation = install();
    let first = installation.up();
    installation.apply(&orders_workflow("crash", EXTRACT));
    let run = installation.start_run("crash", &json!({ "shop": shop.base_url() }));
    wait_for_outputs(&installation, 200);
    let (status, took) = first.terminate(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "after {took:?}");
    let seen = installation.count("output.default.crash");
    assert!(seen < ORDERS as i64 * 9 / 10, "{seen} outputs were written before the end: there was no middle");

    let _second = installation.up();
    let report = installation.wait_for_end(&run, Duration::from_secs(60));
    assert_complete(&installation, &report);
}

#[test]
fn services_in_processes_of_their_own_and_one_of_them_killed() {
    let shop = slow_shop();
    let installation = install();
    installation.cli(&["topics", "apply"]).exits_with(0);
    installation.apply(&orders_workflow("crash", EXTRACT));
    let _steering = installation.serve(&["orchestrator", "extractor"]);
    let _mapping = installation.serve(&["transformer"]);
    let _remaining = installation.serve(&["validator"]);
    let slot = [("PRUNELLA__PROCESSING__TRANSACTIONS__SLOT", "1".to_owned())];
    let victim = installation.serve_with(&["validator", "transformer"], &slot);
    let run = installation.start_run("crash", &json!({ "shop": shop.base_url() }));
    wait_for_outputs(&installation, 300);
    victim.kill();
    let report = installation.wait_for_end(&run, Duration::from_secs(60));
    assert_complete(&installation, &report);
}
