//! What is written in place of what the mapping read: rows that moved, values that moved.

use super::{Resolution, Solver};
use crate::evidence::Evidence;
use crate::path::FieldPath;
use crate::pick::Choice;
use crate::places::ROW_KEY;
use crate::rewrite::Edit;
use crate::syntax::AROUND;

impl Solver<'_> {
    pub(super) fn context_edits(&self, resolutions: &[Resolution]) -> Vec<Edit> {
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

    pub(super) fn atom_edits(&self, resolutions: &[Resolution]) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (atom, resolution) in self.reading.atoms.iter().zip(resolutions) {
            let Some(choice) = &resolution.choice else { continue };
            for (span, prefix) in &atom.sites {
                let old = self.reading.source.get(span.start..span.end).unwrap_or_default();
                let text = if choice.path.steps.is_empty() {
                    let text = choice.conversion.render(old);
                    if choice.conversion.is_operation() { format!("({text})") } else { text }
                } else {
                    match self.written(choice, prefix) {
                        Some(text) => text,
                        None => continue,
                    }
                };
                if text != old {
                    edits.push(Edit { span: *span, text });
                }
            }
        }
        edits
    }

    /// The choice as it is written where `prefix` stands for the row. Nothing for what `%` does not reach.
    fn written(&self, choice: &Choice, prefix: &str) -> Option<String> {
        let Some(within) = prefix.strip_prefix(AROUND) else { return Some(choice.render(prefix)) };
        let level = &self.levels[within.parse::<usize>().ok()?];
        let around = match (&level.moved, &level.place) {
            (None, _) => FieldPath::default(),
            (Some(_), Some(place)) => place.parent(),
            (Some(_), None) => return None,
        };
        let rest = choice.path.steps.strip_prefix(around.steps.as_slice()).filter(|rest| !rest.is_empty())?;
        let path = FieldPath { root: false, steps: rest.to_vec() };
        Some(Choice { path, ..choice.clone() }.render(&AROUND.to_string()))
    }

    /// What is read around rows that moved has to be read around them still.
    pub(super) fn around_moved_rows(&self, resolutions: &mut [Resolution]) {
        for (atom, resolution) in self.reading.atoms.iter().zip(resolutions) {
            let reached = atom.sites.iter().all(|(_, prefix)| {
                let Some(within) = prefix.strip_prefix(AROUND) else { return true };
                let moved = within.parse::<usize>().is_ok_and(|at| self.levels[at].moved.is_some());
                match &resolution.choice {
                    Some(choice) if choice.with.is_none() => self.written(choice, prefix).is_some(),
                    Some(_) => false,
                    None => !moved,
                }
            });
            if !reached {
                resolution.evidence = Evidence::Opaque;
            }
        }
    }
}
