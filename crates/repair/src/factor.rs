//! Numbers that a field beside them scales or signs: minor units and their divisor, a value and its power of ten, an amount
//! and whether it was taken or given.
//!
//! Invariant: the other field is filled and understood in every row that has the number, known or not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::convert::{Conversion, round_to};
use crate::fit::DECIMALS_WITHOUT_DUST;
use crate::forms::chance_of_no_sign;
use crate::names::tokens;
use crate::path::FieldPath;
use crate::pick::{Choice, Pick, Request, Support, With};
use crate::table::{Column, Table};
use crate::value::{as_number, bits, equal, is_empty, plain_number};

/// How another field makes the number what it was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Factor {
    Over,
    Times,
    /// Times ten to the power of the other field.
    PowerOfTen,
    /// Divided by ten to the power of the other field.
    OverPowerOfTen,
    /// Taken from nothing where the other field has one of these.
    MinusWhere(Vec<Value>),
}

/// Different ratios that a number and what it was have to stand in: one alone is a unit.
const FEWEST_RATIOS: usize = 2;
/// Bits beyond the fields that were tried.
const BITS_NEEDED: f64 = 10.0;
/// Words of a field that tells signs, at most.
const MOST_SIGNS: usize = 4;
/// Rows beyond those that taught the words of signs, if the words are not known.
const ROWS_OF_SIGNS: f64 = 4.0;
const MINUS: [&str; 13] = [
    "debit",
    "dbit",
    "dr",
    "d",
    "out",
    "outgoing",
    "outbound",
    "withdrawal",
    "expense",
    "minus",
    "negative",
    "-",
    "decrease",
];
const PLUS: [&str; 13] = [
    "credit", "crdt", "cr", "c", "in", "incoming", "inbound", "deposit", "income", "plus", "positive", "+", "increase",
];
/// Words of a field that holds a power of ten.
const EXPONENTS: [&str; 9] =
    ["exponent", "unit", "scale", "precision", "decimal", "decimals", "digit", "power", "subunit"];

/// Words of a field that holds what a number is divided by, or multiplied with.
const DIVISORS: [&str; 6] = ["divisor", "denominator", "factor", "multiplier", "scale", "subunit"];

impl Factor {
    pub(crate) const KINDS: [Self; 4] = [Self::Over, Self::Times, Self::PowerOfTen, Self::OverPowerOfTen];

    fn apply(&self, number: f64, by: &Value) -> Option<f64> {
        if let Self::MinusWhere(words) = self {
            let minus = words.iter().any(|word| equal(word, by));
            return Some(if minus { -number } else { number });
        }
        let by = numeric(by)?;
        let whole = by.fract() == 0.0 && by.abs() <= 12.0;
        Some(match self {
            Self::Over if by != 0.0 => number / by,
            Self::Times => round_to(number * by, DECIMALS_WITHOUT_DUST),
            Self::PowerOfTen if whole => round_to(number * 10f64.powf(by), DECIMALS_WITHOUT_DUST),
            Self::OverPowerOfTen if whole => round_to(number / 10f64.powf(by), DECIMALS_WITHOUT_DUST),
            _ => return None,
        })
    }

    /// JSONata of the number `x` with the other field `by`.
    pub(crate) fn render(&self, x: &str, by: &str) -> String {
        let decimals = DECIMALS_WITHOUT_DUST;
        match self {
            Self::Over => format!("{x} / {by}"),
            Self::Times => format!("$round({x} * {by}, {decimals})"),
            Self::PowerOfTen => format!("$round({x} * $power(10, {by}), {decimals})"),
            Self::OverPowerOfTen => format!("$round({x} / $power(10, {by}), {decimals})"),
            Self::MinusWhere(words) => match words.as_slice() {
                [word] => format!("{by} = {word} ? -{x} : {x}"),
                words => format!("{by} in {} ? -{x} : {x}", Value::from(words)),
            },
        }
    }
}

fn numeric(value: &Value) -> Option<f64> {
    as_number(value).or_else(|| plain_number(value.as_str()?))
}

fn is_plain(column: &Column) -> bool {
    !column.path.root && !column.path.is_positional()
}

/// Numbers of the table that another field beside them makes what is known.
pub(crate) fn scaled(request: &Request<'_>, table: &Table) -> Vec<Choice> {
    let filled = request.known.iter().filter(|(_, value)| !is_empty(*value));
    let known: Option<Vec<(usize, f64)>> =
        filled.map(|(row, value)| Some((*row, value.and_then(as_number)?))).collect();
    let Some(known) = known.filter(|known| known.len() >= 2) else { return Vec::new() };
    let silent = request.known.iter().filter(|(_, value)| is_empty(*value)).map(|(row, _)| *row);
    let silent: Vec<usize> = silent.collect();
    let numbers = |column: &&Column| {
        let says = |row: &usize| !is_empty(column.cells.get(*row).and_then(Option::as_ref));
        is_plain(column)
            && known.iter().all(|(row, _)| number_at(column, *row).is_some())
            && !silent.iter().any(says)
            && column.cells.iter().flatten().all(|cell| is_empty(Some(cell)) || numeric(cell).is_some())
    };
    let numbers: Vec<&Column> = table.columns.iter().filter(numbers).collect();
    let mut found = Vec::new();
    for number in &numbers {
        let companions: Vec<&Column> = table.columns.iter().filter(|other| stands_beside(other, number)).collect();
        let tried = (numbers.len() * companions.len().max(1) * Factor::KINDS.len()) as f64;
        let factors = ratios(number, &known).filter(|ratios| *ratios >= FEWEST_RATIOS);
        for other in factors.iter().flat_map(|_| &companions) {
            let kinds = Factor::KINDS.into_iter().filter(|how| explains(how, number, other, &known));
            found.extend(kinds.filter_map(|how| choice(number, other, how, &known, tried)));
        }
        found.extend(signed(number, &companions, &known, tried));
    }
    found
}

fn number_at(column: &Column, row: usize) -> Option<f64> {
    column.cells.get(row)?.as_ref().and_then(numeric)
}

/// In the object of the number, or in one around it.
fn stands_beside(other: &Column, number: &Column) -> bool {
    let around = other.path.parent();
    let texts = other.cells.iter().flatten().all(|cell| !cell.is_array() && !cell.is_object());
    is_plain(other) && texts && other.path != number.path && number.path.parent().steps.starts_with(&around.steps)
}

/// In how many ratios the number stands to what it was.
fn ratios(number: &Column, known: &[(usize, f64)]) -> Option<usize> {
    let mut ratios: Vec<f64> = Vec::new();
    for (row, expected) in known {
        let now = number_at(number, *row)?;
        if now == 0.0 || *expected == 0.0 {
            if now != *expected {
                return None;
            }
            continue;
        }
        let ratio = expected / now;
        if !ratios.iter().any(|other| (other / ratio - 1.0).abs() < 1e-9) {
            ratios.push(ratio);
        }
    }
    Some(ratios.len())
}

fn explains(how: &Factor, number: &Column, other: &Column, known: &[(usize, f64)]) -> bool {
    let gives = |row: usize| how.apply(number_at(number, row)?, other.cells.get(row)?.as_ref()?);
    let rows = 0..number.cells.len();
    known.iter().all(|(row, expected)| gives(*row) == Some(*expected))
        && rows.into_iter().all(|row| number_at(number, row).is_none() || gives(row).is_some())
}

fn choice(number: &Column, other: &Column, how: Factor, known: &[(usize, f64)], tried: f64) -> Option<Choice> {
    let values: BTreeSet<String> = known.iter().map(|(_, value)| value.to_string()).collect();
    let said: f64 =
        values.iter().filter_map(|text| text.parse::<f64>().ok()).map(|n| bits(&Value::from(n.abs()))).sum();
    let bits = said - tried.log2();
    let support = Support { records: known.len(), values: values.len(), bits };
    let with = With::Factor { by: other.path.clone(), how, by_text: has_text(other) };
    let conversion = if has_text(number) { Conversion::ToNumber } else { Conversion::Same };
    let choice = Choice { with: Some(with), support, ..Choice::plain(number.path.clone(), conversion) };
    (bits >= BITS_NEEDED).then_some(choice)
}

fn has_text(column: &Column) -> bool {
    column.cells.iter().flatten().any(Value::is_string)
}

/// The number without its sign, and a field that tells the sign. Several that tell it as well are a tie, unless one alone
/// speaks of signs.
fn signed(number: &Column, companions: &[&Column], known: &[(usize, f64)], tried: f64) -> Vec<Choice> {
    let unsigned = |(row, expected): &(usize, f64)| number_at(number, *row).is_some_and(|now| now == expected.abs());
    let both = known.iter().any(|(_, value)| *value < 0.0) && known.iter().any(|(_, value)| *value > 0.0);
    if !both || !known.iter().all(unsigned) {
        return Vec::new();
    }
    let mut found: Vec<(bool, Choice)> = Vec::new();
    for other in companions {
        let Some(words) = words_of_minus(other, number, known) else { continue };
        let speaks = is_of_signs(other, &words);
        let rows = known.iter().filter(|(_, value)| *value != 0.0).count() as f64;
        let sure = rows - MOST_SIGNS as f64 - (companions.len() as f64).log2() >= ROWS_OF_SIGNS;
        let how = Factor::MinusWhere(words);
        if (speaks || sure)
            && explains(&how, number, other, known)
            && let Some(choice) = choice(number, other, how, known, tried)
        {
            found.push((speaks, choice));
        }
    }
    if found.iter().filter(|(speaks, _)| *speaks).count() == 1 {
        found.retain(|(speaks, _)| *speaks);
    }
    found.into_iter().map(|(_, choice)| choice).collect()
}

/// What the field says where the number was below zero, if it says that nowhere else and nothing that is not known.
fn words_of_minus(other: &Column, number: &Column, known: &[(usize, f64)]) -> Option<Vec<Value>> {
    let word = |row: usize| other.cells.get(row)?.as_ref().filter(|cell| cell.is_string() || cell.is_boolean());
    let (mut minus, mut plus): (Vec<&Value>, Vec<&Value>) = (Vec::new(), Vec::new());
    for (row, expected) in known.iter().filter(|(_, value)| *value != 0.0) {
        let side = if *expected < 0.0 { &mut minus } else { &mut plus };
        let word = word(*row)?;
        if !side.contains(&word) {
            side.push(word);
        }
    }
    let is_known = |row: usize| word(row).is_some_and(|word| minus.contains(&word) || plus.contains(&word));
    let all = (0..other.cells.len()).all(|row| number_at(number, row).is_none() || is_known(row));
    let apart = !minus.iter().any(|word| plus.contains(word));
    (all && apart && minus.len() + plus.len() <= MOST_SIGNS).then(|| minus.into_iter().cloned().collect())
}

fn is_of_signs(other: &Column, minus: &[Value]) -> bool {
    let others = other.cells.iter().flatten().filter(|cell| !minus.iter().any(|word| equal(word, cell)));
    minus.iter().all(|word| is_one(word, &MINUS)) && others.into_iter().all(|word| is_one(word, &PLUS))
}

fn is_one(word: &Value, of: &[&str]) -> bool {
    word.as_str().is_some_and(|text| of.contains(&text.trim().to_lowercase().as_str()))
}

/// The new field that may tell the sign of numbers which were below zero now and then and never are now: one whose words
/// are those of signs, or one of few words if it is no chance.
pub(crate) fn sign_elsewhere<'t>(
    old: &Table,
    new: &'t Table,
    before: &[Option<Value>],
    now: &[Option<Value>],
) -> Option<&'t FieldPath> {
    let chance = chance_of_no_sign(before, now)?;
    let tells = |column: &&Column| {
        let mut words: Vec<&Value> = column.cells.iter().flatten().collect();
        words.sort_by_key(|word| word.to_string());
        words.dedup();
        let single = words.iter().all(|word| word.is_string() || word.is_boolean());
        let of_signs = !words.is_empty() && words.iter().all(|word| is_one(word, &MINUS) || is_one(word, &PLUS));
        let few = (2..=MOST_SIGNS).contains(&words.len()) && chance < MOST_UNSIGNED;
        single && (of_signs || few) && old.get(&column.path).is_none()
    };
    new.columns.iter().find(tells).map(|column| &column.path)
}

/// The chance that no number below zero is seen, from which on it counts as one.
const MOST_UNSIGNED: f64 = 0.005;

/// A number in another power of ten, beside a field that says which for the known rows: read it there, it may be another
/// one tomorrow. A field that says so under no name of the kind, and something else elsewhere, is a rival.
pub(crate) fn said_beside(choice: Choice, request: &Request<'_>, table: &Table) -> Pick {
    let (power, conversion) = match &choice.conversion {
        Conversion::Scale { power, .. } => (*power, Conversion::Same),
        Conversion::Chain(chain) => match chain.as_slice() {
            [Conversion::ToNumber, Conversion::Scale { power, .. }] => (*power, Conversion::ToNumber),
            _ => return Pick::One(choice),
        },
        _ => return Pick::One(choice),
    };
    let Some(number) = table.get(&choice.path).filter(|_| choice.with.is_none() && power != 0) else {
        return Pick::One(choice);
    };
    let beside = table.columns.iter().filter(|other| stands_beside(other, number) && !is_empty_everywhere(other));
    let (mut told, mut rivals) = (Vec::new(), Vec::new());
    for other in beside {
        let Some((how, named)) = says(other, number, power, request) else { continue };
        let with = With::Factor { by: other.path.clone(), how, by_text: has_text(other) };
        let scaled = Choice { with: Some(with), conversion: conversion.clone(), ..choice.clone() };
        if named { told.push(scaled) } else { rivals.push(scaled) }
    }
    match (told.len(), rivals.is_empty()) {
        (1, _) => told.pop().map_or(Pick::None, Pick::One),
        (0, true) => Pick::One(choice),
        _ => Pick::Tied(std::iter::once(choice).chain(told).chain(rivals).collect()),
    }
}

/// How the other field says the power, and whether by its name it is one that does.
fn says(other: &Column, number: &Column, power: i32, request: &Request<'_>) -> Option<(Factor, bool)> {
    let value = |row: usize| other.cells.get(row)?.as_ref().and_then(numeric);
    let known: Option<Vec<f64>> =
        request.known.iter().map(|(row, _)| *row).filter(|row| number_at(number, *row).is_some()).map(&value).collect();
    let known = known.filter(|known| !known.is_empty())?;
    let words = tokens(other.path.last_key());
    let called = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let power = f64::from(power);
    let ways = [
        (Factor::PowerOfTen, power, called(&EXPONENTS)),
        (Factor::OverPowerOfTen, -power, called(&EXPONENTS)),
        (Factor::Over, 10f64.powf(-power), called(&DIVISORS)),
        (Factor::Times, 10f64.powf(power), called(&DIVISORS)),
    ];
    let rows = || (0..number.cells.len()).filter(|row| number_at(number, *row).is_some());
    let understood = rows().all(|row| value(row).is_some());
    ways.into_iter().filter(|_| understood).find_map(|(how, meant, named)| {
        let agrees = known.iter().all(|value| *value == meant);
        // A page of a hundred is no divisor, and what is the same everywhere is no rival.
        let varies = meant.abs() >= 10.0 && rows().any(|row| value(row) != Some(meant));
        (agrees && (named || varies)).then_some((how, named))
    })
}

fn is_empty_everywhere(column: &Column) -> bool {
    column.cells.iter().all(|cell| is_empty(cell.as_ref()))
}

/// The other field as JSONata that gives its number.
pub(crate) fn other_text(by: &FieldPath, how: &Factor, by_text: bool, prefix: &str) -> String {
    let text = by.render(prefix);
    match how {
        Factor::MinusWhere(_) => text,
        _ if by_text => format!("$number({text})"),
        _ => text,
    }
}
