//! Values at rest, encrypted: what compacted topics keep of credentials and samples.
//!
//! Invariants:
//! 1. **A place is part of a value.** The MAC covers the store and the record key: a value that is copied to another
//!    key or topic does not open there.
//! 2. **Nothing is decrypted before it is authenticated.** Encrypt-then-MAC; the comparison takes constant time.
//! 3. **Every value is sealed anew**, with a random IV: equal values look different.
//! 4. **A value says how it is sealed**: magic, version, id of the key. The first byte occurs in no UTF-8 text and begins
//!    no framing of Avro, so sealed and plain values cannot be taken for one another.
//! 5. With a key, a plain value is refused unless that is allowed for the time of the change-over.
//! 6. Key material is overwritten when it is dropped and shown by nobody: `Debug` shows ids.
//!
//! The frame, version 1:
//!
//! | bytes | |
//! |---|---|
//! | 2 | `FE 56` |
//! | 1 | version, `01` (`00`: a plain value that happens to begin with `FE 56`) |
//! | 8 | id of the master key |
//! | 16 | IV |
//! | 16 n | ciphertext: AES-256-CBC, PKCS#7 |
//! | 32 | HMAC-SHA-256 over header, IV, store, record key (each with its length before it) and ciphertext |
//!
//! The three keys come from the master key by HKDF-SHA-256 (no salt), with the infos `prunella vault v1 id`, `prunella vault v1
//! encrypt` and `prunella vault v1 authenticate`.

mod error;
mod frame;
mod key;
mod secret;
mod vault;

pub use error::VaultError;
pub use key::{KeyId, MasterKey};
pub use secret::{Secret, SecretRef};
pub use vault::{Opened, Place, PlainValues, Vault};
