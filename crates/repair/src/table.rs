//! Rows as columns: every path of every row, with the values it has, in the way JSONata would give them.

use std::collections::HashMap;

use serde_json::Value;

use crate::convert::items;
use crate::keyed::{keyed_objects, objects_at};
use crate::path::{FieldPath, Literal, Step};
use crate::refer::referred;

/// What is looked at of very large inputs. Beyond, fields are not candidates; proof still runs over all records.
const MOST_ROWS: usize = 300;
const MOST_COLUMNS: usize = 8_000;
const DEEPEST: usize = 24;
const MOST_SELECTED: usize = 600;
/// A list of values with a fixed length up to this is a tuple, such as a position on a map.
const LONGEST_TUPLE: usize = 12;
/// A row that is a list itself has at most this many values.
const LONGEST_ROW: usize = 60;
/// A field whose values name the items of an array has no more values than this.
const MOST_SELECTOR_VALUES: usize = 40;

pub(crate) struct Column {
    pub(crate) path: FieldPath,
    /// One per row; absent is `None`.
    pub(crate) cells: Vec<Option<Value>>,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    by_path: HashMap<FieldPath, usize>,
    /// Lists of objects, with their items per row.
    pub(crate) lists: Vec<(FieldPath, Vec<Vec<Value>>)>,
    rows: usize,
}

impl Table {
    /// Columns of `rows`; with `selectors`, also what stands in arrays at a place or behind a field with a value.
    pub(crate) fn of(rows: &[&Value], selectors: bool) -> Self {
        let rows = &rows[..rows.len().min(MOST_ROWS)];
        let mut table = Self { rows: rows.len(), ..Self::default() };
        for (row, value) in rows.iter().enumerate() {
            table.note(row, value, &mut Vec::new(), false, 0);
        }
        if selectors {
            table.select(rows);
        }
        table
    }

    /// Adds the fields around the rows: those of their records that stand in no array.
    pub(crate) fn with_surroundings(mut self, records: &[&Value]) -> Self {
        let mut around = Self { rows: self.rows, ..Self::default() };
        for (row, record) in records.iter().take(self.rows).enumerate() {
            around.note_surroundings(row, record, &mut Vec::new(), 0);
        }
        for mut column in around.columns {
            // What only repeats the row itself is not around it.
            let tail = column.path.last_key().to_owned();
            let repeats = |own: &Column| own.path.last_key() == tail && own.cells == column.cells;
            if self.columns.iter().any(repeats) {
                continue;
            }
            column.path.root = true;
            self.by_path.insert(column.path.clone(), self.columns.len());
            self.columns.push(column);
        }
        self
    }

    /// Adds the fields of what the rows refer to in lists of their records.
    pub(crate) fn with_references(mut self, rows: &[&Value], records: &[&Value]) -> Self {
        let count = self.rows;
        for (steps, items) in referred(&self, &rows[..count], &records[..count]) {
            let mut fields = Self { rows: count, ..Self::default() };
            for (row, item) in items.iter().enumerate() {
                if let Some(item) = item {
                    fields.note(row, item, &mut steps.clone(), false, 0);
                }
            }
            for mut column in fields.columns {
                column.path.root = true;
                self.by_path.insert(column.path.clone(), self.columns.len());
                self.columns.push(column);
            }
        }
        self
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn get(&self, path: &FieldPath) -> Option<&Column> {
        self.by_path.get(path).map(|index| &self.columns[*index])
    }

    fn column(&mut self, steps: &[Step]) -> Option<&mut Column> {
        let path = FieldPath { root: false, steps: steps.to_vec() };
        let index = match self.by_path.get(&path) {
            Some(index) => *index,
            None if self.columns.len() >= MOST_COLUMNS => return None,
            None => {
                self.by_path.insert(path.clone(), self.columns.len());
                self.columns.push(Column { path, cells: vec![None; self.rows] });
                self.columns.len() - 1
            }
        };
        Some(&mut self.columns[index])
    }

    fn put(&mut self, row: usize, steps: &[Step], value: &Value, within_array: bool) {
        let Some(column) = self.column(steps) else { return };
        let cell = &mut column.cells[row];
        match cell {
            None => *cell = Some(value.clone()),
            // As JSONata has it: the only list on the way stays a list, several are one.
            Some(Value::Array(all)) if within_array => all.extend_from_slice(items(value)),
            Some(first) if within_array => {
                let all = std::iter::once(first.clone()).chain(items(value).iter().cloned()).collect();
                *first = Value::Array(all);
            }
            Some(_) => {}
        }
    }

    fn note(&mut self, row: usize, value: &Value, steps: &mut Vec<Step>, within_array: bool, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    steps.push(Step::Key(key.clone()));
                    self.note(row, value, steps, within_array, depth + 1);
                    steps.pop();
                }
            }
            Value::Array(items) if items.is_empty() => self.put(row, steps, value, within_array),
            // As JSONata has it: a list of values is itself, items of lists are walked through.
            Value::Array(items) if items.iter().all(is_single) => self.put(row, steps, value, within_array),
            Value::Array(items) => {
                for item in items.iter().take(1_000) {
                    self.note(row, item, steps, true, depth + 1);
                }
            }
            value => self.put(row, steps, value, within_array),
        }
    }

    fn note_surroundings(&mut self, row: usize, value: &Value, steps: &mut Vec<Step>, depth: usize) {
        match value {
            Value::Object(fields) if depth < 6 => {
                for (key, value) in fields {
                    steps.push(Step::Key(key.clone()));
                    self.note_surroundings(row, value, steps, depth + 1);
                    steps.pop();
                }
            }
            Value::Object(_) | Value::Array(_) => {}
            value => self.put(row, steps, value, false),
        }
    }

    /// Columns for items of arrays that a field names, and for first and last items.
    fn select(&mut self, rows: &[&Value]) {
        let mut arrays: Vec<Vec<Step>> = Vec::new();
        for row in rows {
            find_arrays(row, &mut Vec::new(), &mut arrays, 0);
        }
        for array in arrays {
            let path = FieldPath { root: false, steps: array };
            let keys = path.keys().into_iter().map(str::to_owned).collect::<Vec<_>>();
            if rows.iter().any(|row| is_of_several(row, &keys)) {
                continue;
            }
            let instances: Vec<&[Value]> = rows.iter().map(|row| items_at(row, &keys)).collect();
            if instances.iter().any(|items| items.len() > 1 && items.iter().all(Value::is_object)) {
                self.lists.push((path.clone(), instances.iter().map(|items| items.to_vec()).collect()));
            }
            self.select_places(&path.steps, &instances, 0);
            self.select_named(&path, &instances);
        }
        self.select_keyed(rows);
    }

    /// Names and values of objects whose names are data.
    fn select_keyed(&mut self, rows: &[&Value]) {
        for place in keyed_objects(rows) {
            let with = |step: Step| place.iter().cloned().chain([step]).collect::<Vec<_>>();
            for (row, fields) in objects_at(rows, &place).into_iter().enumerate() {
                let Some(fields) = fields else { continue };
                let names = fields.keys().map(|key| Value::from(key.as_str())).collect();
                self.put(row, &with(Step::Names), &Value::Array(names), false);
                let values: Vec<Value> = fields.values().cloned().collect();
                self.note(row, &Value::Array(values), &mut with(Step::Any), false, 0);
            }
        }
    }

    /// First and last items; of tuples, whose length is the same everywhere, every item.
    fn select_places(&mut self, path: &[Step], instances: &[&[Value]], depth: usize) {
        let mut filled = instances.iter().filter(|items| !items.is_empty());
        let Some(length) = filled.next().map(|items| items.len()) else { return };
        let tuple = filled.all(|items| items.len() == length)
            && (length <= LONGEST_TUPLE || path.is_empty() && length <= LONGEST_ROW)
            && instances.iter().all(|items| items.iter().all(|item| !item.is_object()));
        let places: Vec<i64> = if tuple { (0..length as i64).collect() } else { vec![0, -1] };
        for place in places {
            let mut prefix = path.to_vec();
            prefix.push(Step::At(place));
            let item = |items: &&'_ [Value]| match usize::try_from(place) {
                Ok(place) => items.get(place).cloned(),
                Err(_) => items.last().cloned(),
            };
            let chosen: Vec<Option<Value>> = instances.iter().map(item).collect();
            if chosen.iter().flatten().all(Value::is_array) && depth < 2 {
                let inner: Vec<&[Value]> = chosen
                    .iter()
                    .map(|item| item.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice))
                    .collect();
                self.select_places(&prefix, &inner, depth + 1);
                continue;
            }
            for (row, item) in chosen.iter().enumerate() {
                if let Some(item) = item {
                    self.note(row, item, &mut prefix.clone(), false, 0);
                }
            }
        }
    }

    fn select_named(&mut self, path: &FieldPath, instances: &[&[Value]]) {
        // Where there is never more than one item, there is nothing to select.
        if instances.iter().all(|items| items.len() < 2) {
            return;
        }
        let mut selectors: HashMap<Vec<String>, Vec<Literal>> = HashMap::new();
        let mut order: Vec<Vec<String>> = Vec::new();
        for item in instances.iter().flat_map(|items| items.iter()) {
            named_fields(item, &mut Vec::new(), &mut |key, literal| {
                if !selectors.contains_key(key) {
                    order.push(key.to_vec());
                }
                let literals = selectors.entry(key.to_vec()).or_default();
                if !literals.contains(&literal) && literals.len() <= MOST_SELECTOR_VALUES {
                    literals.push(literal);
                }
            });
        }
        let mut added = 0;
        for key in order {
            let literals = selectors.remove(&key).unwrap_or_default();
            if literals.len() > MOST_SELECTOR_VALUES {
                continue;
            }
            for literal in literals {
                let matches = |item: &&Value| literal_at(item, &key).as_ref() == Some(&literal);
                let most = instances.iter().map(|items| items.iter().filter(matches).count()).max().unwrap_or(0);
                if most != 1 || literal == Literal::Flag(false) || added > MOST_SELECTED {
                    continue;
                }
                added += 1;
                let mut prefix = path.steps.clone();
                prefix.push(Step::Where(key.clone(), literal.clone()));
                for (row, items) in instances.iter().enumerate() {
                    if let Some(item) = items.iter().find(matches) {
                        // What is asked for is no news.
                        self.note(row, &without(item, &key), &mut prefix.clone(), false, 0);
                    }
                }
            }
        }
    }
}

fn is_single(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

/// Arrays of objects, or of values, that stand in no other array of several.
pub(crate) fn find_arrays(value: &Value, steps: &mut Vec<Step>, arrays: &mut Vec<Vec<Step>>, depth: usize) {
    match value {
        Value::Object(fields) if depth < 8 => {
            for (key, value) in fields {
                steps.push(Step::Key(key.clone()));
                find_arrays(value, steps, arrays, depth + 1);
                steps.pop();
            }
        }
        Value::Array(items) => {
            if arrays.len() < 60 && !arrays.contains(steps) {
                arrays.push(steps.clone());
            }
            // What stands in the only item stands in the list.
            if let [only @ Value::Object(_)] = items.as_slice() {
                find_arrays(only, steps, arrays, depth + 1);
            }
        }
        _ => {}
    }
}

/// Whether a list of several is on the way: what is chosen behind it is chosen in each of them.
fn is_of_several(row: &Value, keys: &[String]) -> bool {
    let mut value = row;
    for key in keys {
        let inner = match value {
            Value::Array(items) if items.len() > 1 => return true,
            Value::Array(items) => items.first().and_then(|item| item.get(key)),
            value => value.get(key),
        };
        let Some(inner) = inner else { return false };
        value = inner;
    }
    false
}

pub(crate) fn items_at<'a>(row: &'a Value, keys: &[String]) -> &'a [Value] {
    let mut value = row;
    for key in keys {
        let inner = match value {
            Value::Array(items) if items.len() == 1 => items[0].get(key),
            value => value.get(key),
        };
        match inner {
            Some(inner) => value = inner,
            None => return &[],
        }
    }
    match value {
        Value::Array(items) => &items[..items.len().min(500)],
        // Converters from XML write a list of one as the one.
        Value::Object(fields) if !fields.is_empty() => std::slice::from_ref(value),
        _ => &[],
    }
}

pub(crate) fn named_fields(item: &Value, key: &mut Vec<String>, found: &mut impl FnMut(&[String], Literal)) {
    let Value::Object(fields) = item else { return };
    for (name, value) in fields.iter().take(40) {
        key.push(name.clone());
        if let Some(literal) = Literal::under(name, value) {
            found(key, literal);
        } else if value.is_object() && key.len() < 2 {
            named_fields(value, key, found);
        }
        key.pop();
    }
}

/// The item without the field of that name.
fn without(item: &Value, key: &[String]) -> Value {
    let mut rest = item.clone();
    let Some((last, around)) = key.split_last() else { return rest };
    let mut at = Some(&mut rest);
    for name in around {
        at = at.and_then(|value| value.get_mut(name));
    }
    if let Some(Value::Object(fields)) = at {
        fields.remove(last);
    }
    rest
}

pub(crate) fn literal_at(item: &Value, key: &[String]) -> Option<Literal> {
    let mut value = item;
    for name in key {
        value = value.get(name)?;
    }
    Literal::under(key.last()?, value)
}
