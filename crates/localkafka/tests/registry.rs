//! The real schema registry.

mod common;

use common::{is_alive, show};
use prunella_localkafka::{LocalRegistry, LocalRegistryConfig};
use serde_json::{Value, json};

async fn register(base_url: &str, subject: &str, schema: &Value) -> Value {
    let response = reqwest::Client::new()
        .post(format!("{base_url}/subjects/{subject}/versions"))
        .json(&json!({ "schema": schema.to_string() }))
        .send()
        .await
        .expect("an answer");
    assert!(response.status().is_success(), "{response:?}");
    response.json().await.expect("JSON")
}

async fn schema_by_id(base_url: &str, id: &Value) -> Value {
    let url = format!("{base_url}/schemas/ids/{id}");
    let answer: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let text = answer["schema"].as_str().unwrap_or_else(|| panic!("{answer}"));
    serde_json::from_str(text).expect("a schema in JSON")
}

#[test]
fn schemas_are_given_back_also_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = LocalRegistryConfig::new(directory.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let schema = json!({ "type": "record", "name": "Order", "fields": [{ "name": "id", "type": "string" }] });

    let registry = LocalRegistry::start(config.clone(), &show).expect("the registry starts");
    let base_url = registry.base_url().to_owned();
    let id = runtime.block_on(register(&base_url, "orders-value", &schema))["id"].clone();
    assert_eq!(runtime.block_on(schema_by_id(&base_url, &id)), schema);
    let pid = registry.pid();
    registry.stop().expect("stopped");
    assert!(!is_alive(pid));

    let registry = LocalRegistry::start(config, &show).expect("the registry starts again");
    assert_eq!(registry.base_url(), base_url);
    assert_eq!(runtime.block_on(schema_by_id(&base_url, &id)), schema);
    assert!(registry.failure().is_none());
}
