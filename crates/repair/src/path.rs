use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A literal that a selector compares with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Literal {
    Text(String),
    Flag(bool),
    /// An identifier; other numbers select nothing.
    Number(i64),
}

/// Numbers from here on may be identifiers that a selector asks for.
const LEAST_IDENTIFIER: i64 = 1_000;
/// Under these names, small numbers may be, too.
const NAMES_OF_CODES: [&str; 6] = ["type", "kind", "code", "category", "class", "id"];

impl Literal {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) if !text.is_empty() && text.len() <= 48 => Some(Self::Text(text.clone())),
            Value::Bool(flag) => Some(Self::Flag(*flag)),
            Value::Number(number) => number.as_i64().filter(|number| *number >= LEAST_IDENTIFIER).map(Self::Number),
            _ => None,
        }
    }

    /// The literal of a field of this name, which may be a code.
    pub(crate) fn under(name: &str, value: &Value) -> Option<Self> {
        let is_code = || crate::names::tokens(name).iter().any(|word| NAMES_OF_CODES.contains(&word.as_str()));
        let code = || value.as_i64().filter(|number| *number >= 0 && is_code()).map(Self::Number);
        Self::of(value).or_else(code)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Step {
    Key(String),
    /// An item of an array by position; -1 is the last.
    At(i64),
    /// The items of an array whose field has a value.
    Where(Vec<String>, Literal),
    /// The item of an array that the row refers to.
    Whose(Box<Reference>),
    /// The value of an object whose name the row holds there.
    Named(Box<FieldPath>),
    /// The values of an object, under whatever names.
    Any,
    /// The names in an object.
    Names,
}

/// How a row says which item of a list it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Reference {
    /// The identifier of the items.
    pub key: Vec<String>,
    /// Where the row holds it.
    pub of: FieldPath,
    /// The kind of item, where identifiers alone do not tell.
    pub and: Option<(Vec<String>, Literal)>,
}

/// Stands for the row while the list is searched.
const ROW: &str = "$row";

/// Where a value stands, seen from a row or (`root`) from the whole record. Arrays on the way are walked through, as
/// JSONata does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct FieldPath {
    pub root: bool,
    pub steps: Vec<Step>,
}

impl FieldPath {
    pub fn of_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self { root: false, steps: keys.into_iter().map(|key| Step::Key(key.to_owned())).collect() }
    }

    /// The names on the way.
    pub fn keys(&self) -> Vec<&str> {
        fn key(step: &Step) -> Option<&str> {
            match step {
                Step::Key(key) => Some(key),
                _ => None,
            }
        }
        self.steps.iter().filter_map(key).collect()
    }

    pub fn last_key(&self) -> &str {
        self.keys().last().copied().unwrap_or_default()
    }

    /// The literal of the last selector.
    pub fn literal(&self) -> Option<(&[String], &Literal)> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Where(key, literal) => Some((key.as_slice(), literal)),
            _ => None,
        })
    }

    /// Whether an item of an array is chosen by its position.
    pub fn is_positional(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::At(_)))
    }

    /// The same place, whatever item of lists is taken.
    pub(crate) fn without_positions(&self) -> Self {
        let steps = self.steps.iter().filter(|step| !matches!(step, Step::At(_))).cloned().collect();
        Self { root: self.root, steps }
    }

    /// The way on from here.
    pub(crate) fn joined(&self, further: &Self) -> Self {
        Self { root: self.root, steps: self.steps.iter().chain(&further.steps).cloned().collect() }
    }

    pub fn parent(&self) -> Self {
        let mut steps = self.steps.clone();
        while let Some(step) = steps.pop() {
            if matches!(step, Step::Key(_)) {
                break;
            }
        }
        Self { root: self.root, steps }
    }

    /// As JSONata, to be evaluated where `prefix` (such as `$item`, or nothing) is the row.
    pub fn render(&self, prefix: &str) -> String {
        let refers = self.steps.iter().any(|step| matches!(step, Step::Whose(_) | Step::Named(_)));
        let mut text = if self.root { "$$".to_owned() } else { prefix.to_owned() };
        for step in &self.steps {
            match step {
                Step::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(&quoted(key));
                }
                Step::At(index) => {
                    row_itself(&mut text);
                    text.push_str(&format!("[{index}]"));
                }
                Step::Where(key, literal) => {
                    row_itself(&mut text);
                    text.push_str(&format!("[{}]", condition(key, literal)));
                }
                Step::Named(of) => text = format!("$lookup({text}, $string({}))", of.render(ROW)),
                Step::Any => {
                    row_itself(&mut text);
                    text.push_str(".*");
                }
                Step::Names => {
                    row_itself(&mut text);
                    text = format!("$keys({text})");
                }
                Step::Whose(reference) => {
                    let kind = reference.and.as_ref();
                    let kind =
                        kind.map(|(key, literal)| format!("{} and ", condition(key, literal))).unwrap_or_default();
                    let key = reference.key.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".");
                    text.push_str(&format!("[{kind}{key} = {}]", reference.of.render(ROW)));
                }
            }
        }
        if refers {
            let row = if prefix.is_empty() { "$" } else { prefix };
            return format!("({ROW} := {row}; {text})");
        }
        if text.is_empty() { "$".to_owned() } else { text }
    }
}

/// A selector has to stand behind something.
fn row_itself(text: &mut String) {
    if text.is_empty() {
        text.push('$');
    }
}

fn condition(key: &[String], literal: &Literal) -> String {
    let key = key.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(".");
    let literal = match literal {
        Literal::Text(text) => Value::String(text.clone()).to_string(),
        Literal::Flag(flag) => flag.to_string(),
        Literal::Number(number) => number.to_string(),
    };
    format!("{key} = {literal}")
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(""))
    }
}

/// A field name as it has to be written in JSONata.
pub(crate) fn quoted(key: &str) -> String {
    let mut chars = key.chars();
    let plain = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !matches!(key, "and" | "or" | "in" | "true" | "false" | "null" | "function");
    // What cannot be seen, such as a byte order mark, is written out.
    let invisible = |c: char| c.is_control() || matches!(c, '`' | '\u{feff}' | '\u{200b}'..='\u{200f}');
    if plain {
        key.to_owned()
    } else if key.contains(invisible) {
        let escaped: String = key
            .chars()
            .map(|c| {
                if invisible(c) {
                    format!("\\u{:04x}", u32::from(c))
                } else {
                    Value::from(c.to_string()).to_string().trim_matches('"').to_owned()
                }
            })
            .collect();
        format!("$lookup($, \"{escaped}\")")
    } else {
        format!("`{key}`")
    }
}
