//! Places where rows may stand: arrays of objects, single objects, objects keyed by data.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::grid::{Grid, grids};
use crate::path::{FieldPath, Literal, Step};
use crate::table::literal_at;

/// The field that holds the key of a row whose rows are keyed by data.
pub(crate) const ROW_KEY: &str = "_key";

fn with_key(key: &str, row: &Value) -> Value {
    let mut row = row.clone();
    if let Value::Object(fields) = &mut row {
        fields.insert(ROW_KEY.to_owned(), Value::from(key));
    }
    row
}

/// A place where rows may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowPlace {
    pub(crate) path: FieldPath,
    /// There is a list on the way.
    pub(crate) listed: bool,
    /// The rows are the fields of an object, under keys that are data.
    pub(crate) keyed: bool,
    /// Only rows whose field has a value.
    pub(crate) only: Option<(Vec<String>, Literal)>,
    /// The rows are written as a table.
    pub(crate) grid: Option<Grid>,
}

impl RowPlace {
    pub(crate) fn rows<'a>(&self, parent: &'a Value) -> Vec<Cow<'a, Value>> {
        if let Some(grid) = &self.grid {
            return grid.rows(parent).into_iter().map(Cow::Owned).collect();
        }
        let mut found = Vec::new();
        descend(parent, &self.path.keys(), &mut found);
        if let Some((key, literal)) = &self.only {
            found.retain(|row| literal_at(row, key).as_ref() == Some(literal));
        }
        if !self.keyed {
            return found.into_iter().map(Cow::Borrowed).collect();
        }
        let rows = found.iter().filter_map(|value| value.as_object()).flatten();
        rows.map(|(key, row)| Cow::Owned(with_key(key, row))).collect()
    }

    /// JSONata of the rows with their keys as a field; nothing for rows that have none.
    pub(crate) fn render_with_key(&self) -> Option<String> {
        let path = self.path.render("");
        let each = format!("$each({path}, function($row, $key) {{ $merge([$row, {{ \"{ROW_KEY}\": $key }}]) }})");
        self.keyed.then_some(each)
    }

    pub(crate) fn render(&self) -> String {
        if let Some(grid) = &self.grid {
            return grid.render();
        }
        let mut path = self.path.clone();
        path.steps.extend(self.only.clone().map(|(key, literal)| Step::Where(key, literal)));
        let path = path.render("");
        if self.keyed { format!("{path}.*") } else { path }
    }
}

/// What a path of names gives, arrays walked through.
pub(crate) fn descend<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a Value>) {
    match (value, keys) {
        (Value::Array(items), _) => items.iter().for_each(|item| descend(item, keys, found)),
        (Value::Object(fields), [key, rest @ ..]) => {
            if let Some(inner) = fields.get(*key) {
                descend(inner, rest, found);
            }
        }
        (Value::Object(_), []) => found.push(value),
        _ => {}
    }
}

/// Places of objects below `parents`: arrays of objects, single objects, objects keyed by data, tables.
pub(crate) fn row_places(parents: &[&Value]) -> Vec<RowPlace> {
    let mut places = Vec::new();
    for parent in parents.iter().take(20) {
        note_places(parent, &mut Vec::new(), false, &mut places, 0);
    }
    places.extend(grids(parents).into_iter().map(|grid| RowPlace {
        path: grid.path(),
        listed: true,
        keyed: false,
        only: None,
        grid: Some(grid),
    }));
    places
}

fn note_places(value: &Value, steps: &mut Vec<Step>, listed: bool, places: &mut Vec<RowPlace>, depth: usize) {
    if depth > 8 || places.len() > 200 {
        return;
    }
    let mut note = |keyed: bool| {
        let place =
            RowPlace { path: FieldPath { root: false, steps: steps.clone() }, listed, keyed, only: None, grid: None };
        match places.iter_mut().find(|known| known.path == place.path && known.keyed == place.keyed) {
            Some(known) => known.listed |= listed,
            None => places.push(place),
        }
    };
    match value {
        Value::Object(fields) => {
            note(false);
            if is_keyed_by_data(fields) {
                note(true);
            }
            for (key, value) in fields.iter().take(200) {
                steps.push(Step::Key(key.clone()));
                note_places(value, steps, listed, places, depth + 1);
                steps.pop();
            }
        }
        Value::Array(items) => {
            for item in items.iter().take(3) {
                note_places(item, steps, true, places, depth + 1);
            }
        }
        _ => {}
    }
}

/// Whether the fields are rows under keys that are data: all objects, most of whose fields they have in common.
fn is_keyed_by_data(fields: &Map<String, Value>) -> bool {
    let rows: Vec<_> = fields.values().filter_map(Value::as_object).collect();
    if rows.is_empty() || rows.len() != fields.len() {
        return false;
    }
    let first = rows[0];
    let digits = fields.keys().all(|key| key.bytes().any(|byte| byte.is_ascii_digit()));
    let alike = |row: &&Map<String, Value>| {
        let common = row.keys().filter(|key| first.contains_key(*key)).count();
        common * 3 >= row.len().max(first.len()) * 2
    };
    first.len() >= 2 && rows.iter().all(alike) && (rows.len() >= 2 || digits)
}
