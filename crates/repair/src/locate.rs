//! Where the rows of an iteration stand in the new records: another name, another envelope, another form.

use serde_json::Value;

use crate::eval::Evaluator;
use crate::filter;
use crate::join::join;
use crate::names::{Likeness, likeness, places_alike};
use crate::path::{FieldPath, Step};
use crate::places::{RowPlace, row_places};
use crate::rows::{Level, Rows};
use crate::settings::Ingredients;
use crate::syntax::Context;
use crate::table::{Column, Table};

/// Rows, and how JSONata names them if it is another way than before.
pub(crate) struct Located {
    pub(crate) rows: Rows,
    pub(crate) moved: Option<String>,
    /// The way there, if it is nothing but names.
    pub(crate) place: Option<FieldPath>,
    /// The same with the key of each row as a field of it, where rows are keyed by data.
    pub(crate) moved_with_key: Option<String>,
}

impl Located {
    /// The rows as the mapping names them. None where a filter of the author's would ask for something else now.
    pub(crate) fn kept(
        around: &Level,
        context: &Context,
        (old_records, new_records): (&[&Value], &[&Value]),
        evaluator: &Evaluator,
    ) -> Self {
        let as_before = || {
            let path = context.path.as_ref()?.render("");
            let old = around.old.within(&path, old_records, evaluator);
            let new = around.new.within(&path, new_records, evaluator);
            let (old, new) = (Table::of(&old.refs(), false), Table::of(&new.refs(), false));
            Some(filter::renamed(&context.filter, &old, &new)? == in_brackets(&context.filter))
        };
        let holds = context.filter.is_empty() || as_before().unwrap_or(false);
        let rows = if holds { around.new.within(&context.text, new_records, evaluator) } else { Rows::default() };
        Self { rows, moved: None, place: None, moved_with_key: None }
    }
}

fn in_brackets(predicates: &[String]) -> String {
    predicates.iter().map(|predicate| format!("[{predicate}]")).collect()
}

/// The search for rows that are not where they were.
pub(crate) struct Search<'s> {
    pub(crate) around: &'s Level,
    pub(crate) context: &'s Context,
    /// What the mapping reads of the rows.
    pub(crate) fields: &'s [FieldPath],
    pub(crate) old: (&'s Rows, &'s Table),
    pub(crate) sides: (&'s [&'s Value], &'s [&'s Value]),
    pub(crate) evaluator: &'s Evaluator,
    pub(crate) ingredients: Ingredients,
}

/// What the place had that the rows stood in.
struct Before {
    name: String,
    /// More rows than there are rows around.
    many: bool,
    listed: bool,
    /// One of several was taken by its place.
    first: bool,
}

impl Search<'_> {
    /// The place that has most of what is read; the rows as they were if no place has clearly more.
    pub(crate) fn best(&self, kept: Located) -> Located {
        let before = self.before();
        let covered = coverage(&Table::of(&kept.rows.refs(), false), self.fields);
        let mut best = if kept.rows.values.is_empty() { 0.3 } else { covered + 0.6 };
        let mut chosen = kept;
        for place in self.places() {
            let several = |parent: &Value| place.rows(parent).len() > 1;
            // The one that was first among several is not all of them.
            if before.first && self.around.new.values.iter().any(several) {
                continue;
            }
            let Some(located) = self.rows_at(&place) else { continue };
            let score = self.score(&place, &located.rows, &before);
            if score > best {
                best = score;
                chosen = located;
            }
        }
        chosen
    }

    fn before(&self) -> Before {
        let path = self.context.path.as_ref();
        let last = path.and_then(|path| path.steps.last());
        let bare = path.map(|path| {
            let mut bare = path.without_positions();
            bare.steps.retain(|step| *step != Step::Any);
            bare
        });
        let was_listed = |path: &FieldPath| {
            row_places(&self.around.old.refs()).iter().any(|place| place.listed && place.path == *path)
        };
        Before {
            name: path.map(|path| path.last_key().to_owned()).unwrap_or_default(),
            many: self.old.0.values.len() > self.around.old.values.len(),
            listed: last == Some(&Step::Any) || bare.is_some_and(|path| was_listed(&path)),
            first: matches!(last, Some(Step::At(_))),
        }
    }

    /// Places where the rows may stand. A selector of the author is kept; what else is asked of the rows on the way cannot be
    /// followed.
    fn places(&self) -> Vec<RowPlace> {
        let Some(path) = &self.context.path else { return Vec::new() };
        let selectors: Vec<&Step> = path.steps.iter().filter(|step| matches!(step, Step::Where(..))).collect();
        let only = match selectors.as_slice() {
            [] => None,
            [Step::Where(key, literal)] => Some((key.clone(), literal.clone())),
            _ => return Vec::new(),
        };
        let places = row_places(&self.around.new.refs()).into_iter();
        places.map(|place| RowPlace { only: only.clone(), ..place }).collect()
    }

    fn rows_at(&self, place: &RowPlace) -> Option<Located> {
        let mut rows = Rows::default();
        for (index, parent) in self.around.new.values.iter().enumerate() {
            for row in place.rows(parent) {
                rows.push(row.into_owned(), self.around.new.record[index], index);
            }
        }
        if self.context.filter.is_empty() {
            let names = place.only.is_none() && place.grid.is_none() && !place.keyed;
            let way = names.then(|| place.path.clone());
            let (moved, moved_with_key) = (Some(place.render()), place.render_with_key());
            return Some(Located { rows, moved, place: way, moved_with_key });
        }
        let path = self.context.path.as_ref()?.render("");
        let (old_records, new_records) = self.sides;
        let all = self.around.old.within(&path, old_records, self.evaluator);
        let (all, now) = (Table::of(&all.refs(), false), Table::of(&rows.refs(), false));
        let text = format!("{}{}", place.render(), filter::renamed(&self.context.filter, &all, &now)?);
        let rows = self.around.new.within(&text, new_records, self.evaluator);
        Some(Located { rows, moved: Some(text), place: None, moved_with_key: None })
    }

    fn score(&self, place: &RowPlace, rows: &Rows, before: &Before) -> f64 {
        let around = &self.around.new.values;
        let table = Table::of(&rows.refs(), false);
        let joined = if self.ingredients.overlap {
            join(self.old.1, &table, self.fields, &[], self.ingredients.thresholds).len()
        } else {
            0
        };
        let shared = joined as f64 / rows.values.len().max(1) as f64;
        let named = if likeness(place.path.last_key(), &before.name) >= Likeness::Close { 0.2 } else { 0.0 };
        let several = if before.many == (rows.values.len() > around.len()) { 0.15 } else { 0.0 };
        let listed = if place.listed == before.listed { 0.25 } else { 0.0 };
        let depth = place.path.steps.len() as f64 * 0.01;
        // What is there in one record and not in the others is no place of rows.
        let present = around.iter().filter(|parent| !place.rows(parent).is_empty()).count();
        let present = present as f64 / around.len().max(1) as f64;
        let known = 2.0 * shared + f64::from(u8::from(joined > 0));
        (coverage(&table, self.fields) + known + named + several + listed) * present - depth
    }
}

/// Share of the fields that the rows have, under the same name.
pub(crate) fn coverage(table: &Table, fields: &[FieldPath]) -> f64 {
    if fields.is_empty() || table.rows() == 0 {
        return 0.0;
    }
    let has = |field: &FieldPath| {
        let same = table.get(field).is_some();
        let below = table.columns.iter().any(|column| column.path.steps.starts_with(&field.steps));
        if same || below {
            return 1.0;
        }
        // What stands in a wrapper of the row is as good as in the row.
        let one_object = |key: Option<&Step>| {
            let inside =
                table.columns.iter().filter(|column| column.path.steps.len() > 1 && column.path.steps.first() == key);
            let single = |column: &Column| !column.cells.iter().flatten().any(Value::is_array);
            inside.clone().any(|column| single(column) && column.cells.iter().any(Option::is_some))
        };
        let wrapped = |column: &Column| {
            !column.path.root
                && column.path.keys().len() == field.keys().len() + 1
                && column.path.steps.len() == column.path.keys().len()
                && places_alike(field, &column.path) == Likeness::Exact
                && one_object(column.path.steps.first())
        };
        if table.columns.iter().any(wrapped) {
            return 0.95;
        }
        // Deeper in the row counts less; what stands in a list below is of other rows.
        let depth = field.steps.len();
        let named = table.columns.iter().filter(|column| {
            let plain = column.path.literal().is_none() && !column.path.is_positional();
            plain && likeness(column.path.last_key(), field.last_key()) == Likeness::Same
        });
        let single: Vec<_> = named.filter(|column| !column.cells.iter().flatten().any(Value::is_array)).collect();
        // The same name again and again is that of rows below.
        let single = if single.len() > 2 { Vec::new() } else { single };
        single.into_iter().map(|column| if column.path.steps.len() <= depth { 0.8 } else { 0.7 }).fold(0.0, f64::max)
    };
    fields.iter().map(has).sum::<f64>() / fields.len() as f64
}
