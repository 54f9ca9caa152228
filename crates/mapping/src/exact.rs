//! Integers beyond ±9007199254740991 (2^53 − 1) through an engine whose numbers are 64-bit floats.
//!
//! Such an integer travels as a *marked string*: `U+FDD0`, a sign, the number of digits, the digits, `U+FDD1`. U+FDD0
//! and U+FDD1 are noncharacters, never assigned to text. The order of marked strings is the order of the integers and
//! equal integers have equal marks, so that comparing, sorting and grouping are right; arithmetic on a string is a type
//! error of the language, so that digits are never lost in silence. On the way out the digits are restored.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::EvalError;

const OPEN: char = '\u{FDD0}';
const CLOSE: char = '\u{FDD1}';
/// Digits of the longest integer that is carried.
const LONGEST: usize = 9_999;
/// 2^53 − 1: up to here every integer is a 64-bit float of its own.
const LARGEST_EXACT: u64 = 9_007_199_254_740_991;
const LARGEST_EXACT_DIGITS: &[u8] = b"9007199254740991";
/// No integer of fewer digits is beyond 2^53 − 1.
const FEWEST_DIGITS: usize = 16;

/// The deepest JSON that can be read: the limit of `serde_json`.
const DEEPEST_INPUT: usize = 127;

pub(crate) fn parse(text: &str) -> Result<Value, EvalError> {
    serde_json::from_str(text).map_err(|error| input_error(&error))
}

pub(crate) fn input_error(error: &serde_json::Error) -> EvalError {
    let reason = error.to_string();
    if reason.starts_with("recursion limit exceeded") {
        return EvalError::Nesting { what: "the input", limit: DEEPEST_INPUT };
    }
    EvalError::Input { reason }
}

/// Whether `text` may hold an integer that needs a mark: a cheap scan that may say yes for digits inside a string.
pub(crate) fn may_need_marks(text: &[u8]) -> bool {
    let mut index = FEWEST_DIGITS - 1;
    // A run of 16 digits covers one of every 16 positions: look there, and around a digit found there.
    while index < text.len() {
        if text[index].is_ascii_digit() {
            let before = text[..index].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            let after = text[index..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if before + after >= FEWEST_DIGITS {
                return true;
            }
            index += after;
        }
        index += FEWEST_DIGITS;
    }
    false
}

/// `text` with each integer that needs a mark replaced by a marked string; `None` when there is none.
pub(crate) fn mark_text(text: &str) -> Result<Option<String>, EvalError> {
    if !may_need_marks(text.as_bytes()) {
        return Ok(None);
    }
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut index = 0;
    while index < bytes.len() {
        let end = match bytes[index] {
            b'"' => end_of_string(bytes, index),
            b'-' | b'0'..=b'9' => end_of_number(bytes, index),
            _ => index + 1,
        };
        let token = &bytes[index..end];
        if token[0] != b'"' && needs_mark(token) {
            out.push_str(&text[copied..index]);
            out.push('"');
            push_mark(&mut out, &text[index..end])?;
            out.push('"');
            copied = end;
        }
        index = end;
    }
    if copied == 0 {
        return Ok(None);
    }
    if holds_noncharacters(text) {
        return Err(noncharacters());
    }
    out.push_str(&text[copied..]);
    Ok(Some(out))
}

/// Whether the text holds one of the characters that marks are made of, as it is or escaped.
pub(crate) fn holds_noncharacters(text: &str) -> bool {
    text.contains([OPEN, CLOSE])
        || text
            .as_bytes()
            .windows(6)
            .any(|window| window.eq_ignore_ascii_case(b"\\ufdd0") || window.eq_ignore_ascii_case(b"\\ufdd1"))
}

/// The same of the strings and keys of a value.
pub(crate) fn value_holds_noncharacters(value: &Value) -> bool {
    let holds = |text: &str| text.contains([OPEN, CLOSE]);
    match value {
        Value::String(text) => holds(text),
        Value::Array(items) => items.iter().any(value_holds_noncharacters),
        Value::Object(fields) => fields.iter().any(|(key, field)| holds(key) || value_holds_noncharacters(field)),
        _ => false,
    }
}

/// Whether a string is the digits of an integer that would need a mark as a number.
pub(crate) fn value_holds_long_digits(value: &Value) -> bool {
    match value {
        Value::String(text) => needs_mark(text.as_bytes()),
        Value::Array(items) => items.iter().any(value_holds_long_digits),
        Value::Object(fields) => fields.values().any(value_holds_long_digits),
        _ => false,
    }
}

/// The error of an evaluation that could not tell a mark from a text of the user.
pub(crate) fn noncharacters() -> EvalError {
    EvalError::Input {
        reason: "it has an integer beyond ±9007199254740991 beside text with the noncharacter U+FDD0 or U+FDD1"
            .to_owned(),
    }
}

fn end_of_string(bytes: &[u8], quote: usize) -> usize {
    let mut index = quote + 1;
    while index < bytes.len() {
        match bytes[index] {
            b'\\' => index += 2,
            b'"' => return index + 1,
            _ => index += 1,
        }
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let more =
        bytes[start + 1..].iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    start + 1 + more.count()
}

/// Whether `number`, written in plain digits, is beyond ±(2^53 − 1).
pub(crate) fn needs_mark(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    if digits.len() < FEWEST_DIGITS || digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    // Of two texts of 16 digits, the larger text is the larger number.
    digits.len() > FEWEST_DIGITS || digits > LARGEST_EXACT_DIGITS
}

/// Writes the mark of an integer, given in plain digits.
pub(crate) fn push_mark(out: &mut String, number: &str) -> Result<(), EvalError> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    if digits.len() > LONGEST {
        return Err(EvalError::Input { reason: format!("it holds an integer of more than {LONGEST} digits") });
    }
    out.push(OPEN);
    // Of two negative integers the longer one, and the one with larger digits, is the smaller one.
    let length = if negative { LONGEST - digits.len() } else { digits.len() };
    out.push(if negative { '0' } else { '1' });
    out.push_str(&format!("{length:04}"));
    match negative {
        true => out.extend(digits.bytes().map(nines_complement)),
        false => out.push_str(digits),
    }
    out.push(CLOSE);
    Ok(())
}

fn nines_complement(digit: u8) -> char {
    char::from(b'9' - (digit - b'0'))
}

/// The integer of a marked string; `None` for any other string.
pub(crate) fn unmark(text: &str) -> Option<String> {
    let body = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    let (sign, digits) = (body.get(..1)?, body.get(5..)?);
    if digits.is_empty() || !body.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match sign {
        "1" => Some(digits.to_owned()),
        _ => Some(std::iter::once('-').chain(digits.bytes().map(nines_complement)).collect()),
    }
}

/// `text` with its marks replaced by their digits; in JSON text, marks are strings and lose their quotes too.
pub(crate) fn unmark_within(text: &str, json: bool) -> Cow<'_, str> {
    if !text.contains(OPEN) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(OPEN) {
        let Some(length) = rest[open..].find(CLOSE) else {
            break;
        };
        let end = open + length + CLOSE.len_utf8();
        let Some(digits) = unmark(&rest[open..end]) else {
            break;
        };
        let quoted = json && rest[..open].ends_with('"') && rest[end..].starts_with('"');
        out.push_str(&rest[..open - usize::from(quoted)]);
        out.push_str(&digits);
        rest = &rest[end + usize::from(quoted)..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `value` with each integer that needs a mark replaced by a marked string; `None` when there is none.
pub(crate) fn mark_value(value: &Value) -> Option<Value> {
    any_needs_mark(value).then(|| marked(value))
}

fn marked(value: &Value) -> Value {
    match value {
        Value::Number(number) => mark_number(number).map_or_else(|| value.clone(), Value::String),
        Value::Array(items) => items.iter().map(marked).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, field)| (key.clone(), marked(field))).collect())
        }
        _ => value.clone(),
    }
}

fn any_needs_mark(value: &Value) -> bool {
    match value {
        Value::Number(number) => number_needs_mark(number),
        Value::Array(items) => items.iter().any(any_needs_mark),
        Value::Object(fields) => fields.values().any(any_needs_mark),
        _ => false,
    }
}

fn number_needs_mark(number: &Number) -> bool {
    match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => positive > LARGEST_EXACT,
        (_, Some(negative)) => negative.unsigned_abs() > LARGEST_EXACT,
        _ => false,
    }
}

fn mark_number(number: &Number) -> Option<String> {
    if !number_needs_mark(number) {
        return None;
    }
    let mut mark = String::new();
    push_mark(&mut mark, &number.to_string()).ok()?;
    Some(mark)
}
