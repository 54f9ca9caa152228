//! The list of items, or the next page, is somewhere else in the answers of a source: no outage, and not nothing.

use std::time::Duration;

use prunella_testkit::harness::{DocumentServer, Installation, wait_until};
use serde_json::{Value, json};

use crate::support::{assert_status, install_with};

fn workflow(heal: &str, more: &str) -> String {
    format!(
        r#"
workflow: moved
trigger: {{}}
deadline: 2m
steps:
  - id: orders
    heal: {heal}
    extract:
      http:
        url: "{{{{ trigger.url }}}}"
        retry: {{ attempts: 1 }}
{more}
      items: data
    transform: |
      {{ "id": order_id, "customer": customer_name, "cents": total_cents }}
    schema:
      type: object
      required: [id, customer, cents]
      properties: {{ id: {{ type: string }}, customer: {{ type: string }}, cents: {{ type: integer }} }}
output: {{ from: orders, key: id }}
"#
    )
}

fn install() -> Installation {
    install_with(&json!({ "healing": { "gather": "300ms", "patience": "3s", "remember-every": "100ms" } }))
}

fn orders(from: u64) -> Vec<Value> {
    let order = |number: u64| {
        json!({
            "order_id": format!("A-{number:04}"), "customer_name": format!("Customer {}", number * 7 % 31),
            "total_cents": 1000 + number * 37,
        })
    };
    (from..from + 10).map(order).collect()
}

fn serve(answer: &Value) -> DocumentServer {
    DocumentServer::start(answer.to_string().into_bytes())
}

fn url(server: &DocumentServer) -> Value {
    json!({ "url": format!("{}/document.json", server.base_url()) })
}

/// Runs while all is well.
fn learn(installation: &Installation) {
    for run in 0..6 {
        let server = serve(&json!({ "data": orders(run * 10), "meta": { "count": 10 } }));
        assert_status(&installation.run_to_end("moved", &url(&server)), "succeeded");
    }
}

/// The items have moved, beside a list of something else.
fn moved(from: u64) -> Value {
    let facets = json!([{ "name": "customer", "count": 3 }, { "name": "month", "count": 2 }]);
    json!({ "results": { "items": orders(from), "facets": facets }, "meta": { "count": 10 } })
}

fn listed(installation: &Installation) -> Value {
    installation.cli(&["mappings", "list"]).exits_with(0).json()["mappings"][0].clone()
}

#[test]
fn a_list_that_has_moved_is_found_proven_and_read_where_it_is() {
    let installation = install();
    let running = installation.up();
    installation.apply(&workflow("auto", ""));
    learn(&installation);
    let now = serve(&moved(60));
    let runs: Vec<String> = (0..3).map(|_| installation.start_run("moved", &url(&now))).collect();
    for run in &runs {
        let report = installation.wait_for_end(run, Duration::from_secs(60));
        assert_status(&report, "succeeded");
        assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(10), &json!(0)), "{report:#}");
    }
    assert!(running.log().contains("PRN-0425"));
    assert_eq!(installation.count("output.default.moved"), 60 + 30);
    assert_eq!(listed(&installation)["active"], json!(2), "one version, and no more");
    let shown = installation.cli(&["mappings", "show", "moved/orders"]).json();
    assert_eq!(shown["history"][0]["moved"], json!({ "was": "data", "is": "results.items" }), "{shown:#}");
    // What comes now is read at once, and the author's word is the last one.
    let next = serve(&moved(70));
    assert_status(
        &installation.wait_for_end(&installation.start_run("moved", &url(&next)), Duration::from_secs(20)),
        "succeeded",
    );
    installation.apply(&workflow("auto", "").replace("items: data", "items: rows"));
    let rows = serve(&json!({ "rows": orders(80), "results": { "items": orders(90) } }));
    assert_status(
        &installation.wait_for_end(&installation.start_run("moved", &url(&rows)), Duration::from_secs(20)),
        "succeeded",
    );
    let last = installation.read("output.default.moved").iter().map(|it| it.key_text().to_owned()).max();
    assert_eq!(last.as_deref(), Some("A-0089"));
}

#[test]
fn a_list_that_has_moved_waits_for_a_person_where_one_is_asked() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("review", ""));
    learn(&installation);
    let now = serve(&moved(60));
    let run = installation.start_run("moved", &url(&now));
    wait_until(Duration::from_secs(60), "a proposal", || {
        (listed(&installation)["candidates"] == json!([2])).then_some(())
    });
    assert_eq!(installation.count("output.default.moved"), 60, "nothing is read there before it is approved");
    installation.cli(&["mappings", "approve", "moved/orders", "2"]).exits_with(0);
    assert_status(&installation.wait_for_end(&run, Duration::from_secs(90)), "succeeded");
    assert_eq!(installation.count("output.default.moved"), 70);
}

#[test]
fn a_list_of_the_same_shape_under_a_name_of_its_own_is_not_read_unasked() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto", ""));
    learn(&installation);
    let now = serve(&json!({ "deleted": orders(500) }));
    installation.start_run("moved", &url(&now));
    wait_until(Duration::from_secs(60), "a proposal", || {
        (listed(&installation)["candidates"] == json!([2])).then_some(())
    });
    assert_eq!(installation.count("output.default.moved"), 60);
}

#[test]
fn an_outage_moves_nothing_and_two_lists_that_would_do_are_one_too_many() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("auto", "").replace("deadline: 2m", "deadline: 15s"));
    learn(&installation);
    for outage in [
        json!({ "errors": [{ "order_id": "A-1", "message": "rate limit exceeded" }] }),
        json!({ "error": "maintenance", "related": orders(60) }),
        json!({ "message": "back soon" }),
    ] {
        let report = installation.run_to_end("moved", &url(&serve(&outage)));
        assert_status(&report, "failed");
        assert!(report.to_string().contains("PRN-0411"), "{report:#}");
    }
    let both = serve(&json!({ "active": orders(60), "archived": orders(70) }));
    let run = installation.start_run("moved", &url(&both));
    let report = installation.wait_for_end(&run, Duration::from_secs(60));
    assert_status(&report, "failed");
    assert!(report.to_string().contains("PRN-0425"), "{report:#}");
    assert_eq!(installation.count("state.mappings"), 0, "no version was made or proposed");
}

#[test]
fn a_step_that_is_not_healed_fails_and_says_where_things_are_now() {
    let installation = install();
    let _running = installation.up();
    installation.apply(&workflow("off", ""));
    let report = installation.run_to_end("moved", &url(&serve(&moved(0))));
    assert_status(&report, "failed");
    let told = report.to_string();
    assert!(told.contains("PRN-0425") && told.contains("`results.items` (10)"), "{report:#}");
    // Without its next page, the first one would be taken for all there is.
    installation.apply(&workflow("off", "        pagination: { cursor: { path: meta.next, param: cursor } }"));
    let page = serve(&json!({ "data": orders(0), "paging": { "next": "abc" } }));
    let report = installation.run_to_end("moved", &url(&page));
    assert_status(&report, "failed");
    let told = report.to_string();
    assert!(told.contains("PRN-0425") && told.contains("`paging.next`"), "{report:#}");
    assert_eq!(installation.count("output.default.moved"), 0);
    let only = serve(&json!({ "data": orders(0), "meta": {} }));
    assert_status(&installation.run_to_end("moved", &url(&only)), "succeeded");
}
