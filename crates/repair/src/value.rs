//! Values compared across representations, and how much an agreement of two values says.

use serde_json::Value;

use crate::dates;

/// Whether a source says "nothing": absent, `null`, `""` or `[]`.
pub(crate) fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    }
}

/// The four ways to say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Empty {
    Absent,
    Null,
    Text,
    List,
}

pub(crate) fn empty_kind(value: Option<&Value>) -> Option<Empty> {
    match value {
        None => Some(Empty::Absent),
        Some(Value::Null) => Some(Empty::Null),
        Some(Value::String(text)) if text.is_empty() => Some(Empty::Text),
        Some(Value::Array(items)) if items.is_empty() => Some(Empty::List),
        _ => None,
    }
}

/// JSON equality with numbers compared as numbers.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

pub(crate) fn equal_options(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => equal(a, b),
        _ => false,
    }
}

/// Text of a number as JSONata's `$string` writes it.
pub(crate) fn number_text(number: f64) -> String {
    match number {
        _ if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        _ => format!("{number}"),
    }
}

pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// A number from text that is nothing but a JSON number.
pub(crate) fn plain_number(text: &str) -> Option<f64> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || first == b'-') || text.len() > 24 {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number in the notation of a language, with its currency or unit beside it: `1.234,50 EUR`.
fn localised_number(text: &str) -> Option<f64> {
    let digit = |c: char| c.is_ascii_digit();
    let (first, last) = (text.find(digit)?, text.rfind(digit)?);
    let (before, after) = (&text[..first], &text[last + 1..]);
    let mark = |text: &str| text.chars().count() <= 4 && !text.contains(digit);
    let number = &text[first..=last];
    let point = number.rfind(['.', ','])?;
    let decimals = &number[point + 1..];
    let whole: String = number[..point]
        .chars()
        .filter(|c| !matches!(c, '.' | ',' | ' ' | '\'' | '’' | '\u{a0}' | '\u{202f}'))
        .collect();
    let plain = !whole.is_empty() && whole.chars().all(digit) && decimals.chars().all(digit) && decimals.len() <= 4;
    if !plain || !mark(before) || !mark(after) {
        return None;
    }
    let number: f64 = format!("{whole}.{decimals}").parse().ok()?;
    Some(if before.ends_with('-') { -number } else { number })
}

/// The forms under which a value is looked up in other records: moments as milliseconds, numbers as numbers, text in
/// small letters. Nothing for values that say nothing.
pub(crate) fn lookup_keys(value: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    match value {
        Value::Number(number) => {
            let Some(number) = number.as_f64() else { return keys };
            if (1.0e8..5.0e9).contains(&number) && number.fract() == 0.0 {
                keys.push(format!("d{}", number * 1000.0));
            } else if (1.0e11..5.0e12).contains(&number) && number.fract() == 0.0 {
                keys.push(format!("d{number}"));
            }
            keys.push(format!("n{}", number_text(number)));
        }
        Value::String(text) if !text.is_empty() && text.len() <= 512 => {
            if let Some(moment) = dates::any_moment(text) {
                keys.push(format!("d{moment}"));
            } else if let Some(number) = plain_number(text) {
                keys.push(format!("n{}", number_text(number)));
            } else {
                keys.push(format!("s{}", text.trim().to_lowercase()));
                if let Some(number) = localised_number(text) {
                    keys.push(format!("n{}", number_text(number)));
                }
            }
        }
        _ => {}
    }
    keys
}

/// Bits of information in an agreement on this value, if values were drawn from all values of its kind. A low bound.
pub(crate) fn bits(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(_) => 1.0,
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let digits = number_text(number.abs()).bytes().filter(u8::is_ascii_digit).count();
            (digits as f64 * 2.5).min(30.0)
        }
        Value::String(text) => {
            if plain_number(text).is_some() {
                return (text.len() as f64 * 2.5).min(30.0);
            }
            if dates::any_moment(text).is_some() {
                return if text.len() > 10 { 20.0 } else { 9.0 };
            }
            (text.chars().count() as f64 * 1.5).min(30.0)
        }
        Value::Array(items) => items.iter().map(bits).sum::<f64>().min(30.0),
        Value::Object(fields) => fields.values().map(bits).sum::<f64>().min(30.0),
    }
}
