//! A step that names a language model which nobody can ask.

use serde_json::{Value, json};

use crate::support::install_with;

const WORKFLOW: &str = r#"
workflow: asks
trigger: {}
steps:
  - id: map
    heal: auto
    healing: { model: claude/claude-sonnet-4-5 }
    extract: { trigger: {} }
    transform: '{ "id": id }'
    schema: { type: object }
output: { from: map }
"#;

fn with_providers(providers: &Value) -> prunella_testkit::harness::Installation {
    let installation = install_with(&json!({ "llm": { "providers": providers } }));
    installation.cli(&["topics", "apply"]).exits_with(0);
    installation
}

#[test]
fn a_model_that_no_provider_has_is_refused_or_warned_of_when_it_is_applied() {
    // Without any provider, the healer may run with another configuration.
    let installation = with_providers(&json!({}));
    let file = installation.write("asks.yaml", WORKFLOW).display().to_string();
    let applied = installation.cli(&["apply", &file]).exits_with(0);
    assert!(applied.stderr.contains("warning PRN-1101: asks/map names the model claude/"), "{}", applied.stderr);
    let applied = applied.json();
    assert_eq!((&applied["version"], &applied["warnings"][0]["code"]), (&json!(1), &json!("PRN-1101")), "{applied}");
    // In one process, there is no other configuration.
    let refused = installation.cli(&["up", "--apply", &file]).exits_with(3);
    assert!(refused.stderr.contains("PRN-1101"), "{}", refused.stderr);

    // With others, it is a mistake.
    let installation = with_providers(&json!({ "openai": { "protocol": "openai" } }));
    let file = installation.write("asks.yaml", WORKFLOW).display().to_string();
    let refused = installation.cli(&["apply", &file]).exits_with(3);
    assert!(refused.stderr.contains("PRN-1101") && refused.stderr.contains("asks/map"), "{}", refused.stderr);
    installation.cli(&["workflows", "show", "asks"]).exits_with(5);

    let installation = with_providers(&json!({ "claude": { "protocol": "anthropic" } }));
    let file = installation.write("asks.yaml", WORKFLOW).display().to_string();
    let applied = installation.cli(&["apply", &file]).exits_with(0);
    assert_eq!(applied.json()["warnings"], Value::Null);
}
