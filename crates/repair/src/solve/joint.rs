//! What holds for several values together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Resolution, Seen, Solver};
use crate::convert::Conversion;
use crate::evidence::Evidence;
use crate::forms;
use crate::path::{FieldPath, Literal};
use crate::pick::{Choice, Support};
use crate::rewrite::{Edit, splice};
use crate::schema::FieldSchema;
use crate::value::is_empty;
use serde_json::Value;

impl Solver<'_> {
    pub(super) fn is_within(&self, outer: usize, inner: usize) -> bool {
        let (outer, inner) = (&self.reading.atoms[outer], &self.reading.atoms[inner]);
        match (&outer.path, &inner.path) {
            (Some(a), Some(b)) => outer.context == inner.context && b.steps.starts_with(&a.steps),
            _ => false,
        }
    }

    /// A code that is proven to be taken apart for one value may hold others, too.
    pub(super) fn other_parts(&self, seen: &[Seen], resolutions: &mut [Option<Resolution>]) {
        let part = |resolution: &Option<Resolution>| {
            let Some(Resolution { choice: Some(choice), evidence: Evidence::Proven { .. }, .. }) = resolution else {
                return None;
            };
            let conversion = match &choice.conversion {
                Conversion::Chain(chain) => chain.first()?,
                other => other,
            };
            match conversion {
                Conversion::Part { separator, .. } => Some((choice.path.clone(), separator.clone())),
                _ => None,
            }
        };
        for context in 0..self.levels.len() {
            let here = |index: &usize| self.reading.atoms[*index].context == context;
            let codes: Vec<(FieldPath, String)> =
                (0..seen.len()).filter(here).filter_map(|index| part(&resolutions[index])).collect();
            if codes.is_empty() {
                continue;
            }
            for index in (0..seen.len()).filter(here) {
                if matches!(&resolutions[index], None | Some(Resolution { evidence: Evidence::Quiet, .. })) {
                    resolutions[index] = self.by_values(index, &seen[index], &codes);
                }
            }
        }
    }

    /// Objects that are only tested for being there follow what is read inside them.
    pub(super) fn containers(&self, seen: &[Seen], resolutions: &mut [Option<Resolution>]) {
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
    pub(super) fn same_selector(&self, resolutions: &mut [Resolution]) {
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

    /// What stood in one object stands in one object still: of several places for a value, the one beside what is proven.
    pub(super) fn same_home(&self, resolutions: &mut [Resolution]) {
        for index in 0..resolutions.len() {
            let atom = &self.reading.atoms[index];
            let around = atom.path.as_ref().map(FieldPath::parent).filter(|around| !around.steps.is_empty());
            let Some(around) = around.filter(|_| matches!(resolutions[index].evidence, Evidence::Tied { .. })) else {
                continue;
            };
            let beside = self.reading.atoms.iter().zip(resolutions.iter()).enumerate().filter(|(other, (read, _))| {
                let same_object = read.path.as_ref().is_some_and(|path| path.parent() == around);
                *other != index && read.context == atom.context && same_object
            });
            let proven = beside.filter_map(|(_, (_, resolution))| {
                let choice = resolution.choice.as_ref().filter(|choice| !choice.path.steps.is_empty())?;
                matches!(resolution.evidence, Evidence::Proven { .. }).then(|| choice.path.parent())
            });
            let homes: BTreeSet<FieldPath> = proven.collect();
            let [home] = homes.iter().collect::<Vec<_>>()[..] else { continue };
            let all = resolutions[index].choice.iter().chain(&resolutions[index].rivals);
            let mut inside = all.filter(|choice| choice.path.parent() == *home && !home.steps.is_empty());
            if let (Some(choice), None) = (inside.next().cloned(), inside.next()) {
                let Support { records, values, bits } = choice.support;
                resolutions[index] = Resolution::new(Some(choice), Evidence::Proven { records, values, bits });
            }
        }
    }

    /// Two values that were read at two places are not read at one now.
    pub(super) fn one_for_all(&self, seen: &[Seen], resolutions: &mut [Resolution]) {
        let mut taken: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
        for (index, resolution) in resolutions.iter().enumerate() {
            let atom = &self.reading.atoms[index];
            let text = match &resolution.choice {
                Some(choice) if choice.with.is_none() && !choice.path.steps.is_empty() => choice.path.render(""),
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
    pub(super) fn relax(&self, resolutions: &mut [Resolution]) {
        for index in 0..resolutions.len() {
            let Some(choice) = &resolutions[index].choice else { continue };
            if !choice.conversion.is_cast() || matches!(resolutions[index].evidence, Evidence::Proven { .. }) {
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
                let same_form =
                    forms::common(&old) == forms::common(&new) && forms::date_form(&old) == forms::date_form(&new);
                valid && (same_form || forms::recast(&old, &new) == Some(Conversion::Same))
            });
            if serves && leaves().next().is_some() {
                if trial[index].choice.as_ref().is_some_and(|choice| choice.path.steps.is_empty()) {
                    trial[index] = Resolution::stays(Evidence::Kept { confirmed: 0 });
                }
                resolutions[index] = trial.swap_remove(index);
            }
        }
    }
}
