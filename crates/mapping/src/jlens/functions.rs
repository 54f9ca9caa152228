//! Functions of ours that the engine calls.

use std::collections::HashSet;
use std::sync::OnceLock;

use jlens_core::{Bindings, Error, HostFunction};
use serde_json::Value;

use crate::exact;

/// The code that a call of `$eval` fails with, inside the engine.
pub(super) const EVAL_DENIED: &str = "P0508";

/// Names that begin so are ours: `$prunella_…`.
pub(super) const RESERVED: &str = "prunella_";

/// No variables; `$eval` denied; what rewritten expressions call.
pub(crate) fn guarded() -> &'static Bindings {
    static GUARDED: OnceLock<Bindings> = OnceLock::new();
    GUARDED.get_or_init(|| {
        Bindings::new()
            .function("eval", HostFunction::new(2, |_, _| Err(Error::new(EVAL_DENIED))).without_input())
            .function("prunella_unique", HostFunction::new(1, |args, _| Ok(unique(args))).without_input())
            .function("prunella_restore", HostFunction::new(1, |args, _| Ok(restore(args))).without_input())
            .function("prunella_integer", HostFunction::new(1, |args, _| Ok(long_integer(args))).without_input())
            .function("prunella_marked", HostFunction::new(1, |args, _| Ok(Some(is_marked(args)))).without_input())
    })
}

fn first(args: &[Option<Value>]) -> Option<&Value> {
    args.first().and_then(Option::as_ref)
}

/// The text that `$string` made, its marked integers written as digits.
fn restore(args: &[Option<Value>]) -> Option<Value> {
    match first(args)? {
        Value::String(text) => Some(exact::unmark_within(text, true).into_owned().into()),
        other => Some(other.clone()),
    }
}

fn is_marked(args: &[Option<Value>]) -> Value {
    let marked = matches!(first(args), Some(Value::String(text)) if exact::unmark(text).is_some());
    marked.into()
}

/// The marked integer that a text in plain digits stands for, if it needs a mark.
fn long_integer(args: &[Option<Value>]) -> Option<Value> {
    let Value::String(text) = first(args)? else {
        return None;
    };
    if exact::unmark(text).is_some() {
        return Some(text.clone().into());
    }
    let mut mark = String::new();
    (exact::needs_mark(text.as_bytes()) && exact::push_mark(&mut mark, text).is_ok()).then(|| mark.into())
}

/// The distinct items of an array in linear time: what `$distinct` gives in quadratic time.
fn unique(args: &[Option<Value>]) -> Option<Value> {
    let Value::Array(items) = first(args)? else {
        return first(args).cloned();
    };
    let mut seen = HashSet::with_capacity(items.len());
    Some(items.iter().filter(|item| seen.insert(canonical(item))).cloned().collect())
}

/// A text that two values share exactly when JSONata holds them equal: numbers by value, objects whatever the order of
/// their keys.
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(&mut out, value);
    out
}

fn write_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Number(number) => {
            // Adding zero turns -0 into 0, which is equal to it.
            let number = number.as_f64().unwrap_or(f64::NAN) + 0.0;
            out.push_str(&format!("{:x};", number.to_bits()));
        }
        Value::Array(items) => {
            out.push('[');
            items.iter().for_each(|item| write_canonical(out, item));
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, field) in fields {
                write_text(out, key);
                write_canonical(out, field);
            }
            out.push('}');
        }
        Value::String(text) => write_text(out, text),
        Value::Bool(true) => out.push('t'),
        Value::Bool(false) => out.push('f'),
        Value::Null => out.push('n'),
    }
}

/// The length in front tells where the text ends, whatever it holds.
fn write_text(out: &mut String, text: &str) {
    out.push_str(&format!("\"{}:", text.len()));
    out.push_str(text);
}
