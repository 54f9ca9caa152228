//! Trigger, extract, transform, validate, output: every record compared with a computation of our own.

use std::collections::{BTreeMap, HashMap};

use prunella_testkit::source::{ShopConfig, order};
use serde_json::{Value, json};

use crate::support::{
    assert_orders, assert_status, customer_name, good_and_bad, install, open_shop, order_id, orders_workflow, step,
};

const ORDERS: u64 = 130;
const ONE_IN: u64 = 12;

#[test]
fn every_pagination_gives_every_order_once() {
    let shop = open_shop(ShopConfig {
        orders: ORDERS,
        page_size: 25,
        bad_one_in: ONE_IN,
        flaky: HashMap::from([(2, 2)]),
        ..ShopConfig::default()
    });
    let installation = install();
    let _running = installation.up();
    let (good, bad) = good_and_bad(ORDERS, ONE_IN);
    assert!(bad.len() > 3, "{bad:?}");
    for (workflow, path, pagination) in [
        ("by-page", "", "page: { param: page, size: { param: size, value: 25 } }"),
        ("by-offset", "/by-offset", "offset: { param: offset, limit: { param: limit, value: 20 } }"),
        ("by-cursor", "/by-cursor", "cursor: { path: next, param: cursor }"),
        ("by-link", "/by-link", "link: {}"),
        ("by-link-in-body", "/by-link", "link: { path: links.next }"),
    ] {
        let extract = format!("http: {{ url: '{{{{ trigger.shop }}}}/orders{path}', pagination: {{ {pagination} }} }}");
        installation.apply(&orders_workflow(workflow, &extract));
        let report = installation.run_to_end(workflow, &json!({ "shop": shop.base_url() }));
        assert_status(&report, "succeeded");
        assert_eq!(
            (&report["extracted"], &report["valid"], &report["dead_lettered"]),
            (&json!(ORDERS), &json!(good.len()), &json!(bad.len())),
            "{workflow}"
        );
        let outputs = installation.read(&format!("output.default.{workflow}"));
        assert_eq!(assert_orders(&outputs, &good), good.len(), "{workflow}");
        for output in &outputs {
            assert_eq!(output.header("prunella-run"), report["run"].as_str());
            assert_eq!(output.header("prunella-workflow"), Some(format!("default/{workflow}@1").as_str()));
            assert_eq!(output.header("content-type"), Some("application/json"));
            assert_eq!(output.header("prunella-mapping-version"), Some("1"));
            let item = output.header("prunella-item").expect("an item id");
            assert!(item.starts_with(&format!("{}/orders/", report["run"].as_str().expect("an id"))), "{item}");
            assert!(output.header("traceparent").is_some_and(|trace| trace.len() == 55), "{:?}", output.headers);
        }

        let letters = installation.read(&format!("deadletter.default.{workflow}"));
        let mut left: BTreeMap<String, u64> = bad.iter().map(|number| (order_id(*number), *number)).collect();
        for letter in &letters {
            let id = letter.json()["orderId"].as_str().expect("an id").to_owned();
            let number = left.remove(&id).unwrap_or_else(|| panic!("{id} is not bad, or twice"));
            let original = order(number, ONE_IN).to_string();
            assert_eq!(letter.value.as_deref(), Some(original.as_bytes()), "the bytes of the source");
            assert_eq!(letter.header("prunella-dead-code"), Some("PRN-0602"));
            assert_eq!(letter.header("prunella-dead-stage"), Some("validator"));
            assert_eq!(letter.header("prunella-dead-step"), Some("orders"));
            assert_eq!(letter.header("prunella-run"), report["run"].as_str());
            assert_eq!(letter.header("__connect.errors.exception.class.name"), Some("PRN-0602"));
            let fields: Value = serde_json::from_slice(&letter.headers["prunella-dead-fields"]).expect("field errors");
            assert_eq!(fields[0]["pointer"], "/lines/0/quantity", "{fields}");
            assert_eq!(fields[0]["keyword"], "minimum", "{fields}");
            let output: Value = serde_json::from_slice(&letter.headers["prunella-dead-output"]).expect("its output");
            assert_eq!(output["lines"][0]["quantity"], -1);
        }
        assert!(left.is_empty(), "{workflow}: no dead letter for {left:?}");
    }
}

const SUMMARY: &str = r#"
workflow: summary
trigger: {}
steps:
  - id: shops
    extract:
      inline: [ { name: north, url: "{{ trigger.shop }}" }, { name: "{{ trigger.second }}", url: "{{ trigger.shop }}" } ]
      items: $
  - id: customers
    needs: [shops]
    extract:
      http: { url: "{{ steps.shops[0].url }}/customers" }
      items: customers
    transform: '{ "id": id, "name": firstName & " " & lastName }'
  - id: never
    needs: [customers]
    when: $count(steps.customers) > 1000
    extract: { http: { url: "{{ trigger.shop }}/nowhere" } }
  - id: orders
    needs: [customers, never]
    when: trigger.with_orders = true
    extract:
      http: { url: "{{ trigger.shop }}/orders", pagination: { page: { param: page } } }
      items: data
    transform: |
      { "id": orderId, "buyer": $steps.customers[id = $$.customerId].name, "wish": $trigger.second, "run": $run.id }
    schema: { type: object, required: [id, buyer], properties: { buyer: { type: string, minLength: 3 } } }
output:
  transform: |
    {
      "run": run.id, "workflow": run.workflow, "version": run.version, "workspace": run.workspace,
      "orders": $count(steps.orders), "never": $count(steps.never), "shops": [steps.shops.name],
      "buyers": [steps.orders.buyer], "wishes": $distinct([steps.orders.wish])
    }
  schema: { type: object, properties: { orders: { type: integer, minimum: 1 } } }
  key: $string(orders)
"#;

#[test]
fn steps_see_what_they_need_and_the_output_closes_the_run() {
    let shop = open_shop(ShopConfig { orders: 60, page_size: 20, ..ShopConfig::default() });
    let installation = install();
    let _running = installation.up();
    installation.apply(SUMMARY);
    let wish = "süd \"ost\" 🌿";
    let report =
        installation.run_to_end("summary", &json!({ "shop": shop.base_url(), "second": wish, "with_orders": true }));
    assert_status(&report, "succeeded");
    assert_eq!(step(&report, "never")["status"], "skipped");
    assert_eq!(step(&report, "orders")["valid"], 60);
    assert_eq!(step(&report, "customers")["valid"], 40);
    assert_eq!(step(&report, "output")["status"], "succeeded");
    let outputs = installation.read("output.default.summary");
    assert_eq!(outputs.len(), 1);
    let mut output = outputs[0].json();
    let mut buyers: Vec<String> = serde_json::from_value(output["buyers"].take()).expect("names");
    let mut expected: Vec<String> =
        (0..60).map(|number| customer_name(order(number, 0)["customerId"].as_str().expect("an id"))).collect();
    // Batches of a step that is not `ordered` come in any order.
    buyers.sort();
    expected.sort();
    assert_eq!(buyers, expected);
    let wanted = json!({
        "run": report["run"], "workflow": "summary", "version": 1, "workspace": "default",
        "orders": 60, "never": 0, "shops": ["north", wish], "buyers": null, "wishes": [wish],
    });
    assert_eq!(output, wanted);
    assert_eq!(outputs[0].key_text(), "60");

    // Without orders the result is not valid: a dead letter, and the run fails.
    let report = installation.run_to_end("summary", &json!({ "shop": shop.base_url(), "second": "x" }));
    assert_status(&report, "failed");
    assert_eq!(report["error"]["code"], "PRN-0602", "{report:#}");
    assert_eq!(step(&report, "orders")["status"], "skipped");
    let letters = installation.read("deadletter.default.summary");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("prunella-dead-step"), Some("output"));
    assert_eq!(installation.count("output.default.summary"), 1);
}

#[test]
fn an_ordered_step_keeps_its_order() {
    let shop = open_shop(ShopConfig { orders: 400, page_size: 50, ..ShopConfig::default() });
    let installation = crate::support::install_with(&json!({ "extractor": { "batch-items": 7 } }));
    let _running = installation.up();
    let extract =
        "http: { url: '{{ trigger.shop }}/orders/by-cursor', pagination: { cursor: { path: next, param: cursor } } }";
    let text = orders_workflow("ordered", extract)
        .replace("- id: orders", "- id: orders\n    ordered: true")
        .replace("key: id", "key: '\"all\"'");
    installation.apply(&text);
    let report = installation.run_to_end("ordered", &json!({ "shop": shop.base_url() }));
    assert_status(&report, "succeeded");
    let outputs = installation.read("output.default.ordered");
    let ids: Vec<Value> = outputs.iter().map(|output| output.json()["id"].clone()).collect();
    let expected: Vec<Value> = (0..400).map(|number| json!(order_id(number))).collect();
    assert_eq!(ids, expected);
}
