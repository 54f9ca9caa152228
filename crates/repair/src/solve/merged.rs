//! Values that stood in fields of their own and stand together in one text now, such as a postcode and its town.
//!
//! Each alone may be a small number that says little; that a text is made of just these, on all known rows, says much.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Resolution, Seen, Solver};
use crate::convert::Conversion;
use crate::evidence::Evidence;
use crate::fit::SEPARATORS;
use crate::join::Pair;
use crate::pick::Choice;
use crate::rows::Level;
use crate::table::Column;
use crate::value::{as_number, bits, is_empty, plain_number};

/// Known rows, and different texts, that a text has to be made of the old values in.
const FEWEST_ROWS: usize = 3;
const FEWEST_TEXTS: usize = 2;
/// Bits beyond those of the fields, the orders and the separators that were tried.
const BITS_NEEDED: f64 = 12.0;
const MOST_PARTS: usize = 4;

/// A text, and which atom each of its parts is, by which conversion.
struct Merged<'a> {
    column: &'a Column,
    parts: Vec<(usize, Conversion)>,
    records: usize,
    values: usize,
    bits: f64,
}

impl Solver<'_> {
    /// What is known of values that are parts of one text now; nothing for those that two texts would explain.
    pub(super) fn merged(&self, seen: &[Seen]) -> Vec<Option<Resolution>> {
        let mut found: Vec<Option<Resolution>> = vec![None; seen.len()];
        if !(self.ingredients.conversions && self.ingredients.overlap) {
            return found;
        }
        for (context, level) in self.levels.iter().enumerate() {
            let open: Vec<usize> = (0..seen.len())
                .filter(|index| self.reading.atoms[*index].context == context && is_gone(&seen[*index], level))
                .collect();
            if open.len() < 2 || level.is_stale() {
                continue;
            }
            let all: Vec<Merged<'_>> = level
                .new_table
                .columns
                .iter()
                .filter(|column| may_be_made(column, level))
                .filter_map(|column| {
                    SEPARATORS.iter().find_map(|separator| merged_in(column, separator, &open, seen, level))
                })
                .collect();
            for merged in &all {
                let twice =
                    |atom: &usize| all.iter().filter(|other| other.parts.iter().any(|(a, _)| a == atom)).count() > 1;
                if merged.parts.iter().any(|(atom, _)| twice(atom)) {
                    continue;
                }
                for (atom, conversion) in &merged.parts {
                    let choice = Choice::plain(merged.column.path.clone(), conversion.clone());
                    let optional = seen[*atom].old.iter().any(|value| is_empty(value.as_ref()));
                    let evidence =
                        Evidence::Proven { records: merged.records, values: merged.values, bits: merged.bits };
                    found[*atom] = Some(Resolution::new(Some(Choice { optional, ..choice }), evidence));
                }
            }
        }
        found
    }
}

/// Whether none of the known rows shows the value where it was.
fn is_gone(seen: &Seen, level: &Level) -> bool {
    let single = seen.old.iter().flatten().all(|value| value.is_string() || value.is_number());
    let shows = |pair: &Pair| {
        let (was, is) = (seen.old[pair.old].as_ref(), seen.new[pair.new].as_ref());
        !is_empty(is) && is == was
    };
    !seen.container && single && !level.fresh().any(shows)
}

/// A field that was not there before, or was something else.
fn may_be_made(column: &Column, level: &Level) -> bool {
    let plain = !column.path.root && !column.path.is_positional() && column.path.literal().is_none();
    let text = column.cells.iter().flatten().all(Value::is_string);
    plain && text && (level.old_table.get(&column.path).is_none() || level.changed.contains(&column.path))
}

fn merged_in<'a>(
    column: &'a Column,
    separator: &str,
    open: &[usize],
    seen: &[Seen],
    level: &Level,
) -> Option<Merged<'a>> {
    let rows: Vec<(&str, usize)> = level
        .fresh()
        .filter_map(|pair| Some((column.cells[pair.new].as_ref()?.as_str().filter(|text| !text.is_empty())?, pair.old)))
        .collect();
    let (text, _) = rows.first()?;
    let count = text.split(separator).count();
    let mut ways: Vec<Vec<Conversion>> = Vec::new();
    if (2..=MOST_PARTS).contains(&count) {
        let part = |place: usize| Conversion::Part {
            separator: separator.to_owned(),
            place: if place + 1 == count { -1 } else { place as i64 },
        };
        ways.push((0..count).map(part).collect());
    }
    let (first, last) = (
        Conversion::Part { separator: separator.to_owned(), place: 0 },
        Conversion::Part { separator: separator.to_owned(), place: -1 },
    );
    ways.push(vec![first, Conversion::Behind(separator.to_owned())]);
    ways.push(vec![Conversion::Before(separator.to_owned()), last]);
    let tried = (level.new_table.columns.len() * SEPARATORS.len() * ways.len()) as f64;
    ways.into_iter().find_map(|way| {
        let parts: Option<Vec<(usize, Conversion)>> =
            way.iter().map(|part| only_atom(part, &rows, open, seen, separator)).collect();
        let parts = parts?;
        let atoms: BTreeSet<usize> = parts.iter().map(|(atom, _)| *atom).collect();
        let all = column.cells.iter().flatten().filter(|cell| !is_empty(Some(cell)));
        let texts: BTreeSet<&str> = rows.iter().map(|(text, _)| *text).collect();
        let said = |text: &&str| bits(&Value::from(*text)).min(20.0);
        let orders = (open.len() as f64).log2() * parts.len() as f64;
        let bits = texts.iter().map(said).sum::<f64>() - tried.log2() - orders;
        let holds = atoms.len() == parts.len()
            && all.clone().all(|cell| parts.iter().all(|(_, part)| part.apply(cell).is_some()))
            && all
                .clone()
                .all(|cell| way.len() == 2 || cell.as_str().is_some_and(|t| t.split(separator).count() == count))
            && rows.len() >= FEWEST_ROWS
            && texts.len() >= FEWEST_TEXTS
            && bits >= BITS_NEEDED;
        holds.then_some(Merged { column, parts, records: rows.len(), values: texts.len(), bits })
    })
}

/// The one atom whose old values are this part of the text on all known rows, and which could have been it on all
/// remembered ones.
fn only_atom(
    part: &Conversion,
    rows: &[(&str, usize)],
    open: &[usize],
    seen: &[Seen],
    separator: &str,
) -> Option<(usize, Conversion)> {
    let whole = matches!(part, Conversion::Part { .. });
    let is_it = |atom: &&usize| {
        let old = &seen[**atom].old;
        let same = |(text, row): &(&str, usize)| {
            let shown = part.apply(&Value::from(*text));
            shown.is_some_and(|shown| old[*row].as_ref().is_some_and(|old| reads_as(&shown, old)))
        };
        let fits = |value: &Value| !whole || !value.as_str().is_some_and(|text| text.contains(separator));
        rows.iter().all(same) && old.iter().flatten().all(fits)
    };
    let mut fitting = open.iter().filter(is_it);
    let atom = *fitting.next()?;
    let number = seen[atom].old.iter().flatten().all(Value::is_number);
    let part = part.clone();
    let conversion = if number { Conversion::Chain(vec![part, Conversion::ToNumber]) } else { part };
    fitting.next().is_none().then_some((atom, conversion))
}

fn reads_as(shown: &Value, old: &Value) -> bool {
    match (shown.as_str(), as_number(old)) {
        (Some(text), Some(number)) => plain_number(text) == Some(number),
        _ => shown == old,
    }
}
