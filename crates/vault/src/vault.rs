use std::fmt;

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::frame::{self, Found, Frame, IV_BYTES, MAGIC, PLAIN};
use crate::key::{KeyId, MasterKey};
use crate::secret::SecretRef;

/// Begins what secrets are derived from: no frame of a value begins so.
const DERIVED: &[u8] = b"prunella vault v1 derived";
const KEY: &str = "MASTER_ENCRYPTION_KEY";
const OLD_KEYS: &str = "MASTER_ENCRYPTION_KEYS_OLD";
const ACCEPT_PLAIN: &str = "MASTER_ENCRYPTION_ACCEPT_PLAIN";

/// Where a value stands. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The topic without its prefix, such as `state.samples`.
    pub store: &'a str,
    /// The record key.
    pub key: &'a [u8],
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.store, self.key.escape_ascii())
    }
}

/// What becomes of a plain value in a vault that has a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlainValues {
    /// It is an error: whoever can write to the topic could otherwise put one there.
    #[default]
    Refuse,
    /// It is taken, for the time in which older values are sealed one by one.
    Accept,
}

/// A value as it was sealed. Overwritten when dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub value: Zeroizing<Vec<u8>>,
    /// It stands there plain, or sealed with an old key, and there is a current one: write it again.
    pub is_stale: bool,
}

/// Seals and opens values. Without a key, values pass as they are.
#[derive(Default)]
pub struct Vault {
    current: Option<MasterKey>,
    /// These open only.
    old: Vec<MasterKey>,
    plain: PlainValues,
}

impl Vault {
    /// A vault without a key.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn new(current: MasterKey, old: Vec<MasterKey>, plain: PlainValues) -> Self {
        Self { current: Some(current), old, plain }
    }

    /// Reads `MASTER_ENCRYPTION_KEY`, `MASTER_ENCRYPTION_KEYS_OLD` (several, separated by commas) and
    /// `MASTER_ENCRYPTION_ACCEPT_PLAIN`. A key may be given as `env:NAME` or `file:/path`. Old keys without a current
    /// one only open.
    ///
    /// # Errors
    /// [`VaultError`] for a key that cannot be used or read, and for a third variable that is neither `true` nor
    /// `false`.
    pub fn from_environment(read: impl Fn(&str) -> Option<String>) -> Result<Self, VaultError> {
        let parse = |name: &str, text: &str| match text.parse::<SecretRef>() {
            Ok(reference) => MasterKey::parse(name, reference.read_with(&read)?.reveal()),
            Err(_) => MasterKey::parse(name, text),
        };
        let given = |name: &str| read(name).map(Zeroizing::new).filter(|text| !text.trim().is_empty());
        let current = given(KEY).map(|text| parse(KEY, text.trim())).transpose()?;
        let old = match given(OLD_KEYS) {
            Some(list) => list.split(',').map(|text| parse(OLD_KEYS, text.trim())).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let plain = match given(ACCEPT_PLAIN).as_ref().map(|text| text.trim()) {
            None | Some("false") => PlainValues::Refuse,
            Some("true") => PlainValues::Accept,
            Some(_) => {
                let reason = "expected true or false".to_owned();
                return Err(VaultError::Key { name: ACCEPT_PLAIN.to_owned(), reason });
            }
        };
        Ok(Self { current, old, plain })
    }

    /// Whether a stored value is sealed, as far as its first bytes tell.
    pub fn is_sealed(stored: &[u8]) -> bool {
        stored.starts_with(&MAGIC)
    }

    /// The key that values are sealed with, if there is one.
    pub fn current_key(&self) -> Option<KeyId> {
        self.current.as_ref().map(MasterKey::id)
    }

    /// The value as it may be stored at `place`: sealed, or plain when there is no key.
    pub fn seal(&self, place: Place<'_>, value: &[u8]) -> Vec<u8> {
        match &self.current {
            Some(key) => seal(key, place, value),
            None if value.starts_with(&MAGIC) => [&MAGIC, &[PLAIN][..], value].concat(),
            None => value.to_vec(),
        }
    }

    /// As [`seal`](Self::seal), for what must never be stored plain, such as credentials.
    ///
    /// # Errors
    /// [`VaultError::KeyNeeded`] when there is no key.
    pub fn seal_secret(&self, place: Place<'_>, value: &[u8]) -> Result<Vec<u8>, VaultError> {
        match &self.current {
            Some(key) => Ok(seal(key, place, value)),
            None => Err(VaultError::KeyNeeded { place: place.to_string() }),
        }
    }

    /// The value that was stored at `place`.
    ///
    /// # Errors
    /// [`VaultError`] when it is sealed with a key that is not at hand, was changed or moved, has an unknown form, or
    /// is plain where it should be sealed.
    pub fn open(&self, place: Place<'_>, stored: &[u8]) -> Result<Opened, VaultError> {
        let shown = || place.to_string();
        match frame::read(stored) {
            Found::Plain(value) if self.current.is_none() || self.plain == PlainValues::Accept => {
                Ok(Opened { value: Zeroizing::new(value.to_vec()), is_stale: self.current.is_some() })
            }
            Found::Plain(_) => Err(VaultError::Plain { place: shown() }),
            Found::UnknownVersion(version) => Err(VaultError::UnknownVersion { place: shown(), version }),
            Found::Cut => Err(VaultError::Tampered { place: shown() }),
            Found::Sealed(frame) => {
                let key = self.key(frame.key).ok_or_else(|| self.no_such_key(place, frame.key))?;
                let value = unseal(key, place, &frame).ok_or_else(|| VaultError::Tampered { place: shown() })?;
                Ok(Opened { value, is_stale: self.current_key().is_some_and(|current| current != frame.key) })
            }
        }
    }

    /// A secret of its own for `purpose`, the same wherever the current key is; `None` without one.
    pub fn derived(&self, purpose: &str) -> Option<[u8; 32]> {
        let mut mac = hmac_of(self.current.as_ref()?);
        for field in [DERIVED, purpose.as_bytes()] {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        Some(mac.finalize().into_bytes().into())
    }

    fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        self.current.iter().chain(&self.old)
    }

    fn key(&self, id: KeyId) -> Option<&MasterKey> {
        self.keys().find(|key| key.id() == id)
    }

    fn no_such_key(&self, place: Place<'_>, id: KeyId) -> VaultError {
        let known: Vec<String> = self.keys().map(|key| key.id().to_string()).collect();
        let place = place.to_string();
        if known.is_empty() {
            VaultError::NoKey { place, id }
        } else {
            VaultError::UnknownKey { place, id, known: known.join(", ") }
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("current", &self.current)
            .field("old", &self.old)
            .field("plain", &self.plain)
            .finish()
    }
}

fn seal(key: &MasterKey, place: Place<'_>, value: &[u8]) -> Vec<u8> {
    let mut iv = [0; IV_BYTES];
    rand::rng().fill_bytes(&mut iv);
    let encryptor = cbc::Encryptor::<Aes256>::new((&*key.encrypt).into(), (&iv).into());
    let ciphertext = encryptor.encrypt_padded_vec_mut::<Pkcs7>(value);
    let header = frame::header(key.id());
    let mac = authenticate(key, place, &header, &iv, &ciphertext).finalize().into_bytes();
    [&header[..], &iv, &ciphertext, &mac].concat()
}

/// `None` when the frame is not authentic.
fn unseal(key: &MasterKey, place: Place<'_>, frame: &Frame<'_>) -> Option<Zeroizing<Vec<u8>>> {
    authenticate(key, place, frame.header, frame.iv, frame.ciphertext).verify_slice(frame.mac).ok()?;
    let decryptor = cbc::Decryptor::<Aes256>::new((&*key.encrypt).into(), frame.iv.into());
    decryptor.decrypt_padded_vec_mut::<Pkcs7>(frame.ciphertext).ok().map(Zeroizing::new)
}

fn hmac_of(key: &MasterKey) -> Hmac<Sha256> {
    // A key of 32 bytes is shorter than a block of SHA-256, so `new` takes it as `new_from_slice` would.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..32].copy_from_slice(key.authenticate.as_slice());
    let mac = <Hmac<Sha256> as Mac>::new(&block);
    zeroize::Zeroize::zeroize(block.as_mut_slice());
    mac
}

fn authenticate(
    key: &MasterKey,
    place: Place<'_>,
    header: &[u8],
    iv: &[u8; IV_BYTES],
    ciphertext: &[u8],
) -> Hmac<Sha256> {
    let mut mac = hmac_of(key);
    mac.update(header);
    mac.update(iv);
    for field in [place.store.as_bytes(), place.key] {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    mac.update(ciphertext);
    mac
}
