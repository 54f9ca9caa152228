//! Answers that are no data: error pages, login pages, notices, empty or cut answers that came with status 200.
//!
//! Invariant: nothing is learned from a record that [`recognise`] names.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outage {
    Empty,
    WebPage,
    Login,
    RateLimit,
    Maintenance,
    Error,
    Cut,
}

impl Outage {
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Empty => "an empty answer",
            Self::WebPage => "a web page instead of data",
            Self::Login => "a login page or refused credentials",
            Self::RateLimit => "a rate limit",
            Self::Maintenance => "a maintenance notice",
            Self::Error => "an error message",
            Self::Cut => "an answer without its data",
        }
    }
}

const LOGIN: &[&str] = &[
    "login",
    "signin",
    "sign in",
    "log in",
    "unauthorized",
    "unauthorised",
    "unauthenticated",
    "access_denied",
    "invalid_token",
    "token expired",
    "expired token",
    "reauthenticate",
    "forbidden",
    "invalid_grant",
    "sso",
];
const RATE: &[&str] =
    &["rate limit", "rate_limit", "ratelimit", "too many requests", "quota", "retry_after", "retry-after", "throttl"];
const MAINTENANCE: &[&str] =
    &["maintenance", "temporarily unavailable", "service unavailable", "back soon", "downtime"];
const ERROR_KEYS: &[&str] = &[
    "error",
    "errors",
    "fault",
    "exception",
    "error_code",
    "errorcode",
    "error_description",
    "error_message",
    "errormessage",
    "redirect",
    "login_required",
    "retry_after",
    "maintenance",
    "traceback",
    "stacktrace",
    "problem",
];
const NOTICE_KEYS: &[&str] = &[
    "message",
    "msg",
    "detail",
    "details",
    "status",
    "code",
    "title",
    "type",
    "success",
    "ok",
    "reason",
    "request_id",
];

/// Under which an error says in words what is wrong.
const SPEAKING_KEYS: &[&str] =
    &["message", "msg", "error", "errors", "error_description", "error_message", "detail", "login_required"];

/// What a record is instead of data, seen beside good records of the same source.
///
/// `alive`: the share of the paths the mapping reads that the record still has, where good records have them.
pub fn recognise(record: &Value, usual: &Usual, alive: f64) -> Option<Outage> {
    match record {
        Value::Null => return Some(Outage::Empty),
        Value::String(text) => {
            let text = text.trim_start();
            return Some(if text.starts_with('<') { of_text(text).unwrap_or(Outage::WebPage) } else { Outage::Cut });
        }
        Value::Bool(_) | Value::Number(_) => return Some(Outage::Cut),
        Value::Array(items) if items.is_empty() && !usual.may_be_empty => return Some(Outage::Empty),
        Value::Object(fields) if fields.is_empty() => return Some(Outage::Empty),
        _ => {}
    }
    let size = leaves(record, 4_000);
    let keys: BTreeSet<String> = match record {
        Value::Object(fields) => fields.keys().map(|key| key.to_lowercase()).collect(),
        _ => return None,
    };
    let foreign = keys.iter().filter(|key| !usual.keys.contains(*key)).count();
    // Beside small records an error is as large as data; it has nothing of theirs and says what it is.
    let speaks = || SPEAKING_KEYS.iter().any(|key| keys.contains(*key) && !usual.keys.contains(*key));
    let is_small = size * 2 <= usual.leaves.max(3) || (size <= 4 && foreign == keys.len() && speaks());
    if alive > 0.25 || !is_small {
        return None;
    }
    let text = record.to_string().to_lowercase();
    let says_error = keys.iter().any(|key| ERROR_KEYS.contains(&key.as_str()) && !usual.keys.contains(key));
    let notices = keys.iter().filter(|key| NOTICE_KEYS.contains(&key.as_str())).count();
    let mostly_notice = notices * 2 >= keys.len() && size <= 8;
    if says_error || mostly_notice {
        return Some(of_text(&text).unwrap_or(Outage::Error));
    }
    if foreign > 0
        && size <= 6
        && let Some(kind) = of_text(&text)
    {
        return Some(kind);
    }
    (alive == 0.0 && size * 6 <= usual.leaves).then_some(Outage::Cut)
}

fn of_text(text: &str) -> Option<Outage> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(RATE) {
        Some(Outage::RateLimit)
    } else if says(MAINTENANCE) {
        Some(Outage::Maintenance)
    } else if says(LOGIN) {
        Some(Outage::Login)
    } else if text.contains("<html") || text.contains("<!doctype") {
        Some(Outage::WebPage)
    } else {
        None
    }
}

/// What good records of a source look like from far away.
#[derive(Debug, Clone, Default)]
pub struct Usual {
    keys: BTreeSet<String>,
    /// Median number of values.
    leaves: usize,
    may_be_empty: bool,
}

impl Usual {
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut usual = Self::default();
        let mut sizes = Vec::new();
        for record in records {
            sizes.push(leaves(record, 4_000));
            match record {
                Value::Object(fields) => usual.keys.extend(fields.keys().map(|key| key.to_lowercase())),
                Value::Array(items) => usual.may_be_empty |= items.is_empty(),
                _ => {}
            }
        }
        sizes.sort_unstable();
        usual.leaves = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
        usual
    }
}

fn leaves(value: &Value, most: usize) -> usize {
    match value {
        Value::Object(fields) => {
            let mut count = 0;
            for value in fields.values() {
                count += leaves(value, most.saturating_sub(count));
                if count >= most {
                    break;
                }
            }
            count
        }
        Value::Array(items) => {
            let mut count = 0;
            for value in items {
                count += leaves(value, most.saturating_sub(count));
                if count >= most {
                    break;
                }
            }
            count
        }
        Value::Null => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usual() -> Usual {
        Usual::of(&[
            json!({ "items": (0..10).map(|i| json!({ "id": i, "name": "n" })).collect::<Vec<_>>(), "total": 4 }),
        ])
    }

    #[test]
    fn answers_that_are_no_data_are_named() {
        let cases = [
            (json!({}), Outage::Empty),
            (json!("<html><body>Please log in</body></html>"), Outage::Login),
            (json!({ "error": "rate limit exceeded", "retry_after": 30 }), Outage::RateLimit),
            (json!({ "message": "We are down for maintenance" }), Outage::Maintenance),
            (json!({ "login_required": true, "redirect": "https://x/login", "items": null }), Outage::Login),
            (json!({ "code": 500, "message": "oops" }), Outage::Error),
        ];
        for (record, outage) in cases {
            assert_eq!(recognise(&record, &usual(), 0.0), Some(outage), "{record}");
        }
    }

    #[test]
    fn an_error_is_one_beside_small_records_too() {
        let small = Usual::of(&[json!({ "id": "a", "customer": "b", "cents": 1 })]);
        for record in [
            json!({ "code": 500, "message": "oops" }),
            json!({ "login_required": true, "redirect": "https://x/login" }),
            json!({ "error": { "type": "access_denied", "message": "token expired" } }),
            json!({ "error": "rate limit exceeded", "retry_after": 30 }),
        ] {
            assert!(recognise(&record, &small, 0.0).is_some(), "{record}");
        }
        for record in
            [json!({ "code": "a", "title": "b", "status": 1 }), json!({ "id": "a", "message": "b", "cents": 1 })]
        {
            assert_eq!(recognise(&record, &small, 0.0), None, "{record}");
        }
    }

    #[test]
    fn data_with_a_status_is_data() {
        let record =
            json!({ "status": "ok", "result": (0..10).map(|i| json!({ "id": i, "name": "n" })).collect::<Vec<_>>() });
        assert_eq!(recognise(&record, &usual(), 0.0), None);
    }
}
