//! From an old mapping and two sides of records to a new mapping: contexts first, fields second, one joint choice.

use std::collections::BTreeMap;

use jlens_core::ast::Span;
use serde_json::Value;

use crate::convert::Conversion;
use crate::eval::Evaluator;
use crate::evidence::Evidence;
use crate::forms;
use crate::guard::{Jump, JumpKind, jumps};
use crate::named;
use crate::path::{FieldPath, Literal, Step};
use crate::pick::{Choice, Pick, Rarity, Request, pick};
use crate::profile::OutputProfile;
use crate::rewrite::{Edit, splice};
use crate::rows::{Level, link};
use crate::schema::FieldSchema;
use crate::settings::Ingredients;
use crate::syntax::{Leaf, Reading};
use crate::table::{Column, ROW_KEY};
use crate::value::{Empty, empty_kind, equal, equal_options, is_empty};

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
}

/// Values of an atom on both sides.
pub(crate) struct Seen {
    pub(crate) old: Vec<Option<Value>>,
    /// As it is written, on the new rows.
    pub(crate) new: Vec<Option<Value>>,
    pub(crate) container: bool,
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
        let mut levels = vec![Level::root(&old_records, &new_records, ingredients)];
        for (index, context) in reading.contexts.iter().enumerate().skip(1) {
            let fields: Vec<FieldPath> = reading
                .atoms
                .iter()
                .filter(|atom| atom.context == index)
                .filter_map(|atom| atom.path.clone())
                .filter(|path| !path.steps.is_empty())
                .collect();
            let around = &levels[context.parent.unwrap_or(0)];
            let sides = (old_records.as_slice(), new_records.as_slice());
            levels.push(Level::within(around, context, &fields, sides, evaluator, ingredients));
        }
        let parents: Vec<Option<usize>> = reading.contexts.iter().map(|context| context.parent).collect();
        link(&mut levels, &parents);
        let selectors = levels.iter().enumerate().map(|(index, level)| selector_of(reading, index, level)).collect();
        Self { reading, evaluator, ingredients, old_records, new_records, schema, levels, selectors }
    }

    pub(crate) fn selector(&self, context: usize) -> Option<&[String]> {
        self.selectors[context].as_deref()
    }

    fn eval_old(&self, context: usize, text: &str) -> Vec<Option<Value>> {
        let rows = &self.levels[context].old;
        let part = |(row, value): (usize, &Value)| {
            self.evaluator.part(&self.reading.prelude, text, value, self.old_records[rows.record[row]]).ok().flatten()
        };
        rows.values.iter().enumerate().map(part).collect()
    }

    fn eval_new(&self, context: usize, text: &str) -> Vec<Option<Value>> {
        self.try_new(context, text).into_iter().map(|value| value.ok().flatten()).collect()
    }

    fn try_new(&self, context: usize, text: &str) -> Vec<Result<Option<Value>, ()>> {
        let rows = &self.levels[context].new;
        let part = |(row, value): (usize, &Value)| {
            self.evaluator.part(&self.reading.prelude, text, value, self.new_records[rows.record[row]])
        };
        rows.values.iter().enumerate().map(part).collect()
    }

    pub(crate) fn solve(&self) -> Solution {
        let seen: Vec<Seen> = self.reading.atoms.iter().map(|atom| self.see(atom.context, &atom.text)).collect();
        let mut resolutions: Vec<Option<Resolution>> =
            (0..self.reading.atoms.len()).map(|index| self.by_values(index, &seen[index])).collect();
        named::resolve(self, &seen, &mut resolutions);
        self.containers(&seen, &mut resolutions);
        let mut resolutions: Vec<Resolution> =
            resolutions.into_iter().map(|known| known.unwrap_or(Resolution::stays(Evidence::Gone))).collect();
        self.same_selector(&mut resolutions);
        self.one_for_all(&seen, &mut resolutions);
        self.relax(&mut resolutions);

        let mut edits = self.context_edits(&resolutions);
        edits.extend(self.atom_edits(&resolutions));
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
                Some(choice) if !choice.path.steps.is_empty() => self.eval_new(atom.context, &choice.render("")),
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

    fn see(&self, context: usize, text: &str) -> Seen {
        let old = self.eval_old(context, text);
        let new = self.eval_new(context, text);
        let holds_objects = |value: &Value| match value {
            Value::Object(_) => true,
            Value::Array(items) => items.iter().any(|item| item.is_object() || item.is_array()),
            _ => false,
        };
        let container = old.iter().flatten().any(holds_objects);
        Seen { old, new, container }
    }

    /// What known entities and unchanged places say about a value; `None` leaves it to names.
    fn by_values(&self, index: usize, seen: &Seen) -> Option<Resolution> {
        let atom = &self.reading.atoms[index];
        let level = &self.levels[atom.context];
        if seen.container {
            return None;
        }
        let known: Vec<(usize, Option<&Value>)> =
            level.fresh().map(|pair| (pair.new, seen.old[pair.old].as_ref())).collect();
        let alive = seen.new.iter().any(|value| !is_empty(value.as_ref()));
        let (mut agree, mut example) = (0, None);
        let mut disagree = 0;
        for (row, expected) in &known {
            let now = seen.new[*row].as_ref();
            if is_empty(now) && is_empty(*expected) {
                continue;
            }
            if equal_options(now, *expected) {
                agree += 1;
            } else {
                disagree += 1;
                example.get_or_insert_with(|| contradiction(*expected, now));
            }
        }
        if alive && disagree == 0 {
            if agree > 0 {
                return Some(Resolution::stays(Evidence::Kept { confirmed: agree }));
            }
            return self.by_form(seen);
        }
        if alive && self.outputs_agree(index, None) {
            return Some(Resolution::stays(Evidence::Kept { confirmed: agree + disagree }));
        }
        match self.pick(index, seen, &known, alive && disagree > agree) {
            Pick::One(choice) => {
                let support = choice.support;
                let evidence =
                    Evidence::Proven { records: support.records, values: support.values, bits: support.bits };
                Some(Resolution::new(Some(choice), evidence))
            }
            Pick::Tied(choices) => {
                let rivals = choices.iter().skip(1).map(|choice| choice.render("")).collect();
                let mut choices = choices.into_iter();
                let choice = choices.next();
                Some(Resolution { choice, evidence: Evidence::Tied { rivals }, rivals: choices.collect() })
            }
            Pick::None if !alive => self.perhaps_quiet(atom.context, seen),
            Pick::None if is_volatile(&known, seen, agree, disagree) => {
                Some(Resolution::stays(Evidence::Kept { confirmed: agree }))
            }
            Pick::None => {
                let example = example.unwrap_or_default();
                Some(Resolution::stays(Evidence::Refuted { example }))
            }
        }
    }

    fn pick(&self, index: usize, seen: &Seen, known: &[(usize, Option<&Value>)], alive: bool) -> Pick {
        let atom = &self.reading.atoms[index];
        let level = &self.levels[atom.context];
        let names = self.names_of(index);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let request = Request {
            known,
            names: &names,
            before: Some((&level.old_table, &seen.old)),
            old_path: atom.path.as_ref(),
            rarity: &Rarity::of(seen.old.iter().flatten()),
            redefined: alive,
            selector: self.selector(atom.context),
            ingredients: self.ingredients,
        };
        let optional = seen.old.iter().any(|value| is_empty(value.as_ref()));
        match pick(&request, &level.new_table) {
            Pick::One(choice) => Pick::One(Choice { optional, ..choice }),
            Pick::Tied(choices) => {
                Pick::Tied(choices.into_iter().map(|choice| Choice { optional, ..choice }).collect())
            }
            Pick::None => Pick::None,
        }
    }

    /// The name it was read by, and the names of the outputs that are nothing but it.
    pub(crate) fn names_of(&self, index: usize) -> Vec<String> {
        let atom = &self.reading.atoms[index];
        let mut names = Vec::new();
        if let Some(path) = &atom.path {
            names.push(path.last_key().to_owned());
        }
        for leaf in self.reading.leaves.iter().filter(|leaf| leaf.atoms == [index]) {
            names.extend(leaf.path.last().cloned());
        }
        names
    }

    /// No known entity shows it: the form of the values has to do.
    fn by_form(&self, seen: &Seen) -> Option<Resolution> {
        let kept = Resolution::stays(Evidence::Kept { confirmed: 0 });
        let nothing_before = seen.old.iter().all(|value| is_empty(value.as_ref()));
        if nothing_before || !self.ingredients.values {
            return Some(kept);
        }
        match forms::recast(&seen.old, &seen.new) {
            Some(Conversion::Same) => Some(kept),
            Some(conversion) if self.ingredients.conversions => {
                let evidence = Evidence::Recast { conversion: conversion.describe() };
                // The path is filled in where the text is written.
                let choice = Choice::plain(FieldPath::default(), conversion);
                Some(Resolution::new(Some(choice), evidence))
            }
            _ if forms::common(&seen.old).is_none() && forms::common(&seen.new).is_none() => Some(kept),
            _ => {
                let (was, is) = (forms::common(&seen.old), forms::common(&seen.new));
                let example = format!("was {was:?}, is {is:?}").to_lowercase();
                Some(Resolution::stays(Evidence::Refuted { example }))
            }
        }
    }

    /// An optional value may be away by chance.
    fn perhaps_quiet(&self, context: usize, seen: &Seen) -> Option<Resolution> {
        let filled = seen.old.iter().filter(|value| !is_empty(value.as_ref())).count();
        let share = (filled as f64 + 0.5) / (seen.old.len() as f64 + 1.0);
        let chance = (1.0 - share).powf(seen.new.len() as f64);
        if filled == 0 {
            return Some(Resolution::stays(Evidence::Kept { confirmed: 0 }));
        }
        // An optional part that is away is no news while there is no new field that could be it.
        let level = &self.levels[context];
        let own = level.new_table.columns.iter().filter(|column| !column.path.root && column.path.literal().is_none());
        let known_before = |column: &Column| level.old_table.get(&column.path).is_some();
        let nothing_new = own.filter(|column| !column.path.is_positional()).all(known_before);
        if share < 0.9 && nothing_new && level.moved.is_none() {
            return Some(Resolution::stays(Evidence::Kept { confirmed: 0 }));
        }
        let there = seen.new.iter().any(Option::is_some);
        if chance > 0.02 && there {
            return Some(Resolution::stays(Evidence::Kept { confirmed: 0 }));
        }
        (chance > 0.02).then_some(Resolution::stays(Evidence::Quiet))
    }

    /// Whether all outputs that read the value are what they were for known entities, with `text` in its place.
    fn outputs_agree(&self, index: usize, text: Option<&str>) -> bool {
        let atom = &self.reading.atoms[index];
        let level = &self.levels[atom.context];
        let mut checked = false;
        for leaf in self.reading.leaves.iter().filter(|leaf| leaf.atoms.contains(&index) && !leaf.outer) {
            if leaf.atoms.iter().any(|other| *other != index && !self.is_within(*other, index)) {
                return false;
            }
            let level = if leaf.context == atom.context { level } else { &self.levels[leaf.context] };
            let old_text = self.reading.source.get(leaf.span.start..leaf.span.end).unwrap_or_default();
            let new_text = match text {
                Some(_) => return false,
                None => old_text,
            };
            let (old, new) = (self.eval_old(leaf.context, old_text), self.eval_new(leaf.context, new_text));
            for pair in level.fresh() {
                if is_empty(old[pair.old].as_ref()) && is_empty(new[pair.new].as_ref()) {
                    continue;
                }
                if !equal_options(old[pair.old].as_ref(), new[pair.new].as_ref()) {
                    return false;
                }
                checked = true;
            }
        }
        checked
    }

    fn is_within(&self, outer: usize, inner: usize) -> bool {
        let (outer, inner) = (&self.reading.atoms[outer], &self.reading.atoms[inner]);
        match (&outer.path, &inner.path) {
            (Some(a), Some(b)) => outer.context == inner.context && b.steps.starts_with(&a.steps),
            _ => false,
        }
    }

    /// Objects that are only tested for being there follow what is read inside them.
    fn containers(&self, seen: &[Seen], resolutions: &mut [Option<Resolution>]) {
        for index in 0..seen.len() {
            if !seen[index].container || resolutions[index].is_some() {
                continue;
            }
            let atom = &self.reading.atoms[index];
            let inside = (0..seen.len())
                .find(|other| *other != index && self.is_within(index, *other) && !seen[*other].container);
            let alive = seen[index].new.iter().any(|value| !is_empty(value.as_ref()));
            let kept = Resolution::stays(Evidence::Kept { confirmed: 0 });
            let Some(inside) = inside else {
                resolutions[index] = if alive { Some(kept) } else { self.perhaps_quiet(atom.context, &seen[index]) };
                continue;
            };
            let (Some(path), Some(inner_path)) = (&atom.path, &self.reading.atoms[inside].path) else { continue };
            let deeper = inner_path.steps.len() - path.steps.len();
            resolutions[index] = match &resolutions[inside] {
                Some(Resolution { choice: Some(choice), evidence, .. })
                    if choice.path != *inner_path && !choice.path.steps.is_empty() =>
                {
                    let mut steps = choice.path.steps.clone();
                    let keep = if steps.len() > deeper { steps.len() - deeper } else { steps.len() };
                    steps.truncate(keep);
                    if steps.is_empty() {
                        steps.clone_from(&choice.path.steps);
                    }
                    let path = FieldPath { root: choice.path.root, steps };
                    let choice = Choice::plain(path, Conversion::Same);
                    Some(Resolution::new(Some(choice), evidence.clone()))
                }
                Some(Resolution { evidence, .. }) => Some(Resolution::stays(evidence.clone())),
                None => None,
            };
        }
    }

    /// Where items are chosen in one list by a selector that is proven, they are chosen by it in the others.
    fn same_selector(&self, resolutions: &mut [Resolution]) {
        let proven: Vec<(Vec<String>, Literal, String, Evidence)> = resolutions
            .iter()
            .filter(|resolution| matches!(resolution.evidence, Evidence::Proven { .. }))
            .filter_map(|resolution| {
                let path = &resolution.choice.as_ref()?.path;
                let (key, literal) = path.literal()?;
                Some((key.to_vec(), literal.clone(), path.last_key().to_owned(), resolution.evidence.clone()))
            })
            .collect();
        for resolution in resolutions.iter_mut() {
            if !matches!(resolution.evidence, Evidence::Tied { .. }) {
                continue;
            }
            let all = resolution.choice.iter().chain(&resolution.rivals);
            let found = all.clone().find_map(|choice| {
                let (key, literal) = choice.path.literal()?;
                let (.., proof) = proven.iter().find(|(known, value, tail, _)| {
                    known == key && value == literal && tail == choice.path.last_key()
                })?;
                Some((choice.clone(), proof.clone()))
            });
            // Only what stands in the same list may be ruled out that way.
            let one_list = found.as_ref().is_some_and(|(choice, _)| {
                all.clone().all(|other| other.path.keys().first() == choice.path.keys().first())
            });
            if let Some((choice, evidence)) = found.filter(|_| one_list) {
                *resolution = Resolution::new(Some(choice), evidence);
            }
        }
    }

    /// Two values that were read at two places are not read at one now.
    fn one_for_all(&self, seen: &[Seen], resolutions: &mut [Resolution]) {
        let mut taken: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
        for (index, resolution) in resolutions.iter().enumerate() {
            let atom = &self.reading.atoms[index];
            let text = match &resolution.choice {
                Some(choice) if choice.also.is_none() && !choice.path.steps.is_empty() => choice.path.render(""),
                _ => continue,
            };
            let split = matches!(
                &resolution.choice.as_ref().map(|choice| &choice.conversion),
                Some(Conversion::Part { .. } | Conversion::Is(_) | Conversion::Chain(_))
            );
            if !split {
                taken.entry((atom.context, text)).or_default().push(index);
            }
        }
        for ((_, text), indices) in taken {
            let same_before = |index: &usize| {
                let old = &self.reading.atoms[indices[0]];
                let other = &self.reading.atoms[*index];
                old.text == other.text || self.is_within(indices[0], *index) || self.is_within(*index, indices[0])
            };
            if indices.len() > 1 && !indices.iter().all(same_before) {
                let differed = indices.iter().any(|index| seen[*index].old != seen[indices[0]].old);
                for index in indices {
                    if differed || !matches!(resolutions[index].evidence, Evidence::Proven { .. }) {
                        resolutions[index].evidence =
                            Evidence::Tied { rivals: vec![format!("another field at {text}")] };
                    }
                }
            }
        }
    }

    /// A conversion that only the form of values asked for is left out where the expression around does it already.
    fn relax(&self, resolutions: &mut [Resolution]) {
        for index in 0..resolutions.len() {
            let Some(choice) = &resolutions[index].choice else { continue };
            if choice.conversion == Conversion::Same || matches!(resolutions[index].evidence, Evidence::Proven { .. }) {
                continue;
            }
            let mut trial = resolutions.to_vec();
            if let Some(choice) = &mut trial[index].choice {
                choice.conversion = Conversion::Same;
            }
            let edits: Vec<Edit> = self.context_edits(&trial).into_iter().chain(self.atom_edits(&trial)).collect();
            let leaves = || self.reading.leaves.iter().filter(|leaf| leaf.atoms.contains(&index) && !leaf.outer);
            let serves = leaves().all(|leaf| {
                let source = self.reading.source;
                let old = self.eval_old(leaf.context, source.get(leaf.span.start..leaf.span.end).unwrap_or_default());
                let new = self.try_new(leaf.context, &splice(source, leaf.span, &edits));
                let schema = FieldSchema::of(self.schema, &leaf.path);
                let valid = new.iter().all(
                    |value| matches!(value, Ok(value) if is_empty(value.as_ref()) || schema.allows(value.as_ref())),
                );
                let new: Vec<Option<Value>> = new.into_iter().map(|value| value.ok().flatten()).collect();
                valid
                    && (forms::common(&old) == forms::common(&new)
                        || forms::recast(&old, &new) == Some(Conversion::Same))
            });
            if serves && leaves().next().is_some() {
                if trial[index].choice.as_ref().is_some_and(|choice| choice.path.steps.is_empty()) {
                    trial[index] = Resolution::stays(Evidence::Kept { confirmed: 0 });
                }
                resolutions[index] = trial.swap_remove(index);
            }
        }
    }

    fn context_edits(&self, resolutions: &[Resolution]) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (index, (context, level)) in self.reading.contexts.iter().zip(&self.levels).enumerate() {
            let Some(moved) = &level.moved else { continue };
            let reads_key = self.reading.atoms.iter().zip(resolutions).any(|(atom, resolution)| {
                let choice = resolution.choice.as_ref();
                atom.context == index && choice.is_some_and(|choice| choice.path.last_key() == ROW_KEY)
            });
            let moved = level.moved_with_key.as_ref().filter(|_| reads_key).unwrap_or(moved);
            for (span, prefix) in &context.spans {
                let text = if prefix.is_empty() || moved == "$" { moved.clone() } else { format!("{prefix}.{moved}") };
                edits.push(Edit { span: *span, text });
            }
        }
        edits
    }

    fn atom_edits(&self, resolutions: &[Resolution]) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (atom, resolution) in self.reading.atoms.iter().zip(resolutions) {
            let Some(choice) = &resolution.choice else { continue };
            for (span, prefix) in &atom.sites {
                let old = self.reading.source.get(span.start..span.end).unwrap_or_default();
                let text = if choice.path.steps.is_empty() {
                    let text = choice.conversion.render(old);
                    if choice.conversion.is_operation() { format!("({text})") } else { text }
                } else {
                    choice.render(prefix)
                };
                if text != old {
                    edits.push(Edit { span: *span, text });
                }
            }
        }
        edits
    }

    /// Settles one output: its values together, what becomes of nothing, and whether known entities still have it.
    fn leaf(&self, leaf: &Leaf, resolutions: &[Resolution], seen: &[Seen], edits: &mut Vec<Edit>) -> Outcome {
        let old_text = self.reading.source.get(leaf.span.start..leaf.span.end).unwrap_or_default().to_owned();
        let evidence = self.weakest(leaf, resolutions);
        if leaf.outer {
            return Outcome { text: splice(self.reading.source, leaf.span, edits), evidence };
        }
        let level = &self.levels[leaf.context];
        if level.lost {
            return Outcome { text: old_text, evidence: Evidence::Gone };
        }
        let old = self.eval_old(leaf.context, &old_text);
        let known: Vec<(usize, Option<&Value>)> =
            level.fresh().map(|pair| (pair.new, old[pair.old].as_ref())).collect();
        let mut text = splice(self.reading.source, leaf.span, edits);
        let mut evidence = evidence;
        let changed = text != old_text;
        let contradicted = |text: &str| -> Option<(usize, String)> {
            let new = self.eval_new(leaf.context, text);
            known.iter().find_map(|(row, expected)| {
                let now = new[*row].as_ref();
                let same = equal_options(now, *expected) || (is_empty(now) && is_empty(*expected));
                (!same).then(|| (*row, contradiction(*expected, now)))
            })
        };
        let fitted = leaf.atoms.iter().any(|index| {
            resolutions[*index].choice.as_ref().is_some_and(|choice| choice.conversion.learned_bits() > 2.0)
        });
        let weak = matches!(evidence, Evidence::Gone | Evidence::Quiet | Evidence::Named | Evidence::Refuted { .. });
        let volatile = !changed && matches!(evidence, Evidence::Kept { .. });
        if !known.is_empty()
            && (weak || (fitted && !leaf.conditional) || (!volatile && contradicted(&text).is_some()))
            && let Some((found, proof)) = self.whole_leaf(leaf, &old, &known, weak || contradicted(&text).is_some())
        {
            edits.retain(|edit| !(edit.span.start >= leaf.span.start && edit.span.end <= leaf.span.end));
            edits.push(Edit { span: leaf.span, text: found.clone() });
            (text, evidence) = (found, proof);
        }
        let settled = self.empties(leaf, &old, &known, resolutions, seen, &text);
        if let Some(settled) = settled {
            edits.retain(|edit| !(edit.span.start >= leaf.span.start && edit.span.end <= leaf.span.end));
            edits.push(Edit { span: leaf.span, text: settled.clone() });
            text = settled;
        }
        if evidence.carries()
            && !volatile
            && let Some((_, example)) = contradicted(&text)
        {
            evidence = Evidence::Refuted { example };
        }
        Outcome { text, evidence }
    }

    fn weakest(&self, leaf: &Leaf, resolutions: &[Resolution]) -> Evidence {
        if leaf.opaque {
            let changed = leaf.atoms.iter().any(|index| resolutions[*index].choice.is_some());
            if changed || self.levels[leaf.context].moved.is_some() {
                return Evidence::Opaque;
            }
        }
        leaf.atoms
            .iter()
            .map(|index| resolutions[*index].evidence.clone())
            .min_by(|a, b| a.weight().total_cmp(&b.weight()))
            .unwrap_or(Evidence::Kept { confirmed: 0 })
    }

    /// A field that shows the output itself, in place of the whole expression.
    fn whole_leaf(
        &self,
        leaf: &Leaf,
        old: &[Option<Value>],
        known: &[(usize, Option<&Value>)],
        anything: bool,
    ) -> Option<(String, Evidence)> {
        let level = &self.levels[leaf.context];
        let mut names: Vec<&str> = leaf.path.last().map(String::as_str).into_iter().collect();
        let only = match leaf.atoms.as_slice() {
            [only] => self.reading.atoms[*only].path.as_ref(),
            _ => None,
        };
        names.extend(only.map(FieldPath::last_key));
        let request = Request {
            known,
            names: &names,
            before: Some((&level.old_table, old)),
            old_path: None,
            rarity: &Rarity::of(old.iter().flatten()),
            redefined: false,
            selector: None,
            ingredients: self.ingredients,
        };
        let Pick::One(choice) = pick(&request, &level.new_table) else { return None };
        if !anything && !choice.is_plain() {
            return None;
        }
        let choice = Choice { optional: old.iter().any(|value| is_empty(value.as_ref())), ..choice };
        let list = old.iter().flatten().any(Value::is_array);
        let text = choice.render("");
        let text = if list { format!("[{text}]") } else { text };
        let support = choice.support;
        Some((text, Evidence::Proven { records: support.records, values: support.values, bits: support.bits }))
    }

    /// What the output becomes where its values say nothing, in a way that was not there before.
    fn empties(
        &self,
        leaf: &Leaf,
        old: &[Option<Value>],
        known: &[(usize, Option<&Value>)],
        resolutions: &[Resolution],
        seen: &[Seen],
        text: &str,
    ) -> Option<String> {
        let schema = FieldSchema::of(self.schema, &leaf.path);
        let now = self.try_new(leaf.context, text);
        let mut meant: Vec<Option<Value>> = Vec::new();
        let mut bad = Vec::new();
        for (row, result) in now.iter().enumerate() {
            let expected = known.iter().find(|(known, _)| *known == row).map(|(_, expected)| *expected);
            let wrong = match (result, expected) {
                (Err(()), _) => true,
                (Ok(value), Some(expected)) => !equal_options(value.as_ref(), expected),
                (Ok(value), None) => !schema.allows(value.as_ref()),
            };
            if wrong {
                bad.push(row);
                meant.extend(expected.map(|expected| expected.cloned()));
            }
        }
        if bad.is_empty() {
            return self.unseen_nothing(leaf, old, resolutions, seen, text, &schema);
        }
        // The value that is empty on all of these rows.
        let texts: Vec<(usize, String)> = leaf
            .atoms
            .iter()
            .filter(|index| !seen[**index].container)
            .map(|index| (*index, self.atom_text(*index, &resolutions[*index])))
            .collect();
        let (index, x, kinds) = texts.iter().find_map(|(index, x)| {
            let values = self.eval_new(self.reading.atoms[*index].context, x);
            (self.reading.atoms[*index].context == leaf.context).then_some(())?;
            let kinds: Option<Vec<Empty>> = bad.iter().map(|row| empty_kind(values[*row].as_ref())).collect();
            Some((*index, x.clone(), kinds?))
        })?;
        let before: Vec<&Option<Value>> = seen[index]
            .old
            .iter()
            .zip(old)
            .filter(|(value, _)| is_empty(value.as_ref()))
            .map(|(_, output)| output)
            .collect();
        let target = match (meant.first(), before.first()) {
            (Some(first), _) if meant.iter().all(|other| equal_options(other.as_ref(), first.as_ref())) => {
                first.clone()?
            }
            (Some(_), _) => return None,
            (None, Some(Some(first))) if before.iter().all(|b| b.as_ref().is_some_and(|b| equal(b, first))) => {
                first.clone()
            }
            (None, Some(_)) => return None,
            (None, None) if schema.allows(Some(&Value::Null)) => Value::Null,
            (None, None) => return None,
        };
        // Nothing becomes what says nothing, or what it became before; anything else is a row mistaken for another.
        let says_nothing = target == Value::Bool(false) || target.as_f64() == Some(0.0) || is_empty(Some(&target));
        let as_before = before.iter().any(|output| equal_options(output.as_ref(), Some(&target)));
        if !schema.allows(Some(&target)) || !(says_nothing || as_before) {
            return None;
        }
        let mut kinds = kinds;
        kinds.sort();
        kinds.dedup();
        let text = match kinds.as_slice() {
            [Empty::Absent] => format!("$exists({x}) ? {text} : {target}"),
            [Empty::Null] => match literal_test(text, &x) {
                Some(rewritten) => rewritten,
                None => format!("{x} = null ? {target} : ({text})"),
            },
            [Empty::Text] => format!("{x} = \"\" ? {target} : ({text})"),
            [Empty::List] => format!("$count({x}) = 0 ? {target} : ({text})"),
            _ => {
                let falsy = |value: &Value| value == &Value::Bool(false) || value.as_f64() == Some(0.0);
                let values = self.eval_new(leaf.context, &x);
                if values.iter().flatten().any(falsy) || seen[index].old.iter().flatten().any(falsy) {
                    return None;
                }
                format!("{x} ? ({text}) : {target}")
            }
        };
        let text = tidy(&text);
        let repaired = self.try_new(leaf.context, &text);
        let right = bad.iter().all(|row| matches!(&repaired[*row], Ok(Some(value)) if equal(value, &target)));
        right.then_some(text)
    }

    /// The old field said nothing now and then, and the output was null; the new one has not done so yet. Whatever way it
    /// will choose, the output is null again.
    fn unseen_nothing(
        &self,
        leaf: &Leaf,
        old: &[Option<Value>],
        resolutions: &[Resolution],
        seen: &[Seen],
        text: &str,
        schema: &FieldSchema,
    ) -> Option<String> {
        let [index] = leaf.atoms.as_slice() else { return None };
        let moved = resolutions[*index].choice.as_ref().filter(|choice| !choice.path.steps.is_empty())?;
        let nulls = seen[*index].old.iter().zip(old).filter(|(value, _)| is_empty(value.as_ref()));
        let mut nulls = nulls.map(|(_, output)| output.as_ref() == Some(&Value::Null)).peekable();
        let was_null = nulls.peek().is_some() && nulls.all(|null| null);
        let x = self.atom_text(*index, &resolutions[*index]);
        let now = self.eval_new(leaf.context, &x);
        if !was_null || leaf.conditional || moved.default.is_some() || now.iter().any(|value| is_empty(value.as_ref()))
        {
            return None;
        }
        let texts = now.iter().flatten().all(Value::is_string);
        let guarded = match texts && !schema.allows(Some(&Value::from(""))) {
            true => format!("{x} ? {text} : null"),
            false => format!("$exists({x}) ? {text} : null"),
        };
        Some(guarded)
    }

    fn atom_text(&self, index: usize, resolution: &Resolution) -> String {
        let atom = &self.reading.atoms[index];
        let prefix = atom.sites.first().map(|(_, prefix)| prefix.as_str()).unwrap_or_default();
        match &resolution.choice {
            Some(choice) if !choice.path.steps.is_empty() => choice.path.render(prefix),
            _ => atom.sites.first().map_or_else(
                || atom.text.clone(),
                |(span, _)| self.reading.source.get(span.start..span.end).unwrap_or_default().to_owned(),
            ),
        }
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
            for pair in level.fresh() {
                known += 1;
                let same =
                    |(old, new): &(Values, Values)| equal_options(old[pair.old].as_ref(), new[pair.new].as_ref());
                reproduced += usize::from(leaves.iter().all(same));
            }
        }
        (known, reproduced)
    }
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

/// `x = "" ? …` asks for the new way of saying nothing instead.
fn literal_test(text: &str, x: &str) -> Option<String> {
    let rest = text.strip_prefix(&format!("{x} = \"\" ?"))?;
    Some(format!("{x} = null ?{rest}"))
}

/// Without parentheses around what needs none.
fn tidy(text: &str) -> String {
    let Some(open) = text.rfind(": (") else { return text.to_owned() };
    let inner = &text[open + 3..];
    let simple =
        inner.ends_with(')') && inner[..inner.len() - 1].chars().all(|c| c.is_alphanumeric() || "._`$".contains(c));
    if simple { format!("{}{}", &text[..open + 2], &inner[..inner.len() - 1]) } else { text.to_owned() }
}

fn contradiction(expected: Option<&Value>, now: Option<&Value>) -> String {
    let shown = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let text = value.to_string();
            if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
        }
    };
    format!("{} became {}", shown(expected), shown(now))
}

/// Whether the differences are those of a value that changes all the time rather than of drift.
fn is_volatile(known: &[(usize, Option<&Value>)], seen: &Seen, agree: usize, disagree: usize) -> bool {
    if agree > 0 && agree * 2 >= disagree {
        return true;
    }
    let mut ratios: Vec<f64> = Vec::new();
    for (row, expected) in known {
        let now = seen.new[*row].as_ref();
        match (expected.and_then(Value::as_f64), now.and_then(Value::as_f64)) {
            (Some(a), Some(b)) if a == b => ratios.push(1.0),
            (Some(a), Some(b)) if a != 0.0 && (0.3..=3.0).contains(&(b / a)) => ratios.push(b / a),
            (None, None) if is_empty(*expected) && is_empty(now) => {}
            _ => return false,
        }
    }
    // The same ratio everywhere is another unit, not another day.
    let (low, high) = ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), r| (low.min(*r), high.max(*r)));
    ratios.len() >= 2 && high > low * 1.02
}

/// Path of the container of a value.
pub(crate) fn parent_keys(path: &FieldPath) -> Vec<&str> {
    let mut keys = path.keys();
    if matches!(path.steps.last(), Some(Step::Key(_))) {
        keys.pop();
    }
    keys
}
