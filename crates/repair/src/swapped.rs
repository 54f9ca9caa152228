//! Two fields of which each shows now what the other one showed.

use std::collections::BTreeSet;

use crate::guard::{Jump, JumpKind};
use crate::habit::Portion;
use crate::profile::FieldProfile;

/// With fewer values, nothing is told from chance.
const FEWEST: u64 = 5;
const FEWEST_KNOWN: u64 = 20;
/// Identifiers of one kind are written in so many ways at most.
const MOST_PATTERNS: usize = 4;
/// Text with more different values than this is not from a vocabulary.
const FREE: usize = 32;

pub(crate) fn swapped(before: &Portion, now: &Portion, is_meant: &dyn Fn(&str) -> bool) -> Vec<Jump> {
    let strange: Vec<(&String, &FieldProfile, &FieldProfile)> = now
        .profile
        .fields
        .iter()
        .filter(|(path, new)| is_meant(path) && new.lists == 0 && new.filled() >= FEWEST)
        .filter_map(|(path, new)| Some((path, before.profile.fields.get(path)?, new)))
        .filter(|(_, old, new)| old.filled() >= FEWEST_KNOWN && share_at_home(new, old) <= 0.2)
        .collect();
    let mut found = Vec::new();
    for (at, (left, old_left, new_left)) in strange.iter().enumerate() {
        for (right, old_right, new_right) in &strange[at + 1..] {
            let is_moved = |new: &FieldProfile, old: &FieldProfile| share_at_home(new, old) >= 0.8;
            let there = is_moved(new_left, old_right);
            let back = is_moved(new_right, old_left);
            let may_be = |new: &FieldProfile, old: &FieldProfile| is_free(old) && form(new) == form(old);
            let is_swapped = (there && (back || may_be(new_right, old_left))) || (back && may_be(new_left, old_right));
            if is_swapped && around(left) == around(right) {
                found.push(Jump { field: (*left).clone(), what: JumpKind::Swapped { with: (*right).clone() } });
            }
        }
    }
    found
}

/// The list that a field is in.
fn around(path: &str) -> &str {
    path.rfind("[]").map_or("", |at| &path[..at])
}

/// How much of what a field shows now is what `old` used to show.
fn share_at_home(new: &FieldProfile, old: &FieldProfile) -> f64 {
    match (form(new), form(old)) {
        (Some("number"), Some("number")) => {
            let low = old.numbers.iter().copied().fold(f64::MAX, f64::min);
            let high = old.numbers.iter().copied().fold(f64::MIN, f64::max);
            share(&new.numbers, |number| (low..=high).contains(number))
        }
        (Some(is), Some(was)) if is == was || (is != "number" && was != "number") => {
            let values: Vec<&String> = new.values.iter().collect();
            let known = share(&values, |value| old.values.contains(*value));
            let patterns: BTreeSet<String> = old.values.iter().filter_map(|value| pattern(value)).collect();
            let is_written_so = !patterns.is_empty()
                && patterns.len() <= MOST_PATTERNS
                && old.values.iter().all(|value| pattern(value).is_some());
            if !is_written_so {
                return known;
            }
            known.max(share(&values, |value| pattern(value).is_some_and(|pattern| patterns.contains(&pattern))))
        }
        _ => 0.0,
    }
}

fn share<T>(all: &[T], is_so: impl Fn(&T) -> bool) -> f64 {
    all.iter().filter(|one| is_so(one)).count() as f64 / all.len().max(1) as f64
}

/// The form that nearly all of its values have.
fn form(field: &FieldProfile) -> Option<&str> {
    let (form, count) = field.forms.iter().max_by_key(|(_, count)| **count)?;
    (count * 20 >= field.filled() * 19).then_some(form.as_str())
}

/// Its values come from no list, and are not written after a pattern.
fn is_free(field: &FieldProfile) -> bool {
    field.values.len() > FREE && !field.values.iter().all(|value| pattern(value).is_some())
}

/// An identifier, with each number in it as one `9`; `None` for what has no digit.
fn pattern(value: &str) -> Option<String> {
    let mut written = String::with_capacity(value.len());
    for letter in value.chars() {
        let letter = if letter.is_ascii_digit() { '9' } else { letter };
        if letter != '9' || !written.ends_with('9') {
            written.push(letter);
        }
    }
    written.contains('9').then_some(written)
}
