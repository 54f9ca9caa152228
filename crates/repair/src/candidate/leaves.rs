//! Values of a record by where they stand, whatever item of lists they are in.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values of a record by their path, without positions.
pub(super) fn leaves(record: &Value) -> BTreeMap<String, Vec<&Value>> {
    let mut found = BTreeMap::new();
    note_leaves(record, "", &mut found);
    found
}

fn note_leaves<'v>(value: &'v Value, path: &str, found: &mut BTreeMap<String, Vec<&'v Value>>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                note_leaves(value, &path, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| note_leaves(item, path, found)),
        Value::Null => {}
        value => found.entry(path.to_owned()).or_default().push(value),
    }
}

/// All values of an output at a path without positions, in their order.
pub(super) fn values_at(output: &Value, path: &str) -> Vec<Value> {
    leaves(output).remove(path).unwrap_or_default().into_iter().cloned().collect()
}
