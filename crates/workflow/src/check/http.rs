//! Where a step gets its data: requests, pages and data in the file.

use std::collections::HashMap;

use prunella_model::workflow::Retry;
use prunella_model::{Code, Period};
use serde_json::{Map, Value};
use url::Url;

use super::Checker;
use super::expression::Read;
use crate::document::join;

/// Headers that belong to the connection and that the client sets itself.
const OWNED_HEADERS: [&str; 5] = ["connection", "content-length", "host", "transfer-encoding", "upgrade"];

impl<'a> Checker<'a, '_> {
    /// Checks the source at `pointer`; returns what its templates read of other steps.
    pub(super) fn extract(&mut self, pointer: &str) -> Vec<Read> {
        if !self.is_object(pointer) {
            return Vec::new();
        }
        self.exactly_one(pointer, &["http", "inline", "trigger"], "where the data comes from");
        let mut reads = self.templates(&join(pointer, "inline"));
        reads.extend(self.http(&join(pointer, "http"), &join(pointer, "items")));
        reads
    }

    fn http(&mut self, pointer: &str, items: &str) -> Vec<Read> {
        if !self.is_object(pointer) {
            return Vec::new();
        }
        self.url(&join(pointer, "url"));
        self.headers(&join(pointer, "headers"));
        self.query(&join(pointer, "query"));
        self.body(pointer);
        self.pagination(pointer, items);
        self.longer_than_nothing(&join(pointer, "timeout"));
        self.longer_than_nothing(&join(pointer, "max-page-bytes"));
        self.retry(&join(pointer, "retry"));
        ["url", "headers", "query", "body"]
            .into_iter()
            .flat_map(|field| self.templates(&join(pointer, field)))
            .collect()
    }

    fn url(&mut self, pointer: &str) {
        let Some(text) = self.text(pointer) else {
            return;
        };
        let (fixed, templated) = match text.split_once("{{") {
            Some((fixed, _)) => (fixed, true),
            None => (text, false),
        };
        let schemes = ["http://", "https://"];
        let starts_well = schemes.iter().any(|scheme| {
            let fixed = fixed.to_ascii_lowercase();
            fixed.starts_with(scheme) || (templated && scheme.starts_with(&fixed))
        });
        if !starts_well {
            let message = format!("the address must start with http:// or https://, not {fixed:?}");
            self.report(Code::WorkflowValue, pointer, message);
            return;
        }
        if !templated && let Err(error) = Url::parse(text) {
            self.report(Code::WorkflowValue, pointer, format!("{text:?} is not an address: {error}"));
        }
    }

    fn headers(&mut self, pointer: &str) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (name, value) in self.fields(pointer) {
            let at = join(pointer, name);
            if name.is_empty() || !name.bytes().all(is_token) {
                let message = format!("{name:?} is not the name of a header: use letters, digits and -");
                self.report_key(Code::WorkflowValue, &at, message);
            }
            let lower = name.to_ascii_lowercase();
            if OWNED_HEADERS.contains(&lower.as_str()) {
                self.report_key(
                    Code::WorkflowValue,
                    &at,
                    format!("the header `{name}` is set by the connection itself"),
                );
            }
            if let Some(first) = seen.insert(lower, name) {
                let message = format!("the header `{name}` is given twice, first as `{first}`");
                self.report_key(Code::WorkflowValue, &at, message);
            }
            if value.as_str().is_some_and(|text| text.chars().any(|c| c.is_control() && c != '\t')) {
                let message = format!("the value of the header `{name}` holds a line break or control character");
                self.report(Code::WorkflowValue, &at, message);
            }
        }
    }

    fn query(&mut self, pointer: &str) {
        for (name, _) in self.fields(pointer) {
            self.query_name(&join(pointer, name), name, true);
        }
    }

    fn query_name(&mut self, pointer: &str, name: &str, is_key: bool) {
        if !name.is_empty() && !name.chars().any(char::is_control) {
            return;
        }
        let message = format!("{name:?} is not the name of a query parameter");
        match is_key {
            true => self.report_key(Code::WorkflowValue, pointer, message),
            false => self.report(Code::WorkflowValue, pointer, message),
        }
    }

    fn body(&mut self, pointer: &str) {
        let body = join(pointer, "body");
        let method = self.text(&join(pointer, "method")).unwrap_or("GET");
        if self.document.get(&body).is_some() && method == "GET" {
            let problem = self.document.at_key(Code::WorkflowValue, &body, "a GET request has no body");
            self.problems.push(problem.help("add `method: POST`"));
        }
    }

    fn pagination(&mut self, http: &str, items: &str) {
        let pointer = join(http, "pagination");
        if !self.is_object(&pointer) {
            return;
        }
        self.exactly_one(&pointer, &["page", "offset", "cursor", "link"], "how the next page is found");
        for kind in ["page", "offset"] {
            let at = join(&pointer, kind);
            if self.document.get(&at).is_some() && self.document.get(items).is_none() {
                let message = format!("`{kind}` ends with an empty page, so `items` must say where the items are");
                let problem = self.document.at_key(Code::WorkflowValue, &at, message);
                self.problems.push(problem.help("add `items` to `extract`; `$` when the answer itself is the list"));
            }
        }
        let mut seen: Vec<&str> = self.fields(&join(http, "query")).map(|(name, _)| name.as_str()).collect();
        for field in ["page/param", "page/size/param", "offset/param", "offset/limit/param", "cursor/param"] {
            let at = format!("{pointer}/{field}");
            let Some(name) = self.text(&at) else { continue };
            self.query_name(&at, name, false);
            if seen.contains(&name) {
                let message = format!("the query parameter `{name}` is already in use in this request");
                self.report(Code::WorkflowValue, &at, message);
            }
            seen.push(name);
        }
    }

    fn retry(&mut self, pointer: &str) {
        let (backoff, longest) = (join(pointer, "backoff"), join(pointer, "max-backoff"));
        self.longer_than_nothing(&backoff);
        self.longer_than_nothing(&longest);
        let declared = |pointer: &str| self.document.get(pointer).is_some();
        let (first_said, most_said) = (declared(&backoff), declared(&longest));
        if !first_said && !most_said {
            return;
        }
        let unsaid = Retry::default();
        let first = self.period_or(&backoff, unsaid.backoff);
        let most = self.period_or(&longest, unsaid.max_backoff);
        let (Some(first), Some(most)) = (first, most) else { return };
        if first > most {
            let said = if first_said { &backoff } else { &longest };
            let message = format!("`backoff` ({first}) is longer than `max-backoff` ({most})");
            let mut problem = self.document.at_value(Code::WorkflowValue, said, message);
            if !(first_said && most_said) {
                problem = problem.help(format!(
                    "`backoff` is {} and `max-backoff` {} where they are not given: give both",
                    unsaid.backoff, unsaid.max_backoff
                ));
            }
            self.problems.push(problem);
        }
    }

    /// What is declared, or what holds when nothing is; nothing if it cannot be read, which is reported elsewhere.
    fn period_or(&self, pointer: &str, unsaid: Period) -> Option<Period> {
        if self.document.get(pointer).is_none() {
            return Some(unsaid);
        }
        self.text(pointer)?.parse().ok()
    }

    fn fields(&self, pointer: &str) -> serde_json::map::Iter<'a> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.document.get(pointer).and_then(Value::as_object).unwrap_or(&NONE).iter()
    }
}

/// `tchar` of RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
