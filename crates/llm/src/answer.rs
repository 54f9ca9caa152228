use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::model_name::ModelName;

/// Characters of a reason that are kept.
const LONGEST_REASON: usize = 500;

/// A mapping that a model proposes. It is text: it may not compile, loop, or be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// A JSONata expression.
    pub mapping: String,
    /// Why, in the model's words; at most 500 characters.
    pub reason: String,
}

/// What a model proposes, in its order. Can be stored as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// At least one; no two with the same mapping; no more than were asked for.
    pub candidates: Vec<Candidate>,
    pub model: ModelName,
    /// What it took when it was asked for.
    pub usage: Usage,
    pub from_cache: bool,
}

/// Tokens as the provider counts them; `None` if it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: Option<u64>,
    /// Thinking included.
    pub output: Option<u64>,
}

impl Usage {
    /// What both took together: known if each is.
    pub(crate) fn plus(self, other: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other?));
        Self { input: sum(self.input, other.input), output: sum(self.output, other.output) }
    }

    pub(crate) const NONE: Self = Self { input: Some(0), output: Some(0) };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposal {
    candidates: Vec<Candidate>,
}

/// The candidates in the text of an answer, at most `wanted`.
///
/// # Errors
/// What is wrong with the text, without repeating it.
pub(crate) fn read(text: &str, wanted: usize, longest_mapping: usize) -> Result<Vec<Candidate>, String> {
    let text = without_fence(text.trim());
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let proposal: Proposal = serde_json::from_value(value)
        .map_err(|error| format!("it is not a list of mappings with reasons: {}", kind_of(&error)))?;
    let mut seen = HashSet::new();
    let mut candidates = Vec::new();
    for candidate in proposal.candidates {
        let mapping = candidate.mapping.trim();
        if mapping.is_empty() {
            return Err("a mapping in it is empty".to_owned());
        }
        if mapping.len() > longest_mapping {
            return Err(format!("a mapping in it has {} bytes, more than {longest_mapping}", mapping.len()));
        }
        if seen.insert(mapping.to_owned()) {
            let reason = candidate.reason.trim().chars().take(LONGEST_REASON).collect();
            candidates.push(Candidate { mapping: mapping.to_owned(), reason });
        }
    }
    candidates.truncate(wanted);
    if candidates.is_empty() { Err("it holds no mapping".to_owned()) } else { Ok(candidates) }
}

/// Serde repeats values in its messages; names of fields are enough.
fn kind_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let known = ["missing field", "unknown field", "invalid type"];
    match known.iter().find(|known| message.starts_with(**known)) {
        Some(&"invalid type") => "a value in it has another type".to_owned(),
        Some(_) => message.chars().take(80).collect(),
        None => "it has another shape".to_owned(),
    }
}

/// Models without structured output like to put JSON between marks of Markdown.
fn without_fence(text: &str) -> &str {
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|inner| inner.strip_suffix("```")).map_or(text, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(text: &str) -> Result<Vec<Candidate>, String> {
        read(text, 2, 40)
    }

    #[test]
    fn a_list_of_mappings_is_read() {
        let found = candidates(
            r#"```json
            {"candidates": [{"mapping": " a ", "reason": "renamed"}, {"mapping": "a", "reason": "again"},
             {"mapping": "b", "reason": ""}, {"mapping": "c", "reason": ""}]}
            ```"#,
        )
        .expect("candidates");
        let shown: Vec<(&str, &str)> = found.iter().map(|one| (one.mapping.as_str(), one.reason.as_str())).collect();
        assert_eq!(shown, [("a", "renamed"), ("b", "")]);
    }

    #[test]
    fn everything_else_is_an_error_that_says_what_is_wrong() {
        for (text, word) in [
            ("", "not JSON"),
            ("Sure! Here is the mapping.", "not JSON"),
            (r#"{"candidates": [{"mapping": "a", "reason": "cu"#, "not JSON"),
            ("[]", "another shape"),
            ("{}", "missing field `candidates`"),
            (r#"{"candidates": [], "more": 1}"#, "unknown field"),
            (r#"{"candidates": []}"#, "no mapping"),
            (r#"{"candidates": "a"}"#, "type"),
            (r#"{"candidates": [{"mapping": {"secret": "hunter2"}, "reason": ""}]}"#, "type"),
            (r#"{"candidates": [{"mapping": "a"}]}"#, "missing field `reason`"),
            (r#"{"candidates": [{"mapping": " ", "reason": ""}]}"#, "empty"),
            (&format!(r#"{{"candidates": [{{"mapping": "{}", "reason": ""}}]}}"#, "a".repeat(41)), "41 bytes"),
        ] {
            let reason = candidates(text).expect_err(text);
            assert!(reason.contains(word) && !reason.contains("hunter2"), "{text}: {reason}");
        }
    }

    #[test]
    fn what_is_not_known_stays_unknown() {
        let known = Usage { input: Some(3), output: Some(4) };
        assert_eq!(known.plus(Usage::NONE), known);
        assert_eq!(known.plus(Usage { input: Some(1), output: None }), Usage { input: Some(4), output: None });
    }
}
