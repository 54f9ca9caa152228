//! The order mapping that the benchmark uses, over documents whose outputs the reference engine computed.

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use serde_json::Value;

#[test]
fn the_order_mapping_gives_what_the_reference_engine_gives() {
    let mapping = Expression::compile(include_str!("data/orders.jsonata")).expect("the mapping compiles");
    let copy = Expression::compile("$").expect("compiles");
    let expected: Vec<Value> = serde_json::from_str(include_str!("data/orders.expected.json")).expect("JSON");
    let orders: Vec<_> = include_str!("data/orders.ndjson").lines().collect();
    assert_eq!((orders.len(), expected.len()), (20, 20));
    for (order, expected) in orders.iter().zip(&expected) {
        let mapped = mapping
            .map_item(order.as_bytes(), &Bindings::new(), Moment::new(0, 0), &Limits::default())
            .expect("a mapped order");
        let mapped: Value = serde_json::from_slice(&mapped).expect("JSON");
        // Texts, so that the order of keys counts; 3411.0 and 3411 are one number.
        let expected = copy.evaluate(expected, &Bindings::new(), Moment::new(0, 0), &Limits::default());
        assert_eq!(mapped.to_string(), expected.expect("a copy").expect("a value").to_string());
        let input = serde_json::from_str(order).expect("JSON");
        let evaluated = mapping.evaluate(&input, &Bindings::new(), Moment::new(0, 0), &Limits::default());
        assert_eq!(evaluated, Ok(Some(mapped)));
    }
}
