//! Conversions that evidence can support: what they do to a value, and how JSONata says it.

mod duration;
mod text;

use serde::Serialize;
use serde_json::Value;

pub use duration::Duration;

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
    /// Without quotation marks around.
    Unquote,
    /// The part at this place between separators; negative places count from the end.
    Part {
        separator: String,
        place: i64,
    },
    /// All behind the first separator.
    Behind(String),
    /// All before the last separator.
    Before(String),
    AddPrefix(String),
    StripPrefix(String),
    AddSuffix(String),
    StripSuffix(String),
    /// The characters from a place on, `length` of them or all.
    Slice {
        start: usize,
        length: Option<usize>,
    },
    Swap {
        from: char,
        to: char,
    },
    /// By another unit of time or of bytes, multiplied or `over` it; `decimals` of the result are kept.
    Unit {
        factor: u32,
        over: bool,
        decimals: u32,
        rounded: bool,
    },
    /// A length of time as seconds.
    Seconds(Duration),
    /// Values one by one.
    Table(Vec<(Value, Value)>),
    /// As it is, but for these values.
    Except(Vec<(Value, Value)>),
    /// Whether it is this value.
    Is(Value),
    Not,
    /// Whether there is something.
    Present,
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
            Unit { factor, over, decimals, rounded } => {
                let (value, factor) = (as_number(value)?, f64::from(*factor));
                let moved = if *over { value / factor } else { value * factor };
                number(if *rounded { round_to(moved, *decimals) } else { moved })
            }
            Seconds(form) => number(form.seconds(text?)?),
            Date { from, to } => to.write(from.millis(value)?)?,
            Lower => Value::from(text?.to_lowercase()),
            Upper => Value::from(text?.to_uppercase()),
            Capital => {
                let mut letters = text?.chars();
                let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
                Value::from(first + &letters.as_str().to_lowercase())
            }
            Trim => Value::from(text?.trim()),
            Unquote => {
                let text = text?.trim();
                Value::from(text.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\""))
            }
            Part { separator, place } => {
                let parts: Vec<_> = text?.split(separator.as_str()).collect();
                let at = if *place < 0 { parts.len() as i64 + place } else { *place };
                Value::from(*parts.get(usize::try_from(at).ok()?)?)
            }
            Behind(separator) => Value::from(text?.split_once(separator.as_str())?.1),
            Before(separator) => Value::from(text?.rsplit_once(separator.as_str())?.0),
            AddPrefix(prefix) => Value::from(format!("{prefix}{}", ToText.apply(value)?.as_str()?)),
            AddSuffix(suffix) => Value::from(format!("{}{suffix}", ToText.apply(value)?.as_str()?)),
            StripPrefix(prefix) => Value::from(text?.strip_prefix(prefix.as_str())?),
            StripSuffix(suffix) => Value::from(text?.strip_suffix(suffix.as_str())?),
            Slice { start, length } => {
                let rest = text?.chars().skip(*start);
                let slice: String = match length {
                    Some(length) => rest.take(*length).collect(),
                    None => rest.collect(),
                };
                let whole = length.is_none_or(|length| slice.chars().count() == length);
                if slice.is_empty() || !whole {
                    return None;
                }
                Value::from(slice)
            }
            Swap { from, to } => Value::from(text?.replace(*from, &to.to_string())),
            Table(pairs) => pairs.iter().find(|(from, _)| equal(from, value))?.1.clone(),
            Except(pairs) => match pairs.iter().find(|(from, _)| equal(from, value)) {
                Some((_, to)) => to.clone(),
                None => value.clone(),
            },
            Is(literal) => Value::from(equal(value, literal)),
            Not => Value::from(!value.as_bool()?),
            Present => Value::from(true),
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

    /// Whether the text has an operator outside parentheses.
    pub(crate) fn is_operation(&self) -> bool {
        match self {
            Scale { power, rounded, .. } => *power < 0 && !rounded,
            Unit { rounded, .. } => !rounded,
            Capital | AddPrefix(_) | AddSuffix(_) | Is(_) | Except(_) => true,
            Table(pairs) => pairs.len() == 2 && pairs[0].0.is_boolean(),
            Date { to, from } => {
                *to == DateForm::EpochMillis
                    && matches!(from, DateForm::EpochSeconds | DateForm::EpochSecondsText | DateForm::ExcelDay)
            }
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
            Same
            | ToText
            | ToNumber
            | Decimal { .. }
            | Date { .. }
            | Lower
            | Upper
            | Capital
            | Trim
            | Unquote
            | Count
            | Sum => false,
            Each(inner) => inner.is_learned(),
            Chain(chain) => chain.iter().any(Conversion::is_learned),
            _ => true,
        }
    }

    /// Whether zero and `false` are values to be converted.
    pub(crate) fn reads_numbers(&self) -> bool {
        match self {
            Scale { .. } | Unit { .. } | ToText | Not | Table(_) | Except(_) | AddPrefix(_) | AddSuffix(_) => true,
            Date { from, .. } => from.is_number(),
            Chain(chain) => chain.first().is_some_and(Conversion::reads_numbers),
            _ => false,
        }
    }

    /// How much a conversion assumes; of conversions that do the same, the one that assumes less is meant.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Same => 0,
            ToText | ToNumber => 1,
            Lower | Upper | Capital | Trim | Unquote | Not | Date { .. } | Decimal { .. } | Seconds(_) => 2,
            Scale { .. } | Unit { .. } | Present | Count | Sum | Join(_) | Split(_) | Is(_) => 3,
            Part { .. } | StripPrefix(_) | StripSuffix(_) | AddPrefix(_) | AddSuffix(_) | Swap { .. } => 4,
            Behind(_) | Before(_) => 4,
            Slice { .. } => 5,
            FirstOfLength(_) => 6,
            Except(pairs) => 3 + pairs.len() as u32,
            Table(pairs) => 5 + pairs.len() as u32,
            Each(inner) => inner.cost() + 1,
            Chain(chain) => chain.iter().map(Conversion::cost).sum(),
        }
    }

    /// Bits that were learned from the records rather than known.
    pub(crate) fn learned_bits(&self) -> f64 {
        match self {
            Is(_) | Not => 1.0,
            Present => 2.0,
            Count | Sum => 3.0,
            Scale { .. } | Date { .. } | Decimal { .. } => 4.0,
            Seconds(_) => 3.0,
            Unit { .. } => 6.0,
            Slice { .. } => 7.0,
            Except(pairs) => pairs.len() as f64 * 4.0,
            Part { .. } | Behind(_) | Before(_) | Swap { .. } | Join(_) | Split(_) => 5.0,
            AddPrefix(text) | StripPrefix(text) | AddSuffix(text) | StripSuffix(text) => {
                (text.len() as f64 * 1.5).min(4.0)
            }
            FirstOfLength(_) => 6.0,
            Each(inner) => inner.learned_bits(),
            Chain(chain) => chain.iter().map(Conversion::learned_bits).sum(),
            _ => 0.0,
        }
    }
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
    round_to(moved, decimals)
}

/// As JSONata's `$round`: halves go to the even neighbour.
pub(crate) fn round_to(number: f64, decimals: u32) -> f64 {
    let unit = 10f64.powi(decimals.cast_signed());
    (number * unit).round_ties_even() / unit
}
