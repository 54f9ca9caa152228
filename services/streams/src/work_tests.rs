use prunella_model::ByteSize;
use prunella_stream::{AssignmentEpoch, TopicPartition};
use prunella_wire::Headers;
use prunella_workflow::{Limits as FileLimits, load_str};

use super::*;

fn plan(rest: &str) -> Arc<StreamPlan> {
    let text = format!("kind: stream\nstream: orders\ninput: {{ topic: shop.orders }}\n{rest}");
    let limits = FileLimits::default();
    let loaded = load_str("s.yaml", &text, None, &limits).unwrap_or_else(|problems| panic!("{problems}"));
    let stream = loaded.declared.as_stream().expect("a stream");
    Arc::new(StreamPlan::compile(stream, &limits).unwrap_or_else(|problems| panic!("{problems}")))
}

fn work(rest: &str) -> Work {
    Work::new(plan(rest), Arc::new(ValueSchemas::new(None)), None, WorkLimits::default())
}

fn record(value: Option<&str>) -> Record {
    Record {
        source: TopicPartition { topic: "shop.orders".into(), partition: 1 },
        offset: 5,
        timestamp: 1_700_000_000_000,
        key: Some(Bytes::from_static(b"\xff\x00key")),
        value: value.map(|text| Bytes::from(text.to_owned())),
        headers: Headers::new(),
        epoch: AssignmentEpoch::new(1),
        sequence: 0,
        replay: None,
    }
}

fn text(mapped: &Mapped) -> &str {
    std::str::from_utf8(mapped.value.as_deref().expect("a value")).expect("text")
}

fn refusal(work: &Work, value: &str) -> Refusal {
    work.run(&record(Some(value))).expect_err(value)
}

#[test]
fn the_benchmark_maps_as_the_reference_engine_does() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/stream");
    let yaml = "kind: stream\nstream: orders\ninput: { topic: orders }\ntransform: { file: mapping.jsonata }\nschema: { file: schema.json }\n";
    let limits = FileLimits::default();
    let loaded =
        load_str("bench.yaml", yaml, Some(&directory), &limits).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = StreamPlan::compile(loaded.declared.as_stream().expect("a stream"), &limits);
    let plan = Arc::new(plan.unwrap_or_else(|problems| panic!("{problems}")));
    let work = Work::new(plan, Arc::new(ValueSchemas::new(None)), None, WorkLimits::default());
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).expect(file);
    let expected: Vec<Value> = serde_json::from_str(&read("expected-sample.json")).expect("JSON");
    let inputs = read("input-sample.jsonl");
    let mut compared = 0;
    for (input, expected) in inputs.lines().zip(&expected) {
        let mapped = work.run(&record(Some(input))).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let value: Value = serde_json::from_str(text(&mapped)).expect("JSON");
        assert_eq!(as_floats(value), as_floats(expected.clone()));
        compared += 1;
    }
    assert_eq!((compared, expected.len()), (20, 20));
}

/// JSON knows no difference between 3411 and 3411.0.
fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(as_floats).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, as_floats(field))).collect(),
        other => other,
    }
}

#[test]
fn what_nothing_changes_passes_byte_for_byte() {
    let odd = "{ \"b\" : 1.0e2,\t\"a\":12345678901234567890 }";
    for rest in ["", "schema: { type: object }\n"] {
        let mapped = work(rest).run(&record(Some(odd))).expect("valid");
        assert_eq!(text(&mapped), odd);
        assert_eq!(mapped.key.as_deref(), Some(&b"\xff\x00key"[..]));
    }
}

#[test]
fn the_key_stays_or_is_computed_of_the_valid_value() {
    let value = Some(r#"{"id":7,"name":"x"}"#);
    let keyed = |rest: &str| work(rest).run(&record(value)).map(|mapped| mapped.key.expect("a key"));
    assert_eq!(keyed("output: { key: name }\n").as_deref(), Ok(&b"x"[..]));
    assert_eq!(keyed("output: { key: id }\n").as_deref(), Ok(&b"7"[..]));
    assert_eq!(keyed("output: { key: nothing }\n").expect_err("no value").code, Code::OutputKey);
    assert_eq!(keyed("transform: '{ \"n\": id + 1 }'\noutput: { key: n }\n").as_deref(), Ok(&b"8"[..]));
}

#[test]
fn a_tombstone_passes_unless_its_key_is_computed_of_a_value() {
    let tombstone = record(None);
    let mapped = work("transform: '{ \"id\": id }'\nschema: { type: object }\n").run(&tombstone).expect("passes");
    assert_eq!(mapped, Mapped { key: tombstone.key.clone(), value: None });
    assert_eq!(work("output: { key: id }\n").run(&tombstone).expect_err("no value").code, Code::OutputKey);
    let by_place = work("output: { key: '$string($record.offset)' }\n").run(&tombstone).expect("a key");
    assert_eq!(by_place, Mapped { key: Some(Bytes::from_static(b"5")), value: None });
}

#[test]
fn each_failure_has_its_code() {
    assert_eq!(refusal(&work(""), "{\"a\":").code, Code::ItemNotJson);
    assert_eq!(refusal(&work("transform: a\n"), "no json").code, Code::MappingInput);
    assert_eq!(refusal(&work("transform: a\n"), "{}").code, Code::MappingUndefined);
    assert_eq!(refusal(&work("transform: '$number(a)'\n"), "{\"a\":\"x\"}").code, Code::MappingFailed);
    let invalid = refusal(&work("schema: { properties: { n: { type: integer } } }\n"), "{\"n\":\"SECRET\"}");
    assert_eq!((invalid.code, invalid.fields.len()), (Code::ItemInvalid, 1));
    assert_eq!(invalid.fields[0].pointer, "/n");
    assert!(!format!("{invalid:?}").contains("SECRET"), "{invalid:?}");
    let mut limits = WorkLimits::default();
    limits.output.max_output_bytes = ByteSize::from_bytes(20);
    let small = Work::new(plan(""), Arc::new(ValueSchemas::new(None)), None, limits);
    assert_eq!(refusal(&small, "\"12345678901234567890\"").code, Code::OutputTooLarge);
}

#[test]
fn what_stands_beside_the_value_is_read_as_record() {
    let mut given = record(Some("1"));
    given.key = Some(Bytes::from_static(b"k"));
    given.headers.push("h", "v");
    given.headers.push("raw", &b"\xff"[..]);
    let mapped = work("transform: $record\n").run(&given).expect("mapped");
    let found: Value = serde_json::from_str(text(&mapped)).expect("JSON");
    let expected = json!({
        "topic": "shop.orders", "partition": 1, "offset": 5, "timestamp": 1_700_000_000_000_i64,
        "headers": { "h": "v" }, "key": "k",
    });
    assert_eq!(found, expected);
}

#[test]
fn clock_and_chance_belong_to_the_record() {
    let work = work("transform: '[$millis(), $random()]'\n");
    let (first, again) = (work.run(&record(Some("1"))), work.run(&record(Some("2"))));
    assert_eq!(first, again);
    assert!(text(&first.expect("mapped")).starts_with("[1700000000000,"));
    let mut other = record(Some("1"));
    other.offset += 1;
    assert_ne!(work.run(&other), again);
    // Part of what users can rely on: it never changes.
    assert_eq!(seed_of(&record(None)), SEED);
}

const SEED: u64 = 1_145_846_705_798_651_610;

mod avro {
    use super::*;

    const SCHEMA: &str = "{ type: record, name: Order, fields: [{ name: id, type: string }, { name: n, type: long }] }";

    fn avro_out() -> Work {
        let plan = plan(&format!("output:\n  format: avro\n  avro-schema: {SCHEMA}\n"));
        let writer = ValueWriter::new(9, plan.avro_schema.as_deref().expect("Avro")).expect("a schema");
        Work::new(plan, Arc::new(ValueSchemas::new(None)), Some(Arc::new(writer)), WorkLimits::default())
    }

    #[test]
    fn json_goes_out_as_avro_or_says_what_does_not_fit() {
        let mapped = avro_out().run(&record(Some(r#"{"id":"a","n":3}"#))).expect("fits");
        assert_eq!(mapped.value.as_deref(), Some(&b"\0\0\0\0\x09\x02a\x06"[..]));
        let refusal = refusal(&avro_out(), r#"{"id":"a","n":3,"more":1}"#);
        assert_eq!(refusal.code, Code::OutputFormat);
        assert!(refusal.message.contains("/more"), "{refusal:?}");
        assert_eq!(avro_out().content_type(), None);
    }

    #[test]
    fn a_value_that_is_not_framed_as_avro_is_malformed() {
        let text = "kind: stream\nstream: orders\ninput: { topic: t, format: avro }\n";
        let limits = FileLimits::default();
        let loaded = load_str("s.yaml", text, None, &limits).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = StreamPlan::compile(loaded.declared.as_stream().expect("a stream"), &limits);
        let plan = Arc::new(plan.unwrap_or_else(|problems| panic!("{problems}")));
        let work = Work::new(plan, Arc::new(ValueSchemas::new(None)), None, WorkLimits::default());
        assert_eq!(refusal(&work, "{\"a\":1}").code, Code::RecordMalformed);
        assert_eq!(work.unknown_schema(&record(Some("{}"))), None);
        assert_eq!(work.unknown_schema(&record(Some("\0\0\0\0\u{5}abc"))), Some(5));
        assert_eq!(work.unknown_schema(&record(None)), None);
    }
}
