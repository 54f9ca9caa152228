//! How the outputs of a mapping usually look, so that it can be told when they do not any more.
//!
//! Outputs are looked at a batch at a time. Looks make portions, each of some time; known portions of different times make
//! a habit. What a window of looks shows is silent drift if it jumps beside all that is known, and no known portion jumped
//! in the same way beside the others: a source that is now and then so is no source that changed.
//!
//! Invariants: nothing is said before three portions are known; a look counts once, however many outputs it has, because
//! the outputs of a batch are alike.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::guard::{Jump, JumpKind, jumps};
use crate::profile::{FieldProfile, OutputProfile};
use crate::recoded::recoded;
use crate::swapped::swapped;

const FEWEST_PORTIONS: usize = 3;
/// A window is judged every few seconds, of many mappings: what happens once in a million is no drift.
const BY_CHANCE: f64 = 1e-6;
/// Numbers of one portion that stand for all of them, the least and the greatest included.
const NUMBERS_EACH: usize = 32;

/// Outputs of some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// Milliseconds since the epoch, of the first look and of the last one.
    pub since: i64,
    pub until: i64,
    pub looks: u32,
    pub fields: BTreeMap<String, Looks>,
    pub profile: OutputProfile,
}

/// In how many looks a field was so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// It said something.
    pub filled: u32,
    /// It said something several times.
    pub several: u32,
    /// It said different things.
    pub varied: u32,
}

impl Portion {
    /// One look: outputs that were taken together.
    pub fn look<'a>(outputs: impl IntoIterator<Item = &'a Value>, at: i64) -> Self {
        let profile = OutputProfile::of(outputs);
        let fields = profile.fields.iter().map(|(path, field)| (path.clone(), Looks::of(field))).collect();
        Self { since: at, until: at, looks: 1, fields, profile }
    }

    pub fn merge(&mut self, other: &Self) {
        self.since = if self.looks == 0 { other.since } else { self.since.min(other.since) };
        self.until = self.until.max(other.until);
        self.looks += other.looks;
        for (path, looks) in &other.fields {
            self.fields.entry(path.clone()).or_default().add(*looks);
        }
        self.profile.merge(&other.profile);
    }

    pub fn outputs(&self) -> u64 {
        self.profile.outputs
    }

    /// Keeps the fields that were seen most: what is kept has an end, whatever an output looks like.
    pub fn keep(&mut self, most: usize) {
        if self.fields.len() <= most {
            return;
        }
        let mut seen: Vec<(u64, &String)> =
            self.profile.fields.iter().map(|(path, field)| (field.seen, path)).collect();
        seen.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
        let kept: BTreeSet<String> = seen.into_iter().take(most).map(|(_, path)| path.clone()).collect();
        self.fields.retain(|path, _| kept.contains(path));
        self.profile.fields.retain(|path, _| kept.contains(path));
    }
}

impl Looks {
    fn of(field: &FieldProfile) -> Self {
        let said = if field.lists > 0 { field.items } else { field.filled() };
        let several = u32::from(said > 1);
        Self { filled: u32::from(said > 0), several, varied: several.min(u32::from(field.values.len() > 1)) }
    }

    fn add(&mut self, other: Self) {
        self.filled += other.filled;
        self.several += other.several;
        self.varied += other.varied;
    }

    /// It never differs within a look: it belongs to what is taken together, such as the shop that a run is about.
    pub(crate) fn is_bound(self) -> bool {
        self.several >= 5 && self.varied == 0
    }
}

/// What is known of the outputs of a mapping.
#[derive(Debug, Clone, Default)]
pub struct Habit {
    portions: BTreeMap<String, Portion>,
    together: Portion,
}

impl Habit {
    /// Portions by the name of their place.
    pub fn portions(&self) -> &BTreeMap<String, Portion> {
        &self.portions
    }

    pub fn learn(&mut self, place: String, portion: Portion) {
        self.portions.insert(place, portion);
        self.together = together(&self.distinct(), |_| true);
    }

    pub fn forget(&mut self, place: &str) {
        if self.portions.remove(place).is_some() {
            self.together = together(&self.distinct(), |_| true);
        }
    }

    /// How `now` differs from what is known, in a way that no known portion differed from the others.
    pub fn drift(&self, now: &Portion) -> Vec<Jump> {
        let known = self.distinct();
        if known.len() < FEWEST_PORTIONS {
            return Vec::new();
        }
        let mut found = surprises(&self.together, &known, now, &|_| true);
        if found.is_empty() {
            return found;
        }
        let fields: BTreeSet<String> = found.iter().flat_map(fields_of).map(str::to_owned).collect();
        let is_meant = |field: &str| fields.contains(field);
        for (at, past) in known.iter().enumerate() {
            let others: Vec<&Portion> =
                known.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, portion)| *portion).collect();
            let usual = surprises(&together(&others, is_meant), &others, past, &is_meant);
            found.retain(|jump| !usual.iter().any(|past| is_alike(past, jump)));
        }
        found
    }

    /// One portion may stand at several places.
    fn distinct(&self) -> Vec<&Portion> {
        let mut times = BTreeSet::new();
        self.portions.values().filter(|portion| times.insert((portion.since, portion.until))).collect()
    }
}

fn fields_of(jump: &Jump) -> Vec<&str> {
    match &jump.what {
        JumpKind::Swapped { with } => vec![&jump.field, with],
        _ => vec![&jump.field],
    }
}

fn is_alike(left: &Jump, right: &Jump) -> bool {
    left.field == right.field && std::mem::discriminant(&left.what) == std::mem::discriminant(&right.what)
}

fn surprises(before: &Portion, known: &[&Portion], now: &Portion, is_meant: &dyn Fn(&str) -> bool) -> Vec<Jump> {
    let mut found = swapped(before, now, is_meant);
    let explained: BTreeSet<String> = found.iter().flat_map(fields_of).map(str::to_owned).collect();
    let is_open = |field: &str| is_meant(field) && !explained.contains(field);
    found.extend(silent(before, now, &is_open));
    // Those of the guard are told by outputs; here silence is told by looks.
    found.extend(jumps(&before.profile, &now.profile).into_iter().filter(|jump| {
        let is_bound = before.fields.get(&jump.field).is_some_and(|looks| looks.is_bound());
        let is_told = match &jump.what {
            JumpKind::Silent { .. } => false,
            // At night nothing is sold and the sun does not shine.
            JumpKind::Collapsed { value } => !is_bound && value != "0",
            JumpKind::Scale { factor } => *factor != 0.0,
            _ => true,
        };
        is_open(&jump.field) && is_told
    }));
    let jumped: BTreeSet<String> = found.iter().map(|jump| jump.field.clone()).collect();
    found.extend(recoded(before, known, now, &|field| is_open(field) && !jumped.contains(field)));
    found
}

/// Fields that said something in nearly every look, and say nothing now.
fn silent(before: &Portion, now: &Portion, is_meant: &dyn Fn(&str) -> bool) -> Vec<Jump> {
    let is_silent = |field: &str, looks: &Looks| {
        let usual = f64::from(looks.filled) / f64::from(before.looks.max(1));
        let doubt = 1.0 / (f64::from(before.looks) + 2.0);
        now.fields.get(field).is_none_or(|now| now.filled == 0)
            && (1.0 - usual + doubt).min(1.0).powf(f64::from(now.looks)) < BY_CHANCE
    };
    let fields: BTreeMap<&String, &Looks> =
        before.fields.iter().filter(|(field, looks)| is_silent(field, looks)).collect();
    // What is in a list that is empty is not worth a word of its own.
    let is_within = |field: &str| {
        let lists = field.match_indices("[]").map(|(at, _)| field[..at].to_owned());
        lists.into_iter().any(|list| fields.contains_key(&list))
    };
    let told = fields.keys().filter(|field| is_meant(field) && !is_within(field));
    told.map(|field| {
        let profile = &before.profile.fields[*field];
        let usual = profile.filled() as f64 / before.profile.outputs.max(profile.seen).max(1) as f64;
        Jump { field: (*field).clone(), what: JumpKind::Silent { usual } }
    })
    .collect()
}

/// The portion of all these times, with all that was seen and not only what came first.
fn together(portions: &[&Portion], is_meant: impl Fn(&str) -> bool) -> Portion {
    let mut all = Portion::default();
    for portion in portions {
        all.looks += portion.looks;
        all.profile.outputs += portion.profile.outputs;
        for (path, looks) in portion.fields.iter().filter(|(path, _)| is_meant(path)) {
            all.fields.entry(path.clone()).or_default().add(*looks);
        }
        for (path, field) in portion.profile.fields.iter().filter(|(path, _)| is_meant(path)) {
            add(all.profile.fields.entry(path.clone()).or_default(), field);
        }
    }
    all
}

fn add(all: &mut FieldProfile, field: &FieldProfile) {
    if field.filled() > 0 {
        all.shortest = if all.values.is_empty() { field.shortest } else { all.shortest.min(field.shortest) };
    }
    all.longest = all.longest.max(field.longest);
    all.seen += field.seen;
    all.null += field.null;
    all.empty += field.empty;
    for (form, count) in &field.forms {
        *all.forms.entry(form.clone()).or_default() += count;
    }
    all.values.extend(field.values.iter().cloned());
    all.values_full |= field.values_full;
    let mut numbers = field.numbers.clone();
    if numbers.len() > NUMBERS_EACH {
        numbers.sort_by(f64::total_cmp);
        let last = numbers.len() - 1;
        numbers = (0..NUMBERS_EACH).map(|at| numbers[at * last / (NUMBERS_EACH - 1)]).collect();
    }
    all.numbers.extend(numbers);
    all.lists += field.lists;
    all.items += field.items;
}

#[cfg(test)]
#[path = "habit_tests.rs"]
mod tests;
