//! The engine and its rewritten forms against what the reference engine made of the same cases.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::compiled::JlensExpression;
use crate::{Bindings, CompiledExpression, EvalError, Input, Limits, Moment};

#[derive(Deserialize)]
struct Cases {
    datasets: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    expr: String,
    dataset: Option<String>,
    data: Option<Value>,
    #[serde(default)]
    bindings: Map<String, Value>,
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

fn cases() -> Cases {
    serde_json::from_str(include_str!("../../tests/conformance/cases.json")).expect("cases.json")
}

const MOMENT: Moment = Moment::new(0, 0);

/// Results as they compare: a value, undefined, or an error.
type Outcome = Result<Option<Value>, EvalError>;

fn same(outcome: &Outcome, case: &Case) -> bool {
    match outcome {
        Ok(Some(value)) => case.value.as_ref().is_some_and(|expected| equal(value, expected)),
        Ok(None) => case.undefined,
        Err(_) => case.error.is_some(),
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

/// Evaluates every case with `evaluate` and gives those that differ from the reference.
fn differing(evaluate: impl Fn(&JlensExpression, &Value, &Bindings) -> Outcome) -> Vec<String> {
    let Cases { datasets, cases } = cases();
    assert!(cases.len() > 1_700, "{} cases", cases.len());
    let mut differing = Vec::new();
    for case in cases {
        let Ok(expression) = JlensExpression::compile(&case.expr) else {
            if case.error.is_none() {
                differing.push(format!("{}: {} does not compile", case.name, case.expr));
            }
            continue;
        };
        let input = case.dataset.as_ref().map_or(case.data.clone(), |name| datasets.get(name).cloned());
        let input = input.unwrap_or_default();
        let bindings =
            case.bindings.iter().fold(Bindings::new(), |bindings, (name, value)| bindings.with(name, value.clone()));
        let outcome = evaluate(&expression, &input, &bindings);
        if !same(&outcome, &case) {
            let expected = case.value.as_ref().map_or(format!("{:?}", case.error), Value::to_string);
            differing.push(format!("{}: {} gives {outcome:?}, not {expected}", case.name, case.expr));
        }
    }
    differing
}

#[test]
fn values_agree_with_the_reference() {
    let limits = Limits::default();
    let differing = differing(|expression, input, bindings| {
        expression.evaluate(&Input::borrowed(input), bindings, MOMENT, &limits)
    });
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn mapped_text_agrees_with_the_reference() {
    let limits = Limits::default();
    let differing = differing(|expression, input, bindings| {
        let text = expression.evaluate_text(&input.to_string(), bindings, MOMENT, &limits)?;
        Ok(text.map(|text| serde_json::from_slice(&text).expect("JSON")))
    });
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn expressions_rewritten_for_marked_integers_agree_with_the_reference() {
    let limits = Limits::default();
    let differing =
        differing(|expression, input, bindings| expression.evaluate_exactly(input, bindings, MOMENT, &limits));
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}
