//! The rows of a context, old and new, and which of them show the same entity.

use std::collections::HashSet;

use serde_json::Value;

use crate::envelope::envelope;
use crate::eval::Evaluator;
use crate::forms;
use crate::join::{Output, Pair, join, join_within};
use crate::locate::{Located, Search, coverage};
use crate::path::FieldPath;
use crate::settings::{Ingredients, Thresholds};
use crate::syntax::Context;
use crate::table::{Column, Table};
use crate::value::{is_empty, lookup_keys};

const MOST: usize = 300;

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) values: Vec<Value>,
    /// Index of the record, and of the row of the context around.
    pub(crate) record: Vec<usize>,
    pub(crate) parent: Vec<usize>,
}

impl Rows {
    pub(crate) fn records(records: &[&Value]) -> Self {
        let count = records.len().min(MOST);
        Self {
            values: records[..count].iter().map(|record| (*record).clone()).collect(),
            record: (0..count).collect(),
            parent: (0..count).collect(),
        }
    }

    pub(crate) fn push(&mut self, value: Value, record: usize, parent: usize) {
        if self.values.len() < MOST {
            self.values.push(value);
            self.record.push(record);
            self.parent.push(parent);
        }
    }

    pub(crate) fn within(&self, text: &str, records: &[&Value], evaluator: &Evaluator) -> Self {
        let mut rows = Self::default();
        for (index, value) in self.values.iter().enumerate() {
            let record = self.record[index];
            match evaluator.part("", text, value, records[record]) {
                Ok(Some(Value::Array(items))) => {
                    items.into_iter().for_each(|item| rows.push(item, record, index));
                }
                Ok(Some(Value::Null) | None) | Err(()) => {}
                Ok(Some(item)) => rows.push(item, record, index),
            }
        }
        rows
    }

    pub(crate) fn refs(&self) -> Vec<&Value> {
        self.values.iter().collect()
    }

    fn children_of(&self, parent: usize) -> Vec<usize> {
        (0..self.values.len()).filter(|row| self.parent[*row] == parent).collect()
    }
}

/// A context of the mapping on both sides.
pub(crate) struct Level {
    pub(crate) old: Rows,
    pub(crate) new: Rows,
    pub(crate) old_table: Table,
    pub(crate) new_table: Table,
    pub(crate) pairs: Vec<Pair>,
    /// JSONata of the rows in the new records, if it is another.
    pub(crate) moved: Option<String>,
    /// The way to these rows, if it is nothing but names.
    pub(crate) place: Option<FieldPath>,
    /// The same with the key of each row as a field of it, where rows are keyed by data.
    pub(crate) moved_with_key: Option<String>,
    pub(crate) lost: bool,
    /// Fields that show something else for every known row.
    pub(crate) changed: HashSet<FieldPath>,
    /// The object that what the rows held stands in now.
    pub(crate) home: Option<FieldPath>,
}

impl Level {
    pub(crate) fn root(old: &[&Value], new: &[&Value], fields: &[FieldPath], ingredients: Ingredients) -> Self {
        let (old, new) = (Rows::records(old), Rows::records(new));
        let old_table = Table::of(&old.refs(), false);
        let mut new_table = Table::of(&new.refs(), ingredients.structure);
        if ingredients.structure {
            new_table = new_table.with_references(&new.refs(), &new.refs());
        }
        let pairs = if ingredients.overlap {
            join(&old_table, &new_table, fields, &[], ingredients.thresholds)
        } else {
            Vec::new()
        };
        let home = if ingredients.structure { envelope(&old_table, &new_table) } else { None };
        let changed = HashSet::new();
        let (moved, place, moved_with_key, lost) = (None, None, None, false);
        Self { old, new, old_table, new_table, pairs, moved, place, moved_with_key, lost, changed, home }
    }

    /// The level of a context within `around`; finds its rows where they are now.
    pub(crate) fn within(
        around: &Self,
        context: &Context,
        fields: &[FieldPath],
        sides: (&[&Value], &[&Value]),
        evaluator: &Evaluator,
        ingredients: Ingredients,
    ) -> Self {
        let (old_records, new_records) = sides;
        let old = around.old.within(&context.text, old_records, evaluator);
        let old_table = Table::of(&old.refs(), false);
        let kept = Located::kept(around, context, sides, evaluator);
        let covered = coverage(&Table::of(&kept.rows.refs(), false), fields);
        let has_objects = old.values.iter().any(Value::is_object);
        let serves = !kept.rows.values.is_empty() && (covered >= 0.34 || !has_objects);
        let search = !serves && has_objects && ingredients.structure && !around.lost && !context.computed;
        let located = match search {
            true => {
                Search { around, context, fields, old: (&old, &old_table), sides, evaluator, ingredients }.best(kept)
            }
            false => kept,
        };
        let Located { rows: new, moved, place, moved_with_key } = located;
        let moved = moved.filter(|moved| *moved != context.text);
        let lost = new.values.is_empty() && !old.values.is_empty();
        let surroundings: Vec<&Value> = new.record.iter().map(|record| new_records[*record]).collect();
        let mut new_table = Table::of(&new.refs(), ingredients.structure);
        if ingredients.structure {
            new_table = new_table.with_references(&new.refs(), &surroundings).with_surroundings(&surroundings);
        }
        let old_surroundings: Vec<&Value> = old.record.iter().map(|record| old_records[*record]).collect();
        let old_table = old_table.with_surroundings(&old_surroundings);
        let pairs = if ingredients.overlap {
            join(&old_table, &new_table, fields, &[], ingredients.thresholds)
        } else {
            Vec::new()
        };
        let home = if ingredients.structure { envelope(&old_table, &new_table) } else { None };
        let changed = HashSet::new();
        Self { old, new, old_table, new_table, pairs, moved, place, moved_with_key, lost, changed, home }
    }

    /// Knows more rows by what the mapping makes of them.
    pub(crate) fn join_by_outputs(&mut self, fields: &[FieldPath], outputs: &[Output], thresholds: Thresholds) {
        for pair in join(&self.old_table, &self.new_table, fields, outputs, thresholds) {
            if !self.pairs.iter().any(|known| known.new == pair.new) {
                self.pairs.push(pair);
            }
        }
    }

    /// Whether several fields at their places show none of what they showed before, though written in the same way:
    /// entities of another kind or region, not a field that was recoded.
    pub(crate) fn is_new_group(&self) -> bool {
        let other = |column: &&Column| {
            let plain = !column.path.is_positional() && column.path.literal().is_none();
            let now = self.new_table.get(&column.path).filter(|_| plain);
            now.is_some_and(|now| {
                let words =
                    forms::other_words(&column.cells, &now.cells) && forms::same_style(&column.cells, &now.cells);
                words || forms::apart(&column.cells, &now.cells) || forms::other_script(&column.cells, &now.cells)
            })
        };
        self.pairs.is_empty() && self.old_table.columns.iter().filter(other).count() >= 2
    }

    /// Notes which fields were given to something else: they show nothing of what the known rows showed there.
    pub(crate) fn note_changed(&mut self) {
        let other = |before: &Column| {
            let Some(now) = self.new_table.get(&before.path) else { return false };
            let mut both = self.pairs.iter().filter(|pair| pair.fresh).filter_map(|pair| {
                let (was, is) = (before.cells[pair.old].as_ref()?, now.cells[pair.new].as_ref()?);
                (!is_empty(Some(was)) && !is_empty(Some(is))).then(|| (lookup_keys(was), lookup_keys(is)))
            });
            let differs = |(was, is): (Vec<String>, Vec<String>)| !was.iter().any(|key| is.contains(key));
            let mut seen = 0;
            both.all(|pair| {
                seen += 1;
                differs(pair)
            }) && seen >= 2
        };
        self.changed = self.old_table.columns.iter().filter(|column| other(column)).map(|c| c.path.clone()).collect();
    }

    /// Rows that show what they showed before; contradictions count.
    pub(crate) fn fresh(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| pair.fresh)
    }

    /// Whether all known rows are later states, whose agreement says much and whose contradiction says nothing.
    pub(crate) fn is_stale(&self) -> bool {
        !self.pairs.iter().any(|pair| pair.fresh)
    }

    /// The rows to learn from: those that are as before, or all if there are none.
    pub(crate) fn witnesses(&self) -> impl Iterator<Item = &Pair> {
        let stale = self.is_stale();
        self.pairs.iter().filter(move |pair| pair.fresh || stale)
    }
}

/// Carries what is known of rows to the rows around them and from there to those beside them. `parents` names the level
/// around each level.
pub(crate) fn link(levels: &mut [Level], parents: &[Option<usize>], thresholds: Thresholds) {
    for inner in (1..levels.len()).rev() {
        let Some(around) = parents[inner] else { continue };
        let beside = beside(&levels[inner], thresholds);
        levels[inner].pairs.extend(beside);
        for pair in outward(&levels[inner]) {
            let known = levels[around].pairs.iter().any(|other| other.new == pair.new);
            if !known {
                levels[around].pairs.push(pair);
            }
        }
    }
    for inner in 1..levels.len() {
        let Some(around) = parents[inner] else { continue };
        let pairs = in_order(&levels[around], &levels[inner]);
        levels[inner].pairs.extend(pairs);
    }
}

/// Beside rows that are the same, one rare value is enough to know another row.
fn beside(level: &Level, thresholds: Thresholds) -> Vec<Pair> {
    let mut done: Vec<(usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for pair in &level.pairs {
        let (old, new) = (level.old.parent[pair.old], level.new.parent[pair.new]);
        if done.contains(&(old, new)) || done.len() > 100 {
            continue;
        }
        done.push((old, new));
        let free = |rows: Vec<usize>, taken: &dyn Fn(usize) -> bool| -> Vec<usize> {
            rows.into_iter().filter(|row| !taken(*row)).collect()
        };
        let olds = free(level.old.children_of(old), &|row| level.pairs.iter().any(|pair| pair.old == row));
        let news = free(level.new.children_of(new), &|row| level.pairs.iter().any(|pair| pair.new == row));
        if olds.is_empty() || news.is_empty() {
            continue;
        }
        let joined = join_within((&level.old_table, &olds), (&level.new_table, &news), thresholds);
        found.extend(joined.into_iter().map(|(old, new)| Pair { old, new, fresh: pair.fresh }));
    }
    found
}

/// Rows around that hold the same number of rows, of which some are the same and none are elsewhere.
fn outward(level: &Level) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    for pair in &level.pairs {
        let (old, new) = (level.old.parent[pair.old], level.new.parent[pair.new]);
        if found.iter().any(|other| other.new == new) {
            continue;
        }
        let of_new = level.pairs.iter().filter(|other| level.new.parent[other.new] == new);
        let alone = of_new.clone().all(|other| level.old.parent[other.old] == old);
        let (olds, news) = (level.old.children_of(old).len(), level.new.children_of(new).len());
        if alone && olds == news && of_new.count() * 2 >= news {
            found.push(Pair { old, new, fresh: pair.fresh });
        }
    }
    found
}

/// Rows of two parents that are the same and have as many rows, none of them elsewhere, are paired in order.
fn in_order(around: &Level, level: &Level) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for outer in &around.pairs {
        let (olds, news) = (level.old.children_of(outer.old), level.new.children_of(outer.new));
        if olds.is_empty() || olds.len() != news.len() {
            continue;
        }
        let place = |rows: &[usize], row: usize| rows.iter().position(|other| *other == row);
        let agrees = level
            .pairs
            .iter()
            .filter(|pair| news.contains(&pair.new))
            .all(|pair| place(&olds, pair.old).is_some_and(|at| place(&news, pair.new) == Some(at)));
        if agrees {
            let fresh = outer.fresh;
            let paired = olds.iter().zip(&news).map(|(old, new)| Pair { old: *old, new: *new, fresh });
            pairs.extend(paired.filter(|pair| !level.pairs.iter().any(|other| other.new == pair.new)));
        }
    }
    pairs
}
