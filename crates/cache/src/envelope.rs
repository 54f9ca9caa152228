//! How a value stands in Redis: behind the SHA-256 of its place and itself. Whatever else stands there is not opened.

use sha2::{Digest, Sha256};

const DIGEST: usize = 32;

pub(crate) fn close(store: &str, key: &str, value: &[u8]) -> Vec<u8> {
    [digest(store, key, value).as_slice(), value].concat()
}

pub(crate) fn open<'s>(store: &str, key: &str, stored: &'s [u8]) -> Option<&'s [u8]> {
    let (found, value) = stored.split_at_checked(DIGEST)?;
    (digest(store, key, value) == found).then_some(value)
}

/// Fields are preceded by their length, so no two different places share their input.
fn digest(store: &str, key: &str, value: &[u8]) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    for field in [b"prunella cache 1".as_slice(), store.as_bytes(), key.as_bytes(), value] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_value_opens_and_only_at_its_place() {
        let closed = close("answers", "a", b"value");
        assert_eq!(open("answers", "a", &closed), Some(b"value".as_slice()));
        assert_eq!(open("answers", "b", &closed), None);
        assert_eq!(open("other", "a", &closed), None);
        for at in 0..closed.len() {
            let mut changed = closed.clone();
            changed[at] ^= 1;
            assert_eq!(open("answers", "a", &changed), None, "byte {at}");
            assert_eq!(open("answers", "a", &closed[..at]), None, "cut at {at}");
        }
        assert_eq!(open("answers", "a", &[closed, b"x".to_vec()].concat()), None);
        assert_eq!(open("", "", &close("", "", b"")), Some(b"".as_slice()));
    }
}
