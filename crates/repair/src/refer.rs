//! What a row refers to: the item of a list of the record whose identifier the row holds, as in JSON:API's `included`.

use std::collections::HashSet;

use serde_json::Value;

use crate::keyed::{keyed_objects, objects_at};
use crate::path::{FieldPath, Literal, Reference, Step};
use crate::places::ROW_KEY;
use crate::table::{Column, Table, find_arrays, items_at, named_fields};
use crate::value::equal;

/// Bounds of what is looked at.
const MOST_LISTS: usize = 12;
const MOST_REFERENCES: usize = 60;
/// A list of rows whose items are told apart by a field of one of these names.
const IDENTIFIERS: [&str; 8] = ["id", "_id", "key", "uuid", "ref", "code", "sys.id", "@id"];
const KINDS: [&str; 4] = ["type", "kind", "__typename", "@type"];

/// The references of rows into lists of their records, and for each row the item.
pub(crate) fn referred<'r>(
    table: &Table,
    rows: &[&Value],
    records: &[&'r Value],
) -> Vec<(Vec<Step>, Vec<Option<&'r Value>>)> {
    let mut lists: Vec<Vec<Step>> = Vec::new();
    records.iter().for_each(|record| find_arrays(record, &mut Vec::new(), &mut lists, 0));
    let mut found = Vec::new();
    for list in lists.into_iter().take(MOST_LISTS) {
        let keys: Vec<String> =
            FieldPath { root: false, steps: list.clone() }.keys().into_iter().map(str::to_owned).collect();
        let items: Vec<&[Value]> = records.iter().map(|record| items_at(record, &keys)).collect();
        // The rows themselves are not what they refer to.
        let own = items.iter().zip(rows).any(|(items, row)| items.iter().any(|item| item == *row));
        if own || !items.iter().any(|items| items.len() > 1 && items.iter().all(Value::is_object)) {
            continue;
        }
        for identifier in IDENTIFIERS {
            let key: Vec<String> = identifier.split('.').map(str::to_owned).collect();
            for column in table.columns.iter().take(MOST_REFERENCES * 20) {
                if found.len() >= MOST_REFERENCES || column.path.root || column.path.is_positional() {
                    continue;
                }
                if column.path.steps.starts_with(&list) {
                    continue;
                }
                for (and, chosen) in items_of(column, &items, &key) {
                    let mut steps = list.clone();
                    steps.push(Step::Whose(Box::new(Reference { key: key.clone(), of: column.path.clone(), and })));
                    found.push((steps, chosen));
                }
            }
        }
    }
    found.extend(referred_by_key(table, records));
    found
}

/// The same into objects whose names are the identifiers.
fn referred_by_key<'r>(table: &Table, records: &[&'r Value]) -> Vec<(Vec<Step>, Vec<Option<&'r Value>>)> {
    let mut found = Vec::new();
    for place in keyed_objects(records).into_iter().take(MOST_LISTS) {
        let objects = objects_at(records, &place);
        // A row that stands under its own key does not refer to itself.
        let plain = table
            .columns
            .iter()
            .filter(|column| !column.path.root && !column.path.is_positional() && column.path.last_key() != ROW_KEY);
        for column in plain.take(MOST_REFERENCES * 20) {
            let cells = column.cells.iter().map(|cell| cell.as_ref().filter(|cell| cell.is_string() || cell.is_i64()));
            let cells: Vec<Option<String>> = cells
                .map(|cell| Some(cell?.as_str().map_or_else(|| cell.map(ToString::to_string), |t| Some(t.to_owned()))?))
                .collect();
            let items: Vec<Option<&Value>> =
                cells.iter().zip(&objects).map(|(cell, object)| object.as_ref()?.get(cell.as_ref()?)).collect();
            let filled = cells.iter().flatten().count();
            let distinct: HashSet<&String> = cells.iter().flatten().collect();
            let all = cells.iter().zip(&items).all(|(cell, item)| cell.is_none() || item.is_some_and(Value::is_object));
            if found.len() < MOST_REFERENCES && filled >= 3 && distinct.len() >= 2 && all {
                let mut steps = place.clone();
                steps.push(Step::Named(Box::new(column.path.clone())));
                found.push((steps, items));
            }
        }
    }
    found
}

type Kind = Option<(Vec<String>, Literal)>;

/// For each row the one item whose identifier is the value of the column; of each kind if it takes that to tell items
/// apart.
fn items_of<'r>(column: &Column, items: &[&'r [Value]], key: &[String]) -> Vec<(Kind, Vec<Option<&'r Value>>)> {
    let single = |value: &&Value| value.is_string() || value.is_i64();
    let cells: Vec<Option<&Value>> = column.cells.iter().map(|cell| cell.as_ref().filter(single)).collect();
    let filled = cells.iter().flatten().count();
    let distinct: HashSet<String> = cells.iter().flatten().map(ToString::to_string).collect();
    if filled < 3 || distinct.len() < 2 || filled * 2 < cells.len() {
        return Vec::new();
    }
    let identifier = |item: &Value| key.iter().try_fold(item, |value, name| value.get(name)).cloned();
    let matching = |row: usize, kind: &Kind| -> Vec<&'r Value> {
        let is_kind = |item: &Value| {
            kind.as_ref()
                .is_none_or(|(name, literal)| item.get(&name[0]).and_then(Literal::of).as_ref() == Some(literal))
        };
        let Some(cell) = cells[row] else { return Vec::new() };
        let same = |item: &&Value| is_kind(item) && identifier(item).is_some_and(|id| equal(&id, cell));
        items.get(row).map_or(Vec::new(), |items| items.iter().filter(same).collect())
    };
    let mut kinds: Vec<Kind> = vec![None];
    for item in items.iter().flat_map(|items| items.iter()).take(200) {
        named_fields(item, &mut Vec::new(), &mut |name, literal| {
            let kind = Some((name.to_vec(), literal));
            if name.len() == 1 && KINDS.contains(&name[0].as_str()) && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        });
    }
    let mut found: Vec<(Kind, Vec<Option<&Value>>)> = Vec::new();
    for kind in kinds {
        // Where the identifier alone tells, no kind is asked for.
        if kind.is_some() && found.iter().any(|(kind, _)| kind.is_none()) {
            break;
        }
        let all: Vec<Vec<&Value>> = (0..cells.len()).map(|row| matching(row, &kind)).collect();
        let right = all.iter().zip(&cells).all(|(matching, cell)| match cell {
            Some(_) => matching.len() == 1,
            None => true,
        });
        if right {
            found.push((kind, all.into_iter().map(|matching| matching.first().copied()).collect()));
        }
    }
    found
}
