//! The field of the new rows that shows what known entities showed, and whether another one would do as well.

use std::collections::HashMap;

use serde_json::Value;

use crate::combine::combined;
use crate::convert::Conversion;
use crate::fit::fit;
use crate::forms::{self, Form};
use crate::names::Likeness;
use crate::path::FieldPath;
use crate::settings::Ingredients;
use crate::settle::{has_namesake, rank, settle, vocabulary_bits};
use crate::table::{Column, Table};
use crate::value::{bits, equal, is_empty};

/// What else goes into a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum With {
    /// Other fields behind it, with text between.
    Then(Vec<(String, FieldPath)>),
    /// Another field where it is not filled.
    Else(FieldPath),
    /// It is a list; each item as text, with this between.
    Items { inner: Box<Choice>, between: String },
}

/// A field and what is done to it. Text that has the same value everywhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(crate) path: FieldPath,
    pub(crate) with: Option<With>,
    pub(crate) conversion: Conversion,
    /// What it becomes where the field says nothing, if that is known.
    pub(crate) default: Option<Value>,
    /// The field may say nothing; what it becomes then is left to the expression around.
    pub(crate) optional: bool,
    pub(crate) support: Support,
}

impl Choice {
    pub(crate) fn plain(path: FieldPath, conversion: Conversion) -> Self {
        Self { path, with: None, conversion, default: None, optional: false, support: Support::default() }
    }

    /// JSONata of the choice, in parentheses if it needs them.
    pub(crate) fn render(&self, prefix: &str) -> String {
        let x = self.path.render(prefix);
        let text = match &self.with {
            Some(With::Then(rest)) => rest.iter().fold(x.clone(), |text, (between, other)| {
                let between =
                    if between.is_empty() { String::new() } else { format!(" & {}", Value::from(between.as_str())) };
                format!("{text}{between} & {}", other.render(prefix))
            }),
            Some(With::Else(other)) => return format!("({x} != null ? {x} : {})", other.render(prefix)),
            Some(With::Items { inner, between }) => {
                let inner = match inner.is_plain() {
                    true => inner.render(""),
                    false => format!("({})", inner.render("")),
                };
                format!("$join({x}.{inner}, {})", Value::from(between.as_str()))
            }
            None => self.conversion.render(&x),
        };
        if let Some(default) = &self.default {
            return format!("($exists({x}) ? {text} : {default})");
        }
        // Joining text makes something out of nothing.
        let joins = self.with.is_some() || self.conversion.makes_something_of_nothing();
        let converts = self.optional && self.conversion != Conversion::Same;
        match (joins || converts, self.conversion.reads_numbers()) {
            (true, false) => format!("({x} ? {text})"),
            (true, true) => format!("({x} != null ? {text})"),
            (false, _) if self.conversion.is_operation() => format!("({text})"),
            (false, _) => text,
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.with.is_none() && self.default.is_none() && self.conversion == Conversion::Same
    }

    pub(crate) fn predict(&self, cell: Option<&Value>) -> Option<Value> {
        match cell {
            Some(value) if !is_empty(cell) => self.conversion.apply(value),
            _ => None,
        }
    }
}

/// What speaks for a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Support {
    pub(crate) records: usize,
    pub(crate) values: usize,
    pub(crate) bits: f64,
}

/// How much an agreement on a value of a field says, by how often the field shows it.
#[derive(Debug, Default)]
pub(crate) struct Rarity {
    /// Times each value was seen, of a field whose values recur; empty for others.
    counts: HashMap<String, usize>,
    total: usize,
}

impl Rarity {
    pub(crate) fn of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut total = 0;
        for value in values {
            *counts.entry(value.to_string()).or_default() += 1;
            total += 1;
        }
        if counts.len() * 10 >= total * 6 {
            counts.clear();
        }
        Self { counts, total }
    }

    fn recurs(&self) -> bool {
        !self.counts.is_empty()
    }

    fn bits(&self, value: &Value) -> f64 {
        let most = bits(value);
        match self.counts.get(&value.to_string()) {
            Some(count) => most.min((self.total as f64 / *count as f64).log2().max(0.5)),
            None => most,
        }
    }
}

/// The chance that a value of a recoded field was never seen, up to which its table counts as complete.
const MOST_UNSEEN: f64 = 0.002;

/// What is looked for.
pub(crate) struct Request<'a> {
    /// Row of the table, and the value that is known for it.
    pub(crate) known: &'a [(usize, Option<&'a Value>)],
    /// Names that the field had, the strongest first.
    pub(crate) names: &'a [&'a str],
    /// Where it was read, and its values in all remembered rows, beside the table of those.
    pub(crate) before: Option<(&'a Table, &'a [Option<Value>])>,
    pub(crate) old_path: Option<&'a FieldPath>,
    /// Fields that went into the value before: what they show now may well be it.
    pub(crate) own: &'a [&'a FieldPath],
    /// All values that the output may have, if the schema counts them up.
    pub(crate) members: &'a [Value],
    /// Codes that are known to be taken apart: the field, and what stands between its parts.
    pub(crate) codes: &'a [(FieldPath, String)],
    pub(crate) rarity: &'a Rarity,
    /// The field is still there and shows something else: what other fields showed before says nothing either.
    pub(crate) redefined: bool,
    /// The known rows are later states: what is recoded cannot be told from what went on.
    pub(crate) stale: bool,
    /// What the mapping does to the value: known values have gone through it, those of the table have not.
    pub(crate) lens: Option<&'a Conversion>,
    /// The selector under which all literals of the old selectors are found again.
    pub(crate) selector: Option<&'a [String]>,
    pub(crate) ingredients: Ingredients,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once")]
pub(crate) enum Pick {
    One(Choice),
    /// Several that cannot be told apart, the likeliest first.
    Tied(Vec<Choice>),
    None,
}

pub(crate) fn pick(request: &Request<'_>, table: &Table) -> Pick {
    let filled = request.known.iter().filter(|(_, value)| !is_empty(*value)).count();
    if filled == 0 {
        return Pick::None;
    }
    let mut choices: Vec<Choice> = table
        .columns
        .iter()
        .filter_map(|column| assess(column, request, table.columns.len()))
        .filter(|choice| !was_something_else(choice, request, table))
        .collect();
    if choices.is_empty() && request.ingredients.conversions {
        choices = combined(request, table);
    }
    if choices.is_empty() {
        return Pick::None;
    }
    // What needs no conversion was not made to fit.
    let learned = |choice: &Choice| choice.conversion.learned_bits() + f64::from(u8::from(choice.default.is_some()));
    choices.sort_by(|a, b| {
        rank(b, request)
            .cmp(&rank(a, request))
            .then(a.conversion.cost().cmp(&b.conversion.cost()))
            .then(a.path.root.cmp(&b.path.root))
            .then(a.path.steps.len().cmp(&b.path.steps.len()))
    });
    // Chance is counted over the fields that could be it: new ones with values of that form.
    let expected: Vec<Option<Value>> = request.known.iter().map(|(_, value)| value.cloned()).collect();
    let form = forms::common(&expected);
    let before = |column: &&Column| request.before.is_some_and(|(table, _)| table.get(&column.path).is_some());
    let alike = |column: &&Column| form.is_none() || forms::common(&column.cells) == form;
    let eligible = table.columns.iter().filter(|column| !before(column) && alike(column)).count();
    let any = table.columns.iter().filter(|column| !before(column)).count();
    let chance = (1.0 + eligible as f64).log2();
    let enough = |choice: &Choice| {
        let named = rank(choice, request) >= Likeness::Close;
        let needed = match (named, form) {
            (true, Some(Form::Flag)) => 6.0,
            (true, _) => 4.0,
            (false, Some(Form::Flag)) => 4.5 + chance,
            (false, _) => 6.0 + chance,
        };
        // One value that many rows have says nothing, whatever the names.
        // A field of the very name may have been recoded; another one needs more than chance to be it.
        // A table can be made of a field of any form.
        let more = (1.0 + any as f64).log2() - chance;
        let needed = if matches!(choice.conversion, Conversion::Table(_)) { needed + more } else { needed };
        let needed = if request.stale { needed + 6.0 } else { needed };
        let needed = if has_namesake(choice, request, table) { needed.max(20.0) } else { needed };
        let rests_on_one = choice.support.values < 2 && choice.support.bits < 12.0;
        let words = if choice.support.records >= if named { 3 } else { 4 } && choice.support.values >= 2 {
            vocabulary_bits(choice, request, table)
        } else {
            0.0
        };
        let words = if of_known_code(choice, request) { words + learned(choice) + chance } else { words };
        let words = if recoded_in_place(choice, request) { words + 4.0 } else { words };
        let unproven_rule = choice.conversion.is_learned() && choice.support.values < 2;
        !rests_on_one && !unproven_rule && choice.support.bits + words - learned(choice) >= needed
    };
    if !choices.iter().any(enough) {
        return Pick::None;
    }
    // What only its name lifts above chance has every field for a rival that fits as well, whatever that one is called.
    let by_name = !choices.iter().any(|choice| choice.support.bits - learned(choice) >= 6.0 + chance);
    choices.retain(|choice| {
        let fits_as_it_is = choice.conversion == Conversion::Same && !choice.path.is_positional();
        enough(choice) || (by_name && fits_as_it_is && choice.path.literal().is_none())
    });
    if !request.ingredients.ambiguity {
        return Pick::One(choices.swap_remove(0));
    }
    settle(choices, request, table)
}

/// Whether it is a part of a code of which another part is proven.
fn of_known_code(choice: &Choice, request: &Request<'_>) -> bool {
    let part = match &choice.conversion {
        Conversion::Chain(chain) => chain.first(),
        other => Some(other),
    };
    let Some(Conversion::Part { separator, .. }) = part else { return false };
    request.codes.iter().any(|(path, between)| path == &choice.path && between == separator)
}

/// Whether the values of a field were recoded where they stand.
fn recoded_in_place(choice: &Choice, request: &Request<'_>) -> bool {
    matches!(choice.conversion, Conversion::Table(_) | Conversion::Is(_)) && request.old_path == Some(&choice.path)
}

/// Whether the field was there before, unread, and showed something else.
fn was_something_else(choice: &Choice, request: &Request<'_>, now: &Table) -> bool {
    let Some((table, values)) = request.before else { return false };
    if request.old_path == Some(&choice.path) || request.own.contains(&&choice.path) {
        return false;
    }
    let Some(column) = table.get(&choice.path) else { return false };
    // Values of another form: the name was given to something new, and what it was says nothing.
    let form = now.get(&choice.path).and_then(|column| forms::common(&column.cells));
    let strong = choice.support.bits >= 24.0 && choice.support.values >= 2;
    if strong && (request.redefined || form.is_some() && form != forms::common(&column.cells)) {
        return false;
    }
    let both =
        column.cells.iter().zip(values).filter(|(cell, value)| !is_empty(cell.as_ref()) && !is_empty(value.as_ref()));
    let mut seen = false;
    for (cell, value) in both {
        seen = true;
        let predicted = choice.predict(cell.as_ref());
        if !matches!((&predicted, value), (Some(a), Some(b)) if equal(a, b)) {
            return true;
        }
    }
    // It was filled where the one that was read was not, or the other way round.
    let filled = column.cells.iter().filter(|cell| !is_empty(cell.as_ref())).count();
    !seen && filled > 0
}

fn assess(column: &Column, request: &Request<'_>, _columns: usize) -> Option<Choice> {
    let mut pairs: Vec<(&Value, &Value)> = Vec::new();
    let (mut both_empty, mut default): (usize, Option<&Value>) = (0, None);
    let mut nothing: Vec<&Value> = Vec::new();
    for (row, expected) in request.known {
        let cell = column.cells.get(*row)?.as_ref();
        match (is_empty(cell), is_empty(*expected)) {
            (true, true) => both_empty += 1,
            (false, false) => pairs.push((cell?, (*expected)?)),
            (false, true) => nothing.push(cell?),
            (true, false) => {
                let value = (*expected)?;
                // Only what itself says nothing may stand for nothing.
                let says_nothing = value == &Value::Bool(false) || value.as_f64() == Some(0.0);
                if !says_nothing || default.is_some_and(|default| !equal(default, value)) {
                    return None;
                }
                default = Some(value);
            }
        }
    }
    let seen_alike = |(new, expected): &(&Value, &Value)| {
        request.lens.and_then(|lens| lens.apply(new)).is_some_and(|new| equal(&new, expected))
    };
    let fits = match !pairs.is_empty() && pairs.iter().all(seen_alike) {
        true => vec![Conversion::Same],
        false => fit(&pairs, request.ingredients.conversions),
    };
    // Only a choice from a list may find nothing in what says something.
    let may_find_nothing = |fit: &Conversion| match fit {
        Conversion::FirstOfLength(_) => nothing.iter().all(|cell| fit.apply(cell).is_none()),
        _ => nothing.is_empty(),
    };
    let recoded = |fit: &Conversion| matches!(fit, Conversion::Table(_) | Conversion::Is(_) | Conversion::Not);
    let fits = fits.into_iter().filter(|fit| !(request.stale && recoded(fit)));
    let conversion = fits.into_iter().find(|fit| may_find_nothing(fit) && is_complete(fit, column, request))?;
    let both_empty = both_empty + nothing.len();
    let support = support(&pairs, both_empty, default.is_some(), &conversion, request.rarity)?;
    let path = column.path.clone();
    Some(Choice { path, with: None, conversion, default: default.cloned(), optional: false, support })
}

/// Whether the conversion can do all that the new field shows, and a recoding gives all that the old field showed: a
/// code that no known entity has would go wrong tomorrow.
fn is_complete(conversion: &Conversion, column: &Column, request: &Request<'_>) -> bool {
    if matches!(conversion, Conversion::Same | Conversion::FirstOfLength(_)) {
        return true;
    }
    let mut filled = column.cells.iter().flatten().filter(|cell| !is_empty(Some(cell)));
    match conversion {
        Conversion::Is(_) => {
            let mut distinct: Vec<&Value> = Vec::new();
            filled.for_each(|cell| {
                if !distinct.contains(&cell) {
                    distinct.push(cell);
                }
            });
            distinct.len() == 2
        }
        Conversion::Table(table) => {
            let gives = |value: &Value| table.iter().any(|(_, to)| equal(to, value));
            let before = request.before.into_iter().flat_map(|(_, values)| values.iter().flatten());
            let before: Vec<&Value> = before.filter(|value| !is_empty(Some(value))).collect();
            let seen = (before.len() + filled.clone().count()).saturating_sub(request.known.len());
            before.into_iter().all(gives)
                && filled.all(|cell| conversion.apply(cell).is_some())
                && has_all_values(table, request.members, seen)
        }
        _ => filled.all(|cell| conversion.apply(cell).is_some()) && added_everywhere(conversion, request),
    }
}

/// Whether a table has all values there are: those that the schema counts up, or as many as would leave hardly a chance
/// for one more to stay unseen so long.
fn has_all_values(table: &[(Value, Value)], members: &[Value], seen: usize) -> bool {
    let given = |member: &Value| table.iter().any(|(_, to)| equal(to, member));
    if !members.is_empty() && members.iter().all(given) || table.iter().all(|(from, _)| from.is_boolean()) {
        return true;
    }
    let values = table.len() as f64;
    (values / (values + 1.0)).powf(seen as f64) < MOST_UNSEEN
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
    (repeated + kept) as f64 * each
}
