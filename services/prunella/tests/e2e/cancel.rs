//! Runs that are ended from outside: by a person, by their deadline.

use std::time::{Duration, Instant};

use prunella_testkit::harness::wait_until;
use prunella_testkit::source::{ShopConfig, ShopHandle};
use serde_json::json;

use crate::support::{assert_status, install, open_shop, orders_workflow, step};

/// Gives the requests once there were no more for a second.
fn settled(shop: &ShopHandle) -> u64 {
    let mut last = (shop.requests(), Instant::now());
    wait_until(Duration::from_secs(15), "nobody asks the shop any more", || {
        if shop.requests() != last.0 {
            last = (shop.requests(), Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(1)).then_some(last.0)
    })
}

#[test]
fn a_cancelled_run_ends_at_once_and_leaves_its_source_alone() {
    let shop = open_shop(ShopConfig {
        orders: 2000,
        page_size: 10,
        latency: Duration::from_millis(100),
        ..ShopConfig::default()
    });
    let installation = install();
    let _running = installation.up();
    let extract = "http: { url: '{{ trigger.shop }}/orders', pagination: { page: { param: page } } }";
    installation.apply(&orders_workflow("long", extract));
    let run = installation.start_run("long", &json!({ "shop": shop.base_url() }));
    wait_until(Duration::from_secs(30), "the run is at work", || (shop.pages_served() >= 3).then_some(()));

    let asked = Instant::now();
    installation.cli(&["runs", "cancel", &run, "--reason", "wrong shop"]).exits_with(0);
    let report = installation.wait_for_end(&run, Duration::from_secs(5));
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    assert_status(&report, "cancelled");
    assert_eq!(step(&report, "orders")["status"], "cancelled");
    let requests = settled(&shop);
    assert!(requests < 150, "{requests} of 200 pages were asked for");
    assert_eq!(installation.show(&run)["status"], "cancelled", "the end of a run is final");
    installation.cli(&["runs", "cancel", &run]).exits_with(6);
}

#[test]
fn a_run_over_a_dead_source_ends_by_its_deadline() {
    let installation = install();
    let _running = installation.up();
    installation.apply(
        r#"
workflow: dead
trigger: {}
deadline: 3s
steps:
  - id: fetch
    extract:
      http: { url: "http://127.0.0.1:1/", timeout: 1s, retry: { attempts: 1000, backoff: 100ms, max-backoff: 200ms } }
output: { from: fetch }
"#,
    );
    let run = installation.start_run("dead", &json!({}));
    let report = installation.wait_for_end(&run, Duration::from_secs(15));
    assert_status(&report, "failed");
    assert_eq!(report["error"]["code"], "PRN-0703", "{report:#}");
    let lived = report["ended_at"].as_i64().expect("ended") - report["created_at"].as_i64().expect("created");
    assert!((3000..6000).contains(&lived), "{lived} ms with a deadline of 3 s");
}
