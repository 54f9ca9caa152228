//! A mapping that several change at a time, and a source that several read or that changes back.

use std::time::Duration;

use prunella_testkit::harness::{Installation, wait_until};
use serde_json::{Value, json};

use crate::healing::{
    as_it_is_now, as_it_was, assert_all_right, assert_all_succeed, expected, learn, payload, settings, start, workflow,
};
use crate::support::install_with;

fn versions(installation: &Installation) -> Vec<Value> {
    let listed = installation.cli(&["mappings", "list"]).exits_with(0).json();
    let mappings = listed["mappings"].as_array().cloned().unwrap_or_default();
    mappings.into_iter().map(|mapping| mapping["versions"].clone()).collect()
}

#[test]
fn an_author_who_edits_while_it_is_healed_is_followed_and_what_waits_is_healed() {
    let mut settings = settings();
    settings["healing"]["gather"] = json!("2s");
    let installation = install_with(&settings);
    let _running = installation.up();
    let before = workflow("auto");
    installation.apply(&before);
    learn(&installation);
    let drifted = start(&installation, 16..24, as_it_is_now);
    wait_until(Duration::from_secs(30), "what waits", || (installation.count("state.parked") > 0).then_some(()));
    assert_eq!(installation.count("state.mappings"), 0, "it is not healed yet");

    let newer = r#"{ "id": reference, "customer": $uppercase(buyer.name), "cents": amount.cents }"#;
    let (begin, end) =
        (before.find("      {\n").expect("the mapping"), before.find("    schema:").expect("the schema"));
    installation.apply(&format!("{}      {newer}\n{}", &before[..begin], &before[end..]));
    let later = start(&installation, 24..32, as_it_is_now);
    assert_all_succeed(&installation, &drifted);
    assert_all_succeed(&installation, &later);
    let outputs = installation.read("output.default.healing");
    let (by_author, healed): (Vec<_>, Vec<_>) = outputs
        .iter()
        .partition(|output| output.header("prunella-workflow").is_some_and(|workflow| workflow.ends_with("@2")));
    assert_eq!((by_author.len(), healed.len()), (40, 120), "each once");
    for output in by_author {
        let mut wanted = expected(output.key_text()[2..].parse().expect("a number"));
        wanted["customer"] = json!(wanted["customer"].as_str().expect("a name").to_uppercase());
        assert_eq!(output.json(), wanted);
    }
    for output in healed {
        assert_eq!(output.json(), expected(output.key_text()[2..].parse().expect("a number")));
    }
    assert_eq!(versions(&installation), [json!([2])], "one healing, of the author's first text");
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}

#[test]
fn a_source_that_two_workflows_read_is_followed_by_both() {
    let installation = install_with(&settings());
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    installation.apply(&workflow("auto").replace("workflow: healing", "workflow: other"));
    let started = |runs: std::ops::Range<u64>, shape: fn(u64) -> Value| -> Vec<String> {
        let payloads: Vec<Value> = runs.map(|run| payload(run, shape)).collect();
        ["healing", "other"].iter().flat_map(|name| installation.start_runs(name, &payloads)).collect()
    };
    for run in 0..16 {
        assert_all_succeed(&installation, &started(run..run + 1, as_it_was));
    }
    assert_all_succeed(&installation, &started(16..32, as_it_is_now));
    assert_eq!(versions(&installation), [json!([2]), json!([2])], "one healing each");
    for name in ["healing", "other"] {
        let outputs = installation.read(&format!("output.default.{name}"));
        assert_eq!(outputs.len(), 160, "each once");
        for output in outputs {
            assert_eq!(output.json(), expected(output.key_text()[2..].parse().expect("a number")));
        }
        assert_eq!(installation.count(&format!("deadletter.default.{name}")), 0);
    }
}

#[test]
fn a_source_that_changes_back_and_again_is_followed_without_a_person() {
    let installation = install_with(&settings());
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    learn(&installation);
    assert_all_succeed(&installation, &start(&installation, 16..24, as_it_is_now));
    assert_eq!(versions(&installation), [json!([2])]);
    // Back, when hardly anything is remembered of the new shape.
    assert_all_succeed(&installation, &start(&installation, 24..28, as_it_was));
    let healed = versions(&installation);
    assert!(healed == [json!([2])] || healed == [json!([2, 3])], "{healed:?}");
    let parked = installation.count("state.parked");
    for (from, shape) in [(28, as_it_is_now as fn(u64) -> Value), (32, as_it_was), (36, as_it_is_now)] {
        assert_all_succeed(&installation, &start(&installation, from..from + 4, shape));
    }
    assert_all_right(&installation);
    assert_eq!(versions(&installation), healed, "no version more, however often it changes");
    assert_eq!(installation.count("state.parked"), parked, "nothing had to wait again");
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}
