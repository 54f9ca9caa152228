//! A source changes back to a shape that it had before: the mapping of that time is right again, beside the new one.

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_repair::{Case, Sample, Settings, Verdict, repair, with_former};
use serde_json::{Value, json};

const AUTHORS: &str = r#"{ "id": order_id, "customer": customer_name, "cents": total_cents }"#;
const HEALED: &str = r#"{ "id": reference, "customer": buyer.name, "cents": amount.cents }"#;

fn output(order: u64) -> Value {
    json!({ "id": format!("A-{order:04}"), "customer": format!("Customer {}", order * 7), "cents": 1000 + order * 37 })
}

fn was(order: u64) -> Value {
    let wanted = output(order);
    json!({ "order_id": wanted["id"], "customer_name": wanted["customer"], "total_cents": wanted["cents"], "note": "" })
}

fn is_now(order: u64) -> Value {
    let wanted = output(order);
    json!({
        "reference": wanted["id"], "buyer": { "name": wanted["customer"] },
        "amount": { "cents": wanted["cents"], "currency": "EUR" },
    })
}

/// The healed mapping has made `made` samples so far, and what comes now fails.
fn case(made: u64, failing: Vec<Value>) -> Case {
    let before = (0..16).map(|order| Sample { input: was(order), output: output(order) });
    let since = (20..20 + made).map(|order| Sample { input: is_now(order), output: output(order) });
    Case {
        id: "orders".to_owned(),
        mapping: Some(HEALED.to_owned()),
        schema: json!({
            "type": "object", "required": ["id", "customer", "cents"],
            "properties": { "id": { "type": "string" }, "customer": { "type": "string" }, "cents": { "type": "integer" } },
        }),
        remembered: before.chain(since).collect(),
        failing,
    }
}

fn maps(mapping: &str, input: &Value) -> Option<Value> {
    let mapping = Expression::compile(mapping).expect("it compiles");
    mapping.evaluate(input, &Bindings::new(), Moment::new(0, 0), &Limits::default()).ok().flatten()
}

#[test]
fn what_comes_back_is_served_as_before_beside_what_came_between() {
    for made in [1, 2, 8] {
        let case = case(made, (30..50).map(was).collect());
        let found = with_former(&case, AUTHORS, &[], &Settings::default()).expect("a result").expect("it is right");
        assert_eq!(found.verdict, Verdict::Activate);
        let mapping = found.mapping.expect("a mapping");
        for order in 0..60 {
            assert_eq!(maps(&mapping, &was(order)), Some(output(order)), "{mapping}");
            assert_eq!(maps(&mapping, &is_now(order)), Some(output(order)), "{mapping}");
        }
    }
}

#[test]
fn examples_of_the_author_stay_right() {
    let case = case(2, (30..50).map(was).collect());
    let of_both = [was(7), is_now(8)].map(|input| input);
    let examples: Vec<Sample> =
        of_both.into_iter().zip([7, 8]).map(|(input, order)| Sample { input, output: output(order) }).collect();
    assert!(with_former(&case, AUTHORS, &examples, &Settings::default()).expect("a result").is_some());
}

#[test]
fn what_only_looks_as_if_it_came_back_is_not_believed() {
    let scaled = |order: u64| {
        let mut record = was(order);
        record["total_cents"] = json!(record["total_cents"].as_u64().expect("a number") * 100);
        record
    };
    let exchanged = |order: u64| {
        let mut record = was(order);
        (record["order_id"], record["customer_name"]) = (record["customer_name"].clone(), record["order_id"].clone());
        record
    };
    let without = |order: u64| {
        let mut record = was(order);
        record.as_object_mut().expect("an object").remove("customer_name");
        record
    };
    let other = |order: u64| json!({ "no": order, "who": "somebody", "price": order });
    let numbers = || 30..50;
    for failing in [
        numbers().map(scaled).collect::<Vec<Value>>(),
        numbers().map(exchanged).collect(),
        numbers().map(without).collect(),
        numbers().map(other).collect(),
        // Known orders that show something else now.
        (0..12).map(|order| json!({ "order_id": output(order)["id"], "customer_name": "Customer 1", "total_cents": 1037, "note": "" })).collect(),
    ] {
        let found = with_former(&case(4, failing.clone()), AUTHORS, &[], &Settings::default()).expect("a result");
        assert!(found.is_none(), "{}: {found:#?}", failing[0]);
    }
}

#[test]
fn without_samples_of_both_nothing_tells_them_apart() {
    let failing = || (30..50).map(was).collect();
    assert!(with_former(&case(0, failing()), AUTHORS, &[], &Settings::default()).expect("a result").is_none());
    let mut without = case(4, failing());
    without.remembered.drain(..16);
    assert!(with_former(&without, AUTHORS, &[], &Settings::default()).expect("a result").is_none());
    // Structure alone does not settle it: that is what the former mapping is asked for.
    let alone = repair(&case(1, failing()), &Settings::default()).expect("a result");
    assert_ne!(alone.verdict, Verdict::Activate);
}

#[test]
fn what_was_right_and_would_not_be_any_more_is_noticed() {
    let mut case = case(4, (30..50).map(was).collect());
    // Whatever field tells the shapes apart, one of these has not got it, and was right all the same.
    for (order, [field, made]) in
        [["order_id", "id"], ["customer_name", "customer"], ["total_cents", "cents"]].iter().enumerate()
    {
        let sample = &mut case.remembered[order];
        sample.input.as_object_mut().expect("an object").remove(*field);
        sample.output.as_object_mut().expect("an object").remove(*made);
    }
    assert!(with_former(&case, AUTHORS, &[], &Settings::default()).expect("a result").is_none());
}
