//! Placement and guarantee are how a process is run, not what its runs are: work that began under one goes on under
//! another.

use std::time::Duration;

use prunella_testkit::harness::wait_until;
use prunella_testkit::source::ShopConfig;
use serde_json::json;

use crate::support::{assert_each_order, assert_status, good_and_bad, install_with, open_shop, orders_workflow, step};

const PAGES: u64 = 60;
const ORDERS: u64 = 50 * PAGES;
const ONE_IN: u64 = 100;
const EXTRACT: &str =
    "http: { url: '{{ trigger.shop }}/orders/by-cursor', pagination: { cursor: { path: next, param: cursor } } }";

fn environment(placement: &str, guarantee: &str) -> Vec<(&'static str, String)> {
    vec![
        ("PRUNELLA__PROCESSING__PLACEMENT", placement.to_owned()),
        ("PRUNELLA__PROCESSING__GUARANTEE__ORCHESTRATOR", guarantee.to_owned()),
        ("PRUNELLA__PROCESSING__GUARANTEE__EXTRACTOR", guarantee.to_owned()),
        ("PRUNELLA__PROCESSING__GUARANTEE__TRANSFORMER", guarantee.to_owned()),
        ("PRUNELLA__PROCESSING__GUARANTEE__VALIDATOR", guarantee.to_owned()),
    ]
}

/// One run, driven by four kinds of processes one after the other, none of which ends politely.
fn goes_through(modes: [(&str, &str); 4]) {
    let shop = open_shop(ShopConfig {
        orders: ORDERS,
        page_size: 50,
        bad_one_in: ONE_IN,
        latency: Duration::from_millis(100),
        ..ShopConfig::default()
    });
    let installation = install_with(&json!({
        "extractor": { "batch-items": 10, "journal-batches": 2 },
        "kafka": { "librdkafka": { "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000" } },
    }));
    let mut run = None;
    for ((placement, guarantee), enough) in modes.into_iter().zip([5, 20, 35, PAGES]) {
        let process = installation.up_with(&environment(placement, guarantee));
        if run.is_none() {
            installation.apply(&orders_workflow("switching", EXTRACT));
            run = Some(installation.start_run("switching", &json!({ "shop": shop.base_url() })));
        }
        if enough < PAGES {
            // Not told by outputs: what a killed transaction held back comes all at once.
            wait_until(Duration::from_secs(60), &format!("page {enough}, {placement} {guarantee}"), || {
                (shop.pages_served() >= enough).then_some(())
            });
            assert!(shop.pages_served() < PAGES, "nothing is left for the next process");
        } else {
            let report = installation.wait_for_end(run.as_ref().expect("started"), Duration::from_secs(90));
            let (good, bad) = good_and_bad(ORDERS, ONE_IN);
            assert_status(&report, "succeeded");
            assert_each_order(&installation.read("output.default.switching"), &good);
            for counts in [&report, step(&report, "orders")] {
                assert_eq!((&counts["valid"], &counts["dead_lettered"]), (&json!(good.len()), &json!(bad.len())));
            }
        }
        process.kill();
    }
}

#[test]
fn a_run_goes_from_staged_to_fused_and_back() {
    goes_through([
        ("staged", "exactly-once"),
        ("fused", "at-least-once"),
        ("staged", "at-least-once"),
        ("fused", "exactly-once"),
    ]);
}

#[test]
fn a_run_goes_from_fused_to_staged_and_back() {
    goes_through([
        ("fused", "exactly-once"),
        ("staged", "exactly-once"),
        ("fused", "at-least-once"),
        ("staged", "at-least-once"),
    ]);
}
