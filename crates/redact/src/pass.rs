use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::detect::{self, Surroundings};
use crate::placeholder::{self, Kind, is_placeholder, pattern};
use crate::redactor::Redactor;

/// Shorter texts are too common to be looked for inside of others.
const SHORTEST_INSIDE: usize = 6;
/// Shorter texts, and numbers of fewer digits, are too common to be recognised at other paths.
const SHORTEST_TEXT: usize = 2;
const SHORTEST_NUMBER: usize = 4;

/// String literals, names in backticks and comments of a JSONata expression.
static CODE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"/\*(?s:.*?)\*/|`[^`]*`|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"#));

/// Values that belong together: what is learned from one is recognised in all. First [`learn`](Self::learn) all, then
/// redact.
#[derive(Debug)]
pub struct Pass<'r> {
    redactor: &'r Redactor,
    /// Texts that are redacted where a whole text is equal, in lower case (ASCII).
    whole: BTreeSet<String>,
    /// Texts that are redacted inside of others, in lower case (ASCII).
    inside: BTreeMap<String, Kind>,
    redacted: usize,
}

impl<'r> Pass<'r> {
    pub(crate) fn new(redactor: &'r Redactor) -> Self {
        let known = redactor.secrets.iter().map(|secret| (secret.to_ascii_lowercase(), Kind::Known));
        Self { redactor, whole: BTreeSet::new(), inside: known.collect(), redacted: 0 }
    }

    /// Remembers what stands at configured paths and under names of secrets.
    pub fn learn(&mut self, value: &Value) {
        self.learn_at(value, &mut Vec::new(), false);
    }

    fn learn_at(&mut self, value: &Value, path: &mut Vec<String>, is_meant: bool) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    path.push(name.clone());
                    let is_meant = is_meant || self.is_meant(name, path);
                    self.learn_at(value, path, is_meant);
                    path.pop();
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_at(item, path, is_meant)),
            Value::String(text) if is_meant => self.learn_text(text),
            Value::Number(number) if is_meant => {
                let text = number.to_string();
                if text.len() >= SHORTEST_NUMBER {
                    self.whole.insert(text);
                }
            }
            _ => {}
        }
    }

    fn learn_text(&mut self, text: &str) {
        if is_placeholder(text) {
            return;
        }
        let shortest = if placeholder::kind_of(text) == Kind::Digits { SHORTEST_NUMBER } else { SHORTEST_TEXT };
        let length = text.chars().count();
        if length >= shortest {
            self.whole.insert(text.to_ascii_lowercase());
        }
        if length >= SHORTEST_INSIDE {
            self.inside.entry(text.to_ascii_lowercase()).or_insert(placeholder::kind_of(text));
        }
    }

    /// Whether the field `name` at `path` is redacted, with all below it.
    pub(crate) fn is_meant(&self, name: &str, path: &[String]) -> bool {
        detect::is_secret_name(name) || self.is_configured(path)
    }

    pub(crate) fn is_configured(&self, path: &[String]) -> bool {
        self.redactor.settings.fields.iter().any(|pattern| pattern.matches(path))
    }

    /// The value without its secrets.
    pub fn value(&mut self, value: &Value) -> Value {
        self.value_at(value, &mut Vec::new(), false)
    }

    fn value_at(&mut self, value: &Value, path: &mut Vec<String>, is_meant: bool) -> Value {
        match value {
            Value::Object(fields) => {
                let mut redacted = Map::new();
                for (name, value) in fields {
                    path.push(name.clone());
                    let is_meant = is_meant || self.is_meant(name, path);
                    let value = self.value_at(value, path, is_meant);
                    redacted.insert(self.word(name), value);
                    path.pop();
                }
                Value::Object(redacted)
            }
            Value::Array(items) => items.iter().map(|item| self.value_at(item, path, is_meant)).collect(),
            leaf => self.leaf(leaf, is_meant),
        }
    }

    /// A value that holds no others; `is_meant` if its place says that it is a secret.
    pub(crate) fn leaf(&mut self, value: &Value, is_meant: bool) -> Value {
        match value {
            Value::String(text) if text.is_empty() || is_placeholder(text) => value.clone(),
            Value::String(text) if is_meant || self.whole.contains(&text.to_ascii_lowercase()) => {
                self.redacted += 1;
                placeholder::text(&self.redactor.key, placeholder::kind_of(text), text).into()
            }
            Value::String(text) => self.text(text).into(),
            Value::Number(number) => {
                let text = number.to_string();
                let is_card = number.is_u64() && detect::is_card(&text);
                if !is_meant && !is_card && !self.whole.contains(&text) {
                    return value.clone();
                }
                self.redacted += 1;
                placeholder::number(&self.redactor.key, number)
            }
            // One bit cannot be hidden behind another.
            Value::Bool(_) if is_meant => Value::Bool(false),
            other => other.clone(),
        }
    }

    /// A text without the secrets in it.
    pub fn text(&mut self, text: &str) -> String {
        let found = self.find(text, Surroundings::Prose, |_| true);
        self.replaced(text, &found)
    }

    /// The name of a field or a word of a schema. A learned value that is a plain word, such as `customer`, may well be
    /// a name too, and stays.
    pub(crate) fn word(&mut self, word: &str) -> String {
        let is_no_word = |learned: &str| !learned.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let found = self.find(word, Surroundings::Prose, is_no_word);
        self.replaced(word, &found)
    }

    /// A JSONata expression without the secrets in its literals and comments.
    pub fn expression(&mut self, expression: &str) -> String {
        let mut found = self.find(expression, Surroundings::Code, |_| true);
        // Outside of literals, what is long and wild is a name.
        let literals: Vec<Range<usize>> = CODE.find_iter(expression).map(|literal| literal.range()).collect();
        found.retain(|(range, kind)| {
            *kind == Kind::Known
                || literals.iter().any(|literal| literal.start <= range.start && range.end <= literal.end)
        });
        self.replaced(expression, &found)
    }

    fn find(
        &self,
        text: &str,
        surroundings: Surroundings,
        is_looked_for: fn(&str) -> bool,
    ) -> Vec<(Range<usize>, Kind)> {
        let mut found = detect::secrets(text, surroundings, self.redactor.settings.emails);
        let lower = text.to_ascii_lowercase();
        let looked_for = |(learned, kind): &(&String, &Kind)| **kind == Kind::Known || is_looked_for(learned);
        for (learned, kind) in self.inside.iter().filter(looked_for) {
            let places = lower.match_indices(learned.as_str());
            found.extend(places.map(|(start, part)| (start..start + part.len(), *kind)));
        }
        detect::joined(text, found)
    }

    fn replaced(&mut self, text: &str, found: &[(Range<usize>, Kind)]) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut done = 0;
        for (range, kind) in found {
            redacted.push_str(&text[done..range.start]);
            redacted.push_str(&placeholder::text(&self.redactor.key, *kind, &text[range.clone()]));
            done = range.end;
        }
        redacted.push_str(&text[done..]);
        self.redacted += found.len();
        redacted
    }

    /// How many values, or parts of texts, were redacted so far.
    pub fn redacted(&self) -> usize {
        self.redacted
    }
}
