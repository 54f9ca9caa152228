//! Filters of the author's that are more than a selector with a literal, such as `[$exists(arrival)]`, on rows that may have
//! other names now.
//!
//! Invariant: a filter is kept as it is written, with other names for the same fields, or its rows are not followed at all.

use jlens_core::ast::Span;

use crate::convert::Conversion;
use crate::forms::recast;
use crate::names::{Likeness, places_alike};
use crate::path::{FieldPath, Step};
use crate::rewrite::{Edit, splice};
use crate::syntax::{Atom, Reading};
use crate::table::{Column, Table};
use crate::value::is_empty;

/// The predicates for the new rows, in brackets; nothing where a field that they read cannot be told.
pub(crate) fn renamed(predicates: &[String], old: &Table, new: &Table) -> Option<String> {
    let mut text = String::new();
    for predicate in predicates {
        let ast = jlens_core::parse(predicate).ok()?;
        let reading = Reading::of(&ast);
        if reading.opaque || reading.contexts.len() > 1 {
            return None;
        }
        let mut edits = Vec::new();
        for atom in &reading.atoms {
            edits.extend(edits_of(atom, old, new)?);
        }
        text.push_str(&format!("[{}]", splice(predicate, Span::new(0, predicate.len()), &edits)));
    }
    Some(text)
}

fn edits_of(atom: &Atom, old: &Table, new: &Table) -> Option<Vec<Edit>> {
    let path = atom.path.as_ref().filter(|path| !path.steps.is_empty())?;
    if atom.sites.iter().any(|(_, prefix)| !prefix.is_empty()) {
        return None;
    }
    let now = field_now(path, old, new)?;
    let edit = |(span, _): &(Span, String)| Edit { span: *span, text: now.render("") };
    Some(if now == *path { Vec::new() } else { atom.sites.iter().map(edit).collect() })
}

/// The field, or the object, that is it in the new rows.
fn field_now(path: &FieldPath, old: &Table, new: &Table) -> Option<FieldPath> {
    let Some(before) = old.get(path) else { return object_now(path, new) };
    let alike = |column: &Column| recast(&before.cells, &column.cells) == Some(Conversion::Same);
    if let Some(now) = new.get(path).filter(|now| now.cells.iter().any(|cell| !is_empty(cell.as_ref()))) {
        return alike(now).then(|| path.clone());
    }
    let mut named = new.columns.iter().filter(|column| {
        let keys = column.path.steps.iter().all(|step| matches!(step, Step::Key(_)));
        keys && !column.path.root && places_alike(path, &column.path) >= Likeness::Same
    });
    match (named.next(), named.next()) {
        (Some(column), None) => alike(column).then(|| column.path.clone()),
        _ => None,
    }
}

fn object_now(path: &FieldPath, new: &Table) -> Option<FieldPath> {
    let mut places: Vec<FieldPath> = new
        .columns
        .iter()
        .filter(|column| column.path.steps.len() > path.steps.len() && !column.path.root)
        .map(|column| FieldPath { root: false, steps: column.path.steps[..path.steps.len()].to_vec() })
        .filter(|place| place.steps.iter().all(|step| matches!(step, Step::Key(_))))
        .collect();
    places.sort();
    places.dedup();
    if places.contains(path) {
        return Some(path.clone());
    }
    places.retain(|place| places_alike(path, place) == Likeness::Exact);
    match places.as_slice() {
        [place] => Some(place.clone()),
        _ => None,
    }
}
