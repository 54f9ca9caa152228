use prunella_mapping::EvalError;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
pub(crate) struct Cases {
    pub(crate) datasets: Map<String, Value>,
    pub(crate) cases: Vec<Case>,
}

/// An expression, its input, and what the reference engine made of them.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) expr: String,
    dataset: Option<String>,
    data: Option<Value>,
    #[serde(default)]
    pub(crate) bindings: Map<String, Value>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    #[serde(default)]
    undefined: bool,
    error: Option<String>,
}

/// `null` is a value too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Cases {
    pub(crate) fn load() -> serde_json::Result<Self> {
        serde_json::from_str(include_str!("../../tests/conformance/cases.json"))
    }

    pub(crate) fn input(&self, case: &Case) -> Value {
        let dataset = case.dataset.as_ref().and_then(|name| self.datasets.get(name));
        dataset.or(case.data.as_ref()).cloned().unwrap_or_default()
    }
}

impl Case {
    /// How an outcome compares with the reference, in a word.
    pub(crate) fn judge(&self, outcome: &Result<Option<Value>, EvalError>) -> &'static str {
        match outcome {
            Err(EvalError::Engine { .. }) => "panic",
            Err(_) if self.error.is_some() => "same",
            Err(_) => "unexpected-error",
            Ok(_) if self.error.is_some() => "missing-error",
            Ok(None) if self.undefined => "same",
            Ok(Some(value)) => match &self.value {
                Some(expected) if !equal(value, expected) => "wrong-value",
                Some(expected) if keys(value) != keys(expected) => "other-key-order",
                Some(_) => "same",
                None => "wrong-value",
            },
            Ok(None) => "wrong-value",
        }
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// All keys in the order they are written, but for those that JavaScript moves to the front.
fn keys(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        Value::Object(fields) if fields.keys().any(|key| key.parse::<u32>().is_ok()) => Vec::new(),
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, field)| std::iter::once(key.as_str()).chain(keys(field))).collect()
        }
        _ => Vec::new(),
    }
}

/// Expressions that would take all time or memory, each with its input.
pub(crate) fn hostile() -> Vec<(&'static str, String, String)> {
    let text = |length: usize| format!(r#"{{"s":"{}!"}}"#, "a".repeat(length));
    let none = || "{}".to_owned();
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let cases = vec![
        ("endless recursion", "( $f := function($x){ 1 + $f($x) }; $f(1) )", none()),
        ("endless tail recursion", "( $f := function($x){ $f($x) }; $f(1) )", none()),
        ("[1..1e9]", "$count([1..1000000000])", none()),
        ("[1..1e7] of objects", "[1..10000000].{'a': $}", none()),
        ("$pad to 1e9", "$pad('x', 1000000000)", none()),
        ("string doubled 40 times", "$reduce([1..40], function($s, $n){ $s & $s }, 'x')", none()),
        ("array doubled 40 times", "$reduce([1..40], function($a, $n){ $append($a, $a) }, [1])", none()),
        ("object shared 2^40 times", "$reduce([1..40], function($s, $n){ {'a': $s, 'b': $s} }, 'x')", none()),
        ("(a+)+$ on 40 letters", "$contains(s, /^(a+)+$/)", text(40)),
        ("input nested 10,000 deep", "$", nested(10_000)),
        ("$distinct of 20,000", "$count($distinct([1..20000]))", none()),
        ("12345678901234567 copied", "{'id': id}", r#"{"id":12345678901234567}"#.to_owned()),
    ];
    let mut cases: Vec<_> = cases.into_iter().map(|(name, source, item)| (name, source.to_owned(), item)).collect();
    cases.push(("20,000 nested brackets", nested(20_000), none()));
    cases
}
