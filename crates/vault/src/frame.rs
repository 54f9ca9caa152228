//! How a sealed value lies in bytes.

use crate::key::KeyId;

pub(crate) const MAGIC: [u8; 2] = [0xFE, b'V'];
/// Marks a plain value that begins with the magic itself.
pub(crate) const PLAIN: u8 = 0;
pub(crate) const VERSION: u8 = 1;
pub(crate) const HEADER_BYTES: usize = 11;
pub(crate) const IV_BYTES: usize = 16;
pub(crate) const BLOCK_BYTES: usize = 16;
pub(crate) const MAC_BYTES: usize = 32;

/// What a value is, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Plain(&'a [u8]),
    Sealed(Frame<'a>),
    UnknownVersion(u8),
    /// It begins like a sealed value and is too short for one.
    Cut,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) key: KeyId,
    pub(crate) iv: &'a [u8; IV_BYTES],
    pub(crate) ciphertext: &'a [u8],
    pub(crate) mac: &'a [u8; MAC_BYTES],
}

pub(crate) fn header(key: KeyId) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..2].copy_from_slice(&MAGIC);
    header[2] = VERSION;
    header[3..].copy_from_slice(&key.0);
    header
}

pub(crate) fn read(value: &[u8]) -> Found<'_> {
    let Some(rest) = value.strip_prefix(&MAGIC) else { return Found::Plain(value) };
    match rest.split_first() {
        Some((&PLAIN, plain)) => Found::Plain(plain),
        Some((&VERSION, _)) => frame(value).map_or(Found::Cut, Found::Sealed),
        Some((&version, _)) => Found::UnknownVersion(version),
        None => Found::Cut,
    }
}

fn frame(value: &[u8]) -> Option<Frame<'_>> {
    let (header, rest) = value.split_at_checked(HEADER_BYTES)?;
    let (iv, rest) = rest.split_first_chunk::<IV_BYTES>()?;
    let (ciphertext, mac) = rest.split_last_chunk::<MAC_BYTES>()?;
    let is_whole = !ciphertext.is_empty() && ciphertext.len().is_multiple_of(BLOCK_BYTES);
    let key = KeyId(header.get(3..)?.try_into().ok()?);
    is_whole.then_some(Frame { header, key, iv, ciphertext, mac })
}
