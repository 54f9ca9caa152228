//! A field of the new rows, what is done to it, and what speaks for it.

use std::collections::HashMap;

use serde_json::Value;

use crate::convert::Conversion;
use crate::factor::{Factor, other_text};
use crate::path::FieldPath;
use crate::value::{bits, is_empty};

/// What else goes into a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum With {
    /// Other fields behind it, with text between.
    Then(Vec<(String, FieldPath)>),
    /// Another field where it is not filled.
    Else(FieldPath),
    /// It is a list; each item as text, with this between.
    Items { inner: Box<Choice>, between: String },
    /// It is a list; of each item two texts, the second of which leads over to the next item.
    Phrases { first: FieldPath, second: FieldPath },
    /// Another field that scales or signs the number.
    Factor { by: FieldPath, how: Factor, by_text: bool },
}

/// A field and what is done to it. Text that has the same value everywhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(crate) path: FieldPath,
    pub(crate) with: Option<With>,
    pub(crate) conversion: Conversion,
    /// What it becomes where the field says nothing, if that is known.
    pub(crate) default: Option<Value>,
    /// A value that stands for none.
    pub(crate) sentinel: Option<Value>,
    /// The field may say nothing; what it becomes then is left to the expression around.
    pub(crate) optional: bool,
    pub(crate) support: Support,
}

impl Choice {
    pub(crate) fn plain(path: FieldPath, conversion: Conversion) -> Self {
        Self {
            path,
            with: None,
            conversion,
            default: None,
            sentinel: None,
            optional: false,
            support: Support::default(),
        }
    }

    /// JSONata of the choice, in parentheses if it needs them.
    pub(crate) fn render(&self, prefix: &str) -> String {
        if let Some(sentinel) = &self.sentinel {
            let inner = Self { sentinel: None, ..self.clone() }.render(prefix);
            return format!("({} = {sentinel} ? null : {inner})", self.path.render(prefix));
        }
        let x = self.path.render(prefix);
        if self.conversion == Conversion::Present {
            return self.conversion.render(&x);
        }
        let text = match &self.with {
            Some(With::Then(rest)) => rest.iter().fold(x.clone(), |text, (between, other)| {
                let between =
                    if between.is_empty() { String::new() } else { format!(" & {}", Value::from(between.as_str())) };
                format!("{text}{between} & {}", other.render(prefix))
            }),
            Some(With::Else(other)) => return format!("({x} != null ? {x} : {})", other.render(prefix)),
            Some(With::Items { inner, between }) => {
                let inner = match inner.is_plain() {
                    true => inner.render(""),
                    false => format!("({})", inner.render("")),
                };
                format!("$join({x}.{inner}, {})", Value::from(between.as_str()))
            }
            Some(With::Phrases { first, second }) => {
                format!("$join({x}.({} & {}))", first.render(""), second.render(""))
            }
            Some(With::Factor { by, how, by_text }) => {
                how.render(&self.conversion.render(&x), &other_text(by, how, *by_text, prefix))
            }
            None => self.conversion.render(&x),
        };
        if let Some(default) = &self.default {
            return format!("($exists({x}) ? {text} : {default})");
        }
        // Joining text makes something out of nothing.
        let joins = self.with.is_some() || self.conversion.makes_something_of_nothing();
        let converts = self.optional && self.conversion != Conversion::Same;
        match (joins || converts, self.conversion.reads_numbers()) {
            (true, false) if !matches!(self.with, Some(With::Factor { .. })) => format!("({x} ? {text})"),
            (true, _) => format!("({x} != null ? ({text}))"),
            (false, _) if self.conversion.is_operation() => format!("({text})"),
            (false, _) => text,
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.with.is_none() && self.default.is_none() && self.sentinel.is_none() && self.conversion == Conversion::Same
    }

    pub(crate) fn predict(&self, cell: Option<&Value>) -> Option<Value> {
        match cell {
            Some(value) if !is_empty(cell) && self.sentinel.as_ref() != cell => self.conversion.apply(value),
            _ => None,
        }
    }
}

/// What speaks for a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Support {
    pub(crate) records: usize,
    pub(crate) values: usize,
    pub(crate) bits: f64,
}

/// How much an agreement on a value of a field says, by how often the field shows it.
#[derive(Debug, Default)]
pub(crate) struct Rarity {
    /// Times each value was seen, of a field whose values recur; empty for others.
    counts: HashMap<String, usize>,
    total: usize,
}

impl Rarity {
    pub(crate) fn of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut total = 0;
        for value in values {
            *counts.entry(value.to_string()).or_default() += 1;
            total += 1;
        }
        if counts.len() * 10 >= total * 6 {
            counts.clear();
        }
        Self { counts, total }
    }

    pub(super) fn recurs(&self) -> bool {
        !self.counts.is_empty()
    }

    pub(super) fn bits(&self, value: &Value) -> f64 {
        let most = bits(value);
        match self.counts.get(&value.to_string()) {
            Some(count) => most.min((self.total as f64 / *count as f64).log2().max(0.5)),
            None => most,
        }
    }
}
