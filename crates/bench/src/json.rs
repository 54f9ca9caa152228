//! Equality of JSON as JSON Schema defines it: `3` and `3.0` are the same number.

use serde_json::Value;

pub(crate) fn same_json(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_json(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, left)| right.get(name).is_some_and(|right| same_json(left, right));
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_the_rest_by_shape() {
        assert!(same_json(&json!({ "a": [3, { "b": 1.5 }] }), &json!({ "a": [3.0, { "b": 1.5 }] })));
        assert!(!same_json(&json!({ "a": 1 }), &json!({ "a": 1, "b": null })));
        assert!(!same_json(&json!([1, 2]), &json!([2, 1])));
        assert!(!same_json(&json!("3"), &json!(3)));
    }
}
