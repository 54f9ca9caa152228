//! `schemas/workflow.schema.json` is what the types say.

use std::path::Path;

use prunella_workflow::{Limits, load_str};
use serde_json::json;

#[test]
fn the_published_schemas_are_the_ones_of_the_types() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for (file, schema) in [
        ("workflow.schema.json", prunella_workflow::workflow_schema()),
        ("stream.schema.json", prunella_workflow::stream_schema()),
    ] {
        let path = schemas.join(file);
        let text = format!("{schema:#}\n");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).expect("the schema is written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, text, "schemas/{file} is stale: run UPDATE=1 cargo test -p prunella-workflow");
    }
}

#[test]
fn editors_accept_what_the_checker_accepts() {
    let text = "workflow: w\ntrigger: {}\nsteps:\n  - id: a\n    extract: { http: { url: \"https://shop.example\" } }\n    transform: id\n    schema: { type: object }\noutput: { from: a }\n";
    let loaded = load_str("w.yaml", text, None, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let schema =
        jsonschema::draft202012::new(prunella_workflow::workflow_schema()).expect("the schema is a JSON Schema");
    let mut workflow: serde_json::Value = serde_json::from_str(&loaded.canonical).expect("JSON");
    assert!(schema.is_valid(&workflow));
    workflow["steps"][0]["transform"] = json!({ "file": "order.jsonata" });
    assert!(schema.is_valid(&workflow));
    for (field, wrong) in [
        ("stepz", json!([])),
        ("steps", json!([])),
        ("deadline", json!(30)),
        ("workflow", json!("W")),
        ("description", json!(null)),
    ] {
        let mut workflow = workflow.clone();
        workflow[field] = wrong;
        assert!(!schema.is_valid(&workflow), "{field}");
    }
}
