//! The object that the row stands in now, if most of what it held is found again there under its old names.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::{FieldPath, Step};
use crate::table::{Column, Table};
use crate::value::is_empty;

/// Fields that have to be found again in the object, and bounds of what is looked at.
const FEWEST: usize = 3;
const MOST_FIELDS: usize = 400;
const MOST_NAMESAKES: usize = 30;

/// The way to that object. Nothing where another object could be it: one that has a field which this one lacks.
pub(crate) fn envelope(old: &Table, new: &Table) -> Option<FieldPath> {
    let mut by_name: BTreeMap<&str, Vec<&Column>> = BTreeMap::new();
    for column in new.columns.iter().filter(|column| is_plain(column)) {
        let namesakes = by_name.entry(column.path.last_key()).or_default();
        if namesakes.len() < MOST_NAMESAKES {
            namesakes.push(column);
        }
    }
    let mut found: BTreeMap<&[Step], BTreeSet<usize>> = BTreeMap::new();
    let mut gone = 0;
    for (field, column) in old.columns.iter().filter(|column| is_plain(column)).take(MOST_FIELDS).enumerate() {
        let steps = &column.path.steps;
        if new.get(&column.path).is_some() {
            continue;
        }
        gone += 1;
        for namesake in by_name.get(column.path.last_key()).into_iter().flatten() {
            let now = &namesake.path.steps;
            if now.len() > steps.len() && now.ends_with(steps) {
                found.entry(&now[..now.len() - steps.len()]).or_default().insert(field);
            }
        }
    }
    let (way, fields) = found.iter().max_by_key(|(way, fields)| (fields.len(), std::cmp::Reverse(way.len())))?;
    let others = found.iter().filter(|(other, _)| other != &way);
    let alone = others.into_iter().all(|(_, other)| other.len() < fields.len() && other.is_subset(fields));
    let most = fields.len() >= FEWEST && fields.len() * 2 >= gone;
    (alone && most).then(|| FieldPath { root: false, steps: way.to_vec() })
}

fn is_plain(column: &Column) -> bool {
    let named = column.path.steps.iter().all(|step| matches!(step, Step::Key(_)));
    !column.path.root && named && column.cells.iter().any(|cell| !is_empty(cell.as_ref()))
}
