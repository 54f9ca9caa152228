//! Whether one field gives all that is known, and what that says.

use serde_json::Value;

use super::{Choice, Rarity, Request, Support};
use crate::convert::Conversion;
use crate::fit::{DECIMALS_WITHOUT_DUST, fit};
use crate::table::Column;
use crate::value::{equal, is_empty};

/// Examples that have to show the number which stands for nothing.
const FEWEST_DEFAULTS: usize = 3;

/// What a field shows where something is known.
struct Shown<'a> {
    /// What it shows, and what is known.
    pairs: Vec<(&'a Value, &'a Value)>,
    both_empty: usize,
    /// What is known where it shows nothing, and how often.
    default: Option<&'a Value>,
    defaults: usize,
    /// What it shows where nothing is known.
    nothing: Vec<&'a Value>,
}

impl<'a> Shown<'a> {
    fn of(column: &'a Column, request: &Request<'a>) -> Option<Self> {
        let mut shown = Self { pairs: Vec::new(), both_empty: 0, default: None, defaults: 0, nothing: Vec::new() };
        for (row, expected) in request.known {
            let cell = column.cells.get(*row)?.as_ref();
            match (is_empty(cell), is_empty(*expected)) {
                (true, true) => shown.both_empty += 1,
                (false, false) => shown.pairs.push((cell?, (*expected)?)),
                (false, true) => shown.nothing.push(cell?),
                (true, false) => {
                    let value = (*expected)?;
                    // Only what itself says nothing may stand for nothing; in examples it may be any one word.
                    let says_nothing = value == &Value::Bool(false) || value.as_f64() == Some(0.0);
                    let word = request.before.is_none() && (value.is_string() || value.is_number());
                    if !(says_nothing || word) || shown.default.is_some_and(|default| !equal(default, value)) {
                        return None;
                    }
                    shown.default = Some(value);
                    shown.defaults += 1;
                }
            }
        }
        let spoken = |word: &Value| shown.pairs.iter().any(|(_, known)| equal(known, word));
        let may_be = |word: &Value| match word {
            Value::String(_) => !spoken(word),
            Value::Number(_) => word.as_f64() == Some(0.0) || shown.defaults >= FEWEST_DEFAULTS,
            _ => true,
        };
        shown.default.is_none_or(may_be).then_some(shown)
    }

    fn is_same(&self) -> bool {
        !self.pairs.is_empty()
            && self.nothing.is_empty()
            && self.pairs.iter().all(|(new, expected)| equal(new, expected))
    }

    /// Whether it is the same once the mapping has done to it what it does to all values.
    fn is_same_through(&self, lens: &Conversion) -> bool {
        let same = |(new, expected): &(&Value, &Value)| lens.apply(new).is_some_and(|new| equal(&new, expected));
        !self.pairs.is_empty() && self.pairs.iter().all(same)
    }

    /// The one value by which the source says that there is none.
    fn sentinel(&self) -> Option<&'a Value> {
        let first = *self.nothing.first()?;
        let one = self.nothing.iter().all(|value| equal(value, first));
        let elsewhere = self.pairs.iter().any(|(new, _)| equal(new, first));
        (one && !elsewhere && says_nothing(first)).then_some(first)
    }
}

/// Values that sources write where there is none.
const SENTINELS: [&str; 14] = [
    "-",
    "--",
    "---",
    "n/a",
    "na",
    "none",
    "null",
    "nil",
    "unknown",
    "undefined",
    "not available",
    "not set",
    "0000-00-00",
    "0",
];

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::String(text) => SENTINELS.contains(&text.trim().to_lowercase().as_str()) || text.trim().is_empty(),
        Value::Number(number) => number.as_i64().is_some_and(|number| matches!(number, 0 | -1 | -999 | -9999)),
        _ => false,
    }
}

pub(super) fn assess(column: &Column, request: &Request<'_>) -> Vec<Choice> {
    let shown = Shown::of(column, request);
    if !shown.as_ref().is_some_and(Shown::is_same)
        && let Some(choice) = through_the_expression(column, request)
    {
        return vec![choice];
    }
    let Some(shown) = shown else { return Vec::new() };
    let sentinel = shown.sentinel().filter(|_| request.ingredients.conversions);
    // Only a choice from a list may find nothing in what says something.
    let may_find_nothing = |fit: &Conversion| match fit {
        Conversion::FirstOfLength(_) => shown.nothing.iter().all(|cell| fit.apply(cell).is_none()),
        _ => shown.nothing.is_empty() || sentinel.is_some(),
    };
    let recoded = |fit: &Conversion| {
        matches!(fit, Conversion::Table(_) | Conversion::Except(_) | Conversion::Is(_) | Conversion::Not)
    };
    if let Some(choice) = presence(&shown, column, request) {
        return vec![choice];
    }
    let fits = match request.lens.is_some_and(|lens| shown.is_same_through(lens)) {
        true => vec![Conversion::Same],
        false => fit(&shown.pairs, request.ingredients.conversions),
    };
    let fits = fits.into_iter().map(|fit| without_dust(fit, column));
    let fits = fits.filter(|fit| !(request.stale && recoded(fit)));
    let mut fits = fits.filter(|fit| may_find_nothing(fit) && is_complete(fit, sentinel, column, request));
    let Some(first) = fits.next() else { return Vec::new() };
    let rival = fits.find(|other| is_moment(&first) && is_moment(other) && !agree(&first, other, column));
    let both_empty = shown.both_empty + shown.nothing.len();
    let choice = |conversion: Conversion| {
        let counts = conversion == Conversion::Count;
        let support = support(&shown.pairs, both_empty, shown.default.is_some(), &conversion, request.rarity)?;
        // The count of nothing is zero by itself.
        let (default, sentinel) = (shown.default.filter(|_| !counts).cloned(), sentinel.cloned());
        Some(Choice { default, sentinel, support, ..Choice::plain(column.path.clone(), conversion) })
    };
    [Some(first), rival].into_iter().flatten().filter_map(choice).collect()
}

/// A flag that is up where the field is filled, such as the moment of a payment.
fn presence(shown: &Shown<'_>, column: &Column, request: &Request<'_>) -> Option<Choice> {
    let up = !shown.pairs.is_empty() && shown.pairs.iter().all(|(_, known)| **known == Value::Bool(true));
    let down = shown.default == Some(&Value::Bool(false)) && shown.nothing.is_empty();
    let flag = shown.pairs.iter().any(|(new, _)| new.is_boolean());
    if !up || !down || flag || request.stale || !request.ingredients.conversions {
        return None;
    }
    let support =
        support(&shown.pairs, request.known.len() - shown.pairs.len(), true, &Conversion::Present, request.rarity)?;
    Some(Choice { support, ..Choice::plain(column.path.clone(), Conversion::Present) })
}

/// A division that was exact on known rows leaves no dust on others that have decimals.
fn without_dust(conversion: Conversion, column: &Column) -> Conversion {
    let decimal = |cell: &Value| match cell {
        Value::Number(number) => number.as_f64().is_some_and(|number| number.fract() != 0.0),
        Value::String(text) => text.contains('.'),
        _ => false,
    };
    match conversion {
        Conversion::Scale { power, rounded: false, .. } if power < 0 && column.cells.iter().flatten().any(decimal) => {
            Conversion::Scale { power, decimals: DECIMALS_WITHOUT_DUST, rounded: true }
        }
        Conversion::Chain(chain) => {
            Conversion::Chain(chain.into_iter().map(|conversion| without_dust(conversion, column)).collect())
        }
        other => other,
    }
}

/// Two readings of a moment may agree on known rows and part in another season or zone.
fn is_moment(conversion: &Conversion) -> bool {
    matches!(conversion, Conversion::Date { .. } | Conversion::Slice { .. })
}

fn agree(a: &Conversion, b: &Conversion, column: &Column) -> bool {
    column.cells.iter().flatten().all(|cell| match (a.apply(cell), b.apply(cell)) {
        (Some(a), Some(b)) => equal(&a, &b),
        _ => true,
    })
}

/// The field as it is, if what the author's expression makes of it is what is known.
fn through_the_expression(column: &Column, request: &Request<'_>) -> Option<Choice> {
    let outputs = request.outputs.as_ref().filter(|_| request.ingredients.conversions)?;
    let mut pairs: Vec<(&Value, &Value)> = Vec::new();
    let mut both_empty = 0;
    for ((row, _), expected) in request.known.iter().zip(&outputs.known) {
        let cell = column.cells.get(*row)?.as_ref();
        let now = (outputs.of)(*row, cell);
        match (cell, now.as_ref(), expected) {
            (_, now, expected) if is_empty(now) && is_empty(expected.as_ref()) => both_empty += 1,
            (Some(cell), Some(now), Some(expected)) if equal(now, expected) => pairs.push((cell, expected)),
            _ => return None,
        }
    }
    let support = support(&pairs, both_empty, false, &Conversion::Same, &outputs.rarity)?;
    Some(Choice { support, ..Choice::plain(column.path.clone(), Conversion::Same) })
}

/// Whether the conversion can do all that the new field shows, and a recoding gives all that the old field showed: a
/// code that no known entity has would go wrong tomorrow.
fn is_complete(conversion: &Conversion, sentinel: Option<&Value>, column: &Column, request: &Request<'_>) -> bool {
    if matches!(conversion, Conversion::Same | Conversion::FirstOfLength(_)) {
        return true;
    }
    let is_sentinel = |cell: &&Value| sentinel.is_some_and(|sentinel| equal(sentinel, cell));
    let mut filled = column.cells.iter().flatten().filter(|cell| !is_empty(Some(cell)) && !is_sentinel(cell));
    match conversion {
        Conversion::Is(_) => {
            let shown: Vec<&Value> =
                request.known.iter().filter_map(|(row, _)| column.cells.get(*row)?.as_ref()).collect();
            filled.all(|cell| shown.iter().any(|known| equal(known, cell)))
        }
        Conversion::Except(pairs) => exceptions_only(pairs, column, request),
        Conversion::Table(table) => {
            let gives = |value: &Value| table.iter().any(|(_, to)| equal(to, value));
            let before = request.before.into_iter().flat_map(|(_, values)| values.iter().flatten());
            let before: Vec<&Value> = before.filter(|value| !is_empty(Some(value))).collect();
            let seen = (before.len() + filled.clone().count()).saturating_sub(request.known.len());
            before.into_iter().all(gives)
                && filled.all(|cell| conversion.apply(cell).is_some())
                && has_all_values(table, request, seen)
        }
        Conversion::Part { separator, .. } => {
            // A part holds no separator; an old value that does was no part.
            let before = request.before.into_iter().flat_map(|(_, values)| values.iter().flatten());
            let mut texts = before.filter_map(Value::as_str);
            filled.all(|cell| conversion.apply(cell).is_some()) && !texts.any(|text| text.contains(separator.as_str()))
        }
        _ => filled.all(|cell| conversion.apply(cell).is_some()) && added_everywhere(conversion, request),
    }
}

/// Whether all but the exceptions stayed as it was: the new words of the field are those of the old one, but for the
/// exceptions, which no old value is called by, and whose old names are gone.
fn exceptions_only(pairs: &[(Value, Value)], column: &Column, request: &Request<'_>) -> bool {
    let Some((_, before)) = request.before else { return false };
    let was = |value: &Value| before.iter().flatten().any(|old| equal(old, value));
    let is_exception = |value: &Value| pairs.iter().any(|(from, _)| equal(from, value));
    let mut now = column.cells.iter().flatten().filter(|cell| !is_empty(Some(cell)));
    let gone = |value: &Value| !column.cells.iter().flatten().any(|cell| equal(cell, value));
    pairs.iter().all(|(from, to)| !was(from) && gone(to)) && now.all(|cell| is_exception(cell) || was(cell))
}

/// Whether a table has all values there are: those that the schema counts up, or as many as would leave hardly a chance
/// for one more to stay unseen so long.
fn has_all_values(table: &[(Value, Value)], request: &Request<'_>, seen: usize) -> bool {
    let members = request.members;
    let given = |member: &Value| table.iter().any(|(_, to)| equal(to, member));
    if !members.is_empty() && members.iter().all(given) || table.iter().all(|(from, _)| from.is_boolean()) {
        return true;
    }
    let values = table.len() as f64;
    seen as f64 * ((values + 1.0) / values).log2() > request.ingredients.thresholds.unseen
}

/// Text that a conversion adds stood in all values that are remembered, not only in those of known entities.
fn added_everywhere(conversion: &Conversion, request: &Request<'_>) -> bool {
    let before = request.before.into_iter().flat_map(|(_, values)| values.iter().flatten());
    let mut texts = before.filter_map(Value::as_str).filter(|text| !text.is_empty());
    match conversion {
        Conversion::AddPrefix(prefix) => texts.all(|text| text.starts_with(prefix.as_str())),
        Conversion::AddSuffix(suffix) => texts.all(|text| text.ends_with(suffix.as_str())),
        Conversion::Chain(chain) => chain.iter().all(|conversion| added_everywhere(conversion, request)),
        _ => true,
    }
}

/// What the agreement on these pairs says; `None` when it says nothing, such as a flag that is always up.
fn support(
    pairs: &[(&Value, &Value)],
    both_empty: usize,
    default: bool,
    conversion: &Conversion,
    rarity: &Rarity,
) -> Option<Support> {
    let mut distinct: Vec<&Value> = Vec::new();
    for (_, expected) in pairs {
        if !distinct.iter().any(|value| equal(value, expected)) {
            distinct.push(expected);
        }
    }
    let flags = pairs.iter().all(|(_, expected)| expected.is_boolean());
    let (values, bits) = if flags {
        let kinds = distinct.len() + usize::from(both_empty > 0 || default);
        if kinds < 2 {
            return None;
        }
        (kinds, (pairs.len() + both_empty) as f64 * 1.5)
    } else {
        let repeated = (pairs.len() - distinct.len()) as f64 * if distinct.len() > 1 { 1.0 } else { 0.0 };
        let bits = match rarity.recurs() && distinct.len() > 1 {
            true => pairs.iter().map(|(_, value)| rarity.bits(value)).sum::<f64>(),
            false => distinct.iter().map(|value| rarity.bits(value)).sum::<f64>() + repeated,
        };
        (distinct.len(), bits)
    };
    let bits = match conversion {
        Conversion::Table(table) => table_bits(pairs, table, distinct.len()),
        Conversion::Is(_) => (pairs.len() + both_empty) as f64 * 1.5,
        _ => bits,
    };
    (bits > 0.0).then_some(Support { records: pairs.len() + both_empty, values, bits })
}

/// What a table was learned from does not speak for it; repetitions do, and values that it leaves as they are.
fn table_bits(pairs: &[(&Value, &Value)], table: &[(Value, Value)], values: usize) -> f64 {
    let each = (values.max(2) as f64).log2();
    let repeated = pairs.len() - table.len();
    let kept = table.iter().filter(|(from, to)| equal(from, to)).count();
    let one_to_one = values == table.len() && values >= 2;
    (repeated + kept) as f64 * each + if one_to_one { bits_of_distinct(values) } else { 0.0 }
}

/// That as many codes as there are values are all different is no chance either: k^k / k! to one.
fn bits_of_distinct(values: usize) -> f64 {
    (1..=values).map(|k| (values as f64 / k as f64).log2()).sum()
}
