use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::field::FieldPattern;
use crate::key::RedactionKey;
use crate::pass::Pass;

/// What is redacted besides what looks like a secret by itself (bearer tokens, API keys, JWTs, PEM blocks, card numbers,
/// long random texts) or by its field's name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RedactSettings {
    /// Paths of fields: `customer.email`, `*.iban`, `**.ssn`. Items of arrays take no part in the path. All that is
    /// below such a field is redacted, and its values wherever else they occur.
    pub fields: Vec<FieldPattern>,
    /// Whether e-mail addresses are redacted wherever they stand.
    pub emails: bool,
}

impl Default for RedactSettings {
    fn default() -> Self {
        Self { fields: Vec::new(), emails: true }
    }
}

/// Redacts with one key and one set of rules. What belongs together goes through one [`Pass`].
#[derive(Clone)]
pub struct Redactor {
    pub(crate) settings: RedactSettings,
    pub(crate) key: RedactionKey,
    pub(crate) secrets: Vec<Zeroizing<String>>,
}

impl Redactor {
    #[must_use]
    pub fn new(settings: RedactSettings, key: RedactionKey) -> Self {
        Self { settings, key, secrets: Vec::new() }
    }

    /// Knows these secrets too, wherever they stand: keys of ours, credentials of a source.
    #[must_use]
    pub fn with_secrets<'s>(mut self, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let told = secrets.into_iter().filter(|secret| !secret.is_empty());
        self.secrets.extend(told.map(|secret| Zeroizing::new(secret.to_owned())));
        self
    }

    /// Redacts this path too.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = FieldPattern>) -> Self {
        self.settings.fields.extend(fields);
        self
    }

    /// Begins with values that belong together.
    pub fn pass(&self) -> Pass<'_> {
        Pass::new(self)
    }

    /// A value by itself.
    pub fn value(&self, value: &Value) -> Value {
        let mut pass = self.pass();
        pass.learn(value);
        pass.value(value)
    }

    /// A text by itself, such as a message.
    pub fn text(&self, text: &str) -> String {
        self.pass().text(text)
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("settings", &self.settings).field("secrets", &self.secrets.len()).finish()
    }
}
