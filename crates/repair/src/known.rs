//! Entities that are known from before, recognised in what two mappings make of them.
//!
//! A row is an object of an output: the output itself, or an object in a list of it. Two rows at the same place are the
//! same entity when they show the same in at least two fields, these values are rare, and no other row comes close: the
//! thresholds are those of [`crate::join`]. One field is enough when it is an identifier: no two rows share it, and several
//! known ones come again.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::dates::any_moment;
use crate::value::{bits, equal};

const BITS_NEEDED: f64 = 24.0;
/// Values that say less tell no rows apart.
const BITS_OF_VALUE: f64 = 5.0;
/// Of one identifier, and fewest that have to come again.
const BITS_OF_IDENTIFIER: f64 = 12.0;
const FEWEST_IDENTIFIERS: usize = 3;
/// Rows of one output that are looked at.
const MOST_ROWS: usize = 2_000;

/// An object of an output, with the fields that hold no further rows.
#[derive(Debug)]
pub(crate) struct Row<'v> {
    /// Where rows like it stand: the same for all items of a list.
    pub(crate) place: String,
    /// The output that it is a part of.
    pub(crate) output: usize,
    /// By their path from the output, without positions.
    pub(crate) fields: BTreeMap<String, &'v Value>,
}

pub(crate) fn rows<'v>(outputs: impl IntoIterator<Item = &'v Value>) -> Vec<Row<'v>> {
    let mut rows = Vec::new();
    for (output, value) in outputs.into_iter().enumerate() {
        let before = rows.len();
        collect(value, output, "", before + MOST_ROWS, &mut rows);
    }
    rows
}

fn collect<'v>(value: &'v Value, output: usize, place: &str, most: usize, rows: &mut Vec<Row<'v>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, output, place, most, rows)),
        Value::Object(_) if rows.len() < most => {
            let at = rows.len();
            rows.push(Row { place: place.to_owned(), output, fields: BTreeMap::new() });
            let mut fields = BTreeMap::new();
            flatten(value, output, place, most, &mut fields, rows);
            rows[at].fields = fields;
        }
        _ => {}
    }
}

fn flatten<'v>(
    value: &'v Value,
    output: usize,
    place: &str,
    most: usize,
    fields: &mut BTreeMap<String, &'v Value>,
    rows: &mut Vec<Row<'v>>,
) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        match value {
            Value::Object(_) => flatten(value, output, &path, most, fields, rows),
            Value::Array(items) if items.iter().any(Value::is_object) => collect(value, output, &path, most, rows),
            value => drop(fields.insert(path, value)),
        }
    }
}

/// A known row and the row that shows the same entity now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) old: usize,
    pub(crate) new: usize,
    /// No moment of it has changed: it is the same observation, not a later state.
    pub(crate) fresh: bool,
}

pub(crate) fn recognise(old: &[Row<'_>], new: &[Row<'_>]) -> Vec<Known> {
    let index = rare_values(old, (old.len() / 12).max(2));
    let rare_now = rare_values(new, (new.len() / 6).max(2));
    let identifiers = identifiers(old, new);
    let mut known = Vec::new();
    for (at, row) in new.iter().enumerate() {
        let mut votes: HashMap<usize, (usize, f64)> = HashMap::new();
        for (field, value) in &row.fields {
            let key = (row.place.as_str(), field.as_str(), value.to_string());
            let Some(rows) = index.get(&key).filter(|_| rare_now.contains_key(&key)) else { continue };
            for old_row in rows {
                let vote = votes.entry(*old_row).or_default();
                vote.0 += 1;
                vote.1 += bits(value);
            }
        }
        let mut ranked: Vec<(usize, (usize, f64))> = votes.into_iter().collect();
        ranked.sort_by(|a, b| b.1.1.total_cmp(&a.1.1).then(a.0.cmp(&b.0)));
        let Some((best, (count, weight))) = ranked.first().copied() else { continue };
        let second = ranked.get(1).map_or(0.0, |(_, (_, weight))| *weight);
        let is_identified = identifiers.iter().any(|(place, field)| {
            row.place == *place && row.fields.get(*field).is_some_and(|is| old[best].fields.get(*field) == Some(is))
        });
        if is_identified || (count >= 2 && weight >= BITS_NEEDED && second < weight * 0.7) {
            known.push(Known { old: best, new: at, fresh: is_fresh(&old[best], row) });
        }
    }
    known
}

/// Fields whose values no two rows share, neither before nor now, and of which several come again. A moment is none:
/// whatever is measured every hour shares it.
fn identifiers<'r>(old: &'r [Row<'_>], new: &'r [Row<'_>]) -> Vec<(&'r str, &'r str)> {
    let (before, now) = (unique_values(old), unique_values(new));
    let comes_again = |place: &(&str, &str)| {
        let Some((before, now)) = before.get(place).zip(now.get(place)) else { return false };
        before.iter().flatten().filter(|value| now.iter().flatten().any(|other| other == *value)).count()
            >= FEWEST_IDENTIFIERS
    };
    let mut found: Vec<(&str, &str)> = before.keys().copied().filter(comes_again).collect();
    found.sort_unstable();
    found
}

/// Identifiers of known rows that stand somewhere in the new records, and how many of them come out again, by field.
pub(crate) fn expected<'r>(
    old: &'r [Row<'_>],
    new: &[Row<'_>],
    stands: impl Fn(&Value) -> bool,
) -> BTreeMap<&'r str, (usize, usize)> {
    let unique = unique_values(old);
    let shown: HashSet<(&str, &str, String)> = new
        .iter()
        .flat_map(|row| row.fields.iter().map(|(field, value)| (row.place.as_str(), field.as_str(), value.to_string())))
        .collect();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in old {
        for (field, value) in &row.fields {
            let place = (row.place.as_str(), field.as_str());
            if unique.get(&place).is_some_and(Option::is_some) && stands(value) {
                let (expected, found) = counts.entry(field.as_str()).or_default();
                *expected += 1;
                *found += usize::from(shown.contains(&(place.0, place.1, value.to_string())));
            }
        }
    }
    counts
}

/// Values of the fields of which no two rows have the same one; `None` for a field that says too little.
fn unique_values<'r>(rows: &'r [Row<'_>]) -> HashMap<(&'r str, &'r str), Option<HashSet<String>>> {
    let mut values: HashMap<(&str, &str), Option<HashSet<String>>> = HashMap::new();
    for row in rows {
        for (field, value) in &row.fields {
            let says_enough = bits(value) >= BITS_OF_IDENTIFIER && !is_moment(value);
            let seen = values.entry((row.place.as_str(), field.as_str())).or_insert_with(|| Some(HashSet::new()));
            let is_new = seen.as_mut().is_some_and(|seen| seen.insert(value.to_string()));
            if !is_new || !says_enough {
                *seen = None;
            }
        }
    }
    values
}

fn is_moment(value: &Value) -> bool {
    value.as_str().is_some_and(|text| any_moment(text).is_some())
}

type Key<'r> = (&'r str, &'r str, String);

/// Rows by the values that at most `most` of them have.
fn rare_values<'r>(rows: &'r [Row<'_>], most: usize) -> HashMap<Key<'r>, HashSet<usize>> {
    let mut index: HashMap<Key<'r>, HashSet<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        for (field, value) in row.fields.iter().filter(|(_, value)| bits(value) >= BITS_OF_VALUE) {
            index.entry((row.place.as_str(), field.as_str(), value.to_string())).or_default().insert(at);
        }
    }
    index.retain(|_, rows| rows.len() <= most);
    index
}

fn is_fresh(old: &Row<'_>, new: &Row<'_>) -> bool {
    old.fields
        .iter()
        .filter(|(_, value)| is_moment(value))
        .all(|(field, value)| new.fields.get(field).is_none_or(|now| !is_moment(now) || equal(now, value)))
}
