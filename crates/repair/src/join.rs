//! Which new row shows the entity of which remembered row.
//!
//! Slugs, names and small numbers recur, so one shared value is nothing. Rows are partners when they share two or more
//! different, rare values, and no other remembered row comes close.

use std::collections::{HashMap, HashSet};

use crate::table::{Column, Table};
use crate::value::{bits, lookup_keys};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) old: usize,
    pub(crate) new: usize,
    /// No moment of the old row is missing in the new one: it is the same observation, not a later state.
    pub(crate) fresh: bool,
}

const BITS_NEEDED: f64 = 24.0;
/// Of the one value that tells a row beside known ones.
const BITS_BESIDE: f64 = 20.0;

pub(crate) fn join(old: &Table, new: &Table) -> Vec<Pair> {
    let mut index: HashMap<String, (Vec<usize>, f64)> = HashMap::new();
    let mut each_old: Vec<HashSet<String>> = vec![HashSet::new(); old.rows()];
    for (row, key, weight) in keys(old) {
        each_old[row].insert(key.clone());
        let entry = index.entry(key).or_insert((Vec::new(), weight));
        if entry.0.last() != Some(&row) {
            entry.0.push(row);
        }
    }
    let rare = (old.rows() / 12).max(2);
    index.retain(|_, (rows, _)| {
        rows.sort_unstable();
        rows.dedup();
        rows.len() <= rare
    });
    let mut each_new: Vec<HashSet<String>> = vec![HashSet::new(); new.rows()];
    let mut spread: HashMap<String, usize> = HashMap::new();
    for (row, key, _) in keys(new) {
        if each_new[row].insert(key.clone()) {
            *spread.entry(key).or_default() += 1;
        }
    }
    let rare_new = (new.rows() / 6).max(2);
    let mut pairs = Vec::new();
    for (new_row, keys) in each_new.iter().enumerate() {
        let mut votes: HashMap<usize, (usize, f64)> = HashMap::new();
        for key in keys {
            let Some((rows, weight)) = index.get(key) else { continue };
            if spread.get(key).copied().unwrap_or(0) > rare_new {
                continue;
            }
            for row in rows {
                let vote = votes.entry(*row).or_default();
                vote.0 += 1;
                vote.1 += weight;
            }
        }
        let mut ranked: Vec<_> = votes.into_iter().collect();
        ranked.sort_by(|a, b| b.1.1.total_cmp(&a.1.1).then(a.0.cmp(&b.0)));
        let Some((old_row, (count, weight))) = ranked.first().copied() else { continue };
        let second = ranked.get(1).map_or(0.0, |(_, (_, weight))| *weight);
        if count >= 2 && weight >= BITS_NEEDED && second < weight * 0.7 {
            let fresh = is_fresh(&each_old[old_row], keys);
            pairs.push(Pair { old: old_row, new: new_row, fresh });
        }
    }
    pairs
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
    let filled: Vec<String> = column.cells.iter().flatten().filter(|v| !v.is_null()).map(ToString::to_string).collect();
    let distinct: HashSet<&String> = filled.iter().collect();
    filled.len() < 4 || distinct.len() * 10 >= filled.len() * 6
}

/// Rows of these two groups that share a rare value with one another and with no other of the groups.
pub(crate) fn join_within(old: (&Table, &[usize]), new: (&Table, &[usize])) -> Vec<(usize, usize)> {
    let of = |table: &Table, rows: &[usize]| -> HashMap<String, Vec<usize>> {
        let mut found: HashMap<String, Vec<usize>> = HashMap::new();
        for (row, key, weight) in keys(table) {
            if rows.contains(&row) && weight >= BITS_BESIDE {
                let rows = found.entry(key).or_default();
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

fn keys(table: &Table) -> Vec<(usize, String, f64)> {
    let mut keys = Vec::new();
    let plain = table.columns.iter().filter(|column| !column.path.root);
    for column in plain.filter(|column| !column.path.is_positional()).filter(|column| tells_rows_apart(column)) {
        for (row, cell) in column.cells.iter().enumerate() {
            let Some(value) = cell else { continue };
            let weight = bits(value);
            if weight >= 5.0 {
                keys.extend(lookup_keys(value).into_iter().map(|key| (row, key, weight)));
            }
        }
    }
    keys
}
