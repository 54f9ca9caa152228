use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use prunella_model::{RunId, RunOrigin};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, Record, SoleWriter, StreamError, TailedRecord};
use prunella_wire::Headers;
use prunella_wire::names;
use prunella_wire::records::{ReplayPartition, ReplayProgress, StageBatch};

use super::candidate::Versions;
use super::select::Selection;
use super::spec::{Source, Spec};
use crate::desk::Desk;
use crate::error::OperateError;
use crate::ledger::{Ledger, replay_key};
use crate::mapper::{StreamMapper, as_record};
use crate::offsets::{Bounds, Offsets};
use crate::pace::Pace;
use crate::scan::Scan;

/// A replay, ready to be looked at or done.
pub struct Job<'a> {
    pub(super) desk: &'a Desk,
    pub(super) spec: Spec,
    pub(super) selection: Selection,
    target: String,
    /// For streams.
    mapper: Option<StreamMapper>,
}

/// What a job is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Do,
    Compare,
}

/// What a replay would read.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Preview {
    pub source: String,
    pub target: String,
    pub records: u64,
    pub bytes: u64,
    /// Times of the first and the last record, in milliseconds.
    pub first_at: Option<i64>,
    pub last_at: Option<i64>,
    pub partitions: Vec<PreviewPartition>,
}

#[derive(Debug, Clone, Serialize)]
pub struct PreviewPartition {
    pub partition: i32,
    pub from: i64,
    pub until: i64,
    pub records: u64,
}

impl<'a> Job<'a> {
    /// Finds what is meant.
    ///
    /// # Errors
    /// [`OperateError`] when that is nothing, or makes no sense.
    pub async fn prepare(
        desk: &'a Desk,
        offsets: &Offsets,
        spec: Spec,
        purpose: Purpose,
    ) -> Result<Self, OperateError> {
        check(desk, &spec, purpose)?;
        let selection = Selection::resolve(desk, offsets, &spec).await?;
        let mapper = match spec.source {
            Source::Stream => Some(Versions { desk, spec: &spec }.stream().await?),
            Source::Triggers | Source::Batches => None,
        };
        let own = || match &mapper {
            Some(mapper) => mapper.output_topic().to_string(),
            None => selection.topic.clone(),
        };
        let target = spec.to.clone().unwrap_or_else(own);
        if spec.source == Source::Stream && target == selection.topic {
            return Err(OperateError::Refused(format!("{target} is what the stream reads")));
        }
        if offsets.bounds(&target).await?.is_none() {
            return Err(OperateError::Refused(format!("topic {target} does not exist: create it first")));
        }
        Ok(Self { desk, spec, selection, target, mapper })
    }

    /// Reads what would be done again, and counts.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn preview(&self) -> Result<Preview, OperateError> {
        let mut preview =
            Preview { source: self.selection.topic.clone(), target: self.target.clone(), ..Preview::default() };
        let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
        let mut scan = self.scan(self.selection.ranges.clone()).await?;
        while let Some(record) = scan.next().await {
            if !self.takes(&record).await {
                continue;
            }
            preview.records += 1;
            preview.bytes += record.value.as_ref().map_or(0, |value| value.len() as u64);
            preview.first_at = Some(preview.first_at.map_or(record.timestamp, |at| at.min(record.timestamp)));
            preview.last_at = Some(preview.last_at.map_or(record.timestamp, |at| at.max(record.timestamp)));
            *counts.entry(record.partition).or_default() += 1;
        }
        let partition = |(partition, bounds): (&i32, &Bounds)| PreviewPartition {
            partition: *partition,
            from: bounds.first,
            until: bounds.end,
            records: counts.get(partition).copied().unwrap_or(0),
        };
        preview.partitions = self.selection.ranges.iter().map(partition).collect();
        Ok(preview)
    }

    /// Does the work, from where a replay of this id is. `tell` hears of every step forward.
    ///
    /// # Errors
    /// [`OperateError`] when it was cut off: given again with its id, it goes on.
    pub async fn run(
        &self,
        id: &str,
        pace: &mut Pace,
        mut tell: impl FnMut(&ReplayProgress),
    ) -> Result<ReplayProgress, OperateError> {
        let mut writer = self.desk.writer(&format!("replay.{id}")).await?;
        // Only now: a replay of this id that was killed has by now written all that it ever will.
        let mut progress = match Ledger::read(self.desk).await?.replays.remove(id) {
            Some(known) => known,
            None => {
                let progress = self.begin(id)?;
                let audit = self.desk.audit("replay-started", id, &progress.spec)?;
                self.commit(&mut writer, vec![self.progress_record(&progress)?, audit]).await?;
                progress
            }
        };
        tell(&progress);
        if progress.ended_at.is_some() {
            return Ok(progress);
        }
        let left = |one: &ReplayPartition| (one.partition, Bounds { first: one.next, end: one.until });
        let mut scan = self.scan(progress.partitions.iter().map(left).collect()).await?;
        let topic: Arc<str> = self.selection.topic.as_str().into();
        loop {
            let mut records = Vec::new();
            let (mut read, mut ended) = (0, false);
            // Records that are not taken cost no pace, but they are progress.
            while read < pace.portion() && records.len() < pace.portion() {
                let Some(record) = scan.next().await else {
                    ended = true;
                    break;
                };
                read += 1;
                let (partition, offset) = (record.partition, record.offset);
                if self.takes(&record).await {
                    progress.read += 1;
                    match self.output(id, as_record(&topic, record)).await? {
                        Some(output) => records.push(output),
                        None => progress.refused += 1,
                    }
                }
                if let Some(one) = progress.partitions.iter_mut().find(|one| one.partition == partition) {
                    one.next = offset + 1;
                }
            }
            if ended {
                for one in &mut progress.partitions {
                    one.next = one.until;
                }
                progress.ended_at = Some(now_millis());
            }
            progress.written += i64::try_from(records.len()).unwrap_or(0);
            progress.updated_at = now_millis();
            pace.wait(records.len()).await;
            records.push(self.progress_record(&progress)?);
            self.commit(&mut writer, records).await?;
            tell(&progress);
            if ended {
                return Ok(progress);
            }
        }
    }

    fn begin(&self, id: &str) -> Result<ReplayProgress, OperateError> {
        let spec = serde_json::to_string(&self.spec).map_err(|error| OperateError::Refused(error.to_string()))?;
        let partition = |(partition, bounds): (&i32, &Bounds)| ReplayPartition {
            partition: *partition,
            next: bounds.first,
            until: bounds.end,
        };
        let now = now_millis();
        Ok(ReplayProgress {
            id: id.to_owned(),
            workspace: self.desk.workspace.clone(),
            name: self.spec.name.clone(),
            spec,
            source: self.selection.topic.clone(),
            target: self.target.clone(),
            partitions: self.selection.ranges.iter().map(partition).collect(),
            read: 0,
            written: 0,
            refused: 0,
            started_at: now,
            updated_at: now,
            ended_at: None,
            actor: self.desk.actor.clone(),
        })
    }

    fn progress_record(&self, progress: &ReplayProgress) -> Result<OutRecord, OperateError> {
        let topic = self.desk.topics.state_operations();
        let value = self.desk.codec.encode(&topic, progress)?;
        Ok(OutRecord::new(topic, replay_key(&progress.id), value))
    }

    async fn commit(&self, writer: &mut SoleWriter, records: Vec<OutRecord>) -> Result<(), OperateError> {
        writer.commit(records).await.map_err(|error| match error {
            StreamError::Fenced { .. } => {
                OperateError::Refused("another command carries on this replay; this one has stopped".to_owned())
            }
            other => other.into(),
        })
    }

    pub(super) async fn scan(&self, ranges: BTreeMap<i32, Bounds>) -> Result<Scan, OperateError> {
        Scan::ranges(&self.desk.kafka, &self.selection.topic, ranges).await
    }

    /// Whether a record of the ranges is one of those that are meant.
    pub(super) async fn takes(&self, record: &TailedRecord) -> bool {
        let in_time = self.spec.since.is_none_or(|since| record.timestamp >= since)
            && self.spec.until.is_none_or(|until| record.timestamp < until);
        let origins = self.selection.origins.as_ref();
        in_time
            && match self.spec.source {
                Source::Stream => true,
                Source::Triggers => {
                    origins.is_none_or(|origins| origins.places.contains(&(record.partition, record.offset)))
                }
                // What was sent again stands behind what was sent first.
                Source::Batches if record.headers.is_done_again() => false,
                Source::Batches => match self.batch(record).await {
                    Some(batch) => origins.is_none_or(|origins| origins.runs.contains(&batch.at.run)),
                    None => false,
                },
            }
    }

    /// The batch in a record of the stage topic, when it belongs to the workflow.
    pub(super) async fn batch(&self, record: &TailedRecord) -> Option<StageBatch> {
        let batch: StageBatch = self.desk.codec.decode(record.value.as_ref()?).await.ok()?;
        (batch.at.workspace == self.desk.workspace && batch.at.workflow == self.spec.name).then_some(batch)
    }

    /// What is written for a record; `None` when the mapping refuses it.
    async fn output(&self, id: &str, record: Record) -> Result<Option<OutRecord>, OperateError> {
        let mut output = match self.spec.source {
            Source::Stream => {
                let Some(mapper) = &self.mapper else { return Ok(None) };
                let Ok(mapped) = mapper.map(&record).await else { return Ok(None) };
                mapper.output(&record, mapped)
            }
            Source::Triggers => self.trigger(id, record),
            Source::Batches => self.again(record).await?,
        };
        output.topic = self.target.as_str().into();
        output.headers.push(names::REPLAY, id.to_owned());
        Ok(Some(output))
    }

    /// A trigger that starts a run of its own, once: its key is that of this replay.
    fn trigger(&self, id: &str, record: Record) -> OutRecord {
        let key = record.headers.text(names::IDEMPOTENCY_KEY);
        let place = RunOrigin::Record {
            topic: &record.source.topic,
            partition: record.source.partition,
            offset: record.offset,
            timestamp: record.timestamp,
        };
        let origin = key.map_or(place, RunOrigin::IdempotencyKey);
        let run = RunId::derive(&self.desk.workspace, &self.spec.name, origin);
        let mut headers = Headers::with_capacity(record.headers.len() + 3);
        let ours = [names::IDEMPOTENCY_KEY, names::REPLAY, names::REPLAY_OF];
        for (name, value) in record.headers.iter().filter(|(name, _)| !ours.contains(name)) {
            match value {
                Some(value) => headers.push(name, value.clone()),
                None => headers.push_null(name),
            }
        }
        headers.push(names::REPLAY_OF, run.to_string());
        headers.push(names::IDEMPOTENCY_KEY, format!("replay/{id}/{}/{}", record.source.partition, record.offset));
        OutRecord { topic: record.source.topic, partition: None, key: record.key, value: record.value, headers }
    }

    /// A batch that goes through mapping and validation again, by the version that is asked for, or the live one.
    async fn again(&self, record: Record) -> Result<OutRecord, OperateError> {
        let value = record.value.unwrap_or_default();
        let mut batch: StageBatch = self.desk.codec.decode(&value).await?;
        let live = self.desk.catalog.live(&self.desk.workspace, &self.spec.name).map(|live| live.at.version);
        batch.at.version = self.spec.with.or(live).unwrap_or(batch.at.version);
        let topic = self.desk.topics.stage_transform();
        let value = self.desk.codec.encode(&topic, &batch)?;
        let headers = Headers::new().with(names::REPLAY_OF, batch.at.run.to_string());
        Ok(OutRecord::new(topic, record.key.unwrap_or_default(), value).with_headers(headers))
    }
}

/// Whether the parts of a spec fit together.
fn check(desk: &Desk, spec: &Spec, purpose: Purpose) -> Result<(), OperateError> {
    let refused = |reason: &str| Err(OperateError::Refused(reason.to_owned()));
    let chooses_mapping = spec.with.is_some() || spec.with_text.is_some();
    match spec.source {
        Source::Triggers if chooses_mapping => refused(
            "a run is done by the version that is live when it starts: leave out --with-mapping, or `prunella workflows rollback` first",
        ),
        Source::Batches if spec.with_text.is_some() && purpose == Purpose::Do => {
            refused("a stage works with versions of the catalog: give the number of one")
        }
        Source::Batches if spec.to.is_some() => {
            refused("what a stage puts out goes to the output topic of its workflow: leave out --to")
        }
        Source::Stream if !spec.runs.is_empty() || spec.of_version.is_some() => refused("a stream has no runs"),
        _ => {
            let versions = Versions { desk, spec };
            versions.definition(None)?;
            versions.definition(spec.with).map(drop)
        }
    }
}
