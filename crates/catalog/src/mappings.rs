//! Versions of mappings that are not the author's own, as `state.mappings` tells them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use prunella_model::{MappingKey, TextHash};
use prunella_stream::{KafkaSettings, Tail, TailFrom, Tailed};
use prunella_topology::Topics;
use prunella_wire::records::{
    MappingActive, MappingConsultation, MappingDecision, MappingDecisions, MappingDrift, MappingVersion,
};
use prunella_wire::{Codec, WireError};

use crate::error::CatalogError;

/// The version that is the text of the definition.
pub const AUTHORS_VERSION: i32 = 1;

/// All that is known of one mapping.
#[derive(Debug, Clone, Default)]
pub struct MappingHistory {
    pub versions: BTreeMap<i32, Arc<MappingVersion>>,
    /// By the author's text that a definition holds.
    pub active: HashMap<TextHash, MappingActive>,
    /// What language models were asked, by the author's text.
    pub consultations: HashMap<TextHash, MappingConsultation>,
    /// Versions whose outputs do not look as they used to.
    pub drifts: HashMap<(TextHash, i32), Arc<MappingDrift>>,
    /// What people have decided of late, the newest last.
    pub decisions: Vec<MappingDecision>,
}

impl MappingHistory {
    /// Takes a record of `state.mappings`. `key` without value is a tombstone.
    pub async fn apply(&mut self, codec: &Codec, key: &str, value: Option<&[u8]>) -> Result<(), WireError> {
        let Some(value) = value else {
            self.versions.retain(|_, version| version.key() != key);
            self.active.retain(|_, active| active.key() != key);
            self.consultations.retain(|_, consultation| consultation.key() != key);
            self.drifts.retain(|_, drift| drift.key() != key);
            if mapping_of(key).is_some_and(|mapping| MappingDecisions::key_of(&mapping) == key) {
                self.decisions.clear();
            }
            return Ok(());
        };
        let opened = codec.open(value).await?;
        if opened.is::<MappingActive>() {
            let active: MappingActive = opened.read()?;
            self.active.insert(active.base.clone(), active);
        } else if opened.is::<MappingConsultation>() {
            let consultation: MappingConsultation = opened.read()?;
            self.consultations.insert(consultation.base.clone(), consultation);
        } else if opened.is::<MappingDrift>() {
            let drift: MappingDrift = opened.read()?;
            self.drifts.insert((drift.base.clone(), drift.version), Arc::new(drift));
        } else if opened.is::<MappingDecisions>() {
            self.decisions = opened.read::<MappingDecisions>()?.decisions;
        } else {
            let version: MappingVersion = opened.read()?;
            self.versions.insert(version.version, Arc::new(version));
        }
        Ok(())
    }

    /// The version that is used for definitions with this text of the author.
    pub fn active_version(&self, base: &TextHash) -> i32 {
        self.active.get(base).map_or(AUTHORS_VERSION, |active| active.version)
    }

    /// What is used instead of the author's text.
    pub fn healed(&self, base: &TextHash) -> Option<&Arc<MappingVersion>> {
        self.versions.get(&self.active_version(base))
    }

    /// What is wrong with the outputs of the version that is used, if they do not look as they used to.
    pub fn drift(&self, base: &TextHash) -> Option<&Arc<MappingDrift>> {
        self.drifts.get(&(base.clone(), self.active_version(base)))
    }

    /// The drift of a version that is used which was noticed last.
    pub fn drifting(&self) -> Option<&Arc<MappingDrift>> {
        let of_use = self.drifts.values().filter(|drift| self.active_version(&drift.base) == drift.version);
        of_use.max_by_key(|drift| drift.noticed_at)
    }

    /// A number that no version has.
    pub fn next_version(&self) -> i32 {
        self.versions.last_key_value().map_or(AUTHORS_VERSION, |(last, _)| *last) + 1
    }
}

/// Of which mapping a key of `state.mappings` tells.
pub fn mapping_of(key: &str) -> Option<MappingKey> {
    key.split(['@', '#']).next()?.parse().ok()
}

/// The mappings of an installation as this process knows them, following `state.mappings`.
#[derive(Default)]
pub struct MappingView {
    known: RwLock<HashMap<MappingKey, MappingHistory>>,
    changed: watch::Sender<u64>,
}

impl MappingView {
    /// Reads the topic to its end, then follows it until `stop` is cancelled.
    ///
    /// # Errors
    /// [`CatalogError`] when the topic cannot be read.
    pub async fn start(
        kafka: &KafkaSettings,
        topics: &Topics,
        codec: Arc<Codec>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, CatalogError> {
        let mut tail = Tail::start(kafka, &topics.state_mappings(), TailFrom::Beginning).await?;
        let view = Arc::new(Self::default());
        while let Some(Tailed::Record(record)) = tail.next().await {
            view.take(&codec, record.key.as_deref(), record.value.as_deref()).await;
        }
        let follower = view.clone();
        tokio::spawn(async move {
            loop {
                let tailed = tokio::select! {
                    tailed = tail.next() => tailed,
                    () = stop.cancelled() => return,
                };
                match tailed {
                    Some(Tailed::Record(record)) => {
                        follower.take(&codec, record.key.as_deref(), record.value.as_deref()).await;
                    }
                    Some(Tailed::CaughtUp) => {}
                    None => return,
                }
            }
        });
        Ok(view)
    }

    async fn take(&self, codec: &Codec, key: Option<&[u8]>, value: Option<&[u8]>) {
        let key = key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
        let Some(mapping) = mapping_of(key) else { return };
        let mut history = self.history(&mapping).unwrap_or_default();
        if let Err(error) = history.apply(codec, key, value).await {
            prunella_telemetry::metrics::BAD_STATE.inc();
            tracing::error!(key, code = error.code().id(), %error, "a record of a mapping was left alone");
            return;
        }
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(mapping, history);
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// All that is known of a mapping.
    pub fn history(&self, mapping: &MappingKey) -> Option<MappingHistory> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(mapping).cloned()
    }

    /// Every mapping of which there is something to tell: versions besides the author's, or a drift.
    pub fn all(&self) -> BTreeMap<MappingKey, MappingHistory> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(key, history)| (key.clone(), history.clone())).collect()
    }

    /// What is used instead of the author's text; `None` for the text itself.
    pub fn healed(&self, mapping: &MappingKey, base: &TextHash) -> Option<Arc<MappingVersion>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(mapping)?.healed(base).cloned()
    }

    /// What is wrong with the outputs of a version, if they do not look as they used to.
    pub fn drift(&self, mapping: &MappingKey, base: &TextHash, version: i32) -> Option<Arc<MappingDrift>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let drifts = &known.get(mapping)?.drifts;
        // Hardly ever is there one, and every batch asks.
        if drifts.is_empty() { None } else { drifts.get(&(base.clone(), version)).cloned() }
    }

    /// Waits until `wanted` finds what it looks for.
    pub async fn wait_for<T>(
        &self,
        mapping: &MappingKey,
        patience: Duration,
        wanted: impl Fn(&MappingHistory) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changed.subscribe();
        let arrived = async {
            loop {
                if let Some(found) = self.history(mapping).as_ref().and_then(&wanted) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, arrived).await.ok().flatten()
    }
}
