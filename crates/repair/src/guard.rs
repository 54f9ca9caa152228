//! The semantic guard: outputs that are valid and yet cannot be what was meant.
//!
//! It tells drift from variation. A negative value in winter, a new member of an enumeration, a longer page, a sale week
//! are variation. A field that falls silent, that falls from many values to one, that jumps by a power of ten, that takes
//! another form is drift. It needs five values on both sides before it says anything.

use serde::Serialize;

use crate::profile::{FieldProfile, OutputProfile};
use crate::value::number_text;

/// With fewer values, a jump cannot be told from chance.
const FEWEST: u64 = 5;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jump {
    pub field: String,
    pub what: JumpKind,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JumpKind {
    /// Was mostly there, is never there now.
    Silent { usual: f64 },
    /// Was many values, is one.
    Collapsed { value: String },
    /// Typical size differs by about this power of ten, and the ranges do not meet.
    Scale { factor: f64 },
    /// Values have a form that never occurred.
    Form { was: String, is: String },
    /// Shows what another field used to show, which shows what this one did. Needs a [`crate::Habit`].
    Swapped { with: String },
    /// Was one of a few words, and is none of them any more. Needs a [`crate::Habit`].
    Recoded { was: Vec<String>, is: Vec<String> },
}

impl Jump {
    pub fn in_words(&self) -> String {
        let field = &self.field;
        match &self.what {
            JumpKind::Silent { usual } => format!("{field} is never filled now; it was in {:.0} %", usual * 100.0),
            JumpKind::Collapsed { value } => format!("{field} is always {value} now; it had many values"),
            JumpKind::Scale { factor } => format!("{field} is about {factor} times what it was"),
            JumpKind::Form { was, is } => format!("{field} was {was} and is {is}"),
            JumpKind::Swapped { with } => format!("{field} and {with} have changed places"),
            JumpKind::Recoded { was, is } => {
                format!("{field} was one of {} and is now one of {}", was.join(", "), is.join(", "))
            }
        }
    }
}

pub fn jumps(before: &OutputProfile, now: &OutputProfile) -> Vec<Jump> {
    let mut found = Vec::new();
    for (path, old) in &before.fields {
        let absent = FieldProfile::default();
        let new = now.fields.get(path).unwrap_or(&absent);
        if let Some(what) = jump(old, new, before.outputs, now.outputs, path) {
            found.push(Jump { field: path.clone(), what });
        }
    }
    found
}

fn jump(old: &FieldProfile, new: &FieldProfile, outputs_old: u64, outputs_new: u64, path: &str) -> Option<JumpKind> {
    if old.lists > 0 {
        return None;
    }
    // Items of lists are counted by themselves; fields of a single output may be absent.
    let within_list = path.contains("[]");
    let (times_old, times_new) =
        if within_list { (old.seen, new.seen) } else { (outputs_old.max(old.seen), outputs_new.max(new.seen)) };
    let usual = old.filled() as f64 / times_old.max(1) as f64;
    if new.filled() == 0 {
        let by_chance = (1.0 - usual + 1.0 / (times_old as f64 + 2.0)).powf(times_new as f64);
        return (times_new >= FEWEST && old.filled() >= FEWEST && by_chance < 0.002)
            .then_some(JumpKind::Silent { usual });
    }
    if became_whole(old, new) {
        return Some(JumpKind::Form { was: "decimal".to_owned(), is: "whole numbers".to_owned() });
    }
    if old.filled() < FEWEST || new.filled() < FEWEST {
        return None;
    }
    if new.values.len() == 1
        && !new.values_full
        && old.values.len() as u64 * 2 > old.filled().min(64)
        && old.values.len() >= 4
    {
        return Some(JumpKind::Collapsed { value: new.values.first().cloned().unwrap_or_default() });
    }
    if let Some(factor) = scale(old, new) {
        return Some(JumpKind::Scale { factor });
    }
    let (was, share) = dominant(old)?;
    let (is, _) = dominant(new)?;
    let forms_of_text = |form: &str| matches!(form, "text" | "number-text" | "email" | "url");
    let both_loose = forms_of_text(was) && matches!(is, "text" | "number-text") && was != "email" && was != "url";
    (share > 0.95 && was != is && !new.forms.contains_key(was) && !old.forms.contains_key(is) && !both_loose)
        .then(|| JumpKind::Form { was: was.to_owned(), is: is.to_owned() })
}

/// Whether numbers with decimals have none now: each of a few says much where hardly one was whole before.
fn became_whole(old: &FieldProfile, new: &FieldProfile) -> bool {
    let decimal = old.numbers.iter().filter(|number| number.fract() != 0.0).count();
    let share = (decimal as f64 + 0.5) / (old.numbers.len() as f64 + 1.0);
    let all_whole = !new.numbers.is_empty() && new.numbers.iter().all(|number| number.fract() == 0.0);
    let enough = old.numbers.len() as u64 >= FEWEST && decimal * 10 >= old.numbers.len() * 8;
    enough && all_whole && (1.0 - share).powf(new.numbers.len() as f64) < WHOLE_BY_CHANCE
}

/// The chance that numbers with decimals happen to have none, up to which it is none.
const WHOLE_BY_CHANCE: f64 = 5e-4;

fn dominant(field: &FieldProfile) -> Option<(&str, f64)> {
    let (form, count) = field.forms.iter().max_by_key(|(_, count)| **count)?;
    Some((form, *count as f64 / field.filled().max(1) as f64))
}

/// A jump by a power of ten: the ranges do not meet, and the medians are that far apart.
fn scale(old: &FieldProfile, new: &FieldProfile) -> Option<f64> {
    if old.numbers.iter().chain(&new.numbers).any(|number| *number < 0.0) {
        return None;
    }
    let (was, is) = (old.median()?, new.median()?);
    let range =
        |numbers: &[f64]| numbers.iter().fold((f64::MAX, f64::MIN), |(low, high), n| (low.min(*n), high.max(*n)));
    let ((old_low, old_high), (new_low, new_high)) = (range(&old.numbers), range(&new.numbers));
    let apart = old_high < new_low || new_high < old_low;
    let all_zero = is == 0.0 && new_high == 0.0 && old_low > 0.0;
    if all_zero {
        return Some(0.0);
    }
    if !apart || was == 0.0 || is == 0.0 {
        return None;
    }
    let power = (is / was).log10();
    let near = (power - power.round()).abs() < 0.35;
    if power.abs() < 1.65 || !near {
        return None;
    }
    let factor = 10f64.powf(power.round());
    could_be_unit(old, new, factor).then_some(factor)
}

/// Another unit moves all values by its factor, and their decimals with them. What grew, shrank or fell to zero by
/// itself does not look so.
fn could_be_unit(old: &FieldProfile, new: &FieldProfile, factor: f64) -> bool {
    let zeros = |numbers: &[f64]| numbers.contains(&0.0);
    if zeros(&new.numbers) && !zeros(&old.numbers) {
        return false;
    }
    let low = old.numbers.iter().copied().fold(f64::MAX, f64::min) / 3.0;
    let high = old.numbers.iter().copied().fold(f64::MIN, f64::max) * 3.0;
    let within = new.numbers.iter().filter(|number| (low..=high).contains(&(**number / factor))).count();
    #[expect(clippy::cast_possible_truncation, reason = "a power of ten of a number")]
    let moved = factor.log10().round() as i64;
    let expected = decimals(&old.numbers) - moved;
    let shows = decimals(&new.numbers);
    // Numbers that were round enough lose nothing when they shrink.
    let round = old.numbers.iter().all(|number| (number * factor).fract() == 0.0);
    let consistent = if moved > 0 { shows <= expected.max(0) } else { shows > 0 || round };
    within * 10 >= new.numbers.len() * 8 && consistent
}

/// Decimals of the number that has most.
fn decimals(numbers: &[f64]) -> i64 {
    let of = |number: &f64| number_text(*number).split('.').nth(1).map_or(0, str::len);
    numbers.iter().map(of).max().unwrap_or(0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn profile(values: impl IntoIterator<Item = Value>) -> OutputProfile {
        OutputProfile::of(&values.into_iter().map(|value| json!({ "v": value })).collect::<Vec<_>>())
    }

    fn found(before: OutputProfile, now: OutputProfile) -> Option<JumpKind> {
        jumps(&before, &now).pop().map(|jump| jump.what)
    }

    #[test]
    fn variation_is_no_jump() {
        let summer = profile((8..24).map(|t| json!(t)));
        assert_eq!(found(summer.clone(), profile((-9..3).map(|t| json!(t)))), None);
        let prices = profile((0..20).map(|i| json!(20.0 + f64::from(i))));
        assert_eq!(found(prices, profile((0..20).map(|i| json!(12.0 + f64::from(i) * 0.7)))), None);
        let sale = profile((0..20).map(|i| json!(3000.25 + f64::from(i) * 90.5)));
        assert_eq!(found(profile((0..20).map(|i| json!(20.75 + f64::from(i)))), sale), None);
        let dark = profile([0, 21, 3, 0, 7, 12].map(|power| json!(power)));
        assert_eq!(found(profile((0..20).map(|i| json!(20_000 + i * 37))), dark), None);
        let states = profile((0..20).map(|i| json!(["open", "paid"][i % 2])));
        assert_eq!(found(states, profile((0..20).map(|i| json!(["open", "held"][i % 2])))), None);
        let rare = profile((0..20).map(|i| if i % 3 == 0 { json!("x") } else { Value::Null }));
        assert_eq!(found(rare, profile((0..6).map(|_| Value::Null))), None);
    }

    #[test]
    fn drift_that_validates_is_a_jump() {
        let prices = profile((0..20).map(|i| json!(20.0 + f64::from(i) * 3.0)));
        let cents = profile((0..20).map(|i| json!(2000 + i * 300)));
        assert_eq!(found(prices.clone(), cents), Some(JumpKind::Scale { factor: 100.0 }));
        assert!(matches!(found(prices, profile((0..9).map(|_| Value::Null))), Some(JumpKind::Silent { .. })));
        let tags = profile((0..20).map(|i| json!(format!("{}", 1000 + i * 7))));
        assert!(matches!(found(tags, profile((0..8).map(|_| json!("0")))), Some(JumpKind::Collapsed { .. })));
    }
}
