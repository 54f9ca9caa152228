//! Objects whose names are data, such as languages by their code: their names, and their values, as lists.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::path::Step;

/// Objects of this many rows at least tell whether their names are data.
const FEWEST: usize = 3;
const DEEPEST: usize = 4;
const MOST: usize = 40;

/// Places of such objects; the rows are not walked into arrays.
pub(crate) fn keyed_objects(rows: &[&Value]) -> Vec<Vec<Step>> {
    let mut places: Vec<Vec<Step>> = Vec::new();
    for row in rows.iter().take(MOST) {
        note(row, &mut Vec::new(), &mut places);
    }
    places.retain(|place| is_keyed(&objects_at(rows, place)));
    places
}

fn note(value: &Value, steps: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let Value::Object(fields) = value else { return };
    if !steps.is_empty() && !places.contains(steps) && places.len() < MOST * 4 {
        places.push(steps.clone());
    }
    if steps.len() >= DEEPEST {
        return;
    }
    for (key, value) in fields.iter().take(MOST) {
        steps.push(Step::Key(key.clone()));
        note(value, steps, places);
        steps.pop();
    }
}

/// The object at the place of each row.
pub(crate) fn objects_at<'v>(rows: &[&'v Value], place: &[Step]) -> Vec<Option<&'v Map<String, Value>>> {
    let at = |row: &'v Value| {
        let mut value = row;
        for step in place {
            let Step::Key(key) = step else { return None };
            value = value.get(key)?;
        }
        value.as_object()
    };
    rows.iter().map(|row| at(row)).collect()
}

/// Whether the names differ from row to row while the values are of one kind.
fn is_keyed(objects: &[Option<&Map<String, Value>>]) -> bool {
    let filled: Vec<_> = objects.iter().flatten().filter(|fields| !fields.is_empty()).collect();
    let names: BTreeSet<&String> = filled.iter().flat_map(|fields| fields.keys()).collect();
    let longest = filled.iter().map(|fields| fields.len()).max().unwrap_or(0);
    let always = names.iter().any(|name| filled.iter().all(|fields| fields.contains_key(*name)));
    let mut values = filled.iter().flat_map(|fields| fields.values()).filter(|value| !value.is_null());
    let kind = |value: &Value| std::mem::discriminant(value);
    let first = values.next().map(kind);
    filled.len() >= FEWEST && names.len() > longest && !always && values.all(|value| Some(kind(value)) == first)
}
