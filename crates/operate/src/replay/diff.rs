//! How what one version makes of a record differs from what another makes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use prunella_platform::Refusal;
use prunella_streams::Mapped;

/// What happens to one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum FieldChange {
    Added { pointer: String, after: Value },
    Removed { pointer: String, before: Value },
    Changed { pointer: String, before: Value, after: Value },
}

impl FieldChange {
    fn kind(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Removed { .. } => "removed",
            Self::Changed { .. } => "changed",
        }
    }

    pub fn pointer(&self) -> &str {
        match self {
            Self::Added { pointer, .. } | Self::Removed { pointer, .. } | Self::Changed { pointer, .. } => pointer,
        }
    }
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    Same,
    Changed {
        /// Of JSON values; empty when the values are none.
        fields: Vec<FieldChange>,
        other_key: bool,
    },
    /// There was an output and there would be none.
    NowRefused {
        code: &'static str,
        message: String,
    },
    /// There was none and there would be one.
    NowTaken,
    /// There is none either way.
    StillRefused,
}

/// What `after` is to `before`.
pub fn compare(before: &Result<Mapped, Refusal>, after: &Result<Mapped, Refusal>) -> Outcome {
    match (before, after) {
        (Ok(before), Ok(after)) => compare_mapped(before, after),
        (Ok(_), Err(refusal)) => Outcome::NowRefused { code: refusal.code.id(), message: refusal.message.clone() },
        (Err(_), Ok(_)) => Outcome::NowTaken,
        (Err(_), Err(_)) => Outcome::StillRefused,
    }
}

fn compare_mapped(before: &Mapped, after: &Mapped) -> Outcome {
    let key = before.key != after.key;
    if before.value == after.value {
        return if key { Outcome::Changed { fields: Vec::new(), other_key: key } } else { Outcome::Same };
    }
    let json = |value: &Option<bytes::Bytes>| {
        value.as_ref().map(|value| serde_json::from_slice::<Value>(value)).transpose().ok()
    };
    let fields = match (json(&before.value), json(&after.value)) {
        (Some(before), Some(after)) => {
            let (before, after) = (before.unwrap_or(Value::Null), after.unwrap_or(Value::Null));
            if before == after && !key {
                return Outcome::Same;
            }
            let mut fields = Vec::new();
            walk(&mut String::new(), &before, &after, &mut fields);
            fields
        }
        _ => Vec::new(),
    };
    Outcome::Changed { fields, other_key: key }
}

/// Notes where `after` differs from `before`, by JSON pointer, as deep as both have the same shape.
fn walk(pointer: &mut String, before: &Value, after: &Value, changes: &mut Vec<FieldChange>) {
    let mut below = |name: &str, before: Option<&Value>, after: Option<&Value>| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (before, after) {
            (Some(before), Some(after)) => walk(pointer, before, after, changes),
            (None, Some(after)) => changes.push(FieldChange::Added { pointer: pointer.clone(), after: after.clone() }),
            (Some(before), None) => {
                changes.push(FieldChange::Removed { pointer: pointer.clone(), before: before.clone() });
            }
            (None, None) => {}
        }
        pointer.truncate(length);
    };
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                below(name, old.get(name), new.get(name));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                below(&index.to_string(), old.get(index), new.get(index));
            }
        }
        _ if before == after => {}
        _ => changes.push(FieldChange::Changed {
            pointer: pointer.clone(),
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

/// A record whose output would be another one.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    pub partition: i32,
    pub offset: i64,
    /// Of a batch, one of its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    pub key: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Counts over all records that were compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub records: u64,
    pub same: u64,
    pub changed: u64,
    pub now_refused: u64,
    pub now_taken: u64,
    pub still_refused: u64,
    pub keys: u64,
    /// Records in which a field is added, removed or changed; places in arrays count as one.
    pub fields: BTreeMap<String, u64>,
}

impl Summary {
    pub fn note(&mut self, outcome: &Outcome) {
        self.records += 1;
        match outcome {
            Outcome::Same => self.same += 1,
            Outcome::NowRefused { .. } => self.now_refused += 1,
            Outcome::NowTaken => self.now_taken += 1,
            Outcome::StillRefused => self.still_refused += 1,
            Outcome::Changed { fields, other_key } => {
                self.changed += 1;
                self.keys += u64::from(*other_key);
                let named: BTreeSet<String> =
                    fields.iter().map(|field| format!("{} {}", field.kind(), general(field.pointer()))).collect();
                for name in named {
                    *self.fields.entry(name).or_default() += 1;
                }
            }
        }
    }
}

/// `/lines/3/sku` as `/lines/*/sku`.
fn general(pointer: &str) -> String {
    let is_index = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = pointer.split('/').map(|part| if is_index(part) { "*" } else { part }).collect();
    if parts.len() == 1 { "(whole value)".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use prunella_model::Code;

    use super::*;

    fn mapped(value: &Value) -> Result<Mapped, Refusal> {
        Ok(Mapped { key: None, value: Some(Bytes::from(value.to_string())) })
    }

    #[test]
    fn every_field_that_differs_is_named_and_nothing_else() {
        let before =
            mapped(&json!({ "id": 1, "gone": true, "lines": [{ "n": 1 }, { "n": 2 }], "same": [1, { "a/b": 2 }] }));
        let after =
            mapped(&json!({ "id": 2, "new": null, "lines": [{ "n": 1 }, { "n": 3 }, 4], "same": [1, { "a/b": 2 }] }));
        let outcome = compare(&before, &after);
        let Outcome::Changed { fields, other_key: false } = &outcome else { panic!("{outcome:?}") };
        let named: Vec<String> = fields.iter().map(|field| format!("{} {}", field.kind(), field.pointer())).collect();
        assert_eq!(named, ["removed /gone", "changed /id", "changed /lines/1/n", "added /lines/2", "added /new"]);
        let mut summary = Summary::default();
        summary.note(&outcome);
        assert_eq!(summary.fields.get("changed /lines/*/n"), Some(&1), "{summary:?}");
    }

    #[test]
    fn spelling_is_no_difference_and_refusals_are() {
        let text = |text: &'static str| Ok(Mapped { key: None, value: Some(Bytes::from_static(text.as_bytes())) });
        assert_eq!(compare(&text("{\"a\":1,\"b\":2}"), &text("{ \"b\": 2, \"a\": 1 }")), Outcome::Same);
        let refused = Err(Refusal::new(Code::ItemInvalid, "no"));
        assert!(matches!(compare(&text("1"), &refused), Outcome::NowRefused { code: "PRN-0602", .. }));
        assert_eq!(compare(&refused, &text("1")), Outcome::NowTaken);
        assert_eq!(compare(&refused, &refused), Outcome::StillRefused);
        let keyed = Ok(Mapped { key: Some(Bytes::from_static(b"k")), value: Some(Bytes::from_static(b"1")) });
        assert_eq!(compare(&text("1"), &keyed), Outcome::Changed { fields: Vec::new(), other_key: true });
        let gone = Ok(Mapped { key: None, value: None });
        assert!(matches!(compare(&text("1"), &gone), Outcome::Changed { .. }));
    }
}
