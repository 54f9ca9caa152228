//! What the fields of an output usually look like, kept while outputs go by.
//!
//! Invariants: observing is linear in the size of an output and bounded in memory; merging the profiles of two streams
//! is the profile of both, but for samples beyond the bound; a profile holds no value longer than 64 characters.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dates::DateForm;
use crate::value::plain_number;

const MOST_DISTINCT: usize = 64;
const MOST_NUMBERS: usize = 256;
const MOST_FIELDS: usize = 2_000;

/// Profiles of all fields, by their path with `[]` for items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputProfile {
    pub outputs: u64,
    pub fields: BTreeMap<String, FieldProfile>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldProfile {
    /// Times the field's object was seen; the rest of these is absence.
    pub seen: u64,
    pub null: u64,
    pub empty: u64,
    /// How often a value had this form: `text`, `number`, `boolean`, `number-text`, `iso-utc` and so on.
    pub forms: BTreeMap<String, u64>,
    pub shortest: usize,
    pub longest: usize,
    /// Some values, for distinct counts and overlap; all of them while there are few.
    pub values: BTreeSet<String>,
    pub values_full: bool,
    /// Some numbers, for the range and the scale.
    pub numbers: Vec<f64>,
    /// Sum of lengths of lists.
    pub lists: u64,
    pub items: u64,
}

impl OutputProfile {
    pub fn observe(&mut self, output: &Value) {
        self.outputs += 1;
        self.note("", output);
    }

    fn note(&mut self, path: &str, value: &Value) {
        if self.fields.len() >= MOST_FIELDS && !self.fields.contains_key(path) {
            return;
        }
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.note(&path, value);
                }
            }
            Value::Array(items) => {
                let field = self.fields.entry(path.to_owned()).or_default();
                field.seen += 1;
                field.lists += 1;
                field.items += items.len() as u64;
                let path = format!("{path}[]");
                items.iter().for_each(|item| self.note(&path, item));
            }
            value => self.fields.entry(path.to_owned()).or_default().note(value),
        }
    }

    /// The profile of both streams.
    pub fn merge(&mut self, other: &Self) {
        self.outputs += other.outputs;
        for (path, field) in &other.fields {
            self.fields.entry(path.clone()).or_default().merge(field);
        }
    }

    pub fn of<'a>(outputs: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut profile = Self::default();
        outputs.into_iter().for_each(|output| profile.observe(output));
        profile
    }
}

impl FieldProfile {
    fn note(&mut self, value: &Value) {
        self.seen += 1;
        if value.is_null() {
            self.null += 1;
            return;
        }
        let form = form_of(value);
        *self.forms.entry(form.to_owned()).or_default() += 1;
        let text = match value {
            Value::String(text) => {
                self.empty += u64::from(text.is_empty());
                text.chars().take(64).collect()
            }
            value => value.to_string(),
        };
        let length = text.chars().count();
        self.shortest = if self.values.is_empty() { length } else { self.shortest.min(length) };
        self.longest = self.longest.max(length);
        if self.values.len() < MOST_DISTINCT {
            self.values.insert(text);
        } else if !self.values.contains(&text) {
            self.values_full = true;
        }
        if let Some(number) = value.as_f64()
            && self.numbers.len() < MOST_NUMBERS
        {
            self.numbers.push(number);
        }
    }

    fn merge(&mut self, other: &Self) {
        if other.filled() > 0 {
            self.shortest = if self.values.is_empty() { other.shortest } else { self.shortest.min(other.shortest) };
        }
        self.seen += other.seen;
        self.null += other.null;
        self.empty += other.empty;
        for (form, count) in &other.forms {
            *self.forms.entry(form.clone()).or_default() += count;
        }
        self.longest = self.longest.max(other.longest);
        for value in &other.values {
            if self.values.len() < MOST_DISTINCT {
                self.values.insert(value.clone());
            } else if !self.values.contains(value) {
                self.values_full = true;
            }
        }
        self.values_full |= other.values_full;
        let room = MOST_NUMBERS.saturating_sub(self.numbers.len());
        self.numbers.extend(other.numbers.iter().take(room));
        self.lists += other.lists;
        self.items += other.items;
    }

    /// Times the field said something.
    pub fn filled(&self) -> u64 {
        self.seen - self.null - self.empty
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let mut numbers: Vec<f64> = self.numbers.iter().map(|number| number.abs()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied()
    }
}

fn form_of(value: &Value) -> String {
    match value {
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(text) => {
            let forms = DateForm::all_of(value);
            let date = forms.iter().find(|(form, _)| {
                !form.may_be_chance() && !matches!(form, DateForm::EpochSecondsText | DateForm::EpochMillisText)
            });
            match date {
                Some((form, _)) => serde_json::to_value(form)
                    .ok()
                    .and_then(|form| form.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                None if plain_number(text).is_some() => "number-text".to_owned(),
                None if text.contains('@') && text.contains('.') && !text.contains(' ') => "email".to_owned(),
                None if text.starts_with("http://") || text.starts_with("https://") => "url".to_owned(),
                None => "text".to_owned(),
            }
        }
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merging_two_streams_is_observing_both() {
        let outputs: Vec<Value> =
            (0..40).map(|i| json!({ "id": format!("a{i}"), "n": i, "x": { "y": null }, "l": [i, "t"] })).collect();
        let mut left = OutputProfile::of(&outputs[..17]);
        left.merge(&OutputProfile::of(&outputs[17..]));
        assert_eq!(left, OutputProfile::of(&outputs));
        let text = serde_json::to_string(&left).expect("JSON");
        assert_eq!(serde_json::from_str::<OutputProfile>(&text).expect("profile"), left);
    }
}
