use std::collections::BTreeSet;
use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Fewer characters are a passphrase, which HKDF does not protect from being guessed.
const FEWEST_CHARACTERS: usize = 32;
/// `aaaa…` has the length of a key and is none.
const FEWEST_DIFFERENT: usize = 8;

/// Names a master key without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(crate) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is derived from the text of a master key: its id, a key to encrypt with and a key to authenticate with.
#[derive(Clone)]
pub struct MasterKey {
    pub(crate) id: KeyId,
    pub(crate) encrypt: Zeroizing<[u8; 32]>,
    pub(crate) authenticate: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// `name` is where the text was found, for messages. Blanks around the text do not count.
    ///
    /// # Errors
    /// [`VaultError::Key`] for a text that is too short, too uniform, or has blanks or commas inside.
    pub fn parse(name: &str, text: &str) -> Result<Self, VaultError> {
        let refused = |reason: String| VaultError::Key { name: name.to_owned(), reason };
        let advice = "write the output of `openssl rand -base64 32`";
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
            return Err(refused(format!("a key is of visible ASCII characters without blanks and commas; {advice}")));
        }
        if text.len() < FEWEST_CHARACTERS {
            return Err(refused(format!(
                "a key has at least {FEWEST_CHARACTERS} characters, not {}; {advice}",
                text.len()
            )));
        }
        if text.bytes().collect::<BTreeSet<u8>>().len() < FEWEST_DIFFERENT {
            return Err(refused(format!("a key has at least {FEWEST_DIFFERENT} different characters; {advice}")));
        }
        let derivation = Hkdf::<Sha256>::new(None, text.as_bytes());
        let mut derived = Self { id: KeyId([0; 8]), encrypt: Zeroizing::default(), authenticate: Zeroizing::default() };
        let filled = derivation
            .expand(b"prunella vault v1 id", &mut derived.id.0)
            .and_then(|()| derivation.expand(b"prunella vault v1 encrypt", derived.encrypt.as_mut_slice()))
            .and_then(|()| derivation.expand(b"prunella vault v1 authenticate", derived.authenticate.as_mut_slice()));
        filled.map_err(|error| refused(error.to_string()))?;
        Ok(derived)
    }

    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused_with_advice() {
        let long = "abcdefgh".repeat(4);
        for (text, word) in [
            ("", "at least 32"),
            ("correct-horse", "at least 32"),
            (&"a".repeat(40), "different"),
            (&format!("{long} {long}"), "blanks"),
            (&format!("{long},{long}"), "commas"),
            (&"é".repeat(40), "visible ASCII"),
        ] {
            let error = MasterKey::parse("MASTER_ENCRYPTION_KEY", text).expect_err(text);
            assert_eq!(error.code().id(), "PRN-1006");
            let shown = error.to_string();
            assert!(shown.contains(word) && shown.contains("openssl rand") && shown.starts_with("MASTER_"), "{shown}");
            assert!(text.is_empty() || !shown.contains(text), "{shown}");
        }
        let same = |text: &str| MasterKey::parse("k", text).expect("key").id();
        assert_eq!(same(&long), same(&format!("{long}\n")));
        assert_ne!(same(&long), same(&format!("{long}x")));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let text = "0123456789abcdef0123456789abcdef";
        let key = MasterKey::parse("k", text).expect("key");
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("MasterKey({})", key.id()));
        assert_ne!(key.encrypt, key.authenticate);
    }
}
