//! Counting, looking for what is wrong, watching.

use std::time::Duration;

use prunella_testkit::harness::{Installation, broker, wait_until};
use prunella_testkit::source::ShopConfig;
use serde_json::{Value, json};

use crate::support::{COPY, assert_status, good_and_bad, install, open_shop, orders_workflow};

const PATIENCE: Duration = Duration::from_secs(60);

fn part(audit: &Value, account: usize, name: &str) -> u64 {
    let parts = audit["accounts"][account]["parts"].as_array().expect("parts");
    parts.iter().find(|part| part["name"] == name).map_or(0, |part| part["count"].as_u64().expect("a count"))
}

/// Makes a group leave out what is on a topic, with Kafka's own tool.
fn skip_to_the_end(group: &str, topic: &str) {
    let server = broker().bootstrap_servers();
    wait_until(PATIENCE, "the group is moved", || {
        let mut tool = broker().tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
        tool.args(["--bootstrap-server", &server, "--group", group, "--topic", topic]);
        let output = tool.args(["--reset-offsets", "--to-latest", "--execute"]).output().expect("the tool starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success() && said.contains("NEW-OFFSET") && !said.contains("Error")).then_some(())
    });
}

#[test]
fn an_audit_adds_up_and_names_what_is_missing() {
    let (orders, one_in) = (300, 10);
    let shop = open_shop(ShopConfig { orders, page_size: 40, bad_one_in: one_in, ..ShopConfig::default() });
    let installation = install();
    let running = installation.up();
    installation.apply(&orders_workflow(
        "orders",
        "http: { url: '{{ trigger.shop }}/orders/by-cursor', pagination: { cursor: { path: next, param: cursor } } }",
    ));
    for _ in 0..2 {
        assert_status(&installation.run_to_end("orders", &json!({ "shop": shop.base_url() })), "succeeded");
    }
    let (good, bad) = good_and_bad(orders, one_in);
    let audit = installation.cli(&["audit", "orders"]).exits_with(0).json();
    assert_eq!((&audit["adds_up"], part(&audit, 0, "runs")), (&json!(true), 2), "{audit:#}");
    assert_eq!(part(&audit, 1, "out"), 2 * good.len() as u64, "{audit:#}");
    assert_eq!(part(&audit, 1, "dead"), 2 * bad.len() as u64, "{audit:#}");
    assert_eq!(audit["accounts"][1]["entered"], json!(2 * orders));
    running.terminate(Duration::from_secs(60));

    // Two triggers that nobody has taken: they wait.
    for _ in 0..2 {
        installation.start_run("orders", &json!({ "shop": shop.base_url() }));
    }
    let audit = installation.cli(&["audit", "orders"]).exits_with(0).json();
    assert_eq!((part(&audit, 0, "waiting"), part(&audit, 0, "runs")), (2, 2), "{audit:#}");
    // Somebody lets the group leave them out: they are missing, and named.
    let topic = installation.topic("trigger.default.orders");
    skip_to_the_end(&installation.topic("orchestrator"), &topic);
    let answer = installation.cli(&["audit", "orders"]).exits_with(7);
    assert_eq!(answer.error()["code"], "PRN-0903");
    let audit: Value = answer.json();
    assert_eq!((&audit["adds_up"], &audit["accounts"][0]["missing"]), (&json!(false), &json!(2)), "{audit:#}");
    let named = audit["accounts"][0]["examples"].as_array().expect("examples");
    assert!(
        named.len() == 2 && named.iter().all(|place| place.as_str().is_some_and(|place| place.starts_with(&topic)))
    );
    installation.cli(&["audit", "nobody"]).exits_with(5);
}

#[test]
fn an_audit_of_a_stream_finds_each_record() {
    let installation = install();
    let input = installation.topic("shop.orders");
    installation.kafka().create_topic(&input, 2);
    let running = installation.up();
    installation.apply(&format!(
        "kind: stream\nstream: orders\ninput: {{ topic: {input} }}\ntransform: '{{ \"n\": n }}'\n\
         schema: {{ type: object, properties: {{ n: {{ type: integer }} }} }}\n"
    ));
    let records: Vec<(String, String)> = (0..50)
        .map(|n| (format!("k{n}"), if n == 7 { "{ \"n\": \"x\" }".to_owned() } else { format!("{{ \"n\": {n} }}") }))
        .collect();
    installation.kafka().produce_all(&input, &records);
    wait_until(PATIENCE, "all are out", || (installation.count("output.default.orders") >= 49).then_some(()));
    wait_until(PATIENCE, "the stream has committed", || {
        let audit = installation.cli(&["audit", "orders"]).exits_with(0).json();
        (part(&audit, 0, "out") == 49 && part(&audit, 0, "dead") == 1 && part(&audit, 0, "waiting") == 0).then_some(())
    });
    running.terminate(Duration::from_secs(60));
    installation.kafka().produce_all(&input, &records[..5]);
    let audit = installation.cli(&["audit", "orders"]).exits_with(0).json();
    assert_eq!((part(&audit, 0, "waiting"), &audit["accounts"][0]["entered"]), (5, &json!(55)), "{audit:#}");
    skip_to_the_end(&installation.topic("stream.default.orders"), &input);
    let audit = installation.cli(&["audit", "orders"]).exits_with(7).json();
    assert_eq!(audit["accounts"][0]["missing"], 5, "{audit:#}");
}

fn finding(installation: &Installation, exit: i32, check: &str) -> Value {
    let told = installation.cli(&["doctor", "--watch-for", "2s"]).exits_with(exit).json();
    let findings = told["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check}: {told:#}")).clone()
}

#[test]
fn a_doctor_says_what_is_wrong_and_what_to_do() {
    let installation = install();
    let topics = finding(&installation, 1, "topics");
    assert!(
        topics["level"] == "wrong" && topics["next"].as_str().is_some_and(|next| next.contains("PRN-0203")),
        "{topics:#}"
    );
    installation.cli(&["topics", "apply"]).exits_with(0);
    installation.apply(COPY);
    assert_eq!(finding(&installation, 0, "services")["level"], "warn", "nobody works, nothing waits");
    for _ in 0..10 {
        installation.start_run("copy", &json!({ "list": [1] }));
    }
    let services = finding(&installation, 1, "services");
    assert!(
        services["level"] == "wrong" && services["detail"].as_str().is_some_and(|it| it.contains("orchestrator")),
        "{services:#}"
    );
    assert!(services["next"].as_str().is_some_and(|next| next.contains("prunella serve")), "{services:#}");
    let movement = finding(&installation, 1, "movement");
    assert!(
        movement["level"] == "wrong"
            && movement["detail"].as_str().is_some_and(|it| it.contains("trigger.default.copy")),
        "{movement:#}"
    );

    let _running = installation.up();
    wait_until(PATIENCE, "all has been done", || (installation.count("output.default.copy") >= 10).then_some(()));
    for check in ["services", "movement", "lag", "clocks", "schemas", "disk", "kafka", "topics", "workflows"] {
        let found = finding(&installation, 0, check);
        assert_ne!(found["level"], "wrong", "{found:#}");
    }
    // Garbage where control records belong.
    let topic = installation.topic("state.runs");
    installation.kafka().produce_to(&topic, Some(0), Some(b"x"), Some(b"hello"), &[]);
    let schemas = finding(&installation, 1, "schemas");
    assert!(schemas["detail"].as_str().is_some_and(|it| it.contains(&format!("{topic}/0/"))), "{schemas:#}");

    let activity = installation.cli(&["top", "--once", "--every", "1s"]).exits_with(0).json();
    let stages = activity["stages"].as_array().expect("stages");
    let orchestrator = stages.iter().find(|one| one["stage"] == "orchestrator").expect("the orchestrator");
    assert_eq!(
        (&orchestrator["members"], activity["names"][0]["name"].as_str()),
        (&json!(1), Some("default/copy")),
        "{activity:#}"
    );
}
