//! From an old mapping and two sides of records to a new mapping: contexts first, fields second, one joint choice.

mod edits;
mod joint;
mod leaf;
mod merged;
mod trials;
mod values;

use std::cell::RefCell;
use std::collections::BTreeMap;

use jlens_core::ast::Span;
use serde_json::Value;

use crate::eval::Evaluator;
use crate::evidence::Evidence;
use crate::guard::{Jump, JumpKind, jumps};
use crate::join::Output;
use crate::named;
use crate::path::{FieldPath, Literal, Step};
use crate::pick::Choice;
use crate::profile::OutputProfile;
use crate::rewrite::{Edit, splice};
use crate::rows::{Level, link};
use crate::settings::Ingredients;
use crate::syntax::{Atom, Leaf, Reading};
use crate::value::{equal_options, is_empty};

/// A value per row; absent is `None`.
type Values = Vec<Option<Value>>;

/// What became of a value that the mapping reads.
#[derive(Debug, Clone)]
pub(crate) struct Resolution {
    /// `None`: it stays as it is written.
    pub(crate) choice: Option<Choice>,
    pub(crate) evidence: Evidence,
    /// What would do as well as the choice.
    pub(crate) rivals: Vec<Choice>,
}

impl Resolution {
    pub(crate) fn new(choice: Option<Choice>, evidence: Evidence) -> Self {
        Self { choice, evidence, rivals: Vec::new() }
    }

    pub(crate) fn stays(evidence: Evidence) -> Self {
        Self::new(None, evidence)
    }
}

/// What became of a field of the output.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) evidence: Evidence,
}

pub(crate) struct Solution {
    pub(crate) mapping: String,
    /// Where each value is read, to compare two solutions by.
    pub(crate) reads: Vec<String>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) lost_rows: bool,
    /// Known rows, and those whose fields are all what they were.
    pub(crate) known: usize,
    pub(crate) reproduced: usize,
    /// Values that are read where they were and cannot be what they were.
    pub(crate) jumps: Vec<Jump>,
}

pub(crate) struct Solver<'a> {
    pub(crate) reading: &'a Reading<'a>,
    pub(crate) evaluator: &'a Evaluator,
    pub(crate) ingredients: Ingredients,
    pub(crate) old_records: Vec<&'a Value>,
    pub(crate) new_records: Vec<&'a Value>,
    pub(crate) schema: &'a Value,
    pub(crate) levels: Vec<Level>,
    /// Per level, the selector that has all literals of the old selectors.
    selectors: Vec<Option<Vec<String>>>,
    /// Per level, whether its rows are of a group that was not seen before: another region, another shop.
    new_groups: Vec<bool>,
    /// What has been settled so far, for variables that parts of the mapping read.
    edits: RefCell<Vec<Edit>>,
}

/// Values of an atom on both sides.
pub(crate) struct Seen {
    pub(crate) old: Vec<Option<Value>>,
    /// As it is written, on the new rows.
    pub(crate) new: Vec<Option<Value>>,
    pub(crate) container: bool,
    /// What was a value is an object now.
    pub(crate) wrapped: bool,
}

impl<'a> Solver<'a> {
    pub(crate) fn new(
        reading: &'a Reading<'a>,
        evaluator: &'a Evaluator,
        ingredients: Ingredients,
        old_records: Vec<&'a Value>,
        new_records: Vec<&'a Value>,
        schema: &'a Value,
    ) -> Self {
        let fields_of = |context: usize| -> Vec<FieldPath> {
            let atoms = reading.atoms.iter().filter(|atom| atom.context == context);
            atoms.filter_map(|atom| atom.path.clone()).filter(|path| !path.steps.is_empty()).collect()
        };
        // The record is known by all that is read of it, in whatever iteration.
        let all: Vec<FieldPath> = (0..reading.contexts.len())
            .filter_map(|context| Some((reading.path_of(context)?, fields_of(context))))
            .flat_map(|(around, fields)| fields.into_iter().map(move |field| around.joined(&field)))
            .collect();
        let mut levels = vec![Level::root(&old_records, &new_records, &all, ingredients)];
        for (index, context) in reading.contexts.iter().enumerate().skip(1) {
            let fields = fields_of(index);
            let around = &levels[context.parent.unwrap_or(0)];
            let sides = (old_records.as_slice(), new_records.as_slice());
            levels.push(Level::within(around, context, &fields, sides, evaluator, ingredients));
        }
        if ingredients.overlap {
            for (index, level) in levels.iter_mut().enumerate() {
                let outputs = outputs_of(reading, index, level, &old_records, evaluator);
                let reads = if index == 0 { all.clone() } else { fields_of(index) };
                level.join_by_outputs(&reads, &outputs, ingredients.thresholds);
            }
        }
        let parents: Vec<Option<usize>> = reading.contexts.iter().map(|context| context.parent).collect();
        link(&mut levels, &parents, ingredients.thresholds);
        levels.iter_mut().for_each(Level::note_changed);
        let selectors = levels.iter().enumerate().map(|(index, level)| selector_of(reading, index, level)).collect();
        Self {
            reading,
            evaluator,
            ingredients,
            old_records,
            new_records,
            schema,
            new_groups: levels.iter().map(Level::is_new_group).collect(),
            levels,
            selectors,
            edits: RefCell::default(),
        }
    }

    pub(crate) fn selector(&self, context: usize) -> Option<&[String]> {
        self.selectors[context].as_deref()
    }

    /// The functions and variables that a part of the mapping may use, with the edits made.
    fn prelude(&self, context: usize, edits: &[Edit]) -> String {
        self.reading.prelude.clone() + &self.reading.variables(context, edits)
    }

    fn eval_old(&self, context: usize, text: &str) -> Vec<Option<Value>> {
        let rows = &self.levels[context].old;
        let prelude = self.prelude(context, &[]);
        let part = |(row, value): (usize, &Value)| {
            self.evaluator.part(&prelude, text, value, self.old_records[rows.record[row]]).ok().flatten()
        };
        rows.values.iter().enumerate().map(part).collect()
    }

    fn eval_new(&self, context: usize, text: &str) -> Vec<Option<Value>> {
        self.try_new(context, text).into_iter().map(|value| value.ok().flatten()).collect()
    }

    fn try_new(&self, context: usize, text: &str) -> Vec<Result<Option<Value>, ()>> {
        let rows = &self.levels[context].new;
        let prelude = self.prelude(context, &self.edits.borrow());
        let part = |(row, value): (usize, &Value)| {
            self.evaluator.part(&prelude, text, value, self.new_records[rows.record[row]])
        };
        rows.values.iter().enumerate().map(part).collect()
    }

    pub(crate) fn solve(&self) -> Solution {
        let seen: Vec<Seen> = self.reading.atoms.iter().map(|atom| self.see(atom)).collect();
        let merged = self.merged(&seen).into_iter().enumerate();
        let mut resolutions: Vec<Option<Resolution>> =
            merged.map(|(index, part)| part.or_else(|| self.by_values(index, &seen[index], &[]))).collect();
        self.other_parts(&seen, &mut resolutions);
        named::resolve(self, &seen, &mut resolutions);
        self.containers(&seen, &mut resolutions);
        let mut resolutions: Vec<Resolution> =
            resolutions.into_iter().map(|known| known.unwrap_or(Resolution::stays(Evidence::Gone))).collect();
        self.same_selector(&mut resolutions);
        self.same_home(&mut resolutions);
        self.one_for_all(&seen, &mut resolutions);
        self.relax(&mut resolutions);
        self.around_moved_rows(&mut resolutions);

        let mut edits = self.context_edits(&resolutions);
        edits.extend(self.atom_edits(&resolutions));
        self.edits.replace(edits.clone());
        let mut outcomes = Vec::new();
        for leaf in &self.reading.leaves {
            outcomes.push(self.leaf(leaf, &resolutions, &seen, &mut edits));
        }
        let whole = Span::new(0, self.reading.source.len());
        let mapping = splice(self.reading.source, whole, &edits);
        let (known, reproduced) = self.reproduced(&outcomes);
        let lost_rows = self.levels.iter().skip(1).any(|level| level.lost)
            && self.reading.leaves.iter().zip(&outcomes).any(|(leaf, _)| self.levels[leaf.context].lost);
        let reads = resolutions.iter().map(|r| r.choice.as_ref().map_or(String::new(), |c| c.render(""))).collect();
        let jumps = self.jumps(&resolutions, &seen);
        Solution { mapping, reads, outcomes, lost_rows, known, reproduced, jumps }
    }

    fn jumps(&self, resolutions: &[Resolution], seen: &[Seen]) -> Vec<Jump> {
        let mut found = Vec::new();
        for (index, resolution) in resolutions.iter().enumerate() {
            let unconfirmed = matches!(resolution.evidence, Evidence::Kept { confirmed: 0 | 1 } | Evidence::SameName);
            if !unconfirmed || seen[index].container {
                continue;
            }
            let atom = &self.reading.atoms[index];
            let now = match &resolution.choice {
                Some(choice) if !choice.path.steps.is_empty() => {
                    let values = self.eval_new(atom.context, &choice.render(""));
                    values.into_iter().map(|value| atom.seen_through_lens(value)).collect()
                }
                _ => seen[index].new.clone(),
            };
            let profile = |values: &[Option<Value>]| {
                let mut profile = OutputProfile::default();
                for value in values {
                    let mut object = serde_json::Map::new();
                    if let Some(value) = value {
                        object.insert(atom.text.clone(), value.clone());
                    }
                    profile.observe(&Value::Object(object));
                }
                profile
            };
            let all = jumps(&profile(&seen[index].old), &profile(&now));
            found
                .extend(all.into_iter().filter(|jump| !matches!(jump.what, JumpKind::Silent { usual } if usual < 0.9)));
        }
        found
    }

    fn see(&self, atom: &Atom) -> Seen {
        let through = |values: Vec<Option<Value>>| values.into_iter().map(|v| atom.seen_through_lens(v)).collect();
        let old: Values = through(self.eval_old(atom.context, &atom.text));
        let new: Values = through(self.eval_new(atom.context, &atom.text));
        let holds_objects = |value: &Value| match value {
            Value::Object(_) => true,
            Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
            _ => false,
        };
        let container = old.iter().flatten().any(holds_objects);
        let mut filled = new.iter().flatten().filter(|value| !is_empty(Some(value))).peekable();
        let wrapped = !container && filled.peek().is_some() && filled.all(holds_objects);
        Seen { old, new, container, wrapped }
    }

    fn reproduced(&self, outcomes: &[Outcome]) -> (usize, usize) {
        let (mut known, mut reproduced) = (0, 0);
        for (context, level) in self.levels.iter().enumerate() {
            let leaves: Vec<(Values, Values)> = self
                .reading
                .leaves
                .iter()
                .zip(outcomes)
                .filter(|(leaf, _)| leaf.context == context && !leaf.outer)
                .map(|(leaf, outcome)| {
                    let old = self.reading.source.get(leaf.span.start..leaf.span.end).unwrap_or_default();
                    (self.eval_old(context, old), self.eval_new(context, &outcome.text))
                })
                .collect();
            if leaves.is_empty() {
                continue;
            }
            for pair in level.witnesses() {
                known += 1;
                let same =
                    |(old, new): &(Values, Values)| equal_options(old[pair.old].as_ref(), new[pair.new].as_ref());
                reproduced += usize::from(leaves.iter().all(same));
            }
        }
        (known, reproduced)
    }
}

/// What the mapping makes of the old rows of a level, field by field; a field that is read as it is says nothing more.
fn outputs_of(
    reading: &Reading<'_>,
    context: usize,
    level: &Level,
    records: &[&Value],
    evaluator: &Evaluator,
) -> Vec<Output> {
    let own = |leaf: &&Leaf| leaf.context == context && !leaf.outer && !leaf.opaque && !leaf.atoms.is_empty();
    let made = |leaf: &Leaf| {
        let text = reading.source.get(leaf.span.start..leaf.span.end)?;
        if leaf.atoms.iter().any(|atom| reading.atoms[*atom].text == text) {
            return None;
        }
        let rows = &level.old;
        let values = rows.values.iter().zip(&rows.record);
        let values =
            values.map(|(row, record)| evaluator.part(&reading.prelude, text, row, records[*record]).ok().flatten());
        Some(Output { name: leaf.path.last()?.clone(), values: values.collect() })
    };
    reading.leaves.iter().filter(own).filter_map(made).collect()
}

/// The one field of items under whose values most literals of the old selectors stand.
fn selector_of(reading: &Reading<'_>, context: usize, level: &Level) -> Option<Vec<String>> {
    let atoms = reading.atoms.iter().filter(|atom| atom.context == context);
    let mut literals: Vec<&Literal> = atoms.filter_map(|atom| Some(atom.path.as_ref()?.literal()?.1)).collect();
    literals.sort();
    literals.dedup();
    let mut found: BTreeMap<Vec<String>, Vec<&Literal>> = BTreeMap::new();
    for (key, literal) in level.new_table.columns.iter().filter_map(|column| column.path.literal()) {
        let known = found.entry(key.to_vec()).or_default();
        if literals.contains(&literal) && !known.contains(&literal) {
            known.push(literal);
        }
    }
    let most = found.values().map(Vec::len).max().filter(|most| *most > 0)?;
    let mut best = found.into_iter().filter(|(_, literals)| literals.len() == most).map(|(key, _)| key);
    let first = best.next()?;
    best.next().is_none().then_some(first)
}

/// Path of the container of a value.
pub(crate) fn parent_keys(path: &FieldPath) -> Vec<&str> {
    let mut keys = path.keys();
    if matches!(path.steps.last(), Some(Step::Key(_))) {
        keys.pop();
    }
    keys
}
