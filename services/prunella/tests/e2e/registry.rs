//! With a schema registry: the main job in the Confluent wire format.

use std::collections::BTreeSet;

use prunella_localkafka::{LocalRegistry, LocalRegistryConfig};
use prunella_testkit::harness::block_on;
use prunella_testkit::source::ShopConfig;
use serde_json::{Value, json};

use crate::support::{assert_orders, assert_status, good_and_bad, install_with, is_fused, open_shop, orders_workflow};

async fn get_json(url: String) -> Value {
    reqwest::get(url).await.expect("an answer").json().await.expect("JSON")
}

#[test]
fn control_records_are_registered_and_carry_the_id_of_their_schema() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry =
        LocalRegistry::start(LocalRegistryConfig::new(directory.path()), &|progress| eprintln!("{progress}"));
    let registry = registry.expect("the registry starts");
    let shop = open_shop(ShopConfig { orders: 120, page_size: 30, bad_one_in: 20, ..ShopConfig::default() });
    let installation = install_with(&json!({ "schema-registry": { "url": registry.base_url() } }));
    let _running = installation.up();
    let extract = "http: { url: '{{ trigger.shop }}/orders', pagination: { page: { param: page } } }";
    installation.apply(&orders_workflow("registered", extract));
    let report = installation.run_to_end("registered", &json!({ "shop": shop.base_url() }));
    assert_status(&report, "succeeded");
    let (good, bad) = good_and_bad(120, 20);
    assert_orders(&installation.read("output.default.registered"), &good);
    assert_eq!(installation.read("deadletter.default.registered").len(), bad.len());

    let subjects = block_on(get_json(format!("{}/subjects", registry.base_url())));
    let subjects: BTreeSet<String> = serde_json::from_value(subjects).expect("names");
    for (topic, record) in [
        ("stage.extract", "ExtractRequest"),
        ("stage.transform", "StageBatch"),
        ("stage.validate", "StageBatch"),
        ("stage.progress", "BatchResult"),
        ("state.runs", "RunState"),
        ("state.extractions", "Extraction"),
        ("state.workflows", "WorkflowVersion"),
        ("log.runs", "RunEvent"),
    ] {
        let subject = format!("{}-prunella.{record}", installation.topic(topic));
        assert!(subjects.contains(&subject), "{subject} is not among {subjects:?}");
        let url = format!("{}/subjects/{subject}/versions/latest", registry.base_url());
        let registered = block_on(get_json(url));
        let id = u32::try_from(registered["id"].as_u64().expect("an id")).expect("a small id");

        if is_fused() && ["stage.transform", "stage.validate"].contains(&topic) {
            continue;
        }
        let values: Vec<Vec<u8>> = installation.read(topic).into_iter().filter_map(|record| record.value).collect();
        assert!(!values.is_empty(), "{topic} is empty");
        assert!(values.iter().all(|value| value[0] == 0), "{topic}: a record without the magic byte");
        let of_schema = values.iter().filter(|value| value[1..5] == id.to_be_bytes()).count();
        assert!(of_schema > 0, "{topic}: no record with the schema {id}");

        let tailed = installation.cli(&["topics", "tail", topic, "--from-beginning"]).exits_with(0);
        let lines: Vec<Value> = tailed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), values.len(), "{topic}");
        let named = lines.iter().filter(|line| line["value"]["record"] == format!("prunella.{record}")).count();
        assert_eq!(named, of_schema, "{topic}: {lines:?}");
    }
    let doctor = installation.cli(&["doctor"]).exits_with(0).json();
    assert_eq!(doctor["ok"], true, "{doctor:#}");
}
