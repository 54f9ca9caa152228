//! What stands in the place of a value.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

use crate::key::RedactionKey;

/// What a redacted text was, as its placeholder tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A field that is configured, or has the name of a secret.
    Text,
    /// The same, of digits alone.
    Digits,
    Bearer,
    ApiKey,
    Jwt,
    Pem,
    Card,
    Email,
    /// A long text of random characters.
    Random,
    /// A secret that the caller has named.
    Known,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Digits => "digits",
            Self::Bearer => "bearer",
            Self::ApiKey => "apikey",
            Self::Jwt => "jwt",
            Self::Pem => "pem",
            Self::Card => "card",
            Self::Email => "email",
            Self::Random => "random",
            Self::Known => "secret",
        }
    }
}

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"<redacted:[a-z]{3,8}:[0-9]{1,7}-[0-9]{1,7}:[0-9a-f]{12}>"));

/// Compiles a constant of this crate; every test that redacts finds a mistake in it.
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("the pattern {text}: {error}"))
}

/// Places of placeholders in `text`.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    PLACEHOLDER.find_iter(text).map(|found| found.range())
}

pub(crate) fn is_placeholder(text: &str) -> bool {
    PLACEHOLDER.find(text).is_some_and(|found| found.range() == (0..text.len()))
}

/// `<redacted:email:17-32:3fa9c1d2e4b5>`: the kind, the class of the length in characters, what keeps equal values equal.
pub(crate) fn text(key: &RedactionKey, kind: Kind, value: &str) -> String {
    // The kind is no part of the digest: the same text found by another rule stays the same.
    let digest = key.digest("text", value.as_bytes());
    let (shortest, longest) = length_class(value.chars().count());
    let tag: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("<redacted:{}:{shortest}-{longest}:{tag}>", kind.as_str())
}

/// Classes double: 1-4, 5-8, 9-16 …
fn length_class(length: usize) -> (usize, usize) {
    let longest = length.max(4).next_power_of_two();
    (if longest == 4 { 1 } else { longest / 2 + 1 }, longest)
}

/// The kind of a text that is redacted for its place.
pub(crate) fn kind_of(value: &str) -> Kind {
    if value.bytes().all(|byte| byte.is_ascii_digit()) { Kind::Digits } else { Kind::Text }
}

/// A number of the same sign and as many digits; with a fraction where there was one.
pub(crate) fn number(key: &RedactionKey, value: &Number) -> Value {
    let digest = key.digest("number", value.to_string().as_bytes());
    let random = u128::from_be_bytes(std::array::from_fn(|at| digest[at]));
    if let Some(value) = value.as_u64() {
        return unsigned(value, u64::MAX, random).into();
    }
    if let Some(value) = value.as_i64() {
        let size = unsigned(value.unsigned_abs(), i64::MAX.unsigned_abs(), random);
        return i64::try_from(size).map_or(i64::MIN, |size| -size).into();
    }
    fraction(&value.to_string(), &digest)
}

fn unsigned(value: u64, largest: u64, random: u128) -> u64 {
    let digits = value.checked_ilog10().unwrap_or(0);
    let least = if digits == 0 { 0 } else { 10_u128.pow(digits) };
    let most = (10_u128.pow(digits + 1) - 1).min(u128::from(largest));
    u64::try_from(least + random % (most - least + 1)).unwrap_or(largest)
}

/// Other digits at the places of the digits, those of the exponent left; a zero before the point stays.
fn fraction(text: &str, digest: &[u8; 32]) -> Value {
    let mut random = digest.iter().cycle();
    let (mantissa, exponent) = text.find(['e', 'E']).map_or((text, ""), |at| text.split_at(at));
    let leads_with_zero = mantissa.trim_start_matches('-').starts_with("0.");
    let mut is_first = true;
    let changed: String = mantissa
        .chars()
        .map(|character| {
            if !character.is_ascii_digit() {
                return character;
            }
            let byte = *random.next().unwrap_or(&0);
            let digit = match (std::mem::take(&mut is_first), leads_with_zero) {
                (true, true) => 0,
                (true, false) => 1 + byte % 9,
                (false, _) => byte % 10,
            };
            char::from(b'0' + digit)
        })
        .collect();
    serde_json::from_str(&format!("{changed}{exponent}")).unwrap_or_else(|_| Value::from(0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn key() -> RedactionKey {
        RedactionKey::from_bytes([7; 32])
    }

    #[test]
    fn a_placeholder_tells_kind_and_class_of_length() {
        let shown = text(&key(), Kind::Email, "ann@example.com");
        assert!(shown.starts_with("<redacted:email:9-16:") && is_placeholder(&shown), "{shown}");
        for (length, class) in [(1, "1-4"), (4, "1-4"), (5, "5-8"), (8, "5-8"), (9, "9-16"), (100, "65-128")] {
            assert!(text(&key(), Kind::Text, &"ä".repeat(length)).contains(&format!(":{class}:")), "{length}");
        }
        assert!(
            !is_placeholder("<redacted:text:1-4:hunter2hunte>") && !is_placeholder("x<redacted:text:1-4:000000000000>")
        );
    }

    #[test]
    fn another_process_makes_other_placeholders() {
        let (one, other) = (RedactionKey::random(), RedactionKey::random());
        assert_ne!(text(&one, Kind::Text, "Ann"), text(&other, Kind::Text, "Ann"));
        assert_ne!(
            number(&one, &Number::from(123_456_789_012_u64)),
            number(&other, &Number::from(123_456_789_012_u64))
        );
    }

    #[test]
    fn numbers_keep_sign_digits_and_fraction() {
        for value in [json!(7), json!(0), json!(42), json!(-1234), json!(u64::MAX), json!(i64::MIN), json!(10_000)] {
            let Value::Number(before) = &value else { panic!("number") };
            let after = number(&key(), before);
            let (before, after) = (value.to_string(), after.to_string());
            assert_eq!(before.len(), after.len(), "{before} {after}");
            assert_eq!(before.starts_with('-'), after.starts_with('-'), "{before} {after}");
        }
        for value in [0.5, 19.99, -3.75, 1e300, 2.5e-9] {
            let after = number(&key(), &Number::from_f64(value).expect("finite"));
            let after = after.as_f64().expect("float");
            assert!(after.is_sign_negative() == value.is_sign_negative() && after.is_finite(), "{value} {after}");
            assert!((after.abs().log10().floor() - value.abs().log10().floor()).abs() < 2.0, "{value} {after}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_keeps_its_digits(value in any::<i64>()) {
            let after = number(&key(), &Number::from(value));
            prop_assert_eq!(after.to_string().len(), value.to_string().len());
            prop_assert!(after.is_i64() || after.is_u64());
        }

        #[test]
        fn every_fraction_stays_one(value in proptest::num::f64::NORMAL) {
            let after = number(&key(), &Number::from_f64(value).expect("finite"));
            prop_assert!(after.is_number());
        }
    }
}
