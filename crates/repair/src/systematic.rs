//! The same change of a name at several places is no chance.

use serde_json::Value;

use crate::evidence::Evidence;
use crate::forms;
use crate::names::units_differ;
use crate::solve::{Resolution, Solver, parent_keys};

/// Fields that have to get the same words before or behind their names.
const FEWEST_AFFIXED: usize = 3;

/// What happened to a name.
#[derive(PartialEq)]
enum Change {
    Name(String, String),
    Before(String),
    Behind(String),
}

pub(crate) fn believe(solver: &Solver<'_>, resolutions: &mut [Option<Resolution>]) {
    let renamed = |index: usize, resolution: &Option<Resolution>| -> Option<(String, String)> {
        let resolution = resolution.as_ref()?;
        let choice = resolution.choice.as_ref()?;
        let old = solver.reading.atoms[index].path.as_ref()?;
        let (from, to) = (old.last_key().to_owned(), choice.path.last_key().to_owned());
        let in_place = parent_keys(old) == parent_keys(&choice.path);
        (from != to && in_place && !choice.path.steps.is_empty()).then_some((from, to))
    };
    let all: Vec<Option<(String, String)>> =
        resolutions.iter().enumerate().map(|(index, resolution)| renamed(index, resolution)).collect();
    let kept = |index: usize| solver.reading.atoms[index].path.is_some() && all[index].is_none();
    let any_kept = (0..all.len()).any(kept);
    for index in 0..resolutions.len() {
        let Some(rename) = &all[index] else { continue };
        let same = |change: &Change| all.iter().flatten().filter(|other| changes(other).contains(change)).count();
        let times_of = |change: Change| {
            let times = same(&change);
            match change {
                Change::Name(..) if times >= 2 => times,
                // Words around a name may make it another; around all names they do not.
                Change::Before(_) | Change::Behind(_) if times >= FEWEST_AFFIXED && !any_kept => times,
                _ => 0,
            }
        };
        let times = changes(rename).into_iter().map(times_of).max().unwrap_or(0);
        if let Some(resolution) = &mut resolutions[index]
            && matches!(resolution.evidence, Evidence::Named)
            && times >= 2
            && !units_differ(&rename.0, &rename.1)
            && steady_forms(solver, index, resolution)
        {
            resolution.evidence = Evidence::Systematic { times };
        }
    }
}

fn changes((from, to): &(String, String)) -> Vec<Change> {
    let mut found = vec![Change::Name(from.clone(), to.clone())];
    found.extend(to.strip_suffix(from.as_str()).map(|before| Change::Before(before.to_owned())));
    found.extend(to.strip_prefix(from.as_str()).map(|behind| Change::Behind(behind.to_owned())));
    found
}

fn steady_forms(solver: &Solver<'_>, index: usize, resolution: &Resolution) -> bool {
    let level = &solver.levels[solver.reading.atoms[index].context];
    let Some(column) = resolution.choice.as_ref().and_then(|choice| level.new_table.get(&choice.path)) else {
        return false;
    };
    let old: Vec<Option<Value>> = solver.reading.atoms[index]
        .path
        .as_ref()
        .and_then(|path| level.old_table.get(path))
        .map(|column| column.cells.clone())
        .unwrap_or_default();
    forms::same_magnitude(&old, &column.cells) && forms::same_length(&old, &column.cells)
}
