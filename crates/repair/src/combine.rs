//! Values that no single field shows: several fields joined, one field or else another, the items of a list joined.
//!
//! Invariant: what is found here gives every known value exactly, and no known value is left out.

use serde_json::Value;

use crate::convert::Conversion;
use crate::factor::scaled;
use crate::pick::{Choice, Pick, Rarity, Request, Support, With, pick};
use crate::table::{Column, Table};
use crate::value::{bits, equal, is_empty};

/// Bits of a text that was put together from fields; each further known text confirms the same way again.
const BITS_OF_TEXT: f64 = 12.0;
const MOST_FIELDS: usize = 4;
/// What stands between two fields is at most this long.
const LONGEST_BETWEEN: usize = 3;
/// Fields looked at, and ways to read the first text that are tried on the others.
const MOST_CANDIDATES: usize = 60;
const MOST_READINGS: usize = 400;
const BETWEEN_ITEMS: [&str; 10] = ["; ", ", ", "\n", " | ", ",", ";", "|", " / ", "/", " "];

pub(crate) fn combined(request: &Request<'_>, table: &Table) -> Vec<Choice> {
    let mut found = joined(request, table);
    if found.is_empty() {
        found = alternatives(request, table);
    }
    if found.is_empty() {
        found = joined_items(request, table);
    }
    if found.is_empty() {
        found = phrases(request, table);
    }
    if found.is_empty() {
        found = scaled(request, table);
    }
    found
}

fn plain(table: &Table) -> impl Iterator<Item = &Column> {
    table
        .columns
        .iter()
        .filter(|column| !column.path.root && !column.path.is_positional() && column.path.literal().is_none())
}

/// The texts that are known, if all that is known is text.
fn known_texts<'a>(request: &Request<'a>) -> Option<Vec<(usize, &'a str)>> {
    let filled = request.known.iter().filter(|(_, value)| !is_empty(*value));
    let texts: Option<Vec<(usize, &str)>> =
        filled.map(|(row, value)| Some((*row, value.and_then(Value::as_str)?))).collect();
    texts.filter(|texts| texts.len() >= 2)
}

fn text_at(column: &Column, row: usize) -> Option<String> {
    let text = Conversion::ToText.apply(column.cells.get(row)?.as_ref()?)?;
    text.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn support_of_texts(known: &[(usize, &str)]) -> Support {
    let mut distinct: Vec<&str> = known.iter().map(|(_, text)| *text).collect();
    distinct.sort_unstable();
    distinct.dedup();
    Support { records: known.len(), values: distinct.len(), bits: distinct.len() as f64 * BITS_OF_TEXT }
}

/// Fields of text joined, such as first and last name.
fn joined(request: &Request<'_>, table: &Table) -> Vec<Choice> {
    let Some(known) = known_texts(request) else { return Vec::new() };
    let (row, whole) = known[0];
    let fields: Vec<(&Column, String)> = plain(table)
        .filter_map(|column| {
            Some((
                column,
                text_at(column, row).filter(|text| text.len() < whole.len() && whole.contains(text.as_str()))?,
            ))
        })
        .take(MOST_CANDIDATES)
        .collect();
    let mut readings = Vec::new();
    read(whole, &fields, &mut Vec::new(), &mut readings);
    let holds = |reading: &&Vec<(String, &Column)>| {
        known.iter().all(|(row, expected)| {
            let mut text = String::new();
            for (between, column) in *reading {
                let Some(part) = text_at(column, *row) else { return false };
                text.push_str(between);
                text.push_str(&part);
            }
            text == *expected
        })
    };
    let support = support_of_texts(&known);
    let choice = |reading: &Vec<(String, &Column)>| {
        let rest = reading[1..].iter().map(|(between, column)| (between.clone(), column.path.clone())).collect();
        Choice { with: Some(With::Then(rest)), support, ..Choice::plain(reading[0].1.path.clone(), Conversion::Same) }
    };
    readings.iter().filter(holds).map(choice).collect()
}

/// Ways to read a text as fields with a few marks between them.
fn read<'c>(
    rest: &str,
    fields: &[(&'c Column, String)],
    taken: &mut Vec<(String, &'c Column)>,
    found: &mut Vec<Vec<(String, &'c Column)>>,
) {
    if rest.is_empty() {
        if taken.len() > 1 {
            found.push(taken.clone());
        }
        return;
    }
    if taken.len() == MOST_FIELDS || found.len() >= MOST_READINGS {
        return;
    }
    let marks = rest.chars().take_while(|c| !c.is_alphanumeric()).count().min(LONGEST_BETWEEN);
    let longest = if taken.is_empty() { 0 } else { marks };
    for length in 0..=longest {
        let between: String = rest.chars().take(length).collect();
        let after = &rest[between.len()..];
        for (column, text) in fields {
            let again = taken.iter().any(|(_, other)| other.path == column.path);
            if let Some(after) = after.strip_prefix(text.as_str()).filter(|_| !again) {
                taken.push((between.clone(), column));
                read(after, fields, taken, found);
                taken.pop();
            }
        }
    }
}

/// One field where it is filled, another where it is not.
fn alternatives(request: &Request<'_>, table: &Table) -> Vec<Choice> {
    let known: Vec<(usize, &Value)> = request
        .known
        .iter()
        .filter_map(|(row, value)| Some((*row, value.filter(|value| !is_empty(Some(value)))?)))
        .collect();
    let through = |cell: &Value| request.lens.and_then(|lens| lens.apply(cell)).unwrap_or_else(|| cell.clone());
    let filled = |column: &Column, row: usize| !is_empty(column.cells.get(row).and_then(Option::as_ref));
    let agrees = |column: &&Column| {
        let mut shown = known
            .iter()
            .filter_map(|(row, value)| Some((column.cells.get(*row)?.as_ref()?, *value)))
            .filter(|(cell, _)| !is_empty(Some(cell)));
        let some = known.iter().any(|(row, _)| filled(column, *row));
        some && shown.all(|(cell, value)| equal(&through(cell), value))
    };
    let silent_with_nothing = |column: &Column| {
        request.known.iter().filter(|(_, value)| is_empty(*value)).all(|(row, _)| !filled(column, *row))
    };
    let candidates: Vec<&Column> =
        plain(table).filter(agrees).filter(|column| silent_with_nothing(column)).take(MOST_CANDIDATES).collect();
    let mut candidates = candidates;
    candidates.sort_by_key(|column| (column.path.steps.len(), column.path.clone()));
    let mut found: Vec<(bool, Choice)> = Vec::new();
    for (index, first) in candidates.iter().enumerate() {
        for second in &candidates[index + 1..] {
            let both = |row: usize| filled(first, row) && filled(second, row);
            let one = |row: usize| filled(first, row) || filled(second, row);
            let each_alone =
                known.iter().any(|(row, _)| !filled(first, *row)) && known.iter().any(|(row, _)| !filled(second, *row));
            // Where both say something, which of them counts is not known.
            if !each_alone || !known.iter().all(|(row, _)| one(*row)) || (0..table.rows()).any(both) {
                continue;
            }
            let mut distinct: Vec<&Value> = Vec::new();
            for (_, value) in &known {
                if !distinct.iter().any(|other| equal(other, value)) {
                    distinct.push(value);
                }
            }
            let bits = distinct.iter().map(|value| bits(value)).sum();
            let support = Support { records: known.len(), values: distinct.len(), bits };
            let choice = Choice {
                with: Some(With::Else(second.path.clone())),
                support,
                ..Choice::plain(first.path.clone(), Conversion::Same)
            };
            found.push((first.path.parent() == second.path.parent(), choice));
        }
    }
    if found.iter().any(|(beside, _)| *beside) {
        found.retain(|(beside, _)| *beside);
    }
    found.into_iter().map(|(_, choice)| choice).collect()
}

/// The items of a list, each as text, with something between them.
fn joined_items(request: &Request<'_>, table: &Table) -> Vec<Choice> {
    let Some(known) = known_texts(request) else { return Vec::new() };
    let mut found = Vec::new();
    for (path, lists) in &table.lists {
        let list = |row: usize| lists.get(row).map_or(&[][..], Vec::as_slice);
        if known.iter().any(|(row, _)| list(*row).is_empty()) || known.iter().all(|(row, _)| list(*row).len() < 2) {
            continue;
        }
        for between in BETWEEN_ITEMS {
            if !known.iter().all(|(row, text)| text.split(between).count() == list(*row).len()) {
                continue;
            }
            let rows: Vec<&Value> = known.iter().flat_map(|(row, _)| list(*row)).collect();
            let parts: Vec<Value> = known.iter().flat_map(|(_, text)| text.split(between)).map(Value::from).collect();
            let of_items = Table::of(&rows, true);
            let expected: Vec<(usize, Option<&Value>)> =
                parts.iter().enumerate().map(|(row, part)| (row, Some(part))).collect();
            let inner = Request {
                known: &expected,
                before: None,
                old_path: None,
                own: &[],
                members: &[],
                codes: &[],
                rarity: &Rarity::of(&parts),
                lens: None,
                outputs: None,
                home: None,
                selector: None,
                ..*request
            };
            if let Pick::One(choice) = pick(&inner, &of_items) {
                let support = Support { records: known.len(), ..choice.support };
                let with = With::Items { inner: Box::new(choice), between: between.to_owned() };
                found.push(Choice { with: Some(with), support, ..Choice::plain(path.clone(), Conversion::Same) });
                break;
            }
        }
    }
    found
}

/// Fields of items that are looked at for phrases between names.
const MOST_PHRASES: usize = 24;

/// The items of a list, each with a text that leads over to the next one.
fn phrases(request: &Request<'_>, table: &Table) -> Vec<Choice> {
    let Some(known) = known_texts(request) else { return Vec::new() };
    let mut found = Vec::new();
    for (path, lists) in &table.lists {
        let list = |row: usize| lists.get(row).map_or(&[][..], Vec::as_slice);
        if known.iter().any(|(row, _)| list(*row).is_empty()) || known.iter().all(|(row, _)| list(*row).len() < 2) {
            continue;
        }
        let rows: Vec<&Value> = known.iter().flat_map(|(row, _)| list(*row)).collect();
        let of_items = Table::of(&rows, false);
        let texts: Vec<&Column> = plain(&of_items)
            .filter(|column| column.cells.iter().flatten().all(Value::is_string))
            .take(MOST_PHRASES)
            .collect();
        let said = |column: &Column, at: usize| {
            column.cells[at].as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let holds = |first: &Column, second: &Column| {
            let mut at = 0;
            known.iter().all(|(row, expected)| {
                let from = at;
                at += list(*row).len();
                let whole: String = (from..at).map(|item| said(first, item) + &said(second, item)).collect();
                whole == *expected
            })
        };
        for first in &texts {
            for second in texts.iter().filter(|second| second.path != first.path && holds(first, second)) {
                let with = With::Phrases { first: first.path.clone(), second: second.path.clone() };
                let support = support_of_texts(&known);
                found.push(Choice { with: Some(with), support, ..Choice::plain(path.clone(), Conversion::Same) });
            }
        }
    }
    found
}
