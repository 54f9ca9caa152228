//! Payloads that are too large for Kafka: stored first, referred to afterwards, checked when read.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use prunella_model::{ByteSize, WorkspaceName};

use crate::error::WireError;
use crate::payload::{Claim, Payload};

/// Largest payload that records repeat inline: a context names up to a thousand of them.
const LARGEST_SHARED: usize = 4096;

/// The object store behind claims. Content-addressed per workspace and day, so writing the same
/// bytes twice is writing them once, and a day can be dropped as a whole.
#[derive(Clone)]
pub struct ClaimStore {
    store: Arc<dyn ObjectStore>,
    threshold: usize,
}

impl ClaimStore {
    /// A store in a local directory, which every service that shares the cluster must see.
    ///
    /// # Errors
    /// [`WireError::ClaimUnwritable`] when the directory cannot be made.
    pub fn local(directory: &Path, threshold: ByteSize) -> Result<Self, WireError> {
        let unwritable = |reason: String| WireError::ClaimUnwritable { length: 0, reason };
        std::fs::create_dir_all(directory).map_err(|error| unwritable(format!("{}: {error}", directory.display())))?;
        let store = LocalFileSystem::new_with_prefix(directory)
            .map_err(|error| unwritable(error.to_string()))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), threshold: threshold.as_usize() })
    }

    /// `bytes` as a payload: inline up to the threshold, else stored and claimed. `now` is the time
    /// whose day the bytes are kept under.
    pub async fn payload(&self, workspace: &WorkspaceName, now: i64, bytes: Bytes) -> Result<Payload, WireError> {
        if bytes.len() <= self.threshold {
            return Ok(Payload::Inline(bytes));
        }
        Box::pin(self.store(workspace, now, bytes)).await.map(Payload::Claim)
    }

    /// As [`ClaimStore::payload`] for bytes that many records repeat, such as the trigger of a run: inline
    /// only while they are small change.
    pub async fn shared_payload(
        &self,
        workspace: &WorkspaceName,
        now: i64,
        bytes: Bytes,
    ) -> Result<Payload, WireError> {
        if bytes.len() <= self.threshold.min(LARGEST_SHARED) {
            return Ok(Payload::Inline(bytes));
        }
        Box::pin(self.store(workspace, now, bytes)).await.map(Payload::Claim)
    }

    /// Stores `bytes` whatever their size.
    pub async fn store(&self, workspace: &WorkspaceName, now: i64, bytes: Bytes) -> Result<Claim, WireError> {
        let length = bytes.len();
        let sha256 = hex(&Sha256::digest(&bytes));
        let day = now.div_euclid(86_400_000);
        let location = format!("{workspace}/{day}/{sha256}");
        let path = ObjectPath::from(location.as_str());
        let stored = self.store.head(&path).await.is_ok_and(|found| found.size == length as u64);
        if !stored {
            self.store
                .put(&path, bytes.into())
                .await
                .map_err(|error| WireError::ClaimUnwritable { length, reason: error.to_string() })?;
        }
        Ok(Claim { location, sha256, length: length as i64 })
    }

    /// The bytes behind a payload.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] before anything is read, when they are more than `limit`.
    pub async fn fetch(&self, payload: &Payload, limit: u64, key: &'static str) -> Result<Bytes, WireError> {
        if payload.length() > limit {
            return Err(WireError::TooLarge { length: payload.length(), limit, key });
        }
        match payload {
            Payload::Inline(bytes) => Ok(bytes.clone()),
            // Hardly any is one: every future that fetches would have room for the reading.
            Payload::Claim(claim) => Box::pin(self.read(claim)).await,
        }
    }

    async fn read(&self, claim: &Claim) -> Result<Bytes, WireError> {
        let unreadable = |error: object_store::Error| WireError::ClaimUnreadable {
            location: claim.location.clone(),
            reason: error.to_string(),
        };
        let path = ObjectPath::from(claim.location.as_str());
        let found = self.store.get(&path).await.map_err(unreadable)?;
        let bytes = found.bytes().await.map_err(unreadable)?;
        if hex(&Sha256::digest(&bytes)) == claim.sha256 {
            Ok(bytes)
        } else {
            Err(WireError::ClaimDamaged { location: claim.location.clone() })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> WorkspaceName {
        WorkspaceName::default_workspace()
    }

    #[tokio::test]
    async fn small_payloads_stay_inline_and_large_ones_come_back_whole() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = ClaimStore::local(directory.path(), ByteSize::from_bytes(4)).expect("store");
        let small = store.payload(&workspace(), 0, Bytes::from_static(b"1234")).await.expect("small");
        assert_eq!(small, Payload::Inline(Bytes::from_static(b"1234")));

        let large = Bytes::from_static(b"12345");
        let claimed = store.payload(&workspace(), 86_400_000, large.clone()).await.expect("large");
        let Payload::Claim(claim) = &claimed else { panic!("expected a claim, got {claimed:?}") };
        assert!(claim.location.starts_with("default/1/"), "{}", claim.location);
        assert_eq!(store.fetch(&claimed, 10, "limit").await.expect("readable"), large);
        let error = store.fetch(&claimed, 4, "limits.page").await.expect_err("over the limit");
        assert!(error.to_string().contains("limits.page"), "{error}");
    }

    #[tokio::test]
    async fn changed_bytes_are_noticed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = ClaimStore::local(directory.path(), ByteSize::from_bytes(0)).expect("store");
        let payload = store.payload(&workspace(), 0, Bytes::from_static(b"truth")).await.expect("stored");
        let Payload::Claim(claim) = &payload else { panic!("expected a claim") };
        std::fs::write(directory.path().join(&claim.location), b"lies!").expect("overwritten");
        let error = store.fetch(&payload, 10, "limit").await.expect_err("damaged");
        assert!(matches!(error, WireError::ClaimDamaged { .. }), "{error}");
    }
}
