//! Why a name may deceive: copies of other fields, objects that are something else.

use serde_json::Value;

use crate::forms;
use crate::names::{self, Likeness, likeness, tokens};
use crate::path::FieldPath;
use crate::solve::{Seen, Solver};
use crate::table::Column;
use crate::value::{equal_options, is_empty};

/// A field that was there before and was something else, and whose values the chosen one only repeats.
pub(super) fn copied<'a>(
    solver: &'a Solver<'_>,
    atom: usize,
    seen: &Seen,
    chosen: &FieldPath,
) -> Option<&'a FieldPath> {
    let level = &solver.levels[solver.reading.atoms[atom].context];
    let cells = &level.new_table.get(chosen)?.cells;
    let filled = |cells: &[Option<Value>]| cells.iter().filter(|cell| !is_empty(cell.as_ref())).count();
    let was_else = |column: &Column| {
        let both = column.cells.iter().zip(&seen.old).filter(|(a, b)| !is_empty(a.as_ref()) && !is_empty(b.as_ref()));
        both.clone().any(|(a, b)| !equal_options(a.as_ref(), b.as_ref()))
    };
    let own = solver.reading.atoms[atom].path.as_ref();
    let repeats = |column: &&Column| {
        let plain = !column.path.is_positional() && column.path.literal().is_none() && Some(&column.path) != own;
        let now = level.new_table.get(&column.path).map(|column| &column.cells);
        plain && now == Some(cells) && was_else(column)
    };
    let column = level.old_table.columns.iter().find(repeats)?;
    (filled(cells) >= FEWEST_REPEATED).then_some(&column.path)
}

/// Values by which one field is taken for the copy of another.
const FEWEST_REPEATED: usize = 3;

/// Whether the chosen field is the only one of identifiers that are written as the old ones, and its name is the old one
/// with or without what the entity is called.
pub(super) fn same_pattern(solver: &Solver<'_>, atom: usize, seen: &Seen, chosen: &FieldPath) -> bool {
    let read = &solver.reading.atoms[atom];
    let level = &solver.levels[read.context];
    let (Some(old), Some(pattern)) = (&read.path, forms::pattern(&seen.old)) else { return false };
    let alike = |column: &&Column| {
        let plain = !column.path.root && !column.path.is_positional() && column.path.literal().is_none();
        plain && forms::pattern(&column.cells).as_ref() == Some(&pattern)
    };
    let mut all = level.new_table.columns.iter().filter(alike);
    let alone = all.next().is_some_and(|column| column.path == *chosen) && all.next().is_none();
    let mut called: Vec<String> = solver.names_of(atom).iter().skip(1).flat_map(|name| tokens(name)).collect();
    let around = solver.reading.contexts[read.context].path.as_ref().map(FieldPath::last_key);
    called.extend(around.map(tokens).unwrap_or_default());
    let (was, is) = (tokens(old.last_key()), tokens(chosen.last_key()));
    let more = was.iter().filter(|word| !is.contains(word)).chain(is.iter().filter(|word| !was.contains(word)));
    let same_depth = old.steps.len() == chosen.steps.len();
    alone && same_depth && more.into_iter().all(|word| called.contains(word))
}

/// Whether the object that the value stood in is still there, and the chosen field stands in another one: a payout has a
/// currency, too.
pub(super) fn left_its_object(solver: &Solver<'_>, atom: usize, chosen: &FieldPath) -> bool {
    let Some(old) = solver.reading.atoms[atom].path.as_ref() else { return false };
    let around = old.parent();
    let level = &solver.levels[solver.reading.atoms[atom].context];
    let beside = |column: &&Column| {
        column.path.steps.len() > around.steps.len()
            && column.path.steps.starts_with(&around.steps)
            && column.path != *old
    };
    let alive = |column: &Column| level.new_table.get(&column.path).is_some();
    let survives = level.old_table.columns.iter().filter(beside).any(alive);
    let told = around.keys().iter().all(|key| chosen.keys().iter().any(|name| likeness(key, name) >= Likeness::Close));
    !around.steps.is_empty() && survives && !chosen.steps.starts_with(&around.steps) && !told
}

/// Whether a value is alone in an object that is something else by its name: the currency of a settlement is not that of
/// the order. Others that are read in the same object, an object that only wraps, or a form that few fields have, speak
/// for it.
pub(super) fn went_alone(
    solver: &Solver<'_>,
    atom: usize,
    seen: &Seen,
    chosen: &FieldPath,
    company: &[&FieldPath],
) -> bool {
    let read = &solver.reading.atoms[atom];
    let Some(old) = read.path.as_ref() else { return false };
    let list =
        solver.reading.contexts[read.context].path.as_ref().map(FieldPath::last_key).unwrap_or_default().to_owned();
    let own: Vec<&str> = old.keys().into_iter().chain([list.as_str()]).collect();
    let parent = chosen.parent();
    let literal = chosen.literal().is_some();
    // The object that the whole row stands in now is no other one.
    let home = solver.levels[read.context].home.as_ref().filter(|home| parent.steps.starts_with(&home.steps));
    let inside = FieldPath { root: false, steps: parent.steps[home.map_or(0, |home| home.steps.len())..].to_vec() };
    let alien = inside
        .keys()
        .iter()
        .any(|key| !names::only_wraps(key) && !own.iter().any(|name| likeness(name, key) >= Likeness::Close));
    let others = company.iter().filter(|path| ***path != *chosen && path.parent() == parent).count();
    let distinctive = forms::common(&seen.old).is_some_and(forms::Form::is_distinctive);
    alien && !literal && others == 0 && !distinctive
}
