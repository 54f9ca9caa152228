//! Values that stand in another form than a field of their own, one of each kind.

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_repair::{Case, Sample, Settings, Verdict, repair, same};
use serde_json::{Value, json};

/// What a source showed of a thing, what it shows now, and what the mapping is to make of both.
struct Shown {
    old: Value,
    new: Value,
    output: Value,
}

const REMEMBERED: usize = 14;
const FAILING: std::ops::Range<usize> = 8..20;
const FRESH: std::ops::Range<usize> = 40..60;

/// Repairs the mapping of a source that shows the things `known` on both sides; fails unless it is right on others, too.
fn repaired(mapping: &str, thing: impl Fn(usize) -> Shown, failing: std::ops::Range<usize>) -> String {
    let schema = match thing(0).output {
        Value::Object(fields) => json!({ "type": "object", "required": fields.keys().collect::<Vec<_>>() }),
        _ => json!({ "type": "array", "minItems": 1 }),
    };
    let sample = |shown: Shown| Sample { input: shown.old, output: shown.output };
    let case = Case {
        id: "kind".into(),
        mapping: Some(mapping.into()),
        schema,
        remembered: (0..REMEMBERED).map(|at| sample(thing(at))).collect(),
        failing: failing.map(|at| thing(at).new).collect(),
    };
    let result = repair(&case, &Settings::default()).expect("a result");
    assert_eq!(result.verdict, Verdict::Activate, "{:#?}", result.evidence);
    let mapping = result.mapping.expect("a mapping");
    let expression = Expression::compile(&mapping).expect(&mapping);
    for shown in FRESH.map(thing) {
        let got = expression.evaluate(&shown.new, &Bindings::new(), Moment::new(0, 0), &Limits::default());
        let got = got.expect(&mapping).expect(&mapping);
        assert!(same(&got, &shown.output), "{mapping}: {got}, not {}", shown.output);
    }
    mapping
}

fn reference(at: usize) -> String {
    format!("R{:07}", 1_000_003 + at * 7_919)
}

/// A number of cents that no other thing has.
fn cents(at: usize) -> usize {
    1_234 + at * 917
}

#[test]
fn a_number_and_what_it_has_to_be_divided_by() {
    let thing = |at: usize| {
        let (divisor, amount) = if at.is_multiple_of(3) { (1, cents(at) * 10) } else { (100, cents(at)) };
        let price = amount as f64 / f64::from(divisor);
        Shown {
            old: json!({ "id": reference(at), "price": price }),
            new: json!({ "id": reference(at), "price": { "amount": amount, "divisor": divisor }, "views": at }),
            output: json!({ "id": reference(at), "price": price }),
        }
    };
    let mapping = repaired(r#"{ "id": id, "price": price }"#, thing, FAILING);
    assert!(mapping.contains("price.amount / price.divisor"), "{mapping}");
}

#[test]
fn a_number_whose_sign_another_field_tells() {
    let thing = |at: usize| {
        let taken = at % 3 != 1;
        let (amount, word) = (cents(at) as f64 / 100.0, if taken { "Debit" } else { "Credit" });
        let signed = if taken { -amount } else { amount };
        Shown {
            old: json!({ "id": reference(at), "amount": signed }),
            new: json!({ "id": reference(at), "amount": amount, "indicator": word, "kind": format!("k{}", at % 2) }),
            output: json!({ "id": reference(at), "amount": signed }),
        }
    };
    let mapping = repaired(r#"{ "id": id, "amount": amount }"#, thing, FAILING);
    assert!(mapping.contains("indicator = \"Debit\""), "{mapping}");
}

/// No number is what it was, and no name has changed: only the identifier says which thing it is.
#[test]
fn all_numbers_in_another_unit_under_the_same_names() {
    let thing = |at: usize| {
        let (millis, began) = (cents(at), 1_717_209_280_000_usize + at * 86_417_011);
        Shown {
            old: json!({ "id": reference(at), "took": millis, "began": began, "host": format!("h{at}") }),
            new: json!({ "id": reference(at), "took": millis * 1000, "began": began * 1000, "host": format!("h{}", at + 50) }),
            output: json!({ "id": reference(at), "took": millis, "began": began }),
        }
    };
    let mapping = repaired(r#"{ "id": id, "took": took, "began": began }"#, thing, FAILING);
    assert!(mapping.contains("took / 1000") && mapping.contains("began / 1000"), "{mapping}");
}

#[test]
fn two_values_in_one_text() {
    const TOWNS: [&str; 5] = ["Bern", "La Chaux-de-Fonds", "Genf", "Sankt Gallen", "Chur"];
    let thing = |at: usize| {
        let (code, town) = ((1_000 + at * 37).to_string(), TOWNS[at % TOWNS.len()]);
        Shown {
            old: json!({ "id": reference(at), "plz": code, "ort": town }),
            new: json!({ "id": reference(at), "ort": format!("{code} {town}"), "land": "CH" }),
            output: json!({ "id": reference(at), "zip": code, "town": town }),
        }
    };
    repaired(r#"{ "id": id, "zip": plz, "town": ort }"#, thing, FAILING);
}

#[test]
fn items_that_say_what_leads_over_to_the_next() {
    let thing = |at: usize| {
        let names: Vec<String> = (0..=at % 3).map(|item| format!("Band {}", at * 5 + item)).collect();
        let phrase = |item: usize| match item + 1 < names.len() {
            true => [" feat. ", " & "][item % 2],
            false => "",
        };
        let credit = |(item, name): (usize, &String)| json!({ "name": name, "joinphrase": phrase(item), "artist": { "sort": name.to_uppercase() } });
        let credits: Vec<Value> = names.iter().enumerate().map(credit).collect();
        let whole: String = names.iter().enumerate().map(|(item, name)| format!("{name}{}", phrase(item))).collect();
        Shown {
            old: json!({ "id": reference(at), "artist": whole }),
            new: json!({ "id": reference(at), "credits": credits }),
            output: json!({ "id": reference(at), "artist": whole }),
        }
    };
    let mapping = repaired(r#"{ "id": id, "artist": artist }"#, thing, FAILING);
    assert!(mapping.contains("name & joinphrase"), "{mapping}");
}

/// A page of orders, of which the unpaid ones are left out.
fn page(at: usize) -> Shown {
    let number = |line: usize| at * 4 + line;
    let paid = |line: usize| !number(line).is_multiple_of(3);
    let old = |line: usize| match paid(line) {
        true => {
            json!({ "order_id": reference(number(line)), "paid_at": "2024-05-01", "net_total": cents(number(line)) })
        }
        false => json!({ "order_id": reference(number(line)), "net_total": cents(number(line)) }),
    };
    let new = |line: usize| match paid(line) {
        true => json!({ "orderId": reference(number(line)), "paidAt": "2024-05-01", "netTotal": cents(number(line)) }),
        false => json!({ "orderId": reference(number(line)), "netTotal": cents(number(line)) }),
    };
    let output = |line: usize| json!({ "id": reference(number(line)), "total": cents(number(line)) });
    Shown {
        old: json!({ "order_lines": (0..4).map(old).collect::<Vec<_>>() }),
        new: json!({ "orderLines": (0..4).map(new).collect::<Vec<_>>() }),
        output: (0..4).filter(|line| paid(*line)).map(output).collect(),
    }
}

#[test]
fn a_filter_of_the_author_follows_its_rows() {
    let mapping = repaired(r#"[order_lines[$exists(paid_at)].{ "id": order_id, "total": net_total }]"#, page, 20..28);
    assert!(mapping.contains("orderLines[$exists(paidAt)]"), "{mapping}");
}

#[test]
fn what_a_function_reads_by_a_literal() {
    let thing = |at: usize| {
        let (lines, bugs) = (10_000 + at * 131, at % 7);
        Shown {
            old: json!({ "key": reference(at), "name": format!("project {at}"), "msr": [{ "key": "bugs", "val": bugs }, { "key": "ncloc", "val": lines }] }),
            new: json!({ "component": { "key": reference(at), "name": format!("project {at}"),
                "measures": [{ "metric": "ncloc", "value": lines.to_string() }, { "metric": "bugs", "value": bugs.to_string() }] } }),
            output: json!({ "key": reference(at), "name": format!("project {at}"), "lines": lines, "bugs": bugs }),
        }
    };
    let mapping = r#"( $m := function($k) { msr[key = $k].val }; { "key": key, "name": name, "lines": $m("ncloc"), "bugs": $m("bugs") } )"#;
    let mapping = repaired(mapping, thing, 20..28);
    assert!(mapping.contains("component.measures[metric = \"ncloc\"].value"), "{mapping}");
}

#[test]
fn what_is_read_around_rows_that_moved() {
    let thing = |at: usize| {
        let message = json!({ "id": reference(at), "body": format!("text number {}", at * 13) });
        let shown = json!({ "contact": { "name": format!("person {}", at * 7) }, "messages": [message] });
        Shown {
            new: json!({ "object": "account", "entry": [{ "changes": [{ "value": shown.clone(), "field": "messages" }] }] }),
            old: shown,
            output: json!([{ "id": reference(at), "body": format!("text number {}", at * 13), "name": format!("person {}", at * 7) }]),
        }
    };
    let mapping = r#"[messages.{ "id": id, "body": body, "name": %.contact.name }]"#;
    let mapping = repaired(mapping, thing, 20..28);
    assert!(mapping.contains("%.contact.name"), "{mapping}");
}
