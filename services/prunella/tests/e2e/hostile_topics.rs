//! Records that mean harm, on every topic that something reads: each ends as a dead letter with a code, as a stale result,
//! or is counted and left alone; nothing stops, and neither does the next start.

use std::time::Duration;

use prunella_model::{Attempt, BatchNumber, RunId, StepId, WorkflowVersion};
use prunella_testkit::harness::wait_until;
use prunella_wire::records::{BatchResult, CancelNotice, CancelRun, ExtractRequest, RunContext, StageBatch, StepRef};
use prunella_wire::{Codec, ControlRecord, Payload};
use serde_json::json;

use crate::support::{COPY, assert_still_works, install, metric};

const PATIENCE: Duration = Duration::from_secs(60);
const STRANGER: &str = "0123456789abcdef0123456789abcdef";
const FAR: i64 = 4_000_000_000_000;

/// A step of a run that nobody started.
fn step_of_nobody(workspace: &str, version: i32) -> StepRef {
    StepRef {
        workspace: workspace.parse().expect("a name"),
        workflow: "copy".parse().expect("a name"),
        version: WorkflowVersion(version),
        run: STRANGER.parse::<RunId>().expect("an id"),
        step: "all".parse::<StepId>().expect("an id"),
        attempt: Attempt(1),
    }
}

fn encode<T: ControlRecord>(record: &T) -> Vec<u8> {
    Codec::new(None, None).encode("any", record).expect("encoded")
}

fn batch(workspace: &str, version: i32) -> Vec<u8> {
    encode(&StageBatch {
        at: step_of_nobody(workspace, version),
        batch: BatchNumber(0),
        deadline: FAR,
        items: Vec::new(),
        extracted: 0,
        dead_lettered: 0,
        mapping_version: 0,
        context: None,
        error: None,
    })
}

fn request(workspace: &str) -> Vec<u8> {
    let context = RunContext { trigger: Payload::Inline(json!({ "list": [] }).to_string().into()), steps: Vec::new() };
    encode(&ExtractRequest { at: step_of_nobody(workspace, 1), deadline: FAR, context, requested_at: 0 })
}

fn result_of_nobody() -> Vec<u8> {
    encode(&BatchResult {
        at: step_of_nobody("default", 1),
        batch: BatchNumber(0),
        items: 1,
        valid: 1,
        dead_lettered: 0,
        outputs: None,
        error: None,
        ended_at: 0,
    })
}

#[test]
fn every_stage_sets_hostile_records_aside() {
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    assert_still_works(&installation);
    let giant = vec![b'h'; 900_000];
    let mut expected: Vec<(String, Option<Vec<u8>>, &str)> = Vec::new();
    for stage in ["stage.extract", "stage.transform", "stage.validate", "stage.progress"] {
        let of_nobody = match stage {
            "stage.extract" => request("nobody"),
            "stage.progress" => Vec::new(),
            _ => batch("nobody", 1),
        };
        let future = match stage {
            "stage.transform" | "stage.validate" => batch("default", 999),
            _ => Vec::new(),
        };
        // What belongs on another stage, whole and readable.
        let misplaced = encode(&CancelNotice {
            run: STRANGER.parse().expect("an id"),
            workspace: "default".parse().expect("a name"),
            at: 0,
        });
        let cases: [(&str, Option<Vec<u8>>, &str); 6] = [
            ("wrong-magic", Some(vec![0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), "PRN-0301"),
            ("empty", Some(Vec::new()), "PRN-0301"),
            ("misplaced", Some(misplaced), "PRN-0301"),
            ("one-byte", Some(vec![0xc3]), "PRN-0301"),
            ("wrong-workspace", Some(of_nobody).filter(|value| !value.is_empty()), "PRN-0306"),
            ("future-version", Some(future).filter(|value| !value.is_empty()), "PRN-0306"),
        ];
        for (name, value, code) in cases.into_iter().filter(|(_, value, _)| value.is_some()) {
            let key = format!("{stage}/{name}");
            let headers: [(&str, &[u8]); 3] =
                [("giant", &giant), ("prunella-run", b"\xff\xfe"), ("traceparent", b"not a trace")];
            let topic = installation.topic(stage);
            installation.kafka().produce_to(&topic, Some(1), Some(key.as_bytes()), value.as_deref(), &headers);
            expected.push((key, value, code));
        }
    }
    // A request is journaled before its workflow is looked for: its step fails instead, for a run that nobody knows.
    expected.retain(|(key, ..)| key != "stage.extract/wrong-workspace");
    let letters = wait_until(PATIENCE, "every record is a dead letter", || {
        let mut letters = installation.read("deadletter._system");
        letters.extend(installation.read("deadletter.default.copy"));
        (letters.len() >= expected.len()).then_some(letters)
    });
    for (key, value, code) in expected {
        let letter = letters.iter().find(|letter| letter.key_text() == key);
        let letter = letter.unwrap_or_else(|| panic!("no dead letter for {key}"));
        assert_eq!(letter.value, value, "{key}: byte for byte");
        assert_eq!(letter.headers["giant"].len(), giant.len(), "{key}");
        assert_eq!(
            letter.header("prunella-dead-code"),
            Some(code),
            "{key}: {:?}",
            letter.header("prunella-dead-message")
        );
    }
    assert_still_works(&installation);
}

#[test]
fn results_for_runs_that_nobody_knows_are_stale_and_no_dead_letters() {
    let installation = install();
    let running = installation.up();
    installation.apply(COPY);
    assert_still_works(&installation);
    let cancel = CancelRun {
        run: STRANGER.parse().expect("an id"),
        workspace: "default".parse().expect("a name"),
        requested_by: "nobody".to_owned(),
        requested_at: 0,
        reason: String::new(),
    };
    for value in [result_of_nobody(), encode(&cancel), result_of_nobody()] {
        installation.kafka().produce(
            &installation.topic("stage.progress"),
            Some(STRANGER.as_bytes()),
            Some(&value),
            &[],
        );
    }
    installation.kafka().produce(&installation.topic("stage.transform"), Some(b"x"), Some(&batch("default", 1)), &[]);
    wait_until(PATIENCE, "stale results are counted", || {
        (metric(&running, "prunella_stale_results_total") >= 4.0).then_some(())
    });
    assert_eq!(installation.count("deadletter._system"), 0);
    assert_still_works(&installation);
}

#[test]
fn garbage_on_topics_that_are_followed_or_restored_is_left_alone() {
    let installation = install();
    let running = installation.up();
    installation.apply(COPY);
    assert_still_works(&installation);
    let values: [Option<&[u8]>; 6] =
        [Some(b"\x9e\x37\x79\xb9"), Some(b""), Some(b"hello"), None, Some(b"\xc3\x01\x07\x07"), Some(&[0xff; 100_000])];
    // Keys that nearly are what they should be: a run id, and behind it what is no step.
    let keys: [&str; 5] = ["", "x", STRANGER, &format!("{STRANGER}é/1"), &format!("{STRANGER}/@trigger")];
    let followed = ["stage.control", "state.workflows", "state.schemas", "state.runs", "state.extractions", "log.runs"];
    for topic in followed {
        for key in keys {
            for value in values {
                installation.kafka().produce(
                    &installation.topic(topic),
                    Some(key.as_bytes()),
                    value,
                    &[("h", b"\xff")],
                );
            }
        }
    }
    assert_still_works(&installation);
    running.terminate(Duration::from_secs(15));

    let again = installation.up();
    assert_still_works(&installation);
    assert!(metric(&again, "prunella_unreadable_state_records_total") > 0.0, "nothing was counted");
    assert_eq!(
        installation.cli(&["workflows", "list"]).exits_with(0).json()["workflows"].as_array().map(Vec::len),
        Some(1)
    );
}

const STREAM: &str = "transform: '{ \"n\": n }'\nschema: { type: object, required: [n] }\n";

#[test]
fn a_stream_sets_hostile_records_aside() {
    let installation = install();
    let input = installation.topic("hostile.input");
    installation.kafka().create_topic(&input, 1);
    let _running = installation.up();
    installation.apply(&format!("kind: stream\nstream: hostile\ninput: {{ topic: {input} }}\n{STREAM}"));
    let giant = vec![b'h'; 900_000];
    let cases: [(&str, Option<&[u8]>); 5] = [
        ("random", Some(b"\x9e\x37\x79\xb9\x7f\x4a")),
        ("wrong-magic", Some(b"\x01\x02\x03\x04\x05{}")),
        ("unknown-schema", Some(b"\x00\x00\x00\x00\x09\x02\x04")),
        ("cut", Some(b"{ \"n\": 1")),
        ("not-utf-8", Some(b"{ \"n\": \"\xff\" }")),
    ];
    for (key, value) in cases {
        installation.kafka().produce(&input, Some(key.as_bytes()), value, &[("giant", &giant)]);
    }
    installation.kafka().produce(&input, None, Some(br#"{ "n": 1 }"#), &[]);
    let letters = wait_until(PATIENCE, "every record is a dead letter", || {
        let letters = installation.read("deadletter.default.hostile");
        (letters.len() >= cases.len()).then_some(letters)
    });
    for (key, value) in cases {
        let letter = letters.iter().find(|letter| letter.key_text() == key).expect("a dead letter");
        assert_eq!(letter.value.as_deref(), value, "{key}");
        assert!(letter.header("prunella-dead-code").is_some_and(|code| code.starts_with("PRN-")), "{key}");
    }
    wait_until(PATIENCE, "the record behind them", || {
        (installation.count("output.default.hostile") == 1).then_some(())
    });
}
