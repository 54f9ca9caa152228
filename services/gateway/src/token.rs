use subtle::ConstantTimeEq;

use crate::error::GatewayError;

/// The secret that requests carry.
#[derive(Clone)]
pub(crate) struct Token(Vec<u8>);

impl Token {
    /// Reads `env:NAME`, `file:/path`, or takes the text as it is.
    pub(crate) fn resolve(text: &str) -> Result<Self, GatewayError> {
        let unusable = |reason: String| GatewayError::Token { reason };
        let token = if let Some(name) = text.strip_prefix("env:") {
            std::env::var(name).map_err(|_| unusable(format!("the environment variable {name} is not set")))?
        } else if let Some(path) = text.strip_prefix("file:") {
            let read =
                std::fs::read_to_string(path).map_err(|error| unusable(format!("{path} cannot be read: {error}")))?;
            read.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            text.to_owned()
        };
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable("it must be of visible ASCII characters without spaces, and not empty".to_owned()));
        }
        Ok(Self(token.into_bytes()))
    }

    /// Whether an `Authorization` header holds this token. Takes as long for a wrong token as for the right
    /// one; only its length shows.
    pub(crate) fn opens(&self, authorization: &[u8]) -> bool {
        let Some((scheme, token)) = authorization.split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(token.ct_eq(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::resolve("s3cret").expect("usable");
        assert!(token.opens(b"Bearer s3cret") && token.opens(b"bearer s3cret"));
        for wrong in ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"] {
            assert!(!token.opens(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_token_comes_from_a_file_and_a_missing_one_names_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "from-file\n").expect("written");
        assert!(Token::resolve(&format!("file:{}", path.display())).expect("read").opens(b"Bearer from-file"));
        for (text, place) in
            [("env:PRUNELLA_NO_SUCH_VARIABLE", "PRUNELLA_NO_SUCH_VARIABLE"), ("file:/nowhere/x", "/nowhere/x")]
        {
            let error = Token::resolve(text).err().expect("missing");
            assert!(error.to_string().contains(place), "{error}");
        }
        assert!(Token::resolve("").is_err() && Token::resolve("two words").is_err());
    }
}
