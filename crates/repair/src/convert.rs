//! Conversions that evidence can support: what they do to a value, and how JSONata says it.

use serde::Serialize;
use serde_json::Value;

use crate::dates::DateForm;
use crate::value::{as_number, equal, number_text, plain_number};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversion {
    Same,
    ToText,
    ToNumber,
    /// Text of a number in the notation of a language into that of JSON; `to_number` reads it as well.
    Decimal {
        thousands: char,
        point: char,
        to_number: bool,
    },
    /// Times ten to the power of this; `decimals` of the result are kept.
    Scale {
        power: i32,
        decimals: u32,
    },
    Date {
        from: DateForm,
        to: DateForm,
    },
    Lower,
    Upper,
    Trim,
    /// The part at this place between separators; negative places count from the end.
    Part {
        separator: String,
        place: i64,
    },
    AddPrefix(String),
    StripPrefix(String),
    AddSuffix(String),
    Swap {
        from: char,
        to: char,
    },
    /// Values one by one.
    Table(Vec<(Value, Value)>),
    /// Whether it is this value.
    Is(Value),
    Not,
    Join(String),
    Split(String),
    Count,
    /// The first text of this length in a list.
    FirstOfLength(usize),
    Each(Box<Conversion>),
    Chain(Vec<Conversion>),
}

use Conversion::*;

impl Conversion {
    pub(crate) fn apply(&self, value: &Value) -> Option<Value> {
        let text = value.as_str();
        Some(match self {
            Same => value.clone(),
            ToText => match value {
                Value::Number(number) => match number.as_i64() {
                    Some(whole) => Value::from(whole.to_string()),
                    None => Value::from(number_text(number.as_f64()?)),
                },
                Value::Bool(flag) => Value::from(flag.to_string()),
                Value::String(_) => value.clone(),
                _ => return None,
            },
            ToNumber => match value {
                Value::Number(_) => value.clone(),
                _ => number(plain_number(text?)?),
            },
            Decimal { thousands, point, to_number } => {
                let plain = text?.replace(*thousands, "").replace(*point, ".");
                let parsed = plain_number(&plain)?;
                if *to_number { number(parsed) } else { Value::from(plain) }
            }
            Scale { power, decimals } => number(scaled(as_number(value)?, *power, *decimals)),
            Date { from, to } => to.write(from.millis(value)?)?,
            Lower => Value::from(text?.to_lowercase()),
            Upper => Value::from(text?.to_uppercase()),
            Trim => Value::from(text?.trim()),
            Part { separator, place } => {
                let parts: Vec<_> = text?.split(separator.as_str()).collect();
                let at = if *place < 0 { parts.len() as i64 + place } else { *place };
                Value::from(*parts.get(usize::try_from(at).ok()?)?)
            }
            AddPrefix(prefix) => Value::from(format!("{prefix}{}", ToText.apply(value)?.as_str()?)),
            AddSuffix(suffix) => Value::from(format!("{}{suffix}", ToText.apply(value)?.as_str()?)),
            StripPrefix(prefix) => Value::from(text?.strip_prefix(prefix.as_str())?),
            Swap { from, to } => Value::from(text?.replace(*from, &to.to_string())),
            Table(pairs) => pairs.iter().find(|(from, _)| equal(from, value))?.1.clone(),
            Is(literal) => Value::from(equal(value, literal)),
            Not => Value::from(!value.as_bool()?),
            Join(separator) => {
                let parts: Option<Vec<_>> = items(value).iter().map(Value::as_str).collect();
                Value::from(parts?.join(separator))
            }
            Split(separator) => Value::from(text?.split(separator.as_str()).collect::<Vec<_>>()),
            Count => Value::from(items(value).len()),
            FirstOfLength(length) => items(value)
                .iter()
                .find(|item| item.as_str().is_some_and(|text| text.chars().count() == *length))?
                .clone(),
            Each(inner) => {
                let converted: Option<Vec<_>> = items(value).iter().map(|item| inner.apply(item)).collect();
                Value::from(converted?)
            }
            Chain(chain) => {
                let mut value = value.clone();
                for conversion in chain {
                    value = conversion.apply(&value)?;
                }
                value
            }
        })
    }

    /// JSONata of the conversion of `x`; may hold operators, see [`Conversion::is_operation`].
    pub(crate) fn render(&self, x: &str) -> String {
        let literal = |text: &str| Value::from(text).to_string();
        match self {
            Same => x.to_owned(),
            ToText => format!("$string({x})"),
            ToNumber => format!("$number({x})"),
            Decimal { thousands, point, to_number } => {
                let mut text = format!("$replace({x}, \"{thousands}\", \"\")");
                if *point != '.' {
                    text = format!("$replace({text}, \"{point}\", \".\")");
                }
                if *to_number { format!("$number({text})") } else { text }
            }
            Scale { power, decimals } => {
                let factor = format!("1{}", "0".repeat(power.unsigned_abs() as usize));
                match (*power > 0, decimals) {
                    (true, 0) => format!("$round({x} * {factor})"),
                    (true, decimals) => format!("$round({x} * {factor}, {decimals})"),
                    (false, _) => format!("{x} / {factor}"),
                }
            }
            Date { from, to } => from.conversion(*to, x).unwrap_or_else(|| x.to_owned()),
            Lower => format!("$lowercase({x})"),
            Upper => format!("$uppercase({x})"),
            Trim => format!("$trim({x})"),
            Part { separator, place } => format!("$split({x}, {})[{place}]", literal(separator)),
            AddPrefix(prefix) => format!("{} & {x}", literal(prefix)),
            AddSuffix(suffix) => format!("{x} & {}", literal(suffix)),
            StripPrefix(prefix) => format!("$substringAfter({x}, {})", literal(prefix)),
            Swap { from, to } => {
                format!("$replace({x}, {}, {})", literal(&from.to_string()), literal(&to.to_string()))
            }
            Table(pairs) => match pairs.as_slice() {
                [(Value::Bool(first), a), (Value::Bool(_), b)] => {
                    let (yes, no) = if *first { (a, b) } else { (b, a) };
                    format!("{x} = true ? {yes} : {no}")
                }
                _ => {
                    let entries: Vec<_> = pairs
                        .iter()
                        .map(|(from, to)| {
                            let key = ToText.apply(from).unwrap_or_default();
                            format!("{key}: {to}")
                        })
                        .collect();
                    format!("$lookup({{ {} }}, $string({x}))", entries.join(", "))
                }
            },
            Is(literal) => format!("{x} = {literal}"),
            Not => format!("$not({x})"),
            Join(separator) => format!("$join({x}, {})", literal(separator)),
            Split(separator) => format!("$split({x}, {})", literal(separator)),
            Count => format!("$count({x})"),
            FirstOfLength(length) => format!("{x}[$length($) = {length}][0]"),
            Each(inner) => format!("{x}.({})", inner.render("$")),
            Chain(chain) => chain.iter().fold(x.to_owned(), |x, conversion| {
                let text = conversion.render(&x);
                if conversion.is_operation() { format!("({text})") } else { text }
            }),
        }
    }

    /// Whether the text has an operator outside parentheses.
    pub(crate) fn is_operation(&self) -> bool {
        match self {
            Scale { power, .. } => *power < 0,
            AddPrefix(_) | AddSuffix(_) | Is(_) => true,
            Table(pairs) => pairs.len() == 2 && pairs[0].0.is_boolean(),
            Date { to, from } => *to == DateForm::EpochMillis && *from == DateForm::EpochSeconds,
            _ => false,
        }
    }

    /// Whether it gives text even for a value that is not there.
    pub(crate) fn makes_something_of_nothing(&self) -> bool {
        match self {
            AddPrefix(_) | AddSuffix(_) => true,
            Table(pairs) => pairs.iter().all(|(from, _)| from.is_boolean()),
            Date { from, .. } => !from.has_zone(),
            Chain(chain) => chain.iter().any(Conversion::makes_something_of_nothing),
            _ => false,
        }
    }

    /// Whether its particulars were taken from the records, so that one of them is no proof.
    pub(crate) fn is_learned(&self) -> bool {
        match self {
            Same | ToText | ToNumber | Decimal { .. } | Date { .. } | Lower | Upper | Trim | Count => false,
            Each(inner) => inner.is_learned(),
            Chain(chain) => chain.iter().any(Conversion::is_learned),
            _ => true,
        }
    }

    /// Whether zero and `false` are values to be converted.
    pub(crate) fn reads_numbers(&self) -> bool {
        match self {
            Scale { .. } | ToText | Not | Table(_) | AddPrefix(_) | AddSuffix(_) => true,
            Date { from, .. } => matches!(from, DateForm::EpochSeconds | DateForm::EpochMillis | DateForm::Ticks),
            Chain(chain) => chain.first().is_some_and(Conversion::reads_numbers),
            _ => false,
        }
    }

    /// How much a conversion assumes; of conversions that do the same, the one that assumes less is meant.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Same => 0,
            ToText | ToNumber => 1,
            Lower | Upper | Trim | Not | Date { .. } | Decimal { .. } => 2,
            Scale { .. } | Count | Join(_) | Split(_) | Is(_) => 3,
            Part { .. } | StripPrefix(_) | AddPrefix(_) | AddSuffix(_) | Swap { .. } => 4,
            FirstOfLength(_) => 6,
            Table(pairs) => 5 + pairs.len() as u32,
            Each(inner) => inner.cost() + 1,
            Chain(chain) => chain.iter().map(Conversion::cost).sum(),
        }
    }

    /// Bits that were learned from the records rather than known.
    pub(crate) fn learned_bits(&self) -> f64 {
        match self {
            Table(pairs) => pairs.iter().map(|(_, to)| crate::value::bits(to).min(6.0)).sum(),
            Is(_) | Not => 1.0,
            Scale { .. } | Date { .. } | Decimal { .. } => 4.0,
            Part { .. } | Swap { .. } | Join(_) | Split(_) => 5.0,
            AddPrefix(text) | StripPrefix(text) | AddSuffix(text) => text.len() as f64 * 1.5,
            FirstOfLength(_) => 6.0,
            Each(inner) => inner.learned_bits(),
            Chain(chain) => chain.iter().map(Conversion::learned_bits).sum(),
            _ => 0.0,
        }
    }

    /// What it does, for a reader.
    pub fn describe(&self) -> String {
        match self {
            Same => "as it is".to_owned(),
            ToText => "number to text".to_owned(),
            ToNumber => "text to number".to_owned(),
            Decimal { thousands, point, .. } => format!("numbers like 1{thousands}234{point}56"),
            Scale { power, .. } => {
                let factor = format!("1{}", "0".repeat(power.unsigned_abs() as usize));
                if *power > 0 { format!("times {factor}") } else { format!("divided by {factor}") }
            }
            Date { from, to } => format!("date from {} to {}", kebab(from), kebab(to)),
            Lower => "in small letters".to_owned(),
            Upper => "in capital letters".to_owned(),
            Trim => "without blanks around".to_owned(),
            Part { separator, place } => format!("part {place} between \"{separator}\""),
            AddPrefix(prefix) => format!("with \"{prefix}\" before"),
            AddSuffix(suffix) => format!("with \"{suffix}\" behind"),
            StripPrefix(prefix) => format!("without \"{prefix}\" before"),
            Swap { from, to } => format!("\"{from}\" as \"{to}\""),
            Table(pairs) => format!("recoded, {} values", pairs.len()),
            Is(literal) => format!("whether it is {literal}"),
            Not => "negated".to_owned(),
            Join(separator) => format!("joined with \"{separator}\""),
            Split(separator) => format!("split at \"{separator}\""),
            Count => "number of items".to_owned(),
            FirstOfLength(length) => format!("the first of length {length}"),
            Each(inner) => format!("each {}", inner.describe()),
            Chain(chain) => chain.iter().map(Conversion::describe).collect::<Vec<_>>().join(", then "),
        }
    }
}

fn kebab(form: &DateForm) -> String {
    serde_json::to_value(form).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(crate) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        value => std::slice::from_ref(value),
    }
}

fn number(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    if number.fract() == 0.0 && number.abs() < 9.0e15 { Value::from(number as i64) } else { Value::from(number) }
}

fn scaled(value: f64, power: i32, decimals: u32) -> f64 {
    if power < 0 {
        return value / 10f64.powi(-power);
    }
    let unit = 10f64.powi(decimals.cast_signed());
    (value * 10f64.powi(power) * unit).round() / unit
}

fn decimals(number: f64) -> u32 {
    let text = number_text(number);
    text.split('.').nth(1).map_or(0, str::len) as u32
}

/// Pairs of what stands in a new record and what it has to become; both say something.
type Pair<'a> = (&'a Value, &'a Value);

/// Conversions that turn the left of every pair into the right, cheapest first.
pub(crate) fn fit(pairs: &[Pair<'_>], conversions: bool) -> Vec<Conversion> {
    let Some(&(first, expected)) = pairs.first() else { return Vec::new() };
    if pairs.iter().all(|(new, expected)| equal(new, expected)) {
        return vec![Same];
    }
    if !conversions {
        return Vec::new();
    }
    if first.is_array() || expected.is_array() {
        return fit_lists(pairs);
    }
    let mut proposed = propose(first, expected);
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
        (Value::String(text), Value::Number(_)) => {
            proposed.push(ToNumber);
            for (thousands, point) in [('.', ','), (',', '.'), (' ', ','), ('\'', '.')] {
                proposed.push(Decimal { thousands, point, to_number: true });
            }
            let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
            if digits.len() < text.len() && plain_number(digits).is_some() {
                proposed.push(Chain(vec![StripPrefix(text[..text.len() - digits.len()].to_owned()), ToNumber]));
            }
            for (part, value) in parts(text) {
                if plain_number(value).is_some() {
                    proposed.push(Chain(vec![part, ToNumber]));
                }
            }
        }
        (Value::Bool(_), Value::Bool(_)) => proposed.push(Not),
        (Value::String(text), Value::String(meant)) => {
            proposed.extend([Lower, Upper, Trim]);
            for (thousands, point) in [('.', ','), (',', '.'), (' ', ',')] {
                proposed.push(Decimal { thousands, point, to_number: false });
            }
            if let Some(prefix) = text.strip_suffix(meant.as_str()) {
                proposed.push(StripPrefix(prefix.to_owned()));
            }
            if let Some(prefix) = meant.strip_suffix(text.as_str()) {
                proposed.push(AddPrefix(prefix.to_owned()));
            }
            if let Some(suffix) = meant.strip_prefix(text.as_str()) {
                proposed.push(AddSuffix(suffix.to_owned()));
            }
            proposed.extend(parts(text).into_iter().filter(|(_, part)| part == meant).map(|(part, _)| part));
            if text.chars().count() == meant.chars().count() {
                let differing = text.chars().zip(meant.chars()).find(|(a, b)| a != b);
                if let Some((from, to)) = differing {
                    proposed.push(Swap { from, to });
                    proposed.push(Chain(vec![Lower, Swap { from, to }]));
                    proposed.push(Chain(vec![Upper, Swap { from, to }]));
                }
            }
        }
        _ => {}
    }
    proposed
}

fn parts(text: &str) -> Vec<(Conversion, &str)> {
    let mut found = Vec::new();
    for separator in ["/", ":", "-", "_", ".", "#", " ", "|", "@", ", ", ","] {
        let parts: Vec<_> = text.split(separator).collect();
        if !(2..=12).contains(&parts.len()) {
            continue;
        }
        for (index, part) in parts.iter().enumerate() {
            let place = if index == parts.len() - 1 { -1 } else { index as i64 };
            found.push((Part { separator: separator.to_owned(), place }, *part));
        }
    }
    found
}

fn propose_scales(new: &Value, expected: &Value, pairs: &[Pair<'_>]) -> Vec<Conversion> {
    let read = |value: &Value| as_number(value).or_else(|| plain_number(value.as_str()?));
    let (Some(from), Some(to)) = (read(new), as_number(expected)) else { return Vec::new() };
    if from == 0.0 || to == 0.0 {
        return Vec::new();
    }
    let power = (to / from).log10().round();
    if power == 0.0 || power.abs() > 9.0 || (from * 10f64.powf(power) / to - 1.0).abs() > 1e-9 {
        return Vec::new();
    }
    #[expect(clippy::cast_possible_truncation, reason = "between -9 and 9")]
    let power = power as i32;
    let decimals = pairs.iter().filter_map(|(_, to)| as_number(to)).map(decimals).max().unwrap_or(0);
    let scale = Scale { power, decimals };
    vec![if new.is_string() { Chain(vec![ToNumber, scale]) } else { scale }]
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
    if table.len() > 40 || table.len() * 3 > pairs.len() * 2 && table.len() > 2 {
        return Vec::new();
    }
    let mut fits = Vec::new();
    let yes: Vec<_> = table.iter().filter(|(_, to)| to == &Value::Bool(true)).collect();
    let no = table.iter().filter(|(_, to)| to == &Value::Bool(false)).count();
    if yes.len() == 1 && no >= 1 && yes.len() + no == table.len() && !yes[0].0.is_boolean() {
        fits.push(Is(yes[0].0.clone()));
    }
    fits.push(Table(table));
    fits
}

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
        fits.extend(fit(&inner, true).into_iter().map(|conversion| Each(Box::new(conversion))));
    }
    let mut proposed = Vec::new();
    for (new, expected) in pairs.iter().take(6) {
        match (new, expected) {
            (Value::Array(_), Value::String(text)) => {
                for separator in ["; ", ", ", ",", ";", " ", "|", "/", " / ", "\n"] {
                    proposed.push(Join(separator.to_owned()));
                }
                proposed.push(FirstOfLength(text.chars().count()));
            }
            (Value::Array(_), Value::Number(_)) => proposed.push(Count),
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
