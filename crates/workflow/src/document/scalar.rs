//! What a plain scalar means: the core schema of YAML 1.2, in which only `true` and `false` are booleans
//! (`yes`, `no`, `on` and `off` are texts) and only `null`, `~` and nothing are null.

use serde_json::{Number, Value};

/// The value of a plain scalar, or why it cannot be kept as written.
pub(super) fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return number.map(Value::Number);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(format!("{text} is not a number that JSON can hold: put it in quotes"));
    }
    if is_float(unsigned) {
        let parsed = text.parse::<f64>().ok().and_then(Number::from_f64);
        return parsed
            .map(Value::Number)
            .ok_or_else(|| format!("the number {text} is too large to be kept: put it in quotes"));
    }
    Ok(Value::String(text.to_owned()))
}

/// `None` when `text` is not an integer at all, an error when it does not fit into 64 bits.
fn integer(text: &str) -> Option<Result<Number, String>> {
    let too_large = || format!("the number {text} does not fit into 64 bits and would lose digits: put it in quotes");
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let Some(digits) = text.strip_prefix(prefix) else {
            continue;
        };
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        return Some(u64::from_str_radix(digits, radix).map(Number::from).map_err(|_| too_large()));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if text.starts_with('-') {
        return Some(text.parse::<i64>().map(Number::from).map_err(|_| too_large()));
    }
    Some(unsigned.parse::<u64>().map(Number::from).map_err(|_| too_large()))
}

/// `( "." [0-9]+ | [0-9]+ ( "." [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    if exponent.is_some_and(|digits| digits.is_empty() || !all_digits(digits)) {
        return false;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_that_yaml_1_1_takes_for_something_else_stay_texts() {
        for text in [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "n",
            "NO",
            "Off",
            "1:30",
            "1_000",
            "2024-01-01",
            "0b1",
            "<<",
            "=",
            "1e",
            ".",
            "-",
            "+",
            "1.2.3",
            "e3",
        ] {
            assert_eq!(plain(text), Ok(json!(text)), "{text}");
        }
    }

    #[test]
    fn the_core_schema_is_read() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("012", json!(12)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.5e3", json!(1500.0)),
            (".5", json!(0.5)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn numbers_that_would_lose_digits_are_refused() {
        for text in ["18446744073709551616", "-9223372036854775809", "1e999", ".inf", "-.INF", ".nan"] {
            assert!(plain(text).expect_err(text).contains("quotes"));
        }
    }
}
