//! Conversions that turn what new records show into what is known, proposed by the values themselves.

mod pieces;

use serde_json::Value;

use crate::convert::Conversion::{self, *};
use crate::convert::items;
use crate::dates::DateForm;
use crate::value::{as_number, equal, number_text, plain_number};
pub(crate) use pieces::SEPARATORS;
use pieces::{lengths_of_time, numbers_in, texts_of, then};

/// Pairs of what stands in a new record and what it has to become; both say something.
type Pair<'a> = (&'a Value, &'a Value);

/// Conversions that turn the left of every pair into the right, cheapest first.
pub(crate) fn fit(pairs: &[Pair<'_>], conversions: bool) -> Vec<Conversion> {
    let Some((first, expected)) = pairs.first() else { return Vec::new() };
    if pairs.iter().all(|(new, expected)| equal(new, expected)) {
        return vec![Same];
    }
    if !conversions {
        return Vec::new();
    }
    if pairs.iter().any(|(new, expected)| new.is_array() || expected.is_array()) {
        return fit_lists(pairs);
    }
    let mut proposed = propose(first, expected);
    // The longest text shows marks that shorter ones lack, such as those of thousands.
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    if let Some((new, expected)) = pairs.iter().max_by_key(|(new, _)| length(new)) {
        proposed.extend(propose(new, expected));
    }
    if matches!(first, Value::Number(_) | Value::String(_)) && expected.is_number() {
        // The first pair may hold a zero, which every scale maps to itself.
        for (new, expected) in pairs {
            proposed.extend(propose_scales(new, expected, pairs));
        }
    }
    let mut fits: Vec<Conversion> = Vec::new();
    for conversion in proposed {
        let holds = |(new, expected): &Pair<'_>| conversion.apply(new).is_some_and(|value| equal(&value, expected));
        if !fits.contains(&conversion) && pairs.iter().all(holds) {
            fits.push(conversion);
        }
    }
    if fits.is_empty() {
        fits.extend(fit_table(pairs));
    }
    fits.sort_by_key(Conversion::cost);
    fits
}

fn propose(new: &Value, expected: &Value) -> Vec<Conversion> {
    let mut proposed = Vec::new();
    for (from, millis) in DateForm::all_of(new) {
        for (to, meant) in DateForm::all_of(expected) {
            let close = if to.has_time() && from.has_time() { 1_000 } else { 86_400_000 };
            if from != to && (millis - meant).abs() <= close && from.conversion(to, "x").is_some() {
                proposed.push(Date { from, to });
            }
        }
    }
    match (new, expected) {
        (Value::Number(_) | Value::Bool(_), Value::String(text)) => {
            proposed.push(ToText);
            let Some(Value::String(written)) = ToText.apply(new) else { return proposed };
            if let Some(prefix) = text.strip_suffix(&written) {
                proposed.push(AddPrefix(prefix.to_owned()));
            }
        }
        (Value::String(text), Value::Number(number)) => {
            proposed.extend(lengths_of_time(text, number.as_f64().unwrap_or_default()));
            proposed.extend(numbers_in(text));
        }
        (Value::Bool(_), Value::Bool(_)) => proposed.push(Not),
        (Value::String(text), Value::String(meant)) => proposed.extend(texts_of(text, meant)),
        _ => {}
    }
    proposed
}

fn propose_scales(new: &Value, expected: &Value, pairs: &[Pair<'_>]) -> Vec<Conversion> {
    let read = |value: &Value| as_number(value).or_else(|| plain_number(value.as_str()?));
    let (Some(from), Some(to)) = (read(new), as_number(expected)) else { return Vec::new() };
    if from == 0.0 || to == 0.0 {
        return Vec::new();
    }
    let units = FACTORS.iter().flat_map(|factor| [true, false].map(|over| (*factor, over)));
    let mut found: Vec<Conversion> = units.filter_map(|(factor, over)| unit(from, to, factor, over, pairs)).collect();
    if new.is_string() {
        found = found.into_iter().map(|unit| then(ToNumber, unit)).collect();
    }
    let power = (to / from).log10().round();
    let decimals = pairs.iter().filter_map(|(_, to)| as_number(to)).map(decimals).max().unwrap_or(0);
    let moved = from * 10f64.powf(power);
    let exact = (moved / to - 1.0).abs() <= 1e-9;
    let rounds_to = (moved - to).abs() <= 0.5 * 10f64.powi(-decimals.cast_signed()) + 1e-9;
    // A rounded number has to keep enough digits to be told from chance.
    let tells = to.abs() * 10f64.powi(decimals.cast_signed()) >= 10.0;
    if power.abs() > 9.0 || exact && power == 0.0 || !(exact || rounds_to && tells) {
        return found;
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -9 and 9")]
    let power = power as i32;
    // Decimals divided leave dust behind, which the source never showed.
    let dusty = power < 0 && pairs.iter().any(|(new, _)| read(new).is_some_and(|new| new.fract() != 0.0));
    let scale = match exact && dusty {
        true => Scale { power, decimals: DECIMALS_WITHOUT_DUST, rounded: true },
        false => Scale { power, decimals, rounded: !exact },
    };
    found.push(if new.is_string() { then(ToNumber, scale) } else { scale });
    found
}

/// As many decimals as a division by a power of ten leaves right.
pub(crate) const DECIMALS_WITHOUT_DUST: u32 = 10;

/// Factors between units of time and of bytes, which are no powers of ten.
const FACTORS: [u32; 12] = [60, 24, 7, 12, 3_600, 1_440, 86_400, 604_800, 60_000, 3_600_000, 1_024, 1_048_576];

fn unit(from: f64, to: f64, factor: u32, over: bool, pairs: &[Pair<'_>]) -> Option<Conversion> {
    let decimals = pairs.iter().filter_map(|(_, to)| as_number(to)).map(decimals).max().unwrap_or(0);
    let moved = if over { from / f64::from(factor) } else { from * f64::from(factor) };
    let exact = (moved / to - 1.0).abs() <= 1e-9;
    let rounds_to = (moved - to).abs() <= 0.5 * 10f64.powi(-decimals.cast_signed()) + 1e-9;
    (exact || rounds_to).then_some(Unit { factor, over, decimals, rounded: !exact })
}

/// A table of values, if each new value always means the same.
fn fit_table(pairs: &[Pair<'_>]) -> Vec<Conversion> {
    let mut table: Vec<(Value, Value)> = Vec::new();
    for (new, expected) in pairs {
        if new.is_object() || new.is_array() || expected.is_object() || new.is_f64() || expected.is_f64() {
            return Vec::new();
        }
        match table.iter().find(|(from, _)| equal(from, new)) {
            Some((_, to)) if !equal(to, expected) => return Vec::new(),
            Some(_) => {}
            None => table.push(((*new).clone(), (*expected).clone())),
        }
    }
    let repeated = pairs.len() - table.len();
    // The same words in another order may be states that went on; that takes more to tell.
    let words_of_old = table.iter().all(|(from, _)| table.iter().any(|(_, to)| equal(from, to)));
    let needed = if words_of_old { table.len().saturating_sub(1) } else { 2 };
    let mut fits = Vec::new();
    let (kept, changed): (Vec<_>, Vec<_>) = table.iter().partition(|(from, to)| equal(from, to));
    // One row that differs may be another entity; a word spelled otherwise, or twice the same, is no chance.
    let told = |(from, to): &&(Value, Value)| {
        let spelled = |value: &Value| value.as_str().map(str::to_lowercase).unwrap_or_default();
        let alike = strsim::jaro_winkler(&spelled(from), &spelled(to)) >= LIKE_SPELLING;
        alike || pairs.iter().filter(|(new, _)| equal(new, from)).count() >= 2
    };
    if kept.len() >= 2 && !words_of_old && kept.len() > changed.len() && changed.iter().all(told) {
        fits.push(Except(changed.into_iter().cloned().collect()));
    }
    if table.len() > 40 || table.len() > 2 && repeated < needed {
        return fits;
    }
    let yes: Vec<_> = table.iter().filter(|(_, to)| to == &Value::Bool(true)).collect();
    let no = table.iter().filter(|(_, to)| to == &Value::Bool(false)).count();
    if yes.len() == 1 && no >= 1 && yes.len() + no == table.len() && !yes[0].0.is_boolean() {
        fits.push(Is(yes[0].0.clone()));
    }
    fits.push(Table(table));
    fits
}

/// How alike two spellings of a word are at least.
const LIKE_SPELLING: f64 = 0.9;

fn fit_lists(pairs: &[Pair<'_>]) -> Vec<Conversion> {
    let mut fits = Vec::new();
    let same_items = |(new, expected): &Pair<'_>| {
        let (new, expected) = (items(new), items(expected));
        new.len() == expected.len() && new.iter().zip(expected).all(|(a, b)| equal(a, b))
    };
    if pairs.iter().all(same_items) && pairs.iter().any(|(_, expected)| expected.is_array()) {
        fits.push(Same);
        return fits;
    }
    let aligned = pairs.iter().all(|(new, expected)| items(new).len() == items(expected).len());
    if aligned && pairs.iter().any(|(_, expected)| expected.is_array()) {
        let inner: Vec<_> = pairs.iter().flat_map(|(new, expected)| items(new).iter().zip(items(expected))).collect();
        let of_items = fit(&inner, true).into_iter().filter(|conversion| !matches!(conversion, Except(_)));
        fits.extend(of_items.map(|conversion| Each(Box::new(conversion))));
    }
    let mut proposed = Vec::new();
    for (new, expected) in pairs.iter().take(6) {
        match (new, expected) {
            (Value::Array(_), Value::String(text)) => {
                for separator in ["", "; ", ", ", ",", ";", " ", "|", "/", " / ", "\n"] {
                    proposed.push(Join(separator.to_owned()));
                }
                proposed.push(FirstOfLength(text.chars().count()));
            }
            (Value::Array(_), Value::Number(_)) => proposed.extend([Count, Sum]),
            (Value::String(_), Value::Array(_)) => {
                for separator in [", ", ",", ";", "; ", "|", " "] {
                    proposed.push(Split(separator.to_owned()));
                }
            }
            _ => {}
        }
    }
    for conversion in proposed {
        let holds = |(new, expected): &Pair<'_>| conversion.apply(new).is_some_and(|value| equal(&value, expected));
        if !fits.contains(&conversion) && pairs.iter().all(holds) {
            fits.push(conversion);
        }
    }
    fits
}

fn decimals(number: f64) -> u32 {
    let text = number_text(number);
    text.split('.').nth(1).map_or(0, str::len) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_conversion_does_natively_the_engine_does_too() {
        let cases = [
            (json!(12), json!("12")),
            (json!("12.50"), json!(12.5)),
            (json!("-1.234,56"), json!(-1234.56)),
            (json!("-1.234,56"), json!("-1234.56")),
            (json!(1999), json!(19.99)),
            (json!(1.1), json!(110)),
            (json!("1999"), json!(19.99)),
            (json!("ABC"), json!("abc")),
            (json!("HIGH"), json!("High")),
            (json!("/works/OL1W"), json!("OL1W")),
            (json!(123), json!("usr_123")),
            (json!("gid://shop/Order/77"), json!("77")),
            (json!("gid://shop/Order/77"), json!(77)),
            (json!("a-b"), json!("a_b")),
            (json!(true), json!(false)),
            (json!(["a", "b"]), json!("a; b")),
            (json!("a,b"), json!(["a", "b"])),
            (json!([1, 2]), json!(["1", "2"])),
            (json!(["x", "yy", "zz"]), json!("yy")),
            (json!(["x", "y"]), json!(2)),
            (json!(1_709_993_106), json!("2024-03-09T14:05:06Z")),
            (json!("4\u{202f}368,65"), json!(4368.65)),
            (json!("EUR 12.50"), json!(12.5)),
            (json!("12,50 kg"), json!(12.5)),
            (json!("356.00\r"), json!(356)),
            (json!("\"Lyon\""), json!("Lyon")),
            (json!("2024-06-16T10:48:00+02:00"), json!("2024-06-16T10:48:00")),
            (json!("urn:li:share:62467"), json!("s62467")),
            (json!("LX1234"), json!("LX")),
            (json!(5400), json!(90)),
            (json!(84.2), json!(0.842)),
            (json!("01:00:05"), json!(3605)),
            (json!("PT1H5S"), json!(3605)),
        ];
        for (new, expected) in cases {
            let fits = fit(&[(&new, &expected)], true);
            let fitting: Vec<_> = fits.iter().filter(|fit| !matches!(fit, Table(_))).collect();
            assert!(!fitting.is_empty(), "{new} to {expected}: {fits:?}");
            for conversion in fitting {
                let text = conversion.render("x");
                let expression = prunella_mapping::Expression::compile(&text).expect(&text);
                let got = expression.evaluate(
                    &json!({ "x": new }),
                    &prunella_mapping::Bindings::new(),
                    prunella_mapping::Moment::new(0, 0),
                    &prunella_mapping::Limits::default(),
                );
                let got = got.expect(&text).expect(&text);
                assert!(equal(&got, &expected), "{text}: {got}, not {expected}");
            }
        }
    }
}
