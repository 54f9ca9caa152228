//! What has to be held back: values that look right and belong to something else, rows that are not the same.

use prunella_repair::{Case, Sample, Settings, Verdict, repair};
use serde_json::{Value, json};

const CURRENCIES: [&str; 3] = ["EUR", "GBP", "SEK"];

fn verdict(mapping: &str, remembered: &[(Value, Value)], failing: Vec<Value>) -> Verdict {
    let required: Vec<&String> = remembered[0].1.as_object().expect("an object").keys().collect();
    let schema = json!({ "type": "object", "required": required });
    let remembered =
        remembered.iter().map(|(input, output)| Sample { input: input.clone(), output: output.clone() }).collect();
    let case = Case { id: "held".into(), mapping: Some(mapping.into()), schema, remembered, failing };
    repair(&case, &Settings::default()).expect("a result").verdict
}

fn orders() -> Vec<(Value, Value)> {
    let order = |i: usize| {
        let (total, currency) = (10.25 + i as f64, CURRENCIES[i % 3]);
        (
            json!({ "id": format!("o{}", 1000 + i), "total": total, "currency": currency }),
            json!({ "id": format!("o{}", 1000 + i), "total": total, "currency": currency }),
        )
    };
    (0..12).map(order).collect()
}

const MAPPING: &str = r#"{ "id": id, "total": total, "currency": currency }"#;

#[test]
fn the_currency_of_something_else() {
    let new = |i: usize| json!({ "id": format!("o{}", 5000 + i), "total": 20.25 + i as f64, "settlement": { "currency": CURRENCIES[(i * 2) % 3], "days": i } });
    assert_ne!(verdict(MAPPING, &orders(), (0..8).map(new).collect()), Verdict::Activate);
}

#[test]
fn a_value_that_moved_with_the_others_is_found() {
    let new = |i: usize| json!({ "id": format!("o{}", 5000 + i), "price": { "total": 20.25 + i as f64, "currency": CURRENCIES[(i * 2) % 3] } });
    assert_eq!(verdict(MAPPING, &orders(), (0..8).map(new).collect()), Verdict::Activate);
}

#[test]
fn a_copy_of_what_was_something_else_before() {
    let with_shop = |(input, output): (Value, Value)| {
        let mut input = input;
        input["shop_currency"] = json!("CHF");
        (input, output)
    };
    let old: Vec<_> = orders().into_iter().map(with_shop).collect();
    let new = |i: usize| {
        let shop = ["EUR", "GBP"][i % 2];
        json!({ "id": format!("o{}", 5000 + i), "total": 20.25 + i as f64, "shop_currency": shop, "currencyCode": shop })
    };
    assert_ne!(verdict(MAPPING, &old, (0..8).map(new).collect()), Verdict::Activate);
}

#[test]
fn another_region_is_no_drift() {
    let stop =
        |id: String, name: &str, zone: &str, lat: f64| json!({ "id": id, "name": name, "zone": zone, "lat": lat });
    let degrees = |i: usize| i as f64 / 100.0;
    let place = |i: usize| {
        let stop = stop(format!("s{}", 4000 + i), ["Nord", "West"][i % 2], ["A", "B"][i % 2], 47.1 + degrees(i));
        (stop.clone(), stop)
    };
    let new =
        |i: usize| stop(format!("s{}", 9000 + i), ["Ομόνοια", "Πειραιάς"][i % 2], ["K", "L"][i % 2], 38.1 + degrees(i));
    let mapping = r#"{ "id": id, "name": name, "zone": zone, "lat": lat }"#;
    let old: Vec<_> = (0..14).map(place).collect();
    assert_eq!(verdict(mapping, &old, (0..8).map(new).collect()), Verdict::Unchanged);
}
