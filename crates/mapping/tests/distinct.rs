//! `$distinct`, which is ours for long arrays, against a comparison of every pair by the engine itself.

use proptest::prelude::*;
use prunella_mapping::{Bindings, Expression, Limits, Moment};
use serde_json::{Value, json};

fn evaluate(source: &str, input: &Value) -> Value {
    Expression::compile(source)
        .expect(source)
        .evaluate(input, &Bindings::new(), Moment::new(0, 0), &Limits::default())
        .expect("a result")
        .expect("a value")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-3..3i64).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(-0.0), Just(1e300), Just(1.0)].prop_map(Value::from),
        "[ab\"0:1]{0,2}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!(12_345_678_901_234_567_u64)),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::hash_map("[ab]{1,2}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn hashing_holds_equal_what_the_language_holds_equal(values in proptest::collection::vec(value(), 1..40)) {
        // Long enough to be hashed; the copies change nothing. Short arrays are left to the engine.
        let long: Vec<_> = values.iter().cycle().take(300 + values.len()).cloned().collect();
        let by_engine = evaluate("{'d': $distinct(a)}", &json!({ "a": values }));
        prop_assert_eq!(evaluate("{'d': $distinct(a)}", &json!({ "a": long })), by_engine);
    }
}

#[test]
fn a_sequence_of_one_value_stays_a_single_value() {
    let items: Vec<_> = (0..1_000).map(|_| json!({"c": "a"})).collect();
    assert_eq!(evaluate("$distinct(items.c)", &json!({ "items": items })), json!("a"));
    assert_eq!(evaluate("$distinct(items.c)", &json!({ "items": items[..9] })), json!("a"));
    let items: Vec<_> = (0..1_000).map(|_| json!("a")).collect();
    assert_eq!(evaluate("$distinct(items)", &json!({ "items": items })), json!(["a"]));
}
