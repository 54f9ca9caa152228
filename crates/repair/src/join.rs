//! Which new row shows the entity of which remembered row.
//!
//! Slugs, names and small numbers recur, so one shared value is nothing. Rows are partners when they share two or more
//! different, rare values, and no other remembered row comes close. A value that both rows show under the same name says
//! more, because it was not looked for in all fields.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::convert::items;
use crate::names::own_name;
use crate::path::{FieldPath, Step};
use crate::settings::Thresholds;
use crate::table::{Column, Table};
use crate::value::{bits, lookup_keys};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) old: usize,
    pub(crate) new: usize,
    /// No moment of the old row is missing in the new one: it is the same observation, not a later state.
    pub(crate) fresh: bool,
}

/// Items of a list that are looked at.
const MOST_ITEMS: usize = 20;
/// More for a value under the same name.
const BITS_OF_NAME: f64 = 4.0;

/// A value of a row, under the name of its field.
struct Key {
    row: usize,
    column: usize,
    text: String,
    name: String,
    weight: f64,
}

/// What the new row shows of a value: how much it says, in which fields it stands, and what they are called.
#[derive(Default)]
struct Shown {
    weight: f64,
    columns: HashSet<usize>,
    names: HashSet<String>,
}

/// What speaks for two rows being the same.
#[derive(Default, Clone)]
struct Vote {
    values: usize,
    columns: HashSet<usize>,
    weight: f64,
}

/// `reads`: what the mapping reads of the rows. `outputs`: what it makes of the old ones, which new rows may show, too.
pub(crate) fn join(
    old: &Table,
    new: &Table,
    reads: &[FieldPath],
    outputs: &[Output],
    thresholds: Thresholds,
) -> Vec<Pair> {
    let mut index: HashMap<String, Vec<(usize, String)>> = HashMap::new();
    let mut each_old: Vec<HashSet<String>> = vec![HashSet::new(); old.rows()];
    for key in keys(old).into_iter().chain(keys_of_outputs(outputs)) {
        each_old[key.row].insert(key.text.clone());
        let rows = index.entry(key.text).or_default();
        if !rows.iter().any(|(row, name)| *row == key.row && *name == key.name) {
            rows.push((key.row, key.name));
        }
    }
    let rare = (old.rows() / 12).max(2);
    index.retain(|_, rows| rows.iter().map(|(row, _)| row).collect::<HashSet<_>>().len() <= rare);
    let mut each_new: Vec<HashMap<String, Shown>> = (0..new.rows()).map(|_| HashMap::new()).collect();
    let mut spread: HashMap<String, usize> = HashMap::new();
    for key in keys(new) {
        let known = each_new[key.row].len();
        let shown = each_new[key.row].entry(key.text.clone()).or_default();
        shown.weight = shown.weight.max(key.weight);
        shown.columns.insert(key.column);
        shown.names.insert(key.name);
        if each_new[key.row].len() > known {
            *spread.entry(key.text).or_default() += 1;
        }
    }
    let rare_new = (new.rows() / 6).max(2);
    let mut pairs = Vec::new();
    for (new_row, keys) in each_new.iter().enumerate() {
        let mut votes: HashMap<usize, Vote> = HashMap::new();
        for (key, shown) in keys {
            let Some(rows) = index.get(key).filter(|_| spread[key] <= rare_new) else { continue };
            for row in rows.iter().map(|(row, _)| *row).collect::<HashSet<_>>() {
                let same_name = rows.iter().any(|(other, name)| *other == row && shown.names.contains(name));
                let vote = votes.entry(row).or_default();
                vote.values += 1;
                vote.columns.extend(&shown.columns);
                vote.weight += shown.weight + if same_name { BITS_OF_NAME } else { 0.0 };
            }
        }
        let mut ranked: Vec<_> = votes.into_iter().collect();
        ranked.sort_by(|a, b| b.1.weight.total_cmp(&a.1.weight).then(a.0.cmp(&b.0)));
        let Some((old_row, best)) = ranked.first().cloned() else { continue };
        let (count, weight) = (best.values.min(best.columns.len()), best.weight);
        let second = ranked.get(1).map_or(0.0, |(_, vote)| vote.weight);
        if count >= 2 && weight >= thresholds.entity && second < weight * 0.7 {
            let now: HashSet<String> = keys.keys().cloned().collect();
            let by_identifier = shared_identifier(keys, old_row, &index, &spread, rare_new);
            if !by_identifier && reads_otherwise(reads, (old, old_row), (new, new_row)) {
                continue;
            }
            let fresh = is_fresh(&each_old[old_row], &now);
            pairs.push(Pair { old: old_row, new: new_row, fresh });
        } else if second == 0.0 && is_same_key(reads, (old, old_row), (new, new_row)) {
            let now: HashSet<String> = keys.keys().cloned().collect();
            pairs.push(Pair { old: old_row, new: new_row, fresh: is_fresh(&each_old[old_row], &now) });
        }
    }
    pairs
}

/// Bits by which an identifier has to be rarer than chance over all pairs of rows.
const BITS_OF_KEY: f64 = 9.0;

/// Whether the one identifier that the mapping reads is the same, at the same place, and no other one differs.
fn is_same_key(reads: &[FieldPath], old: (&Table, usize), new: (&Table, usize)) -> bool {
    let identifier = |(table, row): (&Table, usize), path: &FieldPath| {
        let column = table.get(path).filter(|column| tells_rows_apart(column))?;
        let cell = column.cells[row].as_ref().filter(|cell| !cell.is_array())?;
        lookup_keys(cell).into_iter().find(|key| is_identifier(key))
    };
    let both: Vec<(String, String)> =
        reads.iter().filter_map(|path| Some((identifier(old, path)?, identifier(new, path)?))).collect();
    let digits = |key: &str| key.bytes().filter(u8::is_ascii_digit).count() as f64 * 3.3;
    let chance = ((old.0.rows() * new.0.rows()).max(1) as f64).log2();
    !both.is_empty()
        && both.iter().all(|(before, now)| before == now || is_rescaled(before, now))
        && both.iter().any(|(before, now)| before == now && digits(before) >= chance + BITS_OF_KEY)
}

/// Whether these are numbers of the same digits, in another unit: what is measured in milliseconds is no other
/// observation in microseconds.
fn is_rescaled(before: &str, now: &str) -> bool {
    let digits = |key: &str| key.strip_prefix('n').map(|number| number.trim_end_matches('0').to_owned());
    digits(before).zip(digits(now)).is_some_and(|(before, now)| before == now && before.len() >= 5)
}

/// Whether the rows share a value that looks like an identifier; people, titles and places recur.
fn shared_identifier(
    keys: &HashMap<String, Shown>,
    old_row: usize,
    index: &HashMap<String, Vec<(usize, String)>>,
    spread: &HashMap<String, usize>,
    rare: usize,
) -> bool {
    keys.keys()
        .filter(|key| spread[*key] <= rare && is_identifier(key))
        .any(|key| index.get(key).is_some_and(|rows| rows.iter().any(|(row, _)| *row == old_row)))
}

fn is_identifier(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    match key.strip_prefix('s') {
        Some(text) => text.len() >= 5 && digits >= 2 && !text.contains(' '),
        None => key.starts_with('n') && digits >= 5 && !key.contains('.'),
    }
}

/// Whether what the mapping reads agrees no more than it differs, where it still stands.
fn reads_otherwise(reads: &[FieldPath], old: (&Table, usize), new: (&Table, usize)) -> bool {
    let says = |(table, row): (&Table, usize), path: &FieldPath| {
        let cell = table.get(path)?.cells[row].as_ref()?;
        let telling = items(cell).iter().take(MOST_ITEMS).filter(|item| bits(item) >= 5.0);
        let keys: Vec<String> = telling.flat_map(lookup_keys).collect();
        (!keys.is_empty()).then_some(keys)
    };
    let same = reads.iter().filter_map(|path| {
        let (before, now) = (says(old, path)?, says(new, path)?);
        Some(before.iter().any(|key| now.contains(key)))
    });
    let same: Vec<bool> = same.collect();
    let agree = same.iter().filter(|same| **same).count();
    agree < same.len() && agree * 2 <= same.len()
}

/// Whether every moment of the old row stands in the new one, to the day.
fn is_fresh(old: &HashSet<String>, new: &HashSet<String>) -> bool {
    let days = |keys: &HashSet<String>| -> Vec<i64> {
        keys.iter()
            .filter_map(|key| key.strip_prefix('d')?.parse::<f64>().ok())
            .map(|millis| (millis / 86_400_000.0).floor() as i64)
            .collect()
    };
    let (old, new) = (days(old), days(new));
    let known = |day: &i64| new.iter().any(|other| (day - other).abs() <= 1);
    old.is_empty() || new.is_empty() || old.iter().filter(|day| known(day)).count() * 2 >= old.len()
}

/// Rows that share a city share all that goes with it; only values that differ from row to row say which row it is.
fn tells_rows_apart(column: &Column) -> bool {
    let filled = column.cells.iter().flatten().flat_map(|cell| items(cell).iter().take(MOST_ITEMS));
    let filled: Vec<String> = filled.filter(|value| !value.is_null()).map(ToString::to_string).collect();
    let distinct: HashSet<&String> = filled.iter().collect();
    filled.len() < 4 || distinct.len() * 10 >= filled.len() * 6
}

/// Rows of these two groups that share a rare value with one another and with no other of the groups.
pub(crate) fn join_within(
    old: (&Table, &[usize]),
    new: (&Table, &[usize]),
    thresholds: Thresholds,
) -> Vec<(usize, usize)> {
    let of = |table: &Table, rows: &[usize]| -> HashMap<String, Vec<usize>> {
        let mut found: HashMap<String, Vec<usize>> = HashMap::new();
        for Key { row, text, weight, .. } in keys(table) {
            if rows.contains(&row) && weight >= thresholds.beside {
                let rows = found.entry(text).or_default();
                if !rows.contains(&row) {
                    rows.push(row);
                }
            }
        }
        found.retain(|_, rows| rows.len() == 1);
        found
    };
    let (old, new) = (of(old.0, old.1), of(new.0, new.1));
    let mut partners: HashMap<usize, HashSet<usize>> = HashMap::new();
    for (key, rows) in &new {
        if let Some(olds) = old.get(key) {
            partners.entry(rows[0]).or_default().insert(olds[0]);
        }
    }
    let single = |(new, olds): (usize, HashSet<usize>)| match olds.len() {
        1 => olds.into_iter().next().map(|old| (old, new)),
        _ => None,
    };
    let mut found: Vec<(usize, usize)> = partners.into_iter().filter_map(single).collect();
    found.sort_unstable();
    found
}

/// A field of the output, and its value for each old row.
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) values: Vec<Option<Value>>,
}

fn keys_of_outputs(outputs: &[Output]) -> Vec<Key> {
    let mut keys = Vec::new();
    for output in outputs {
        let column = Column { path: FieldPath::of_keys([output.name.as_str()]), cells: output.values.clone() };
        if !tells_rows_apart(&column) {
            continue;
        }
        for (row, value) in column.cells.iter().enumerate().filter_map(|(row, cell)| Some((row, cell.as_ref()?))) {
            let weight = bits(value);
            if weight >= 5.0 && !value.is_array() {
                let name = own_name(&column.path).replace('_', "");
                keys.extend(lookup_keys(value).into_iter().map(|text| Key {
                    row,
                    column: 0,
                    text,
                    name: name.clone(),
                    weight,
                }));
            }
        }
    }
    keys
}

fn keys(table: &Table) -> Vec<Key> {
    let mut keys = Vec::new();
    let plain = table.columns.iter().filter(|column| !column.path.root);
    // Where the rows are lists themselves, their places are their fields.
    let tuple = |path: &FieldPath| matches!(path.steps.as_slice(), [Step::At(0..)]);
    let plain = plain
        .filter(|column| !column.path.is_positional() || tuple(&column.path))
        .filter(|column| tells_rows_apart(column));
    for (index, column) in plain.enumerate() {
        let name = own_name(&column.path).replace('_', "");
        for (row, cell) in column.cells.iter().enumerate() {
            let Some(value) = cell else { continue };
            for item in items(value).iter().take(MOST_ITEMS) {
                let weight = bits(item);
                if weight >= 5.0 {
                    let key = |text| Key { row, column: index, text, name: name.clone(), weight };
                    keys.extend(lookup_keys(item).into_iter().map(key));
                }
            }
        }
    }
    keys
}
