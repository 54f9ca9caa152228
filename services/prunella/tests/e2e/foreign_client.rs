//! Kafka's own console clients start a run and read what came of it: no code of ours on that path.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use prunella_testkit::harness::{broker, wait_until};
use serde_json::{Value, json};

use crate::support::install;

const WORKFLOW: &str = r#"
workflow: greet
trigger: {}
steps:
  - id: people
    extract: { trigger: {}, items: people }
    transform: '{ "name": name, "greeting": "Grüß dich, " & name & "!" }'
    schema: { type: object, required: [name], properties: { name: { type: string, minLength: 1 } } }
output: { from: people, key: name }
"#;

#[test]
fn console_producer_in_and_console_consumer_out() {
    let installation = install();
    let _running = installation.up();
    installation.apply(WORKFLOW);
    let brokers = broker().bootstrap_servers();

    let mut producer = broker().tool("org.apache.kafka.tools.ConsoleProducer");
    producer.args(["--bootstrap-server", &brokers, "--topic", &installation.topic("trigger.default.greet")]);
    let mut child = producer.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the console producer starts");
    let mut input = child.stdin.take().expect("its input was piped");
    writeln!(input, "{}", json!({ "people": [{ "name": "Ada" }, { "name": "" }, { "name": "Łukasz 🌿" }] }))
        .expect("written");
    drop(input);
    assert!(child.wait().expect("it ends").success());

    wait_until(Duration::from_secs(30), "two greetings and a dead letter", || {
        let written = (installation.count("output.default.greet"), installation.count("deadletter.default.greet"));
        (written == (2, 1)).then_some(())
    });
    let mut consumer = broker().tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    consumer.args(["--bootstrap-server", &brokers, "--topic", &installation.topic("output.default.greet")]);
    consumer.args(["--from-beginning", "--max-messages", "2", "--timeout-ms", "20000"]);
    consumer.args(["--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"]);
    let output = consumer.stderr(Stdio::piped()).output().expect("the console consumer ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut seen: Vec<(String, Value)> = Vec::new();
    for line in text.lines() {
        let [headers, key, value] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(headers.contains("content-type:application/json"), "{headers}");
        assert!(headers.contains("prunella-workflow:default/greet@1"), "{headers}");
        seen.push((key.to_owned(), serde_json::from_str(value).expect("JSON")));
    }
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let greeting = |name: &str| (name.to_owned(), json!({ "name": name, "greeting": format!("Grüß dich, {name}!") }));
    assert_eq!(seen, [greeting("Ada"), greeting("Łukasz 🌿")]);
}
