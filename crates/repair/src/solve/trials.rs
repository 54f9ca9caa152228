//! Outputs that are made of one value and of nothing else, tried with other values in its place.

use std::cell::Cell;

use serde_json::Value;

use super::Solver;
use crate::eval::VALUE;
use crate::rewrite::{Edit, splice};
use crate::syntax::Leaf;
use crate::value::is_empty;

/// Values tried for one atom; beyond, no further field is looked at.
const MOST_TRIALS: usize = 2_000;

pub(super) struct Trials {
    context: usize,
    prelude: String,
    /// The outputs, with [`VALUE`] where the value is read.
    texts: Vec<String>,
    /// What is known of the outputs, for each known row of the value.
    pub(super) known: Vec<Option<Value>>,
    /// The outputs of all remembered rows.
    pub(super) before: Vec<Value>,
    left: Cell<usize>,
}

impl Solver<'_> {
    /// The outputs that read the atom alone; none if there is nothing around it.
    pub(super) fn trials(&self, index: usize, known: &[(usize, Option<&Value>)]) -> Option<Trials> {
        let atom = &self.reading.atoms[index];
        let context = atom.context;
        let own = |leaf: &&Leaf| !leaf.outer && !leaf.opaque && leaf.context == context && leaf.atoms == [index];
        let leaves: Vec<&Leaf> = self.reading.leaves.iter().filter(own).collect();
        let source = self.reading.source;
        let whole = |leaf: &Leaf| atom.sites.iter().any(|(span, _)| *span == leaf.span);
        if leaves.is_empty() || leaves.iter().all(|leaf| whole(leaf)) {
            return None;
        }
        let value = format!("${VALUE}");
        let edits: Vec<Edit> = atom.sites.iter().map(|(span, _)| Edit { span: *span, text: value.clone() }).collect();
        let texts = leaves.iter().map(|leaf| splice(source, leaf.span, &edits)).collect();
        let old: Vec<Vec<Option<Value>>> = leaves
            .iter()
            .map(|leaf| self.eval_old(context, source.get(leaf.span.start..leaf.span.end).unwrap_or_default()))
            .collect();
        let together = |row: usize| one(old.iter().map(|outputs| outputs[row].clone()));
        let level = &self.levels[context];
        let known = known.iter().map(|(new, _)| {
            let pair = level.witnesses().find(|pair| pair.new == *new)?;
            together(pair.old)
        });
        let known = known.collect();
        let before = (0..level.old.values.len()).filter_map(together).collect();
        let prelude = self.prelude(context, &[]);
        Some(Trials { context, prelude, texts, known, before, left: Cell::new(MOST_TRIALS) })
    }
}

impl Trials {
    pub(super) fn of(&self, solver: &Solver<'_>, row: usize, value: Option<&Value>) -> Option<Value> {
        self.left.set(self.left.get().checked_sub(1)?);
        let rows = &solver.levels[self.context].new;
        let record = solver.new_records[rows.record[row]];
        let part = |text: &String| {
            solver.evaluator.part_with(&self.prelude, text, &rows.values[row], record, value).ok().flatten()
        };
        one(self.texts.iter().map(part))
    }
}

/// One value as it is, several as a list; nothing if all are empty.
fn one(mut outputs: impl ExactSizeIterator<Item = Option<Value>>) -> Option<Value> {
    if outputs.len() == 1 {
        return outputs.next().flatten();
    }
    let all: Vec<Value> = outputs.map(Option::unwrap_or_default).collect();
    (!all.iter().all(|value| is_empty(Some(value)))).then_some(Value::Array(all))
}
