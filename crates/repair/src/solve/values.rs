//! What known entities and the form of values say about a value that the mapping reads.

use serde_json::Value;

use super::{Resolution, Seen, Solver, Values};
use crate::convert::{Conversion, items};
use crate::evidence::Evidence;
use crate::factor::sign_elsewhere;
use crate::forms::{self, Form};
use crate::path::{FieldPath, Step};
use crate::pick::{Choice, Outputs, Pick, Rarity, Request, pick};
use crate::schema::FieldSchema;
use crate::table::Column;
use crate::value::{equal, equal_options, is_empty};

impl Solver<'_> {
    /// What known entities and unchanged places say about a value; `None` leaves it to names.
    pub(super) fn by_values(&self, index: usize, seen: &Seen, codes: &[(FieldPath, String)]) -> Option<Resolution> {
        let atom = &self.reading.atoms[index];
        let level = &self.levels[atom.context];
        if seen.container || level.lost {
            return None;
        }
        let known: Vec<(usize, Option<&Value>)> =
            level.witnesses().map(|pair| (pair.new, seen.old[pair.old].as_ref())).collect();
        let stale = level.is_stale();
        let alive = seen.new.iter().any(|value| !is_empty(value.as_ref())) && !seen.wrapped;
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
            if let Some(sign) = self.without_sign(atom.context, seen, &known) {
                return Some(sign);
            }
            if agree > 0 {
                return Some(Resolution::stays(Evidence::Kept { confirmed: agree }));
            }
            return self.only_item(index, seen, &[]).or_else(|| self.by_form(atom.context, seen));
        }
        if alive && !stale && self.outputs_agree(index) {
            return Some(Resolution::stays(Evidence::Kept { confirmed: agree + disagree }));
        }
        match self.pick(index, seen, &known, alive && disagree > agree, codes) {
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
            Pick::None if seen.wrapped => None,
            Pick::None if stale && alive => self.by_form(atom.context, seen),
            Pick::None if !alive => self.perhaps_quiet(atom.context, seen),
            Pick::None if is_volatile(&known, seen, agree, disagree) => {
                Some(Resolution::stays(Evidence::Kept { confirmed: agree }))
            }
            Pick::None => {
                if let Some(item) = self.only_item(index, seen, &known) {
                    return Some(item);
                }
                let example = example.unwrap_or_default();
                Some(Resolution::stays(Evidence::Refuted { example }))
            }
        }
    }

    fn pick(
        &self,
        index: usize,
        seen: &Seen,
        known: &[(usize, Option<&Value>)],
        alive: bool,
        codes: &[(FieldPath, String)],
    ) -> Pick {
        let atom = &self.reading.atoms[index];
        let level = &self.levels[atom.context];
        let names = self.names_of(index);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = self.reading.leaves.iter().find(|leaf| leaf.atoms == [index]);
        let trials = self.trials(index, known);
        let try_value =
            |row: usize, value: Option<&Value>| trials.as_ref().and_then(|trials| trials.of(self, row, value));
        let outputs = trials.as_ref().map(|trials| Outputs {
            known: trials.known.clone(),
            of: &try_value,
            rarity: Rarity::of(&trials.before),
        });
        let members = shown.map(|leaf| FieldSchema::of(self.schema, &leaf.path).members).unwrap_or_default();
        let request = Request {
            known,
            names: &names,
            before: Some((&level.old_table, &seen.old)),
            old_path: atom.path.as_ref(),
            own: &[],
            members: &members,
            codes,
            rarity: &Rarity::of(seen.old.iter().flatten()),
            redefined: alive,
            changed: &level.changed,
            stale: level.is_stale(),
            lens: atom.lens.as_ref(),
            outputs,
            home: level.home.as_ref(),
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

    /// A value that became a list which holds it alone, or again and again.
    fn only_item(&self, index: usize, seen: &Seen, known: &[(usize, Option<&Value>)]) -> Option<Resolution> {
        let atom = &self.reading.atoms[index];
        let old = atom.path.as_ref()?;
        let filled = || seen.new.iter().flatten().filter(|value| !is_empty(Some(value)));
        let alike = |value: &Value| {
            let items = items(value);
            value.is_array() && items.iter().all(|item| equal(item, &items[0]))
        };
        if !self.ingredients.structure || forms::is_list(&seen.old) || filled().count() == 0 || !filled().all(alike) {
            return None;
        }
        // One value in a list may be the first of several tomorrow, unless the source writes all its values so.
        let repeats = filled().filter(|value| items(value).len() > 1).count() >= FEWEST_LISTS;
        if !repeats && known.is_empty() && !self.writes_lists(atom.context) {
            return None;
        }
        let level = &self.levels[atom.context];
        let first = |column: &&Column| {
            let positions = column.path.steps.iter().filter(|step| matches!(step, Step::At(_)));
            positions.eq([&Step::At(0)]) && column.path.without_positions() == *old
        };
        let of_item = FieldPath { root: old.root, steps: old.steps.iter().cloned().chain([Step::At(0)]).collect() };
        let places = level.new_table.columns.iter().filter(first).map(|column| column.path.clone()).chain([of_item]);
        let shown = |path: FieldPath| {
            let cells: Values = self.eval_new(atom.context, &path.render(""));
            let filled = cells.iter().any(|cell| !is_empty(cell.as_ref()));
            (filled && !forms::is_list(&cells)).then_some((path, cells))
        };
        let (path, cells) = places.into_iter().find_map(shown)?;
        let cells: Values = cells.into_iter().map(|cell| atom.seen_through_lens(cell)).collect();
        let conversion = forms::recast(&seen.old, &cells)?;
        let choice = Choice::plain(path, conversion);
        let agrees = |(row, expected): &(usize, Option<&Value>)| {
            let now = choice.predict(cells[*row].as_ref());
            equal_options(now.as_ref(), *expected) || is_empty(now.as_ref()) && is_empty(*expected)
        };
        let evidence = Evidence::Recast { conversion: "the item of a list".to_owned() };
        known.iter().all(agrees).then(|| Resolution::new(Some(choice), evidence))
    }

    /// Whether several values of the rows that stood alone are lists of one item now, and none of more.
    fn writes_lists(&self, context: usize) -> bool {
        let level = &self.levels[context];
        let single = |cells: &[Option<Value>]| !cells.iter().flatten().any(Value::is_array);
        let of_one = |cells: &[Option<Value>]| {
            let mut filled = cells.iter().flatten().filter(|value| !is_empty(Some(value))).peekable();
            filled.peek().is_some() && filled.all(|value| value.as_array().is_some_and(|items| items.len() == 1))
        };
        let both = level.old_table.columns.iter().filter(|column| !column.path.root && single(&column.cells));
        let now: Vec<&Column> = both.filter_map(|column| level.new_table.get(&column.path)).collect();
        let lists = now.iter().filter(|column| of_one(&column.cells)).count();
        lists >= FEWEST_LISTS.min(2) && lists * 2 > now.len()
    }

    /// Numbers that are never below zero any more, while a new field may tell the sign.
    fn without_sign(&self, context: usize, seen: &Seen, known: &[(usize, Option<&Value>)]) -> Option<Resolution> {
        let below = |value: &Value| value.as_f64().is_some_and(|number| number < 0.0);
        if known.iter().any(|(_, value)| value.is_some_and(below)) {
            return None;
        }
        let level = &self.levels[context];
        let field = sign_elsewhere(&level.old_table, &level.new_table, &seen.old, &seen.new)?;
        let example = format!("never below zero now; {field} may tell the sign");
        Some(Resolution::stays(Evidence::Refuted { example }))
    }

    /// No known entity shows it: the form of the values has to do.
    pub(super) fn by_form(&self, context: usize, seen: &Seen) -> Option<Resolution> {
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
            None if self.new_groups[context] && forms::same_style(&seen.old, &seen.new) => Some(kept),
            _ => {
                let (was, is) = (forms::common(&seen.old), forms::common(&seen.new));
                let example = format!("was {was:?}, is {is:?}").to_lowercase();
                Some(Resolution::stays(Evidence::Refuted { example }))
            }
        }
    }

    /// An optional value may be away by chance.
    pub(super) fn perhaps_quiet(&self, context: usize, seen: &Seen) -> Option<Resolution> {
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

    /// Whether all outputs that read the value are what they were for known entities.
    pub(super) fn outputs_agree(&self, index: usize) -> bool {
        let atom = &self.reading.atoms[index];
        let level = &self.levels[atom.context];
        let mut checked = false;
        for leaf in self.reading.leaves.iter().filter(|leaf| leaf.atoms.contains(&index) && !leaf.outer) {
            if leaf.atoms.iter().any(|other| *other != index && !self.is_within(*other, index)) {
                return false;
            }
            let level = if leaf.context == atom.context { level } else { &self.levels[leaf.context] };
            let old_text = self.reading.source.get(leaf.span.start..leaf.span.end).unwrap_or_default();
            let (old, new) = (self.eval_old(leaf.context, old_text), self.eval_new(leaf.context, old_text));
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
}

/// Rows in which a list has to hold the same value again and again.
const FEWEST_LISTS: usize = 3;

pub(super) fn contradiction(expected: Option<&Value>, now: Option<&Value>) -> String {
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
    let forms_before: Vec<Option<Form>> = seen.old.iter().flatten().map(Form::of).collect();
    let usual = |value: &Value| is_empty(Some(value)) || forms_before.contains(&Form::of(value));
    if !known.iter().filter_map(|(row, _)| seen.new[*row].as_ref()).all(usual) {
        return false;
    }
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
