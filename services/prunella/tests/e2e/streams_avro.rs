//! Streams of Avro values, with a real registry.

use std::time::Duration;

use prunella_localkafka::{LocalRegistry, LocalRegistryConfig};
use prunella_testkit::harness::{block_on, wait_until};
use serde_json::{Value, json};

use crate::support::install_with;

const PATIENCE: Duration = Duration::from_secs(60);

async fn ask(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.expect("an answer").error_for_status().expect("a success");
    answer.json().await.expect("JSON")
}

fn register(registry: &str, subject: &str, schema: &Value) -> u32 {
    let url = format!("{registry}/subjects/{subject}/versions");
    let body = json!({ "schema": schema.to_string() });
    let answer = block_on(ask(reqwest::Client::new().post(url).json(&body)));
    u32::try_from(answer["id"].as_u64().expect("an id")).expect("a small id")
}

fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), body].concat()
}

#[test]
fn avro_goes_in_and_out_through_the_registry() {
    let directory = tempfile::tempdir().expect("a directory");
    let registry =
        LocalRegistry::start(LocalRegistryConfig::new(directory.path()), &|progress| eprintln!("{progress}"));
    let registry = registry.expect("the registry starts");
    let installation = install_with(&json!({
        "schema-registry": { "url": registry.base_url() }, "runtime": { "attempts": 2, "backoff": "10ms" },
    }));
    let input = installation.topic("shop.orders");
    installation.kafka().create_topic(&input, 2);
    let schema = json!({ "type": "record", "name": "Raw", "fields": [
        { "name": "id", "type": "string" }, { "name": "cents", "type": "long" },
    ] });
    let id = register(registry.base_url(), &format!("{input}-value"), &schema);
    let _running = installation.up();
    installation.apply(&format!(
        r#"
kind: stream
stream: orders
input: {{ topic: {input}, format: avro }}
transform: '{{ "key": id, "total": cents / 100, "note": cents > 1000 ? "large" : null }}'
schema: {{ type: object, properties: {{ total: {{ minimum: 0 }} }} }}
output:
  key: key
  format: avro
  avro-schema:
    type: record
    name: Order
    fields:
      - {{ name: key, type: string }}
      - {{ name: total, type: double }}
      - {{ name: note, type: ["null", string], default: null }}
"#
    ));
    let produce = |key: &str, value: &[u8]| {
        installation.kafka().produce(&input, Some(key.as_bytes()), Some(value), &[]);
    };
    produce("good", &framed(id, b"\x02a\x90\x03"));
    produce("json", br#"{"id":"a","cents":200}"#);
    produce("cut", &framed(id, b"\x02a"));
    produce("unknown", &framed(987_654, b"\x02a\x90\x03"));
    produce("negative", &framed(id, b"\x02a\x01"));
    let letter = |key: &str, code: &str| {
        let letter = wait_until(PATIENCE, &format!("a dead letter for {key}"), || {
            let letters = installation.read("deadletter.default.orders");
            letters.into_iter().find(|letter| letter.key_text() == key)
        });
        assert_eq!(
            letter.header("prunella-dead-code"),
            Some(code),
            "{key}: {:?}",
            letter.header("prunella-dead-message")
        );
    };
    letter("json", "PRN-0301");
    letter("cut", "PRN-0301");
    letter("unknown", "PRN-0302");
    letter("negative", "PRN-0602");
    let outputs = installation.read("output.default.orders");
    let [output] = &outputs[..] else { panic!("{} outputs", outputs.len()) };
    assert_eq!(output.key_text(), "a");
    let subject = format!("{}-value", installation.topic("output.default.orders"));
    let url = format!("{}/subjects/{subject}/versions/latest", registry.base_url());
    let registered = block_on(ask(reqwest::Client::new().get(url)));
    let written = u32::try_from(registered["id"].as_u64().expect("an id")).expect("a small id");
    // "a", 2.0 as a double in little endian, and the first branch of the union: null.
    let body = [&b"\x02a"[..], &2.0_f64.to_le_bytes(), b"\0"].concat();
    assert_eq!(output.value.as_deref(), Some(&framed(written, &body)[..]));

    // Without the registry, what it has told goes on, and what it has not waits.
    let other = json!({ "type": "record", "name": "Other", "fields": [
        { "name": "id", "type": "string" }, { "name": "cents", "type": "long" }, { "name": "x", "type": "int" },
    ] });
    let other = register(registry.base_url(), &format!("{input}-other-value"), &other);
    drop(registry);
    produce("known", &framed(id, b"\x02b\x90\x03"));
    wait_until(PATIENCE, "an output without registry", || {
        (installation.count("output.default.orders") == 2).then_some(())
    });
    produce("waits", &framed(other, b"\x02c\x90\x03\x02"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(installation.count("output.default.orders"), 2);
    assert_eq!(installation.count("deadletter.default.orders"), 4, "nothing is given up because the registry is away");
    // On its directory it comes back with its address and its schemas.
    let _registry = LocalRegistry::start(LocalRegistryConfig::new(directory.path()), &|_| {}).expect("it is back");
    wait_until(PATIENCE, "the record that waited", || (installation.count("output.default.orders") == 3).then_some(()));
}
