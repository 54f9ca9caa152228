use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Where a secret is to be read: `env:NAME` or `file:/path`. It is no secret itself, so it may be shown and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    Environment(String),
    File(String),
}

/// A secret that was read. Overwritten when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl SecretRef {
    /// Reads the secret, from the environment of the process or a file. Line ends after it do not count.
    ///
    /// # Errors
    /// [`VaultError::Secret`] when it is missing, unreadable or empty.
    pub fn read(&self) -> Result<Secret, VaultError> {
        self.read_with(|name| std::env::var(name).ok())
    }

    /// As [`read`](Self::read), with an environment of the caller's.
    ///
    /// # Errors
    /// As those of [`read`](Self::read).
    pub fn read_with(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Secret, VaultError> {
        let unreadable = |reason: String| VaultError::Secret { name: self.to_string(), reason };
        let text = match self {
            Self::Environment(name) => {
                environment(name).ok_or_else(|| unreadable(format!("the environment variable {name} is not set")))?
            }
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| unreadable(format!("the file cannot be read: {error}")))?,
        };
        let text = Zeroizing::new(text);
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(unreadable("it is empty".to_owned()));
        }
        Ok(Secret(Zeroizing::new(secret.to_owned())))
    }
}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself. It is for the wire; nothing that is shown or kept is made of it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for SecretRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            // What stands there may be the secret itself: it is not repeated.
            _ => Err("expected env:NAME or file:/path: a secret does not stand in the configuration itself".to_owned()),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(env|file):.+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_the_environment_and_from_files() {
        let environment = |name: &str| (name == "API_KEY").then(|| "sk-1\n".to_owned());
        let reference: SecretRef = "env:API_KEY".parse().expect("reference");
        assert_eq!(reference.read_with(environment).expect("read").reveal(), "sk-1");
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "sk-2\r\n").expect("written");
        let reference: SecretRef = format!("file:{}", file.path().display()).parse().expect("reference");
        assert_eq!(reference.read().expect("read").reveal(), "sk-2");
        assert_eq!(format!("{:?}", reference.read().expect("read")), "Secret(…)");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_place() {
        for (text, word) in [("env:NOT_SET", "NOT_SET is not set"), ("file:/nowhere/x", "cannot be read")] {
            let error = text.parse::<SecretRef>().expect("reference").read_with(|_| None).expect_err(text);
            assert_eq!(error.code().id(), "PRN-1007");
            assert!(error.to_string().contains(word) && error.to_string().starts_with(text), "{error}");
        }
        let empty = "env:X".parse::<SecretRef>().expect("reference").read_with(|_| Some("\n".to_owned()));
        assert!(empty.expect_err("empty").to_string().contains("empty"));
    }

    #[test]
    fn a_secret_in_the_place_of_a_reference_is_refused_and_not_repeated() {
        for text in ["sk-abc123", "env:", "file:", "https://x"] {
            let error = serde_json::from_value::<SecretRef>(serde_json::json!(text)).expect_err(text).to_string();
            assert!(error.contains("env:NAME") && !error.contains("abc123"), "{error}");
        }
    }
}
