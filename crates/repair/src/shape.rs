//! Old and new records side by side: which fields came and went, and by which field the two can be told apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::path::quoted;

/// Names of a record down to a depth, arrays walked through.
pub(crate) fn names(record: &Value, depth: usize) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    note(record, depth, &mut Vec::new(), &mut found);
    found
}

fn note(value: &Value, depth: usize, at: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    if found.len() > 8_000 {
        return;
    }
    match value {
        Value::Object(fields) if at.len() < depth => {
            for (key, value) in fields {
                at.push(key.clone());
                found.insert(at.clone());
                note(value, depth, at, found);
                at.pop();
            }
        }
        Value::Array(items) => items.iter().take(50).for_each(|item| note(item, depth, at, found)),
        _ => {}
    }
}

/// Names that most records have.
fn usual(records: &[&Value], depth: usize) -> (BTreeSet<Vec<String>>, BTreeSet<Vec<String>>) {
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for record in records {
        for name in names(record, depth) {
            *counts.entry(name).or_default() += 1;
        }
    }
    let most = counts.iter().filter(|(_, count)| **count * 2 >= records.len()).map(|(name, _)| name.clone()).collect();
    (most, counts.into_keys().collect())
}

/// Fields that are gone, and fields that are new.
pub(crate) fn changes(old: &[&Value], new: &[&Value]) -> (Vec<String>, Vec<String>) {
    let ((usual_old, all_old), (usual_new, all_new)) = (usual(old, 6), usual(new, 6));
    let shown = |names: Vec<&Vec<String>>| -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        for name in &names {
            let below = names.iter().any(|other| other.len() < name.len() && name.starts_with(other));
            if !below {
                shown.push(name.iter().map(|key| quoted(key)).collect::<Vec<_>>().join("."));
            }
        }
        shown.truncate(40);
        shown
    };
    let gone = usual_old.iter().filter(|name| !all_new.contains(*name)).collect();
    let came = usual_new.iter().filter(|name| !all_old.contains(*name)).collect();
    (shown(gone), shown(came))
}

/// Whether the records that the old mapping serves are of the old shape, rather than new ones that lack what changed:
/// they have fields that all new ones have lost, and none that was not there before.
pub(crate) fn side_by_side(remembered: &[&Value], served: &[&Value], unserved: &[&Value]) -> bool {
    let all =
        |records: &[&Value]| -> BTreeSet<Vec<String>> { records.iter().flat_map(|record| names(record, 2)).collect() };
    let (before, now) = (all(remembered), all(unserved));
    served.iter().all(|record| {
        let names = names(record, 2);
        names.iter().all(|name| before.contains(name)) && names.iter().any(|name| !now.contains(name))
    })
}

/// A field that all new records have and no old one has, as JSONata. One that the mapping reads is preferred.
pub(crate) fn discriminator(old: &[&Value], new: &[&Value], mapping: &str) -> Option<String> {
    let mut common: Option<BTreeSet<Vec<String>>> = None;
    for record in new {
        if !record.is_object() {
            return None;
        }
        let names: BTreeSet<Vec<String>> = names(record, 2).into_iter().filter(|name| is_there(record, name)).collect();
        common = Some(match common {
            None => names,
            Some(common) => common.intersection(&names).cloned().collect(),
        });
    }
    let foreign: BTreeSet<Vec<String>> = old.iter().flat_map(|record| names(record, 2)).collect();
    let mut candidates: Vec<Vec<String>> = common?.into_iter().filter(|name| !foreign.contains(name)).collect();
    candidates.sort_by_key(|name| (!mapping.contains(&quoted(&name[0])), name.len(), name.clone()));
    let first = candidates.first()?;
    Some(first.iter().map(|key| quoted(key)).collect::<Vec<_>>().join("."))
}

/// Whether the name leads to a value without walking through arrays.
fn is_there(record: &Value, name: &[String]) -> bool {
    let mut value = record;
    for key in name {
        match value.get(key) {
            Some(inner) => value = inner,
            None => return false,
        }
    }
    true
}
