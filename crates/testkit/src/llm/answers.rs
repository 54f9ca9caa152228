use std::time::Duration;

use serde_json::json;

/// What the model does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FakeAnswer {
    /// This text, complete.
    Text(String),
    /// This text, cut off by the limit of tokens.
    CutOff(String),
    /// It declines.
    Declines(String),
    /// An answer whose body ends in the middle, and the connection with it.
    CutBody,
    /// 200 with a web page.
    Html,
    /// 200 with JSON that is no answer of the protocol.
    Foreign,
    /// An error of the provider.
    Status { status: u16, retry_after: Option<String>, message: String, code: Option<String> },
    /// The same, after a while.
    Late(Duration, Box<FakeAnswer>),
    /// As complete as `Text`, without saying how many tokens it took.
    WithoutUsage(String),
}

impl FakeAnswer {
    /// Good candidates: mappings with their reasons.
    pub fn candidates(candidates: &[(&str, &str)]) -> Self {
        let list: Vec<_> =
            candidates.iter().map(|(mapping, reason)| json!({"mapping": mapping, "reason": reason})).collect();
        Self::Text(json!({ "candidates": list }).to_string())
    }

    /// A candidate that compiles and never ends.
    pub fn endless() -> Self {
        Self::candidates(&[("($f := function($x) { $f($x + 1) }; $f(0))", "it counts")])
    }

    /// JSON of another shape than was asked for.
    pub fn wrong_shape() -> Self {
        Self::Text(json!({"mappings": ["$"]}).to_string())
    }

    /// An error without `Retry-After`.
    pub fn status(status: u16, message: &str) -> Self {
        Self::Status { status, retry_after: None, message: message.to_owned(), code: None }
    }

    /// 429 with `Retry-After`.
    pub fn busy(retry_after: &str) -> Self {
        let retry_after = Some(retry_after.to_owned());
        Self::Status { status: 429, retry_after, message: "too many requests".to_owned(), code: None }
    }

    /// 429 because the credit is used up.
    pub fn no_credit() -> Self {
        let code = Some("insufficient_quota".to_owned());
        Self::Status { status: 429, retry_after: None, message: "you exceeded your current quota".to_owned(), code }
    }

    #[must_use]
    pub fn late(self, by: Duration) -> Self {
        Self::Late(by, Box::new(self))
    }
}
