//! Streams from file to plan.

use std::fs;

use prunella_model::Kind;
use prunella_model::stream::{OnInvalidRecord, ValueFormat};
use prunella_workflow::{Limits, Loaded, Problems, StreamPlan, load_dir, load_str};

fn loaded(text: &str) -> Loaded {
    load_str("s.yaml", text, None, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str) -> Problems {
    load_str("s.yaml", text, None, &Limits::default()).expect_err("a mistake")
}

const SMALLEST: &str = "kind: stream\nstream: orders\ninput: { topic: shop.orders }\n";

#[test]
fn what_is_left_out_is_the_common_case() {
    let loaded = loaded(SMALLEST);
    assert_eq!(loaded.declared.kind(), Kind::Stream);
    assert_eq!(loaded.declared.name().as_str(), "orders");
    let stream = loaded.declared.as_stream().expect("a stream");
    assert_eq!(stream.input.format, ValueFormat::Json);
    assert_eq!(stream.on_invalid, OnInvalidRecord::Deadletter);
    assert_eq!((stream.output.topic.as_ref(), stream.paused), (None, false));
    let plan = StreamPlan::compile(stream, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(plan.transform.is_none() && plan.schema.is_none() && plan.key.is_none());
}

#[test]
fn files_are_taken_in_and_the_stored_form_needs_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("written");
    write("order.jsonata", "{ \"id\": orderId }");
    write("order.json", r#"{ "type": "object", "required": ["id"] }"#);
    write("order.avsc", r#"{ "type": "record", "name": "Order", "fields": [{ "name": "id", "type": "string" }] }"#);
    let text = format!(
        "{SMALLEST}transform: {{ file: order.jsonata }}\nschema: {{ file: order.json }}\noutput:\n  key: id\n  \
         format: avro\n  avro-schema: {{ file: order.avsc }}\n"
    );
    write("orders.yaml", &text);
    let found = load_dir(directory.path(), &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let [loaded] = &found[..] else { panic!("{}", found.len()) };
    assert_eq!(loaded.files.len(), 4);
    let again = load_str("stored", &loaded.canonical, None, &Limits::default()).expect("the stored form loads");
    assert_eq!(again.digest, loaded.digest);
    let plan = StreamPlan::compile(again.declared.as_stream().expect("a stream"), &Limits::default());
    let plan = plan.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(plan.transform.is_some() && plan.schema.is_some() && plan.key.is_some());
    assert!(plan.avro_schema.expect("Avro").contains("Order"));
}

#[test]
fn a_wrong_kind_is_the_only_problem_that_is_told() {
    let problems = refused("kind: streem\nstream: orders\n");
    assert_eq!(problems.iter().count(), 1, "{problems}");
    assert!(problems.to_string().contains("s.yaml:1:7: PRN-0102"), "{problems}");
}

#[test]
fn all_mistakes_of_a_stream_are_told_at_once() {
    let problems = refused(
        "kind: stream\nstream: Orders\ninput: { topic: a b, format: xml }\ntransform: \"{\"\nschema: { type: strin }\noutput: { key: \"$sum(\" }\non-invalid: drop\n",
    );
    let lines: std::collections::BTreeSet<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, (2..=7).collect(), "{problems}");
}

#[test]
fn a_workflow_and_a_stream_of_one_name_are_two_of_one_name() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("a.yaml"), SMALLEST).expect("written");
    let workflow = "workflow: orders\ntrigger: {}\nsteps: [{ id: a, extract: { inline: 1 } }]\noutput: { from: a }\n";
    fs::write(directory.path().join("b.yaml"), workflow).expect("written");
    let problems = load_dir(directory.path(), &Limits::default()).expect_err("one name");
    assert!(problems.to_string().contains("PRN-0110"), "{problems}");
}

#[test]
fn a_broken_stream_file_of_a_directory_is_not_passed_over() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("a.yaml"), "kind: stream\nstream: [\n").expect("written");
    fs::write(directory.path().join("b.yaml"), "kind: Deployment\nstream: x\n").expect("written");
    let problems = load_dir(directory.path(), &Limits::default()).expect_err("broken");
    assert!(problems.iter().all(|problem| problem.file.ends_with("a.yaml")), "{problems}");
}

#[test]
fn the_example_can_be_executed() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/stream");
    let found = load_dir(&directory, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    // A schema of another name is no stream, whatever it ends in.
    let [loaded] = &found[..] else { panic!("{}", found.len()) };
    let plan = StreamPlan::compile(loaded.declared.as_stream().expect("a stream"), &Limits::default());
    plan.unwrap_or_else(|problems| panic!("{problems}"));
}
