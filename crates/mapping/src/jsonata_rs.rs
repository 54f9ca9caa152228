//! The crate `jsonata-rs` as an engine, to compare with. Not for production: see docs/engines.md.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bumpalo::Bump;
use jsonata_rs::{ArrayFlags, Error, JsonAta, Value as Node};
use prunella_model::Code;
use serde_json::{Map, Number, Value};

use crate::{
    Bindings, CompileError, CompiledExpression, Engine, EvalError, Input, LimitKind, Limits, Moment, Place, Reads,
    exact,
};

/// JSONata by the crate `jsonata-rs` 0.3.4.
///
/// Of the limits it knows time and depth only, and its stack may overflow before the depth is reached, which ends the
/// process. It reads clock and chance of the machine whatever the [`Moment`], forgets the order of keys, and must parse an
/// expression anew for each evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonataRsEngine;

impl Engine for JsonataRsEngine {
    fn name(&self) -> &'static str {
        "jsonata-rs"
    }

    fn version(&self) -> &'static str {
        "0.3.4"
    }

    fn compile(&self, source: &str) -> Result<Arc<dyn CompiledExpression>, CompileError> {
        let syntax = |message: String| CompileError::at(Code::MappingSyntax, source, 0, message);
        catch_unwind(|| JsonAta::new(source, &Bump::new()).map(drop).map_err(|error| error.to_string()))
            .unwrap_or_else(|_| Err("the parser panicked".to_owned()))
            .map_err(syntax)?;
        Ok(Arc::new(JsonataRsExpression { source: source.to_owned(), reads: Reads::everything() }))
    }
}

struct JsonataRsExpression {
    source: String,
    reads: Reads,
}

impl JsonataRsExpression {
    fn run(&self, input: &str, bindings: &Bindings, limits: &Limits) -> Result<Option<Value>, EvalError> {
        let failed = |error: Error| EvalError::Failed {
            engine_code: error.code().to_owned(),
            message: error.to_string(),
            place: Place::of(&self.source, 0),
        };
        let evaluate = || {
            let arena = Bump::new();
            let expression = JsonAta::new(&self.source, &arena).map_err(failed)?;
            for (name, value) in bindings.iter() {
                expression.assign_var(name, node_of(&arena, value));
            }
            let millis = usize::try_from(limits.timeout.millis()).unwrap_or(usize::MAX);
            let result =
                expression.evaluate_timeboxed(Some(input), Some(limits.max_depth), Some(millis)).map_err(failed)?;
            value_of(result)
        };
        catch_unwind(AssertUnwindSafe(evaluate))
            .unwrap_or_else(|_| Err(EvalError::Engine { reason: "it panicked".to_owned() }))
    }
}

impl CompiledExpression for JsonataRsExpression {
    fn source(&self) -> &str {
        &self.source
    }

    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn evaluate(
        &self,
        input: &Input<'_>,
        bindings: &Bindings,
        _moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Value>, EvalError> {
        if input.marked().is_some() || bindings.marked().is_some() {
            return Err(EvalError::InexactInteger { place: None });
        }
        self.run(&input.value().to_string(), bindings, limits)
    }

    fn evaluate_text(
        &self,
        text: &str,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Option<Vec<u8>>, EvalError> {
        // It reads its input as an expression, so what is no JSON must be found here.
        exact::parse(text)?;
        let Some(value) = self.evaluate(&Input::from_json(text)?, bindings, moment, limits)? else { return Ok(None) };
        let result = value.to_string().into_bytes();
        if result.len() > limits.max_result_bytes.as_usize() {
            return Err(LimitKind::ResultSize.error(limits));
        }
        Ok(Some(result))
    }
}

fn node_of<'a>(arena: &'a Bump, value: &Value) -> &'a Node<'a> {
    match value {
        Value::Null => Node::null(arena),
        Value::Bool(boolean) => Node::bool(*boolean),
        Value::Number(number) => Node::number(arena, number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Node::string(arena, text),
        Value::Array(items) => {
            let array = Node::array_with_capacity(arena, items.len(), ArrayFlags::empty());
            items.iter().for_each(|item| array.push(node_of(arena, item)));
            array
        }
        Value::Object(fields) => {
            let object = Node::object_with_capacity(arena, fields.len());
            fields.iter().for_each(|(key, field)| object.insert(key, node_of(arena, field)));
            object
        }
    }
}

fn value_of<'a>(node: &'a Node<'a>) -> Result<Option<Value>, EvalError> {
    if node.is_function() {
        return Err(EvalError::FunctionResult);
    }
    let value = match node {
        _ if node.is_undefined() => return Ok(None),
        _ if node.is_null() => Value::Null,
        _ if node.is_bool() => Value::Bool(node.as_bool()),
        _ if node.is_number() => number_of(node.as_f64())?,
        _ if node.is_string() => Value::String(node.as_str().into_owned()),
        _ if node.is_array() => {
            let items = node.members().map(|item| Ok(value_of(item)?.unwrap_or_default()));
            Value::Array(items.collect::<Result<_, EvalError>>()?)
        }
        _ => {
            let mut fields = Map::new();
            for (key, field) in node.entries() {
                if let Some(field) = value_of(field)? {
                    fields.insert(key.to_string(), field);
                }
            }
            Value::Object(fields)
        }
    };
    Ok(Some(value))
}

fn number_of(number: f64) -> Result<Value, EvalError> {
    #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        return Ok(Value::from(number as i64));
    }
    Number::from_f64(number).map(Value::Number).ok_or(EvalError::NotFinite { place: None })
}
