//! A source that is out is not a source that has changed: nothing is healed, nobody is asked, nothing is learned.

use std::time::Duration;

use prunella_testkit::harness::{DocumentServer, Installation, block_on, wait_until};
use prunella_testkit::llm::{FakeAnswer, FakeLlm};
use prunella_testkit::source::HostileServer;
use serde_json::{Value, json};

use crate::support::{assert_status, install_with};

const OUTAGES: usize = 1_000;

fn workflow(name: &str, items: &str) -> String {
    format!(
        r#"
workflow: {name}
trigger: {{}}
deadline: 4m
steps:
  - id: fetch
    heal: auto
    extract:
      http:
        url: "{{{{ trigger.url }}}}"
        timeout: 1s
        retry: {{ attempts: 1, backoff: 10ms, max-backoff: 10ms }}
        max-page-bytes: 1MiB
{items}
    transform: |
      {{ "id": order_id, "customer": customer_name, "cents": total_cents }}
    schema:
      type: object
      required: [id, customer, cents]
      properties: {{ id: {{ type: string }}, customer: {{ type: string }}, cents: {{ type: integer }} }}
output: {{ from: fetch, key: id }}
"#
    )
}

fn order(number: u64) -> Value {
    json!({ "order_id": format!("A-{number:04}"), "customer_name": format!("Customer {number}"), "total_cents": 1000 + number * 37 })
}

/// Answers that HTTP finds nothing wrong with.
fn polite_outages() -> Vec<Value> {
    vec![
        json!({ "error": "rate limit exceeded", "retry_after": 30 }),
        json!({ "message": "We are down for maintenance, back soon" }),
        json!({ "login_required": true, "redirect": "https://shop.example/login" }),
        json!({ "code": 500, "message": "oops" }),
        json!({ "error": { "type": "access_denied", "message": "token expired" } }),
        json!({}),
        json!("<html><body>Please sign in</body></html>"),
        Value::Null,
    ]
}

fn trigger(installation: &Installation, workflow: &str, number: usize, url: &str) {
    let topic = installation.topic(&format!("trigger.default.{workflow}"));
    let (payload, key) = (json!({ "url": url }).to_string(), format!("{workflow}-{number}"));
    installation.kafka().produce(&topic, None, Some(payload.as_bytes()), &[("idempotency-key", key.as_bytes())]);
}

#[test]
fn a_thousand_outages_heal_nothing_and_ask_nobody() {
    let llm = block_on(FakeLlm::start([FakeAnswer::candidates(&[("$", "as it is")])])).expect("a provider");
    let installation = install_with(&json!({
        "healing": { "gather": "300ms", "patience": "3s", "remember-every": "1s", "few-items": 1 },
        "extractor": { "concurrency": 32 },
        "llm": { "model": "fake/small", "providers": { "fake": { "protocol": "ollama", "url": llm.base_url() } } },
    }));
    let running = installation.up();
    installation.apply(&workflow("listed", "      items: data"));
    installation.apply(&workflow("whole", ""));
    let orders: Vec<DocumentServer> =
        (0..12).map(|number| DocumentServer::start(order(number).to_string().into_bytes())).collect();
    for server in &orders {
        let url = format!("{}/document.json", server.base_url());
        assert_status(&installation.run_to_end("whole", &json!({ "url": url })), "succeeded");
    }
    let samples = installation.count("state.samples");
    assert!(samples > 0, "good orders are remembered");

    let hostile = block_on(HostileServer::start()).expect("a hostile server");
    let rude = [
        "Html",
        "Xml",
        "NotJson",
        "HalfJson",
        "CutBody",
        "CutChunk",
        "Hangup",
        "Reset",
        "Empty",
        "CutGzip",
        "NoGzip",
        "RedirectCircle",
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "status?code=408",
        "status?code=429",
        "status?code=500",
        "status?code=502",
        "status?code=503",
        "status?code=504",
    ];
    let polite: Vec<DocumentServer> =
        polite_outages().iter().map(|answer| DocumentServer::start(answer.to_string().into_bytes())).collect();
    for number in 0..OUTAGES {
        let workflow = if number % 2 == 0 { "listed" } else { "whole" };
        // A fifth of them looks like an answer, and a few never come.
        let url = match number {
            _ if number % 100 == 7 => format!("{}/Silence", hostile.base_url()),
            _ if number % 5 == 0 => format!("{}/document.json", polite[number / 5 % polite.len()].base_url()),
            _ => format!("{}/{}", hostile.base_url(), rude[number % rude.len()]),
        };
        trigger(&installation, workflow, number, &url);
    }
    let ended =
        || running.log().lines().filter(|line| line.contains("run ended") && line.contains("\"failed\"")).count();
    // The polite ones of `whole` wait until their deadline: they may be data.
    let waiting = OUTAGES / 10;
    wait_until(Duration::from_secs(180), "the outages have ended", || (ended() >= OUTAGES - waiting).then_some(()));
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(llm.calls(), 0);
    assert_eq!(installation.count("log.llm"), 0);
    assert_eq!(installation.count("state.mappings"), 0, "no version was made or proposed");
    assert_eq!(installation.count("output.default.whole"), 12);
    assert_eq!(installation.count("state.samples"), samples, "nothing was learned");
    // And data is mapped as before.
    let url = format!("{}/document.json", orders[0].base_url());
    assert_status(&installation.run_to_end("whole", &json!({ "url": url })), "succeeded");
}
