//! A field whose values came from a short list, and of these none comes any more.

use crate::guard::{Jump, JumpKind};
use crate::habit::Portion;
use crate::profile::FieldProfile;

/// A list with more members is none that somebody wrote down.
const MOST_MEMBERS: usize = 16;
const FEWEST: u64 = 5;
const FEWEST_KNOWN: u64 = 30;
/// Members that are shown.
const SHOWN: usize = 4;

/// A new member beside known ones is variation; only that all known ones are gone is not.
pub(crate) fn recoded(
    before: &Portion,
    known: &[&Portion],
    now: &Portion,
    is_meant: &dyn Fn(&str) -> bool,
) -> Vec<Jump> {
    let fields = now.profile.fields.iter().filter(|(path, new)| is_meant(path) && new.filled() >= FEWEST);
    let found = fields.filter_map(|(path, new)| {
        let old = before.profile.fields.get(path)?;
        let is_bound = before.fields.get(path).is_some_and(|looks| looks.is_bound());
        let is_recoded = !is_bound
            && !new.values_full
            && new.values.len() <= MOST_MEMBERS
            && new.values.is_disjoint(&old.values)
            && is_vocabulary(old)
            && is_mixed(path, known);
        let some = |field: &FieldProfile| field.values.iter().take(SHOWN).cloned().collect();
        is_recoded.then(|| Jump { field: path.clone(), what: JumpKind::Recoded { was: some(old), is: some(new) } })
    });
    found.collect()
}

/// Words from a list, each again and again. Numbers and moments are no words: they may well all be new.
fn is_vocabulary(field: &FieldProfile) -> bool {
    let words = field.forms.get("text").copied().unwrap_or_default();
    let members = field.values.len() as u64;
    (2..=MOST_MEMBERS as u64).contains(&members)
        && !field.values_full
        && field.filled() >= FEWEST_KNOWN.max(members * 5)
        && words * 20 >= field.filled() * 19
}

/// As a rule several members are seen within a portion. What is the same for hours and then another is no list of codes.
fn is_mixed(path: &str, known: &[&Portion]) -> bool {
    let seen: Vec<&FieldProfile> = known
        .iter()
        .filter_map(|portion| portion.profile.fields.get(path))
        .filter(|field| field.filled() > 1)
        .collect();
    let mixed = seen.iter().filter(|field| field.values.len() > 1).count();
    mixed * 2 >= seen.len().max(1)
}
