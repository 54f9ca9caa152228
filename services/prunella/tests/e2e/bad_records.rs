//! Triggers that are none, and garbage where control records should be: dead letters byte for byte, and work goes on.

use std::time::Duration;

use prunella_testkit::harness::{Installation, ReadRecord, wait_until};
use serde_json::json;

use crate::support::{COPY, assert_status, assert_still_works, install, is_fused};

/// The dead letter of the record with this key, once it is there.
fn letter_of(installation: &Installation, topic: &str, key: &str, patience: Duration) -> ReadRecord {
    wait_until(patience, &format!("a dead letter for {key}"), || {
        let mut letters = installation.read(topic).into_iter().filter(|letter| letter.key_text() == key);
        let letter = letters.next();
        assert!(letters.next().is_none(), "two dead letters for {key}");
        letter
    })
}

#[test]
fn bad_triggers_are_dead_letters() {
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    let topic = installation.topic("trigger.default.copy");
    let large = [b"{\"list\":[\"".as_slice(), &vec![b'x'; 60_000_000], b"\"]}"].concat();
    let cases: [(&str, Option<&[u8]>, &str); 7] = [
        ("not-json", Some(b"{'list': [1]}"), "PRN-0701"),
        ("cut", Some(br#"{ "list": [1, 2"#), "PRN-0701"),
        ("not-utf-8", Some(b"{\"list\": [\"\xff\xfe\"]}"), "PRN-0701"),
        ("blank", Some(b" "), "PRN-0701"),
        ("empty", Some(b""), "PRN-0701"),
        ("null", None, "PRN-0701"),
        ("large", Some(&large), "PRN-0702"),
    ];
    for (key, value, _) in cases {
        installation.kafka().produce(&topic, Some(key.as_bytes()), value, &[("mine", b"kept \xff")]);
    }
    for (key, value, code) in cases {
        let letter = letter_of(&installation, "deadletter.default.copy", key, Duration::from_secs(30));
        assert!(letter.value.as_deref() == value, "{key}: byte for byte");
        assert_eq!(letter.headers["mine"], b"kept \xff", "{key}");
        assert_eq!(letter.header("prunella-dead-code"), Some(code), "{key}");
        assert_eq!(letter.header("prunella-original-topic"), Some(topic.as_str()), "{key}");
        assert!(letter.header("prunella-dead-message").is_some_and(|message| message.contains(&topic)), "{key}");
    }
    assert_still_works(&installation);
    assert_eq!(installation.cli(&["runs", "list"]).exits_with(0).json()["total"], 1);
}

#[test]
fn the_topic_of_an_unknown_workflow_is_not_read() {
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    let topic = installation.topic("trigger.default.nobody");
    installation.kafka().create_topic(&topic, 1);
    installation.kafka().produce(&topic, Some(b"k"), Some(b"not JSON"), &[]);
    assert_still_works(&installation);
    assert_eq!(installation.count("deadletter._system"), 0);
    assert_eq!(installation.count("deadletter.default.copy"), 0);
    let refused = installation.cli(&["run", "stranger"]).exits_with(5);
    assert_eq!(refused.error()["code"], "PRN-0306");
}

#[test]
fn garbage_on_internal_topics_is_set_aside() {
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    assert_still_works(&installation);
    let mut expected: Vec<(String, Option<Vec<u8>>, &str)> = Vec::new();
    // Steps done in place leave the topics of the stages empty; state is of the same kind.
    let spare = installation.read("state.runs").into_iter().find_map(|record| record.value).expect("a real record");
    for stage in ["stage.extract", "stage.transform", "stage.validate", "stage.progress"] {
        let found = installation.read(stage).into_iter().find_map(|record| record.value);
        let real = if is_fused() { found.unwrap_or_else(|| spare.clone()) } else { found.expect("a real record") };
        let truncated = real[..real.len() - real.len() / 3].to_vec();
        let unknown = [&[0xc3, 0x01], [7; 8].as_slice(), &real[10..]].concat();
        let no_registry = [&[0, 0, 0, 0, 9], &real[10..]].concat();
        let cases: [(&str, Option<Vec<u8>>, &str); 6] = [
            ("random", Some(vec![0x9e, 0x37, 0x79, 0xb9, 0x7f, 0x4a]), "PRN-0301"),
            ("text", Some(b"hello".to_vec()), "PRN-0301"),
            ("truncated", Some(truncated), "PRN-0301"),
            ("null", None, "PRN-0301"),
            ("unknown-schema", Some(unknown), "PRN-0302"),
            ("no-registry", Some(no_registry), "PRN-0302"),
        ];
        for (name, value, code) in cases {
            let key = format!("{stage}/{name}");
            let topic = installation.topic(stage);
            installation.kafka().produce_to(
                &topic,
                Some(1),
                Some(key.as_bytes()),
                value.as_deref(),
                &[("mine", b"kept")],
            );
            expected.push((key, value, code));
        }
    }
    for (key, value, code) in expected {
        let letter = letter_of(&installation, "deadletter._system", &key, Duration::from_secs(60));
        assert_eq!(letter.value, value, "{key}");
        assert_eq!(letter.header("mine"), Some("kept"), "{key}");
        assert_eq!(
            letter.header("prunella-dead-code"),
            Some(code),
            "{key}: {:?}",
            letter.header("prunella-dead-message")
        );
        assert_eq!(letter.header("prunella-original-partition"), Some("1"), "{key}");
    }
    assert_still_works(&installation);
}

#[test]
fn a_record_of_an_unknown_schema_does_not_hold_up_the_runs_of_others() {
    let installation = install();
    let _running = installation.up();
    installation.apply(COPY);
    assert_still_works(&installation);
    let unknown = [&[0xc3, 0x01], [7; 8].as_slice(), b"whatever"].concat();
    for partition in 0..4 {
        let topic = installation.topic("stage.progress");
        installation.kafka().produce_to(&topic, Some(partition), Some(b"unknown"), Some(&unknown), &[]);
    }
    // Behind the garbage in time, not in its way.
    let run = installation.start_run("copy", &json!({ "list": [1, 2, 3] }));
    let report = installation.wait_for_end(&run, Duration::from_secs(20));
    assert_status(&report, "succeeded");
}
