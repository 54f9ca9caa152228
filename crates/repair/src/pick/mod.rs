//! The field of the new rows that shows what known entities showed, and whether another one would do as well.

mod assess;
mod choice;

use std::collections::HashSet;

use serde_json::Value;

use crate::combine::combined;
use crate::convert::{Conversion, items};
use crate::factor::{said_beside, sign_elsewhere};
use crate::forms::{self, Form};
use crate::names::Likeness;
use crate::path::FieldPath;
use crate::settings::Ingredients;
use crate::settle::{has_namesake, rank, settle, vocabulary_bits};
use crate::table::{Column, Table};
use crate::value::{equal, equal_options, is_empty};

pub(crate) use choice::{Choice, Rarity, Support, With};

use assess::assess;

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
    /// Fields that show something else for every known row: what they were before says nothing.
    pub(crate) changed: &'a HashSet<FieldPath>,
    /// The known rows are later states: what is recoded cannot be told from what went on.
    pub(crate) stale: bool,
    /// What the mapping does to the value: known values have gone through it, those of the table have not.
    pub(crate) lens: Option<&'a Conversion>,
    /// What the expressions around the value make of it, where that is known.
    pub(crate) outputs: Option<Outputs<'a>>,
    /// The object that most of what was read beside it stands in now.
    pub(crate) home: Option<&'a FieldPath>,
    /// The selector under which all literals of the old selectors are found again.
    pub(crate) selector: Option<&'a [String]>,
    pub(crate) ingredients: Ingredients,
}

/// Fields of the output that are made of one value and of nothing else.
pub(crate) struct Outputs<'a> {
    /// Beside what is known of the value, what is known of the outputs; nothing where all of them are empty.
    pub(crate) known: Vec<Option<Value>>,
    /// The outputs for a value of a row.
    pub(crate) of: &'a dyn Fn(usize, Option<&Value>) -> Option<Value>,
    pub(crate) rarity: Rarity,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once")]
pub(crate) enum Pick {
    One(Choice),
    /// Several that cannot be told apart, the likeliest first.
    Tied(Vec<Choice>),
    None,
}

/// What a flag differs by from other values, in bits.
const MORE_FOR_FLAGS: f64 = 2.0;
const LESS_FOR_FLAGS: f64 = 1.5;

pub(crate) fn pick(request: &Request<'_>, table: &Table) -> Pick {
    let filled = request.known.iter().filter(|(_, value)| !is_empty(*value)).count();
    if filled == 0 {
        return Pick::None;
    }
    let mut choices: Vec<Choice> = table
        .columns
        .iter()
        .flat_map(|column| assess(column, request))
        .map(|choice| counts_the_list(choice, table))
        .filter(|choice| !was_something_else(choice, request, table) && keeps_sign(choice, request, table))
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
    // What is the same on all known rows could not have agreed with values that are not.
    let several = request.known.iter().any(|(_, value)| !equal_options(*value, request.known[0].1));
    let varies = |column: &&Column| {
        let cell = |row: usize| column.cells.get(row).and_then(Option::as_ref);
        let mut cells = request.known.iter().map(|(row, _)| cell(*row));
        let first = cells.next().flatten();
        !several || cells.any(|cell| !equal_options(cell, first))
    };
    let could_be = |column: &&Column| !before(column) && alike(column) && varies(column);
    let eligible = table.columns.iter().filter(could_be).count();
    let any = table.columns.iter().filter(|column| !before(column)).count();
    let chance = (1.0 + eligible as f64).log2();
    let bits = request.ingredients.thresholds;
    let enough = |choice: &Choice| {
        let named = rank(choice, request) >= Likeness::Close;
        let needed = match (named, form) {
            (true, Some(Form::Flag)) => bits.named + MORE_FOR_FLAGS,
            (true, _) => bits.named,
            // Each row of a flag counts for more than one bit, so that chance takes fewer of them.
            (false, Some(Form::Flag)) => bits.unnamed - LESS_FOR_FLAGS + chance,
            (false, _) => bits.unnamed + chance,
        };
        // One value that many rows have says nothing, whatever the names.
        // A field of the very name may have been recoded; another one needs more than chance to be it.
        // A table can be made of a field of any form.
        let more = (1.0 + any as f64).log2() - chance;
        let needed = if matches!(choice.conversion, Conversion::Table(_) | Conversion::Present) && !named {
            needed + more
        } else {
            needed
        };
        let needed = if request.stale { needed + bits.later } else { needed };
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
    let by_name = !choices.iter().any(|choice| choice.support.bits - learned(choice) >= bits.unnamed + chance);
    choices.retain(|choice| {
        let fits_as_it_is = choice.conversion == Conversion::Same && !choice.path.is_positional();
        enough(choice) || (by_name && fits_as_it_is && choice.path.literal().is_none())
    });
    if !request.ingredients.ambiguity {
        return Pick::One(choices.swap_remove(0));
    }
    match settle(choices, request, table) {
        Pick::One(choice) if request.ingredients.structure => said_beside(choice, request, table),
        other => other,
    }
}

/// Items are counted as such, if all of them have the field by which they were.
fn counts_the_list(choice: Choice, table: &Table) -> Choice {
    let around = choice.path.parent();
    let full = |(path, lists): &(FieldPath, Vec<Vec<Value>>)| {
        let cells = table.get(&choice.path).map(|column| &column.cells);
        let counts = cells.into_iter().flatten().map(|cell| cell.as_ref().map_or(0, |cell| items(cell).len()));
        *path == around && lists.iter().map(Vec::len).eq(counts)
    };
    match choice.conversion == Conversion::Count && table.lists.iter().any(full) {
        true => Choice { path: around, ..choice },
        false => choice,
    }
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

/// Whether no other field may tell the sign that the chosen one does not show; a known number below zero settles it.
fn keeps_sign(choice: &Choice, request: &Request<'_>, now: &Table) -> bool {
    let Some((table, before)) = request.before else { return true };
    let below = |value: &Value| value.as_f64().is_some_and(|number| number < 0.0);
    let Some(column) = now.get(&choice.path).filter(|_| choice.with.is_none()) else { return true };
    let shown: Vec<Option<Value>> = column.cells.iter().map(|cell| choice.predict(cell.as_ref())).collect();
    request.known.iter().any(|(_, value)| value.is_some_and(below))
        || sign_elsewhere(table, now, before, &shown).is_none()
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
    let other_form = || form.is_some() && form != forms::common(&column.cells);
    if strong && (request.redefined || request.changed.contains(&choice.path) || other_form()) {
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
