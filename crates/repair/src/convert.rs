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
        /// What is beyond the decimals is rounded away.
        rounded: bool,
    },
    Date {
        from: DateForm,
        to: DateForm,
    },
    Lower,
    Upper,
    /// The first letter large, the others small.
    Capital,
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
    Sum,
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
            Scale { power, decimals, rounded } => number(scaled(as_number(value)?, *power, *decimals, *rounded)),
            Date { from, to } => to.write(from.millis(value)?)?,
            Lower => Value::from(text?.to_lowercase()),
            Upper => Value::from(text?.to_uppercase()),
            Capital => {
                let mut letters = text?.chars();
                let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
                Value::from(first + &letters.as_str().to_lowercase())
            }
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
            Sum => number(items(value).iter().map(as_number).sum::<Option<f64>>()?),
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
            Scale { power: 0, decimals: 0, .. } => format!("$round({x})"),
            Scale { power: 0, decimals, .. } => format!("$round({x}, {decimals})"),
            Scale { power, decimals, rounded } => {
                let factor = format!("1{}", "0".repeat(power.unsigned_abs() as usize));
                match (*power > 0, decimals) {
                    (false, decimals) if *rounded => format!("$round({x} / {factor}, {decimals})"),
                    (true, 0) => format!("$round({x} * {factor})"),
                    (true, decimals) => format!("$round({x} * {factor}, {decimals})"),
                    (false, _) => format!("{x} / {factor}"),
                }
            }
            Date { from, to } => from.conversion(*to, x).unwrap_or_else(|| x.to_owned()),
            Lower => format!("$lowercase({x})"),
            Upper => format!("$uppercase({x})"),
            Capital => format!("$uppercase($substring({x}, 0, 1)) & $lowercase($substring({x}, 1))"),
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
            Join(separator) if separator.is_empty() => format!("$join({x})"),
            Join(separator) => format!("$join({x}, {})", literal(separator)),
            Split(separator) => format!("$split({x}, {})", literal(separator)),
            Count => format!("$count({x})"),
            Sum => format!("$sum({x})"),
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
            Scale { power, rounded, .. } => *power < 0 && !rounded,
            Capital | AddPrefix(_) | AddSuffix(_) | Is(_) => true,
            Table(pairs) => pairs.len() == 2 && pairs[0].0.is_boolean(),
            Date { to, from } => *to == DateForm::EpochMillis && *from == DateForm::EpochSeconds,
            _ => false,
        }
    }

    /// Whether it gives text even for a value that is not there.
    pub(crate) fn makes_something_of_nothing(&self) -> bool {
        match self {
            Capital | AddPrefix(_) | AddSuffix(_) => true,
            Table(pairs) => pairs.iter().all(|(from, _)| from.is_boolean()),
            Date { from, .. } => !from.has_zone(),
            Chain(chain) => chain.iter().any(Conversion::makes_something_of_nothing),
            _ => false,
        }
    }

    /// Whether it only gives a value another type or notation.
    pub(crate) fn is_cast(&self) -> bool {
        match self {
            ToText | ToNumber | Decimal { .. } | Date { .. } => true,
            Each(inner) => inner.is_cast(),
            _ => false,
        }
    }

    /// Whether its particulars were taken from the records, so that one of them is no proof.
    pub(crate) fn is_learned(&self) -> bool {
        match self {
            Same | ToText | ToNumber | Decimal { .. } | Date { .. } | Lower | Upper | Capital | Trim | Count | Sum => {
                false
            }
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
            Lower | Upper | Capital | Trim | Not | Date { .. } | Decimal { .. } => 2,
            Scale { .. } | Count | Sum | Join(_) | Split(_) | Is(_) => 3,
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
            Is(_) | Not => 1.0,
            Count | Sum => 3.0,
            Scale { .. } | Date { .. } | Decimal { .. } => 4.0,
            Part { .. } | Swap { .. } | Join(_) | Split(_) => 5.0,
            AddPrefix(text) | StripPrefix(text) | AddSuffix(text) => (text.len() as f64 * 1.5).min(4.0),
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
            Scale { power: 0, .. } => "rounded".to_owned(),
            Scale { power, .. } => {
                let factor = format!("1{}", "0".repeat(power.unsigned_abs() as usize));
                if *power > 0 { format!("times {factor}") } else { format!("divided by {factor}") }
            }
            Date { from, to } => format!("date from {} to {}", kebab(from), kebab(to)),
            Lower => "in small letters".to_owned(),
            Upper => "in capital letters".to_owned(),
            Capital => "with a capital letter".to_owned(),
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
            Sum => "sum of items".to_owned(),
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

fn scaled(value: f64, power: i32, decimals: u32, rounded: bool) -> f64 {
    let moved = if power < 0 { value / 10f64.powi(-power) } else { value * 10f64.powi(power) };
    if power < 0 && !rounded {
        return moved;
    }
    let unit = 10f64.powi(decimals.cast_signed());
    (moved * unit).round_ties_even() / unit
}
