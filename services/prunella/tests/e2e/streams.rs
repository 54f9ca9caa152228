//! Streams from topic to topic, continuously.

use std::collections::BTreeMap;
use std::time::Duration;

use prunella_testkit::harness::{Installation, ReadRecord, wait_until};
use serde_json::{Value, json};

use crate::support::{install, install_with};

const PATIENCE: Duration = Duration::from_secs(60);

/// An installation with an input topic of its own.
struct Shop {
    installation: Installation,
    input: String,
}

impl Shop {
    fn on(installation: Installation, partitions: i32) -> Self {
        let input = installation.topic("shop.orders");
        installation.kafka().create_topic(&input, partitions);
        Self { installation, input }
    }

    fn new() -> Self {
        Self::on(install(), 3)
    }

    /// Makes the stream `orders` of the input topic live.
    fn apply(&self, rest: &str) -> Value {
        let text = format!("kind: stream\nstream: orders\ninput: {{ topic: {} }}\n{rest}", self.input);
        self.installation.apply(&text)
    }

    fn produce(&self, key: &str, value: Option<&str>) {
        self.installation.kafka().produce(&self.input, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }

    fn outputs(&self) -> Vec<ReadRecord> {
        self.installation.read("output.default.orders")
    }

    fn letters(&self) -> Vec<ReadRecord> {
        self.installation.read("deadletter.default.orders")
    }

    fn wait_for(&self, topic: &str, count: i64) {
        wait_until(PATIENCE, &format!("{count} records on {topic}"), || {
            (self.installation.count(topic) >= count).then_some(())
        });
    }

    fn output_of(&self, key: &str) -> ReadRecord {
        wait_until(PATIENCE, &format!("an output for {key}"), || {
            self.outputs().into_iter().find(|output| output.key_text() == key)
        })
    }
}

const MAPPING: &str = "transform: '{ \"id\": id, \"n\": n, \"double\": n * 2 }'\n\
                       schema: { type: object, properties: { n: { type: integer }, double: { maximum: 100000 } } }\n";

#[test]
fn records_are_mapped_validated_and_keep_what_is_theirs() {
    let shop = Shop::new();
    let _running = shop.installation.up();
    let applied = shop.apply(MAPPING);
    assert_eq!((&applied["kind"], &applied["version"]), (&json!("stream"), &json!(1)));
    assert_eq!(applied["input_topic"], json!(shop.input));
    let kafka = shop.installation.kafka();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers: [(&str, &[u8]); 3] =
        [("mine", b"kept \xff"), ("traceparent", trace.as_bytes()), ("content-type", b"text/plain")];
    kafka.produce_to(&shop.input, Some(1), Some(b"key \xff"), Some(br#"{ "id": "a", "n": 4 }"#), &headers);
    kafka.produce_to(&shop.input, Some(2), None, Some(br#"{ "id": "b", "n": 5 }"#), &[]);
    shop.wait_for("output.default.orders", 2);
    let outputs = shop.outputs();
    let output = |id: &str| outputs.iter().find(|output| output.json()["id"] == id).expect(id).clone();
    let first = output("a");
    assert_eq!(first.json(), json!({ "id": "a", "n": 4, "double": 8 }));
    assert_eq!(first.key.as_deref(), Some(&b"key \xff"[..]));
    assert_eq!(first.headers["mine"], b"kept \xff");
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("prunella-stream"), Some("default/orders@1"));
    assert_eq!(first.header("prunella-source"), Some(format!("{}/1/0", shop.input).as_str()));
    let passed = first.header("traceparent").expect("a trace");
    assert!(passed.starts_with(&trace[..36]) && passed != trace, "{passed}");
    assert_eq!(output("b").key, None);

    let listed = shop.installation.cli(&["workflows", "list"]).exits_with(0).json();
    assert_eq!(listed["workflows"][0]["kind"], "stream");
    let shown = shop.installation.cli(&["workflows", "show", "orders"]).exits_with(0).json();
    assert_eq!(shown["topics"]["input"], json!(shop.input));
    assert_eq!(shop.installation.cli(&["doctor"]).exits_with(0).json()["ok"], true);
    assert!(shop.apply(MAPPING)["created"] == false);
}

#[test]
fn bad_records_are_dead_letters_byte_for_byte_and_tombstones_pass() {
    let shop = Shop::on(install_with(&json!({ "validator": { "max-output-bytes": "50KiB" } })), 3);
    let _running = shop.installation.up();
    shop.apply(MAPPING);
    let large = format!("{{\"id\":\"{}\",\"n\":1}}", "x".repeat(60_000));
    let cases: [(&str, &[u8], &str); 5] = [
        ("not-json", b"{'id': 1}", "PRN-0502"),
        ("not-utf-8", b"{\"id\": \"\xff\xfe\"}", "PRN-0502"),
        ("not-mappable", br#"{ "n": "four" }"#, "PRN-0503"),
        ("not-valid", br#"{ "id": "SECRET", "n": 50001 }"#, "PRN-0602"),
        ("too-large", large.as_bytes(), "PRN-0603"),
    ];
    for (key, value, _) in cases {
        let headers: [(&str, &[u8]); 1] = [("mine", b"kept \xff")];
        shop.installation.kafka().produce(&shop.input, Some(key.as_bytes()), Some(value), &headers);
    }
    shop.produce("gone", None);
    shop.produce("good", Some(r#"{ "id": "g", "n": 1 }"#));
    shop.wait_for("deadletter.default.orders", cases.len() as i64);
    let letters = shop.letters();
    for (key, value, code) in cases {
        let letter = letters.iter().find(|letter| letter.key_text() == key).expect(key);
        assert!(letter.value.as_deref() == Some(value), "{key}: byte for byte");
        assert_eq!(letter.headers["mine"], b"kept \xff", "{key}");
        assert_eq!(letter.header("prunella-dead-code"), Some(code), "{key}");
        assert_eq!(letter.header("prunella-original-topic"), Some(shop.input.as_str()), "{key}");
        assert_eq!(letter.header("prunella-stream"), Some("default/orders@1"), "{key}");
        assert_eq!(letter.header("__connect.errors.exception.class.name"), Some(code), "{key}");
    }
    let invalid = letters.iter().find(|letter| letter.key_text() == "not-valid").expect("above");
    let fields: Value = serde_json::from_str(invalid.header("prunella-dead-fields").expect("fields")).expect("JSON");
    assert_eq!((&fields[0]["pointer"], &fields[0]["keyword"]), (&json!("/double"), &json!("maximum")));
    let mapped: Value = serde_json::from_str(invalid.header("prunella-dead-output").expect("output")).expect("JSON");
    assert_eq!(mapped["double"], 100_002);

    let tombstone = shop.output_of("gone");
    assert_eq!((tombstone.value.as_deref(), tombstone.header("content-type")), (None, None));
    assert_eq!(shop.output_of("good").json()["double"], 2);
    assert_eq!(shop.outputs().len(), 2);
}

/// `count` records of `keys` keys, numbered per key.
fn numbered(count: usize, keys: usize) -> Vec<(String, String)> {
    let record = |at: usize| (format!("k{}", at % keys), json!({ "id": format!("k{}", at % keys), "n": at / keys }));
    (0..count).map(record).map(|(key, value)| (key, value.to_string())).collect()
}

/// The numbers of each key in the order of its partition.
fn numbers_of(outputs: &[ReadRecord]) -> BTreeMap<String, Vec<i64>> {
    let mut sorted: Vec<&ReadRecord> = outputs.iter().collect();
    sorted.sort_by_key(|output| (output.partition, output.offset));
    let mut numbers: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for output in sorted {
        numbers.entry(output.key_text().to_owned()).or_default().push(output.json()["n"].as_i64().expect("a number"));
    }
    numbers
}

#[test]
fn under_load_the_order_of_each_key_is_kept() {
    let shop = Shop::new();
    let _running = shop.installation.up();
    shop.apply(MAPPING);
    shop.installation.kafka().produce_all(&shop.input, &numbered(20_000, 97));
    shop.wait_for("output.default.orders", 20_000);
    let numbers = numbers_of(&shop.outputs());
    assert_eq!(numbers.len(), 97);
    for (key, numbers) in numbers {
        let expected: Vec<i64> = (0..numbers.len() as i64).collect();
        assert_eq!(numbers, expected, "{key}");
    }
    assert_eq!(shop.installation.count("deadletter.default.orders"), 0);
}

#[test]
fn a_killed_stream_goes_on_at_its_offset_and_loses_nothing() {
    let fast_failover = json!({
        "kafka": { "librdkafka": { "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000" } },
    });
    let shop = Shop::on(install_with(&fast_failover), 3);
    let running = shop.installation.up();
    // Slow enough to have a middle.
    shop.apply("transform: '($sum([1..3000]); { \"id\": id, \"n\": n })'\n");
    let records = numbered(6000, 61);
    shop.installation.kafka().produce_all(&shop.input, &records[..5000]);
    shop.wait_for("output.default.orders", 500);
    running.kill();
    let seen = shop.installation.count("output.default.orders");
    assert!(seen < 5000, "{seen} outputs before the kill: there was no middle");
    shop.installation.kafka().produce_all(&shop.input, &records[5000..]);
    let again = shop.installation.up();
    let complete = |numbers: &BTreeMap<String, Vec<i64>>| {
        let distinct = |numbers: &Vec<i64>| numbers.iter().collect::<std::collections::BTreeSet<_>>().len();
        numbers.values().map(distinct).sum::<usize>() == 6000
    };
    let numbers = wait_until(PATIENCE, "every record once at least", || {
        let numbers = numbers_of(&shop.outputs());
        complete(&numbers).then_some(numbers)
    });
    for (key, numbers) in numbers {
        // What was written twice is a tail that was repeated: after it, the order goes on.
        let restarts = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!(restarts <= 1, "{key}: {numbers:?}");
    }
    let (status, _) = again.terminate(Duration::from_secs(20));
    assert!(status.success(), "{status}");
    let total = shop.installation.count("output.default.orders");
    let group = shop.installation.topic("stream.default.orders");
    let kafka = shop.installation.kafka();
    let committed: i64 = (0..3).filter_map(|partition| kafka.committed(&group, &shop.input, partition)).sum();
    assert_eq!(committed, 6000, "everything is committed when it stops");
    let last = shop.installation.up();
    shop.produce("k0", Some(r#"{ "id": "last", "n": 99999 }"#));
    wait_until(PATIENCE, "the last record", || {
        (shop.installation.count("output.default.orders") > total).then_some(())
    });
    assert_eq!(shop.installation.count("output.default.orders"), total + 1, "nothing is read again after a clean stop");
    drop(last);
}

#[test]
fn a_new_version_takes_over_without_a_restart_and_a_pause_loses_nothing() {
    let shop = Shop::new();
    let running = shop.installation.up();
    shop.apply("transform: '{ \"by\": 1, \"n\": n }'\n");
    shop.produce("a", Some(r#"{ "n": 1 }"#));
    assert_eq!(shop.output_of("a").json(), json!({ "by": 1, "n": 1 }));
    assert_eq!(shop.apply("transform: '{ \"by\": 2, \"n\": n }'\n")["version"], 2);
    wait_until(PATIENCE, "the new version", || {
        running.log().contains("stream goes on with this version").then_some(())
    });
    shop.produce("b", Some(r#"{ "n": 2 }"#));
    let output = shop.output_of("b");
    assert_eq!((output.json()["by"].clone(), output.header("prunella-stream")), (json!(2), Some("default/orders@2")));

    shop.apply("transform: '{ \"by\": 3, \"n\": n }'\npaused: true\n");
    wait_until(PATIENCE, "the pause", || running.log().contains("reason=\"paused\"").then_some(()));
    shop.produce("c", Some(r#"{ "n": 3 }"#));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(shop.outputs().len(), 2);
    shop.installation.cli(&["workflows", "rollback", "orders", "2"]).exits_with(0);
    assert_eq!(shop.output_of("c").json(), json!({ "by": 2, "n": 3 }));
    assert_eq!(shop.outputs().len(), 3);
}

#[test]
fn hold_stops_one_partition_until_a_version_takes_the_record() {
    let shop = Shop::new();
    let running = shop.installation.up();
    shop.apply("transform: '{ \"n\": $number(n) }'\non-invalid: hold\n");
    let kafka = shop.installation.kafka();
    let produce = |partition: i32, key: &str, value: &str| {
        kafka.produce_to(&shop.input, Some(partition), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    };
    produce(0, "first", r#"{ "n": "1" }"#);
    produce(0, "stuck", r#"{ "n": "one" }"#);
    produce(0, "behind", r#"{ "n": "2" }"#);
    wait_until(PATIENCE, "the hold", || running.log().contains("PRN-0606").then_some(()));
    assert!(running.log().contains("PRN-0503"), "the log names the reason");
    for at in 0..50 {
        produce(1 + at % 2, &format!("other-{at}"), r#"{ "n": "3" }"#);
    }
    shop.wait_for("output.default.orders", 51);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(shop.installation.count("output.default.orders"), 51, "nothing passes the held record");
    assert_eq!(shop.installation.count("deadletter.default.orders"), 0);

    shop.apply("transform: '{ \"n\": n = \"one\" ? 1 : $number(n) }'\non-invalid: hold\n");
    assert_eq!(shop.output_of("stuck").json(), json!({ "n": 1 }));
    assert_eq!(shop.output_of("behind").json(), json!({ "n": 2 }));

    produce(0, "hopeless", "garbage");
    produce(0, "after", r#"{ "n": "4" }"#);
    wait_until(PATIENCE, "the second hold", || running.log().contains("PRN-0502").then_some(()));
    shop.apply("transform: '{ \"n\": n = \"one\" ? 1 : $number(n) }'\n");
    assert_eq!(shop.output_of("after").json(), json!({ "n": 4 }));
    shop.wait_for("deadletter.default.orders", 1);
    let letters = shop.letters();
    assert_eq!(
        (letters.len(), letters[0].key_text(), letters[0].value.as_deref()),
        (1, "hopeless", Some(&b"garbage"[..]))
    );
    assert_eq!(shop.outputs().len(), 54);
}

#[test]
fn what_can_never_run_is_refused_by_apply() {
    let shop = Shop::new();
    let _running = shop.installation.up();
    let refused = |name: &str, text: &str, status: i32, code: &str| {
        let path = shop.installation.write(&format!("{name}.yaml"), text).display().to_string();
        let answer = shop.installation.cli(&["apply", &path]).exits_with(status);
        assert_eq!(answer.error()["code"], code, "{}", answer.stderr);
    };
    refused("no-topic", "kind: stream\nstream: a\ninput: { topic: nobody.made.this }\n", 1, "PRN-0203");
    let itself = shop.installation.topic("output.default.a");
    refused("itself", &format!("kind: stream\nstream: a\ninput: {{ topic: {itself} }}\n"), 3, "PRN-0108");
    let avro = format!("kind: stream\nstream: a\ninput: {{ topic: {}, format: avro }}\n", shop.input);
    refused("no-registry", &avro, 1, "PRN-0201");
    shop.apply("");
    let workflow = "workflow: orders\ntrigger: {}\nsteps: [{ id: a, extract: { inline: 1 } }]\noutput: { from: a }\n";
    refused("other-kind", workflow, 1, "PRN-0111");
    shop.installation.cli(&["run", "orders"]).exits_with(5);
}
