//! Values that no known entity shows: names, places, forms and recurring values, weighed for all of them together.
//!
//! Names rank and values prove. What comes from here carries a mapping only when nothing else has the name, the forms
//! agree, sizes do not jump, and no word of the name is another unit.

mod doubts;

use serde_json::Value;

use crate::convert::Conversion;
use crate::evidence::Evidence;
use crate::factor::sign_elsewhere;
use crate::forms;
use crate::names::{Likeness, is_for_people, likeness, own_name, places_alike, units_differ};
use crate::path::FieldPath;
use crate::pick::Choice;
use crate::solve::{Resolution, Seen, Solver, parent_keys};
use crate::systematic;
use crate::table::Column;
use crate::value::is_empty;
use doubts::{copied, left_its_object, same_pattern, went_alone};

struct Option_ {
    atom: usize,
    path: FieldPath,
    score: f64,
    likeness: Likeness,
    conversion: Conversion,
    vocabulary: Option<usize>,
    steady: bool,
    /// It stands where the old one stood, in the object that the row stands in now (3) or in the row (2), or at a place of
    /// a like name (1).
    near: u8,
}

pub(crate) fn resolve(solver: &Solver<'_>, seen: &[Seen], resolutions: &mut [Option<Resolution>]) {
    if !solver.ingredients.names && !solver.ingredients.values {
        return;
    }
    for context in 0..solver.levels.len() {
        let open: Vec<usize> = (0..seen.len())
            .filter(|index| solver.reading.atoms[*index].context == context)
            .filter(|index| !seen[*index].container && is_open(resolutions[*index].as_ref()))
            .collect();
        if open.is_empty() {
            continue;
        }
        let taken: Vec<FieldPath> = (0..seen.len())
            .filter(|index| solver.reading.atoms[*index].context == context && !open.contains(index))
            .filter_map(|index| match resolutions[index].as_ref()? {
                Resolution { choice: Some(choice), .. } if !choice.path.steps.is_empty() => Some(choice.path.clone()),
                _ => solver.reading.atoms[index].path.clone(),
            })
            .collect();
        let mut options = Vec::new();
        for index in &open {
            options.extend(options_of(solver, *index, &seen[*index], &taken));
        }
        for (atom, resolution) in assign(solver, seen, &open, &options, &taken) {
            resolutions[atom] = Some(resolution);
        }
    }
    systematic::believe(solver, resolutions);
}

fn is_open(resolution: Option<&Resolution>) -> bool {
    matches!(resolution, None | Some(Resolution { evidence: Evidence::Quiet, .. }))
}

fn options_of(solver: &Solver<'_>, index: usize, seen: &Seen, taken: &[FieldPath]) -> Vec<Option_> {
    let atom = &solver.reading.atoms[index];
    let level = &solver.levels[atom.context];
    let Some(old_path) = &atom.path else { return vocabulary_only(solver, index, seen, taken) };
    let literal = old_path.literal().map(|(_, literal)| literal);
    let literal_lives = literal.is_some_and(|literal| {
        level.new_table.columns.iter().any(|column| column.path.literal().is_some_and(|(_, other)| other == literal))
    });
    let names = solver.names_of(index);
    let mut options = Vec::new();
    for column in &level.new_table.columns {
        if column.path.is_positional() || taken.contains(&column.path) || was_there(solver, atom.context, column) {
            continue;
        }
        let other = column.path.literal().map(|(_, literal)| literal);
        // A list of names and values holds what an object held under the name.
        let at_home = |path: &FieldPath| level.home.as_ref().map(|home| home.joined(path));
        let exact = |old: &FieldPath| places_alike(old, &column.path) == Likeness::Exact;
        let spelled_out = || literal.is_none() && (exact(old_path) || at_home(old_path).is_some_and(|old| exact(&old)));
        if (literal_lives && other != literal) || (!literal_lives && other.is_some() && !spelled_out()) {
            continue;
        }
        if let Some(option) = weigh(solver, index, seen, column, old_path, &names) {
            options.push(option);
        }
    }
    options
}

/// Fields that were there before and were not read mean something else.
fn was_there(solver: &Solver<'_>, context: usize, column: &Column) -> bool {
    let before = solver.levels[context].old_table.get(&column.path);
    before.is_some_and(|before| before.cells.iter().any(|cell| !is_empty(cell.as_ref())))
}

fn weigh(
    solver: &Solver<'_>,
    index: usize,
    seen: &Seen,
    column: &Column,
    old_path: &FieldPath,
    names: &[String],
) -> Option<Option_> {
    if forms::is_list(&seen.old) != forms::is_list(&column.cells)
        && column.cells.iter().flatten().any(|c| c.as_array().is_some_and(|a| a.len() > 1))
    {
        return None;
    }
    let atom = &solver.reading.atoms[index];
    let level = &solver.levels[atom.context];
    let cells: Vec<Option<Value>> = match &atom.lens {
        Some(_) => column.cells.iter().map(|cell| atom.seen_through_lens(cell.clone())).collect(),
        None => column.cells.clone(),
    };
    let conversion = forms::recast(&seen.old, &cells)?;
    if conversion != Conversion::Same && !solver.ingredients.conversions {
        return None;
    }
    let name = &own_name(&column.path);
    // In the object that the row stands in now, it is looked for where it stood in the row.
    let moved = solver.levels[atom.context].home.as_ref().map(|home| home.joined(old_path));
    let followed = moved.as_ref() == Some(&column.path);
    let own = places_alike(old_path, &column.path).max(within(solver, index, seen, column, old_path));
    let own = match &moved {
        Some(moved) => own.max(places_alike(moved, &column.path)).max(within(solver, index, seen, column, moved)),
        None => own,
    };
    let alike = match solver.ingredients.names {
        true => own.max(
            names
                .iter()
                .skip(1)
                .map(|other| likeness(other, name))
                .max()
                .unwrap_or(Likeness::None)
                .min(Likeness::Close),
        ),
        false => Likeness::None,
    };
    let vocabulary = solver
        .ingredients
        .values
        .then(|| forms::vocabulary(&seen.old, &cells))
        .flatten()
        .filter(|(shared, share)| *shared >= 2 && *share >= 0.75)
        .map(|(shared, _)| shared);
    let same_parent = parent_keys(old_path) == parent_keys(&column.path) && !column.path.root;
    let form = forms::common(&seen.old);
    let distinctive = form.is_some_and(forms::Form::is_distinctive);
    let steady = forms::same_magnitude(&seen.old, &cells)
        && sign_elsewhere(&level.old_table, &level.new_table, &seen.old, &cells).is_none()
        && (form == Some(forms::Form::Text)
            || forms::same_length(&seen.old, &cells)
            || form == Some(forms::Form::Number))
        && (!matches!(form, Some(forms::Form::Number | forms::Form::NumberText))
            || !units_differ(&full_name(old_path), &full_name(&column.path)));
    let score = f64::from(alike as u8) * 2.0
        + if same_parent { 1.0 } else { 0.0 }
        + if vocabulary.is_some() { 4.0 } else { 0.0 }
        + if distinctive { 1.5 } else { 0.0 }
        + if steady { 0.5 } else { -1.0 }
        + if followed { 2.0 } else { 0.0 }
        + parents_alike(old_path, &column.path)
        - if column.path.root { 0.5 } else { 0.0 };
    let near = match (followed, same_parent) {
        (true, _) => 3,
        (false, true) => 2,
        _ => u8::from(parents_alike(old_path, &column.path) > 0.0),
    };
    (score > 1.0).then_some(Option_ {
        atom: index,
        path: column.path.clone(),
        score,
        likeness: alike,
        conversion,
        vocabulary,
        steady,
        near,
    })
}

/// A value that became an object: the field inside that has its form and only repeats what the object is.
fn within(solver: &Solver<'_>, index: usize, seen: &Seen, column: &Column, old_path: &FieldPath) -> Likeness {
    let steps = &old_path.steps;
    let inside = |path: &FieldPath| path.steps.starts_with(steps) && path.steps.len() == steps.len() + 1;
    let plain = |path: &FieldPath| WITHIN.contains(&path.last_key().to_lowercase().as_str());
    let form = forms::common(&seen.old);
    if steps.is_empty() || !inside(&column.path) || !plain(&column.path) || form.is_none() {
        return Likeness::None;
    }
    // Beside a number any other number is a rival; of texts, `name` is meant rather than `lang` or `scheme`.
    let counts = |path: &FieldPath| form == Some(forms::Form::Number) || plain(path);
    let rival = |other: &Column| {
        other.path != column.path
            && inside(&other.path)
            && counts(&other.path)
            && forms::common(&other.cells) == form
            && forms::same_length(&seen.old, &other.cells)
            && !(is_for_people(other.path.last_key()) && other.cells == column.cells)
    };
    let beside = &solver.levels[solver.reading.atoms[index].context].new_table.columns;
    if beside.iter().any(rival) { Likeness::None } else { Likeness::Same }
}

/// Names inside an object that only repeat what the object is.
const WITHIN: &[&str] = &[
    "count",
    "total",
    "amount",
    "current",
    "name",
    "label",
    "id",
    "code",
    "key",
    "title",
    "display_name",
    "displayname",
];

fn full_name(path: &FieldPath) -> String {
    path.keys().join("_")
}

fn parents_alike(old: &FieldPath, new: &FieldPath) -> f64 {
    match (parent_keys(old).last(), parent_keys(new).last()) {
        (Some(a), Some(b)) if likeness(a, b) >= Likeness::Close => 0.75,
        _ => 0.0,
    }
}

/// What is read in a way that has no name may still be known by its recurring values.
fn vocabulary_only(solver: &Solver<'_>, index: usize, seen: &Seen, taken: &[FieldPath]) -> Vec<Option_> {
    if !solver.ingredients.values {
        return Vec::new();
    }
    let level = &solver.levels[solver.reading.atoms[index].context];
    let mut options = Vec::new();
    for column in &level.new_table.columns {
        if column.path.is_positional() || column.path.literal().is_some() || taken.contains(&column.path) {
            continue;
        }
        let head = crate::path::quoted(column.path.keys().first().copied().unwrap_or_default());
        if !solver.reading.atoms[index].text.starts_with(&head) || column.path.root {
            continue;
        }
        if let Some((shared, share)) = forms::vocabulary(&seen.old, &column.cells)
            && shared >= 2
            && share >= 0.75
        {
            options.push(Option_ {
                atom: index,
                path: column.path.clone(),
                score: 4.0,
                likeness: Likeness::None,
                conversion: Conversion::Same,
                vocabulary: Some(shared),
                steady: true,
                near: 0,
            });
        }
    }
    options
}

/// The best choice for all open values together, each field for one value at most.
fn assign(
    solver: &Solver<'_>,
    seen: &[Seen],
    open: &[usize],
    options: &[Option_],
    taken: &[FieldPath],
) -> Vec<(usize, Resolution)> {
    let mut paths: Vec<&FieldPath> = Vec::new();
    for option in options {
        if !paths.contains(&&option.path) {
            paths.push(&option.path);
        }
    }
    let score = |atom: usize, path: &FieldPath| {
        options.iter().find(|option| option.atom == atom && &option.path == path).map_or(0.0, |option| option.score)
    };
    let costs: Vec<Vec<f64>> = open.iter().map(|atom| paths.iter().map(|path| -score(*atom, path)).collect()).collect();
    let assigned = crate::assign::cheapest(&costs);
    let company: Vec<&FieldPath> = assigned.iter().flatten().map(|path| paths[*path]).chain(taken).collect();
    let mut found = Vec::new();
    for (at, atom) in open.iter().enumerate() {
        let Some(path) = assigned[at].map(|path| paths[path]) else { continue };
        let Some(option) = options.iter().find(|option| option.atom == *atom && &option.path == path) else { continue };
        let next = options
            .iter()
            .filter(|other| other.atom == *atom && other.path != option.path)
            .map(|other| other.score)
            .fold(0.0, f64::max);
        let contested = options
            .iter()
            .filter(|other| other.atom != *atom && other.path == option.path)
            .map(|other| other.score)
            .fold(0.0, f64::max);
        let rivals: Vec<&Option_> = options
            .iter()
            .filter(|other| other.atom == *atom && other.path != option.path)
            .filter(|other| other.vocabulary.is_some() == option.vocabulary.is_some())
            .filter(|other| (other.likeness, other.near) >= (option.likeness, option.near))
            .collect();
        let alone = option.vocabulary.is_none() || speaks_alone(solver, *atom, &seen[*atom], &option.path);
        let margin = option.score - next.max(contested);
        let only = rivals.is_empty() || !solver.ingredients.ambiguity;
        let namesake = namesake(solver, *atom, &option.path);
        let trusted = option.likeness >= Likeness::Close || solver.reading.atoms[*atom].path.is_none();
        let other = namesake.or_else(|| copied(solver, *atom, &seen[*atom], &option.path));
        let evidence = if let Some(other) = other {
            Evidence::Tied { rivals: vec![other.to_string()] }
        } else if left_its_object(solver, *atom, &option.path)
            || went_alone(solver, *atom, &seen[*atom], &option.path, &company)
        {
            Evidence::Named
        } else if let Some(shared) = option.vocabulary.filter(|_| only && trusted && alone) {
            Evidence::Vocabulary { shared }
        } else if option.likeness >= Likeness::Same && option.steady && only && margin > 0.4 {
            Evidence::SameName
        } else if option.likeness >= Likeness::Close && only && same_pattern(solver, *atom, &seen[*atom], &option.path)
        {
            Evidence::SamePattern
        } else if rivals.len() == 1 && margin < 0.5 || rivals.len() > 1 {
            Evidence::Tied { rivals: rivals.iter().take(4).map(|rival| rival.path.to_string()).collect() }
        } else {
            Evidence::Named
        };
        let choice = Choice::plain(option.path.clone(), option.conversion.clone());
        found.push((*atom, Resolution::new(Some(choice), evidence)));
    }
    found
}

/// Whether no other new field shares the recurring values, whatever it is called.
fn speaks_alone(solver: &Solver<'_>, atom: usize, seen: &Seen, chosen: &FieldPath) -> bool {
    let context = solver.reading.atoms[atom].context;
    let mut others = solver.levels[context].new_table.columns.iter().filter(|column| {
        let plain = !column.path.is_positional() && column.path.literal().is_none();
        plain && &column.path != chosen && !was_there(solver, context, column)
    });
    !others.any(|column| forms::vocabulary(&seen.old, &column.cells).is_some_and(|(_, share)| share >= 0.3))
}

/// A new field that has the very name, though its values look different: it may have been recoded, so no other field is
/// believed to be it.
fn namesake<'a>(solver: &'a Solver<'_>, atom: usize, chosen: &FieldPath) -> Option<&'a FieldPath> {
    let context = solver.reading.atoms[atom].context;
    let old = solver.reading.atoms[atom].path.as_ref()?;
    if chosen.last_key() == old.last_key() || places_alike(old, chosen) == Likeness::Exact {
        return None;
    }
    let mut columns = solver.levels[context].new_table.columns.iter().filter(|column| {
        let path = &column.path;
        let plain = !path.root && !path.is_positional() && path.literal().is_none();
        let filled = column.cells.iter().any(|cell| !is_empty(cell.as_ref()));
        plain && filled && path != chosen && path.last_key() == old.last_key()
    });
    columns.find(|column| !was_there(solver, context, column)).map(|column| &column.path)
}
