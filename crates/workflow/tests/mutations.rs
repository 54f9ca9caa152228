//! Whatever a file holds, reading it ends with a workflow or with problems that have a place.

use proptest::prelude::*;
use prunella_workflow::{Limits, Plan, Problems, load_str};
use serde_json::Value;

const VALID: &str = r##"
workflow: orders
description: "Orders of the shop: é 😀"
trigger: {}
deadline: 2h
steps:
  - id: fetch
    extract:
      http:
        url: "https://shop.example/orders?since={{ trigger.since }}"
        headers: { accept: application/json }
        query: { limit: "50" }
        retry: { attempts: 3, backoff: 100ms }
        pagination: { cursor: { path: meta.next, param: cursor }, max-pages: 50 }
      items: data.orders
    transform: |
      {
        "id": $string(id),
        "total": $sum(lines.(price * quantity))
      }
    schema:
      type: object
      required: [id]
      properties: { id: { $ref: "#/$defs/id" } }
      $defs: { id: { type: string, pattern: "^[0-9]+$" } }
  - id: report
    needs: [fetch]
    when: $count(steps.fetch) > 0
    extract: { inline: { shop: "{{ trigger.shop }}" } }
    on-invalid: fail
output:
  from: fetch
  key: id
"##;

/// Pieces that mean something to YAML, to JSONata or to the format.
const PIECES: [&str; 30] = [
    "\n", "  ", "\t", ": ", "- ", "{", "}", "[", "]", "\"", "'", "|", ">", "&a ", "*a", "!t ", "#", "{{", "}}", "null",
    "~", "$", "0", "-1", "😀", "\\", "%", "---\n", "<<: ", "\u{0}",
];

fn every_problem_has_its_place(text: &str, problems: &Problems) {
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        assert_eq!(problem.file, "w.yaml");
        assert!((1..=lines.len()).contains(&problem.line), "{problem}");
        let width = lines[problem.line - 1].chars().count();
        assert!((1..=width + 1).contains(&problem.column), "{problem}");
        assert!(!problem.message.is_empty());
        assert!(!problem.to_string().is_empty());
    }
}

fn check(text: &str) {
    let limits = Limits::default();
    match load_str("w.yaml", text, None, &limits) {
        Ok(loaded) => {
            let plan = Plan::compile(loaded.declared.as_workflow().expect("a workflow"), &limits);
            assert!(plan.is_ok(), "loaded but not executable: {}\n{}", plan.expect_err("problems"), loaded.canonical);
            let again = load_str("stored", &loaded.canonical, None, &limits).map(|again| again.digest);
            assert_eq!(again.ok(), Some(loaded.digest), "{}", loaded.canonical);
        }
        Err(problems) => every_problem_has_its_place(text, &problems),
    }
}

fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            pointers(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| {
            pointers(value, format!("{at}/{index}"), found);
        }),
        _ => {}
    }
    found.push(at);
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~\\n\u{7f}-\u{ff}]{0,12}".prop_map(Value::from),
        "[0-9]{1,6}(ms|s|m|h|d|KiB|MiB|%)".prop_map(Value::from),
        Just(serde_json::json!({})),
        Just(serde_json::json!([])),
        Just(serde_json::json!({ "file": "x.json" })),
        Just(serde_json::json!(["fetch", "fetch"])),
    ]
}

#[test]
fn the_workflow_that_is_mutated_is_valid() {
    load_str("w.yaml", VALID, None, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_text_is_never_a_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(&PIECES[..])), 1..4)
    ) {
        let mut text: Vec<char> = VALID.chars().collect();
        for (at, removed, piece) in edits {
            let at = at.index(text.len());
            let end = (at + removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn replaced_values_are_never_a_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), values()), 1..4)
    ) {
        let loaded = load_str("w.yaml", VALID, None, &Limits::default()).expect("valid");
        let mut workflow: Value = serde_json::from_str(&loaded.canonical).expect("JSON");
        for (at, value) in edits {
            let mut places = Vec::new();
            pointers(&workflow, String::new(), &mut places);
            let place = &places[at.index(places.len())];
            *workflow.pointer_mut(place).expect("it was listed") = value;
        }
        check(&format!("{workflow:#}"));
    }

    #[test]
    fn noise_is_never_a_panic(text in "\\PC{0,200}") {
        check(&text);
    }
}
