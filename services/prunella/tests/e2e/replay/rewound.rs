//! Groups that were rewound with Kafka's own tools: a replay; and what a crash delivers again: none.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_testkit::harness::{Installation, broker, wait_until};
use serde_json::json;

use super::{PATIENCE, originals, wait_for_runs};
use crate::support::{COPY, install_with};

/// Sets the offsets of the orchestrator's group back with Kafka's own tool.
fn rewind(installation: &Installation) {
    let group = installation.topic("orchestrator");
    let topic = installation.topic("trigger.default.copy");
    let server = broker().bootstrap_servers();
    wait_until(PATIENCE, "the group is rewound", || {
        let mut tool = broker().tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
        tool.args(["--bootstrap-server", &server, "--group", &group, "--topic", &topic]);
        let output = tool.args(["--reset-offsets", "--to-earliest", "--execute"]).output().expect("the tool starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // The group has to be empty first.
        (output.status.success() && said.contains("NEW-OFFSET") && !said.contains("Error")).then_some(())
    });
}

#[test]
fn a_group_that_was_rewound_is_a_replay_and_a_crash_is_none() {
    let installation = install_with(
        &json!({ "kafka": { "librdkafka": { "session.timeout.ms": "2500", "heartbeat.interval.ms": "500" } } }),
    );
    let running = installation.up();
    installation.apply(COPY);
    let topic = installation.topic("trigger.default.copy");
    for number in 0..3 {
        installation.start_run("copy", &json!({ "list": [number] }));
        installation.kafka().produce(
            &topic,
            Some(b"k"),
            Some(format!("{{\"list\":[{}]}}", number + 10).as_bytes()),
            &[],
        );
    }
    let first = originals(&wait_for_runs(&installation, 6));
    assert!(first.values().all(Option::is_none), "{first:?}");
    running.kill();
    let running = installation.up();
    installation.start_run("copy", &json!({ "list": [100] }));
    let first = originals(&wait_for_runs(&installation, 7));
    assert_eq!(first.len(), 7, "a crash starts nothing: {first:?}");
    running.terminate(Duration::from_secs(60));

    rewind(&installation);
    let running = installation.up();
    let after = originals(&wait_for_runs(&installation, 14));
    assert_eq!(after.len(), 14, "{after:?}");
    let done_again: BTreeSet<&String> = after.values().flatten().collect();
    assert_eq!(done_again, first.keys().collect(), "each run once more");
    assert_eq!(installation.count("output.default.copy"), 14);
    // What is read again after a crash in or after a rewound range is no replay of the replay.
    running.kill();
    let running = installation.up();
    installation.start_run("copy", &json!({ "list": [200] }));
    assert_eq!(wait_for_runs(&installation, 15).len(), 15);
    running.terminate(Duration::from_secs(60));
    // A second rewinding is another one: new runs for each record there is.
    rewind(&installation);
    let _running = installation.up();
    assert_eq!(wait_for_runs(&installation, 23).len(), 23);
}

#[test]
fn what_is_delivered_again_to_an_orchestrator_that_had_not_committed_is_the_same_run() {
    let installation = install_with(&json!({
        "kafka": { "librdkafka": { "session.timeout.ms": "2500", "heartbeat.interval.ms": "500" } },
        "processing": { "guarantee": { "orchestrator": "at-least-once" } },
    }));
    let running = installation.up();
    installation.apply(COPY);
    installation.start_run("copy", &json!({ "list": [1] }));
    wait_for_runs(&installation, 1);
    running.terminate(Duration::from_secs(60));
    let installation = installation.with_environment("PRUNELLA__RUNTIME__COMMIT_INTERVAL", "1h");
    let running = installation.up();
    for number in 0..3 {
        installation.start_run("copy", &json!({ "list": [number] }));
    }
    wait_for_runs(&installation, 4);
    running.kill();
    let _running = installation.up();
    installation.start_run("copy", &json!({ "list": [9] }));
    let found = originals(&wait_for_runs(&installation, 5));
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.values().all(Option::is_none), "{found:?}");
}
