use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Worth knowing; nothing stands still.
    Warn,
    Wrong,
}

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub level: Level,
    pub detail: String,
    /// The next step to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, detail: detail.into(), next: None }
    }

    pub fn warn(check: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, detail: detail.into(), next: Some(next.into()) }
    }

    pub fn wrong(check: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, level: Level::Wrong, detail: detail.into(), next: Some(next.into()) }
    }
}
