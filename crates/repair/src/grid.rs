//! Rows that are written as a table: lists of values under a list of names, columns side by side, lists without names.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::path::{FieldPath, Step};

/// Bounds of what is looked at.
const DEEPEST: usize = 6;
const MOST_GRIDS: usize = 24;
const MOST_NAMES: usize = 200;
/// Keys of an object that names a column.
const NAME_KEYS: [&str; 8] = ["name", "label", "id", "key", "field", "title", "columnName", "column_name"];

/// Where the names of the columns stand.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// A list of texts, or of objects with this key.
    List(Vec<String>, Option<String>),
    /// The first of the lists of values.
    FirstRow,
    /// The keys of the object whose lists are the columns.
    Keys,
    /// Nowhere: columns go by their place.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    /// The object that holds names and values.
    at: Vec<String>,
    names: Names,
    /// From there to the lists of values.
    values: Vec<String>,
    /// Each list is a column instead of a row.
    by_columns: bool,
}

/// Tables that all of the values hold at the same place.
pub(crate) fn grids(parents: &[&Value]) -> Vec<Grid> {
    let Some(first) = parents.iter().find(|parent| parent.is_object()) else { return Vec::new() };
    let mut found = Vec::new();
    note(first, &mut Vec::new(), &mut found);
    found.retain(|grid| parents.iter().all(|parent| grid.fits(parent)));
    // Names tell more than places.
    let named: Vec<(Vec<String>, Vec<String>)> = found
        .iter()
        .filter(|grid| grid.names != Names::None)
        .map(|grid| (grid.at.clone(), grid.values.clone()))
        .collect();
    found.retain(|grid| {
        let whole = |(at, values): &(Vec<String>, Vec<String>)| [at.as_slice(), values].concat();
        let own = [grid.at.as_slice(), &grid.values].concat();
        grid.names != Names::None || !named.iter().any(|other| whole(other) == own)
    });
    found
}

fn note(value: &Value, at: &mut Vec<String>, found: &mut Vec<Grid>) {
    if at.len() > DEEPEST || found.len() >= MOST_GRIDS {
        return;
    }
    match value {
        Value::Object(fields) => {
            found.extend(grids_of(fields, at));
            for (key, value) in fields.iter().take(MOST_NAMES) {
                at.push(key.clone());
                note(value, at, found);
                at.pop();
            }
        }
        Value::Array(items) => {
            items.iter().take(1).filter(|item| item.is_object()).for_each(|item| note(item, at, found))
        }
        _ => {}
    }
}

/// The tables that the object itself holds.
fn grids_of(fields: &Map<String, Value>, at: &[String]) -> Vec<Grid> {
    let mut found = Vec::new();
    let grid =
        |names, values: &[String], by_columns| Grid { at: at.to_vec(), names, values: values.to_vec(), by_columns };
    let columns = fields.values().filter_map(Value::as_array).filter(|items| items.len() > 1);
    if columns.filter(|items| items.iter().all(is_single)).count() >= 2 {
        found.push(grid(Names::Keys, &[], true));
    }
    let lists = lists_below(fields);
    for (values, items) in lists.iter().filter(|(_, items)| !items.is_empty() && items.iter().all(Value::is_array)) {
        for (path, header) in &lists {
            if let Some(key) = name_key(header) {
                let names = Names::List(path.clone(), key);
                found.extend([false, true].map(|by_columns| grid(names.clone(), values, by_columns)));
            }
        }
        if items.len() > 1 {
            found.push(grid(Names::FirstRow, values, false));
        }
        found.push(grid(Names::None, values, false));
    }
    found
}

/// Lists in the object, or one object below.
fn lists_below(fields: &Map<String, Value>) -> Vec<(Vec<String>, &Vec<Value>)> {
    let mut found = Vec::new();
    for (key, value) in fields.iter().take(MOST_NAMES) {
        match value {
            Value::Array(items) => found.push((vec![key.clone()], items)),
            Value::Object(inner) => found.extend(
                inner
                    .iter()
                    .take(MOST_NAMES)
                    .filter_map(|(name, value)| Some((vec![key.clone(), name.clone()], value.as_array()?))),
            ),
            _ => {}
        }
    }
    found
}

/// How the items name columns: as texts, or by a key; `None` if they do not.
fn name_key(items: &[Value]) -> Option<Option<String>> {
    let distinct = |names: Vec<Option<&str>>| {
        let names: Option<Vec<&str>> = names.into_iter().collect();
        names.is_some_and(|names| names.len() > 1 && names.iter().collect::<BTreeSet<_>>().len() == names.len())
    };
    if distinct(items.iter().map(Value::as_str).collect()) {
        return Some(None);
    }
    let by = |key: &&&str| distinct(items.iter().map(|item| item.get(**key)?.as_str()).collect());
    NAME_KEYS.iter().find(by).map(|key| Some((*key).to_owned()))
}

fn is_single(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

fn at<'v>(value: &'v Value, keys: &[String]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

/// The objects at a path, lists of them walked through.
fn objects<'v>(value: &'v Value, keys: &[String], found: &mut Vec<&'v Value>) {
    match (value, keys) {
        (Value::Array(items), _) => items.iter().for_each(|item| objects(item, keys, found)),
        (Value::Object(fields), [key, rest @ ..]) => {
            if let Some(inner) = fields.get(key) {
                objects(inner, rest, found);
            }
        }
        (Value::Object(_), []) => found.push(value),
        _ => {}
    }
}

impl Grid {
    fn fits(&self, parent: &Value) -> bool {
        let mut holders = Vec::new();
        objects(parent, &self.at, &mut holders);
        !holders.is_empty() && holders.iter().all(|holder| self.table(holder).is_some())
    }

    /// Names and rows of one table; `None` if the object holds none.
    fn table(&self, holder: &Value) -> Option<Vec<Value>> {
        if self.names == Names::Keys {
            return columns_under_keys(holder.as_object()?);
        }
        let lists: Option<Vec<&Vec<Value>>> =
            at(holder, &self.values)?.as_array()?.iter().map(Value::as_array).collect();
        let mut lists = lists?;
        let names: Vec<String> = match &self.names {
            Names::List(path, key) => {
                let name = |item: &Value| match key {
                    Some(key) => item.get(key)?.as_str().map(str::to_owned),
                    None => item.as_str().map(str::to_owned),
                };
                at(holder, path)?.as_array()?.iter().map(name).collect::<Option<_>>()?
            }
            Names::FirstRow => {
                name_key(lists.first()?).filter(Option::is_none)?;
                let names: Option<Vec<String>> =
                    lists.remove(0).iter().map(|name| Some(name.as_str()?.to_owned())).collect();
                names?
            }
            Names::Keys | Names::None => Vec::new(),
        };
        if self.names == Names::None {
            let width = lists.first().map_or(0, |list| list.len());
            let tuples = width > 1 && lists.iter().all(|list| list.len() == width && list.iter().all(is_single));
            return tuples.then(|| lists.into_iter().map(|list| Value::Array(list.clone())).collect());
        }
        let row = |values: Vec<&Value>| {
            let fields = names.iter().cloned().zip(values.into_iter().cloned());
            Value::Object(fields.collect())
        };
        if self.by_columns {
            let height = lists.first().map_or(0, |list| list.len());
            let even = lists.len() == names.len() && lists.iter().all(|list| list.len() == height);
            return even.then(|| (0..height).map(|at| row(lists.iter().map(|list| &list[at]).collect())).collect());
        }
        let even = lists.iter().all(|list| list.len() <= names.len() && list.len() * 2 > names.len());
        even.then(|| lists.iter().map(|list| row(list.iter().collect())).collect())
    }

    pub(crate) fn rows(&self, parent: &Value) -> Vec<Value> {
        let mut holders = Vec::new();
        objects(parent, &self.at, &mut holders);
        holders.iter().filter_map(|holder| self.table(holder)).flatten().collect()
    }

    /// The place of the values, to see what it is called.
    pub(crate) fn path(&self) -> FieldPath {
        let keys = self.at.iter().chain(&self.values);
        FieldPath { root: false, steps: keys.cloned().map(Step::Key).collect() }
    }

    /// JSONata of the rows as objects; as lists where there are no names.
    pub(crate) fn render(&self) -> String {
        let text = |keys: &[String]| FieldPath::of_keys(keys.iter().map(String::as_str)).render("");
        let values = text(&self.values);
        let inner = match &self.names {
            Names::None => return self.path().render(""),
            Names::Keys => {
                "($columns := $; $map([0..$max($each($columns, function($c) { $count($c) })) - 1], function($i) { $merge($each($columns, \
                 function($column, $name) { { $name: $column[$i] } })) }))"
                    .to_owned()
            }
            Names::FirstRow => format!(
                "($rows := {values}; $names := $rows[0]; $rows[[1..$count($rows) - 1]].($row := $; $merge($map($names, \
                 function($name, $i) {{ {{ $name: $row[$i] }} }}))))"
            ),
            Names::List(path, key) => {
                let keys: Vec<String> = path.iter().chain(key).cloned().collect();
                let names = text(&keys);
                if self.by_columns {
                    format!(
                        "($names := {names}; $columns := {values}; $map($columns[0], function($v, $i) {{ \
                         $merge($map($columns, function($column, $at) {{ {{ $names[$at]: $column[$i] }} }})) }}))"
                    )
                } else {
                    format!(
                        "($names := {names}; {values}.($row := $; $merge($map($names, function($name, $i) {{ {{ $name: \
                         $row[$i] }} }}))))"
                    )
                }
            }
        };
        if self.at.is_empty() { inner } else { format!("{}.{inner}", text(&self.at)) }
    }
}

/// Columns of one length under their names; other fields of the object belong to all rows or to none.
fn columns_under_keys(fields: &Map<String, Value>) -> Option<Vec<Value>> {
    let columns: Vec<(&String, &Vec<Value>)> =
        fields.iter().filter_map(|(name, value)| Some((name, value.as_array()?))).collect();
    let height = columns.first()?.1.len();
    let even =
        columns.len() > 1 && columns.len() == fields.len() && columns.iter().all(|(_, items)| items.len() == height);
    let row = |at: usize| columns.iter().map(|(name, items)| ((*name).clone(), items[at].clone())).collect();
    even.then(|| (0..height).map(|at| Value::Object(row(at))).collect())
}
