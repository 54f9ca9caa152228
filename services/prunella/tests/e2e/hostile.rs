//! Sources and mappings that mean harm: every run ends, with the code of what was wrong, and the next one works.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::time::Duration;

use prunella_testkit::harness::{block_on, wait_until};
use prunella_testkit::source::{BadDay, HostileServer, Hostility, ShopConfig};
use serde_json::{Value, json};

use crate::support::{assert_status, install, install_with, memory_mib, open_shop, orders_workflow};

fn fetching(name: &str, items: &str) -> String {
    format!(
        r#"
workflow: {name}
trigger: {{}}
deadline: 40s
steps:
  - id: fetch
    extract:
      http:
        url: "{{{{ trigger.base }}}}/{{{{ trigger.path }}}}"
        query: {{ code: "{{{{ trigger.code }}}}", wish: "{{{{ trigger.wish }}}}" }}
        timeout: 2s
        retry: {{ attempts: 2, backoff: 50ms, max-backoff: 100ms }}
        max-page-bytes: 1MiB
      items: {items}
output: {{ from: fetch }}
"#
    )
}

#[test]
fn every_hostile_source_ends_its_run_with_a_code() {
    let server = block_on(HostileServer::start()).expect("a hostile server");
    let installation = install();
    let running = installation.up();
    installation.apply(&fetching("hostile", "data"));
    installation.apply(&fetching("moved", "orders"));
    let cases: [(&str, &str, u32, &str, &str); 22] = [
        ("hostile", "Html", 0, "", "PRN-0419"),
        ("hostile", "NotJson", 0, "", "PRN-0408"),
        ("hostile", "HalfJson", 0, "", "PRN-0421"),
        ("hostile", "CutBody", 0, "", "PRN-0406"),
        ("hostile", "Silence", 0, "", "PRN-0402"),
        ("hostile", "Dribble", 0, "", "PRN-0402"),
        ("hostile", "Endless", 0, "", "PRN-0407"),
        ("hostile", "FiveGigabytes", 0, "", "PRN-0407"),
        ("hostile", "GzipBomb", 0, "", "PRN-0407"),
        ("hostile", "CutGzip", 0, "", "PRN-0406"),
        ("hostile", "RedirectToItself", 0, "", "PRN-0423"),
        ("hostile", "RedirectCircle", 0, "", "PRN-0423"),
        ("hostile", "RedirectFlight", 0, "", "PRN-0410"),
        ("hostile", "DeepNesting", 0, "", "PRN-0417"),
        ("hostile", "Unauthorized", 0, "", "PRN-0405"),
        ("hostile", "Forbidden", 0, "", "PRN-0405"),
        ("hostile", "NotFound", 0, "", "PRN-0404"),
        ("hostile", "status", 429, "", "PRN-0424"),
        ("hostile", "status", 500, "", "PRN-0403"),
        // Longer than the run may take: there is no point in waiting.
        ("hostile", "retry-after", 0, "3600", "PRN-0403"),
        ("hostile", "Empty", 0, "", "PRN-0409"),
        ("moved", "SamePage", 0, "", "PRN-0425"),
    ];
    let trigger = |path: &str, code: u32, wish: &str| json!({ "base": server.base_url(), "path": path, "code": code.to_string(), "wish": wish });
    for (index, (workflow, path, code, wish, _)) in cases.iter().enumerate() {
        let topic = installation.topic(&format!("trigger.default.{workflow}"));
        let payload = trigger(path, *code, wish).to_string();
        let key = index.to_string();
        installation.kafka().produce(&topic, None, Some(payload.as_bytes()), &[("idempotency-key", key.as_bytes())]);
    }
    let ended: BTreeMap<String, Value> = wait_until(Duration::from_secs(45), "every run has ended", || {
        let listed = installation.cli(&["runs", "list"]).exits_with(0).json();
        let runs = listed["runs"].as_array().expect("runs").clone();
        let ended = runs.into_iter().filter(|run| run["ended_at"].is_i64());
        let ended: BTreeMap<_, _> =
            ended.map(|run| (run["idempotency_key"].as_str().unwrap_or_default().to_owned(), run)).collect();
        (ended.len() == cases.len()).then_some(ended)
    });
    for (index, (_, path, code, _, expected)) in cases.into_iter().enumerate() {
        let run = &ended[&index.to_string()];
        assert_eq!(run["error"]["code"], expected, "{path} {code}: {run:#}");
        assert_status(run, "failed");
        assert!(run["error"]["message"].as_str().is_some_and(|message| message.contains(path)), "{run:#}");
    }
    for (hostility, items) in [(Hostility::NoContent, 0), (Hostility::Gzip, 2)] {
        let report = installation.run_to_end("hostile", &trigger(hostility.path().trim_start_matches('/'), 0, ""));
        assert_status(&report, "succeeded");
        assert_eq!(report["valid"], items, "{hostility:?}");
    }
    wait_until(Duration::from_secs(10), "all connections are closed", || {
        (server.open_connections() == 0).then_some(())
    });
    let peak = memory_mib(running.pid(), "VmHWM:");
    assert!(peak < 700, "{peak} MiB at the peak");
}

#[test]
fn a_source_that_asks_for_patience_gets_it() {
    let shop = open_shop(ShopConfig {
        orders: 30,
        page_size: 10,
        flaky: HashMap::from([(1, 1)]),
        bad_day: BadDay::Busy { retry_after: "2".to_owned() },
        ..ShopConfig::default()
    });
    let installation = install();
    let _running = installation.up();
    let extract = "http: { url: '{{ trigger.shop }}/orders', pagination: { page: { param: page } } }";
    installation.apply(&orders_workflow("patient", extract));
    let report = installation.run_to_end("patient", &json!({ "shop": shop.base_url() }));
    assert_status(&report, "succeeded");
    assert_eq!(report["valid"], 30);
    let took = report["ended_at"].as_i64().expect("ended") - report["created_at"].as_i64().expect("created");
    assert!(took >= 2000, "the source asked for two seconds, the run took {took} ms");
}

const MAPPINGS: &str = r#"
workflow: mappings
trigger: {}
steps:
  - id: items
    extract: { trigger: {}, items: list }
    transform: |
      (
        $spin := function($n) { $spin($n + 1) };
        $dive := function($n) { 1 + $dive($n + 1) };
        $grow := function($text) { $grow($text & $text) };
        kind = "spin" ? $spin(0) : kind = "dive" ? $dive(0) : kind = "grow" ? $grow("grow") :
        kind = "many" ? $count([1..100000000]) : kind = "throw" ? $error("no") : { "fine": kind }
      )
output: { from: items }
"#;

#[test]
fn mappings_that_never_end_or_grow_for_ever_cost_one_item_each() {
    // Steps are the same on every machine, time is not: let the steps be what ends it.
    let installation = install_with(&json!({ "mapping": { "timeout": "60s", "max-steps": 300_000 } }));
    let running = installation.up();
    installation.apply(MAPPINGS);
    let kinds = ["a", "spin", "b", "dive", "c", "grow", "d", "many", "e", "throw", "f"];
    let list: Vec<Value> = kinds.iter().map(|kind| json!({ "kind": kind })).collect();
    let report = installation.run_to_end("mappings", &json!({ "list": list }));
    assert_status(&report, "succeeded");
    assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(6), &json!(5)));
    let mut fine: Vec<String> = Vec::new();
    for output in installation.read("output.default.mappings") {
        fine.push(output.json()["fine"].as_str().expect("text").to_owned());
    }
    fine.sort();
    assert_eq!(fine, ["a", "b", "c", "d", "e", "f"]);
    let letters = installation.read("deadletter.default.mappings");
    let codes: BTreeMap<String, String> = letters
        .iter()
        .map(|letter| {
            let kind = letter.json()["kind"].as_str().expect("text").to_owned();
            (kind, letter.header("prunella-dead-code").expect("a code").to_owned())
        })
        .collect();
    let expected =
        [("dive", "PRN-0512"), ("grow", "PRN-0513"), ("many", "PRN-0514"), ("spin", "PRN-0511"), ("throw", "PRN-0503")];
    assert_eq!(codes, expected.map(|(kind, code)| (kind.to_owned(), code.to_owned())).into());
    let peak = memory_mib(running.pid(), "VmHWM:");
    assert!(peak < 700, "{peak} MiB at the peak");
}

#[test]
fn a_mapping_out_of_time_is_stopped() {
    let installation = install_with(&json!({ "mapping": { "timeout": "300ms", "max-steps": 1_000_000_000 } }));
    let _running = installation.up();
    installation.apply(MAPPINGS);
    let report = installation.run_to_end("mappings", &json!({ "list": [{ "kind": "spin" }, { "kind": "a" }] }));
    assert_status(&report, "succeeded");
    let letters = installation.read("deadletter.default.mappings");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("prunella-dead-code"), Some("PRN-0510"));
}

#[test]
fn bad_references_are_refused_and_remote_ones_are_never_fetched() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("non-blocking");
    let remote = format!("http://{}/order.json", listener.local_addr().expect("an address"));
    let installation = install();
    installation.cli(&["topics", "apply"]).exits_with(0);
    for reference in ["#/$defs/nowhere", "../secrets.json", &remote] {
        let text = format!(
            "workflow: refs\ntrigger: {{}}\nsteps:\n  - id: all\n    extract: {{ trigger: {{}} }}\n    schema: {{ type: object, properties: {{ a: {{ $ref: \"{reference}\" }} }} }}\noutput: {{ from: all }}\n"
        );
        let path = installation.write("refs.yaml", &text);
        for command in ["validate", "apply"] {
            let refused = installation.cli(&[command, &path.display().to_string()]).exits_with(3).json();
            let problems = refused["problems"].as_array().expect("problems");
            assert_eq!(problems.len(), 1, "{refused}");
            assert_eq!(problems[0]["code"], "PRN-0106", "{refused}");
            assert_eq!(problems[0]["line"], 6, "{refused}");
        }
    }
    let knocked = listener.accept();
    assert!(knocked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "somebody fetched {remote}");
    assert_eq!(installation.cli(&["workflows", "list"]).exits_with(0).json()["workflows"], json!([]));
}
