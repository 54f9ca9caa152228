//! Versions of a workflow, and the commands that show workflows and runs.

use std::time::Duration;

use prunella_testkit::harness::wait_until;
use prunella_testkit::source::ShopConfig;
use serde_json::json;

use crate::support::{assert_status, install, open_shop, step};

fn version(number: u32) -> String {
    format!(
        r#"
workflow: versions
trigger: {{}}
steps:
  - id: orders
    extract:
      http: {{ url: "{{{{ trigger.shop }}}}/orders", pagination: {{ page: {{ param: page }} }} }}
      items: data
    transform: '{{ "id": orderId, "made_by": {number} }}'
output: {{ from: orders, key: id }}
"#
    )
}

#[test]
fn a_run_keeps_its_version_and_the_same_text_is_no_new_one() {
    let shop = open_shop(ShopConfig {
        orders: 40,
        page_size: 2,
        latency: Duration::from_millis(150),
        ..ShopConfig::default()
    });
    let installation = install();
    let _running = installation.up();
    let applied = installation.apply(&version(1));
    assert_eq!((&applied["version"], &applied["created"]), (&json!(1), &json!(true)), "{applied}");
    let again = installation.apply(&format!("# another look\n{}", version(1)));
    assert_eq!((&again["version"], &again["created"]), (&json!(1), &json!(false)), "{again}");

    let first = installation.start_run("versions", &json!({ "shop": shop.base_url() }));
    wait_until(Duration::from_secs(30), "the run is at work", || (shop.pages_served() > 1).then_some(()));
    let second_version = installation.apply(&version(2));
    assert_eq!((&second_version["version"], &second_version["live_before"]), (&json!(2), &json!(1)));
    let second = installation.start_run("versions", &json!({ "shop": shop.base_url() }));
    for (run, version) in [(&first, 1), (&second, 2)] {
        let report = installation.wait_for_end(run, Duration::from_secs(60));
        assert_status(&report, "succeeded");
        assert_eq!(report["version"], version);
        assert_eq!(step(&report, "orders")["valid"], 40);
    }
    let outputs = installation.read("output.default.versions");
    for (run, made_by) in [(&first, 1), (&second, 2)] {
        let of_run = outputs.iter().filter(|output| output.header("prunella-run") == Some(run.as_str()));
        let made: Vec<_> = of_run.map(|output| output.json()["made_by"].clone()).collect();
        assert_eq!(made, vec![json!(made_by); 40], "{run}");
    }

    let listed = installation.cli(&["workflows", "list"]).exits_with(0).json();
    assert_eq!(
        listed["workflows"],
        json!([{ "workflow": "versions", "kind": "workflow", "live": 2, "versions": [1, 2] }])
    );
    let back = installation.cli(&["workflows", "rollback", "versions", "1"]).exits_with(0).json();
    assert_eq!((&back["live"], &back["live_before"]), (&json!(1), &json!(2)), "{back}");
    let report = installation.run_to_end("versions", &json!({ "shop": shop.base_url() }));
    assert_eq!(report["version"], 1, "the live version is the first again");

    installation.cli(&["workflows", "rollback", "versions", "9"]).exits_with(5);

    let runs = installation.cli(&["runs", "list"]).exits_with(0).json();
    let listed: Vec<_> = runs["runs"].as_array().expect("runs").iter().map(|run| run["run"].clone()).collect();
    assert_eq!(listed, vec![report["run"].clone(), json!(second), json!(first)], "newest first");
    let failed = installation.cli(&["runs", "list", "--status", "failed"]).exits_with(0).json();
    assert_eq!(failed["total"], 0);
    installation.cli(&["runs", "show", &"0".repeat(32)]).exits_with(5);
}

#[test]
fn a_workflow_is_shown_with_its_versions() {
    let installation = install();
    installation.cli(&["topics", "apply"]).exits_with(0);
    installation.apply(&version(1));
    installation.apply(&version(2));
    let shown = installation.cli(&["workflows", "show", "versions"]).exits_with(0).json();
    assert_eq!((&shown["live"], &shown["version"]), (&json!(2), &json!(2)), "{shown}");
    assert_eq!(shown["definition"]["workflow"], "versions");
    assert_eq!(shown["topics"]["output"], installation.topic("output.default.versions"));
    let other = installation.cli(&["workflows", "show", "versions", "--version", "1"]).exits_with(0).json();
    assert_eq!((&other["live"], &other["version"]), (&json!(2), &json!(1)), "{other}");
    assert_ne!(other["digest"], shown["digest"]);
    installation.cli(&["workflows", "show", "nobody"]).exits_with(5);
}

#[test]
fn the_same_idempotency_key_is_the_same_run() {
    let installation = install();
    let _running = installation.up();
    installation.apply(
        "workflow: copy\ntrigger: {}\nsteps: [{ id: all, extract: { trigger: {}, items: list } }]\noutput: { from: all }\n",
    );
    let topic = installation.topic("trigger.default.copy");
    let key: &[(&str, &[u8])] = &[("idempotency-key", b"order-7")];
    installation.kafka().produce(&topic, Some(b"a"), Some(br#"{ "list": [1, "two"] }"#), key);
    installation.kafka().produce(&topic, Some(b"b"), Some(br#"{ "list": [3] }"#), key);
    let command = ["run", "copy", "--idempotency-key", "order-7", "--wait"];
    let report = installation.cli(&command).exits_with(0).json();
    assert_status(&report, "succeeded");
    let runs = installation.cli(&["runs", "list"]).exits_with(0).json();
    assert_eq!(runs["total"], 1, "{runs}");
    let outputs = installation.read("output.default.copy");
    assert!(outputs.iter().all(|output| output.header("prunella-run") == report["run"].as_str()));
    assert!(outputs.iter().all(|output| output.key_text() == report["run"]), "the run id is the default key");
}
