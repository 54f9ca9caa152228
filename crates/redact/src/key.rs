use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// What placeholders are made with. Whoever has it could try guesses, so it never leaves the process.
#[derive(Clone)]
pub struct RedactionKey(Zeroizing<[u8; 32]>);

impl RedactionKey {
    /// A key for this process.
    #[must_use]
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(key.as_mut_slice());
        Self(key)
    }

    /// A key that processes share, so that their placeholders agree. The caller keeps it as secret as what it redacts.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A digest of `bytes` that nobody without the key can compute; `what` keeps uses apart.
    pub(crate) fn digest(&self, what: &str, bytes: &[u8]) -> [u8; 32] {
        // Shorter than a block of SHA-256, so `new` takes it as `new_from_slice` would.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..32].copy_from_slice(self.0.as_slice());
        let mut mac = <Hmac<Sha256> as Mac>::new(&block);
        block.as_mut_slice().zeroize();
        mac.update(&(what.len() as u64).to_be_bytes());
        mac.update(what.as_bytes());
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl Default for RedactionKey {
    fn default() -> Self {
        Self::random()
    }
}

impl std::fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedactionKey(…)")
    }
}
