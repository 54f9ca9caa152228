//! Changes of structure, one of each kind.

use prunella_repair::{Case, Sample, Settings, Verdict, repair};
use serde_json::{Map, Value, json};

fn orders() -> Vec<(String, String, f64)> {
    (0..12)
        .map(|i| {
            (format!("ord{:05}", 10_000 + i * 77), format!("customer number {}", i * 13), 10.5 + f64::from(i) * 3.25)
        })
        .collect()
}

fn repaired(
    mapping: &str,
    old: impl Fn(&[(String, String, f64)]) -> Value,
    new: impl Fn(&[(String, String, f64)]) -> Value,
) -> Option<String> {
    let orders = orders();
    let output = |rows: &[(String, String, f64)]| -> Value {
        rows.iter().map(|(id, name, total)| json!({ "id": id, "name": name, "total": total })).collect()
    };
    let remembered = orders.chunks(3).map(|rows| Sample { input: old(rows), output: output(rows) }).collect();
    let schema = json!({ "type": "array", "minItems": 1, "items": { "type": "object", "required": ["id", "name", "total"],
        "properties": { "id": { "type": "string" }, "name": { "type": "string" }, "total": { "type": "number" } } } });
    let failing: Vec<Value> = orders.chunks(4).map(&new).collect();
    let case = Case { id: "structure".into(), mapping: Some(mapping.into()), schema, remembered, failing };
    let result = repair(&case, &Settings::default()).expect("a result");
    assert_eq!(result.verdict, Verdict::Activate, "{:#?}", result.evidence);
    let mapping = result.mapping.expect("a mapping");
    let expression = prunella_mapping::Expression::compile(&mapping).expect(&mapping);
    for rows in orders.chunks(4) {
        let (bindings, limits) = (prunella_mapping::Bindings::new(), prunella_mapping::Limits::default());
        let moment = prunella_mapping::Moment::new(0, 0);
        let got = expression.evaluate(&new(rows), &bindings, moment, &limits).expect(&mapping);
        let got = got.expect(&mapping);
        assert!(same(&got, &output(rows)), "{mapping}: {got}");
    }
    Some(mapping)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

const MAPPING: &str = "[orders.{\n  \"id\": id, /* the key */\n  \"name\": name,\n  \"total\": total\n}]";

fn listed(rows: &[(String, String, f64)]) -> Value {
    json!({ "orders": rows.iter().map(|(id, name, total)| json!({ "id": id, "name": name, "total": total })).collect::<Vec<_>>() })
}

#[test]
fn a_list_that_became_an_object_keyed_by_id() {
    let keyed = |rows: &[(String, String, f64)]| {
        let rows: Map<String, Value> =
            rows.iter().map(|(id, name, total)| (id.clone(), json!({ "name": name, "total": total }))).collect();
        json!({ "orders": rows })
    };
    let mapping = repaired(MAPPING, listed, keyed).expect("a mapping");
    assert!(mapping.contains("$each(orders"), "{mapping}");
    assert!(mapping.contains("/* the key */"), "comments stay: {mapping}");
}

#[test]
fn an_envelope_and_another_name_for_the_list() {
    let wrapped = |rows: &[(String, String, f64)]| {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(id, name, total)| json!({ "id": id, "attributes": { "name": name, "total": total } }))
            .collect();
        json!({ "data": { "entries": rows }, "meta": { "page": 1 } })
    };
    let mapping = repaired(MAPPING, listed, wrapped).expect("a mapping");
    assert!(
        mapping.starts_with("[data.entries.{\n  \"id\": id, /* the key */\n  \"name\": attributes.name"),
        "{mapping}"
    );
}

#[test]
fn fields_that_became_a_list_of_names_and_values() {
    let named = |rows: &[(String, String, f64)]| {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(id, name, total)| {
                json!({ "id": id, "fields": [{ "key": "total", "value": total }, { "key": "name", "value": name }] })
            })
            .collect();
        json!({ "orders": rows })
    };
    let mapping = repaired(MAPPING, listed, named).expect("a mapping");
    assert!(mapping.contains("fields[key = \"name\"].value"), "{mapping}");
}

#[test]
fn columns_side_by_side() {
    let columns = |rows: &[(String, String, f64)]| {
        json!({ "id": rows.iter().map(|row| &row.0).collect::<Vec<_>>(), "name": rows.iter().map(|row| &row.1).collect::<Vec<_>>(),
            "total": rows.iter().map(|row| row.2).collect::<Vec<_>>() })
    };
    let mapping = repaired(MAPPING, listed, |rows| json!({ "series": columns(rows) })).expect("a mapping");
    assert!(mapping.contains("series.($columns := $"), "{mapping}");
}

#[test]
fn lists_of_values_under_a_list_of_names() {
    let table = |rows: &[(String, String, f64)]| {
        let values: Vec<Value> = rows.iter().map(|(id, name, total)| json!([total, id, name])).collect();
        json!({ "result": { "columns": [{ "label": "amount" }, { "label": "order" }, { "label": "customer" }], "rows": values } })
    };
    let mapping = repaired(MAPPING, listed, table).expect("a mapping");
    assert!(mapping.contains("\"name\": customer"), "{mapping}");
}

#[test]
fn lists_of_values_without_names() {
    let lists = |rows: &[(String, String, f64)]| {
        let values: Vec<Value> = rows.iter().map(|(id, name, total)| json!([name, 7, id, total])).collect();
        json!({ "orders": values })
    };
    let mapping = repaired(MAPPING, listed, lists).expect("a mapping");
    assert!(mapping.contains("\"id\": $[2]"), "{mapping}");
}

#[test]
fn what_the_rows_refer_to_by_its_key() {
    let referring = |rows: &[(String, String, f64)]| {
        let names: Map<String, Value> =
            rows.iter().map(|(id, name, _)| (format!("c{}", &id[3..]), json!({ "full": name, "level": 2 }))).collect();
        let orders: Vec<Value> = rows
            .iter()
            .map(|(id, _, total)| json!({ "id": id, "buyer": format!("c{}", &id[3..]), "total": total }))
            .collect();
        json!({ "orders": orders, "buyers": names })
    };
    let mapping = repaired(MAPPING, listed, referring).expect("a mapping");
    assert!(mapping.contains("$lookup($$.buyers, $string($row.buyer))"), "{mapping}");
}

#[test]
fn every_value_a_list_of_one() {
    let lists = |rows: &[(String, String, f64)]| {
        let rows: Vec<Value> =
            rows.iter().map(|(id, name, total)| json!({ "id": [id], "name": [name], "total": [total] })).collect();
        json!({ "orders": rows })
    };
    let mapping = repaired(MAPPING, listed, lists).expect("a mapping");
    assert!(mapping.contains("name[0]"), "{mapping}");
}

#[test]
fn two_fields_that_changed_places_without_a_word() {
    let swapped = |rows: &[(String, String, f64)]| {
        let rows: Vec<Value> =
            rows.iter().map(|(id, name, total)| json!({ "id": name, "name": id, "total": total })).collect();
        json!({ "orders": rows })
    };
    let mapping = repaired(MAPPING, listed, swapped).expect("a mapping");
    assert!(mapping.contains("\"id\": name"), "{mapping}");
}
