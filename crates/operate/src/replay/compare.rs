//! What another version would make of everything that is selected. Nothing is written.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use prunella_catalog::MappingView;
use prunella_platform::Refusal;
use prunella_streams::Mapped;

use super::candidate::Versions;
use super::diff::{Difference, Outcome, Summary, compare};
use super::job::Job;
use super::spec::Source;
use crate::error::OperateError;
use crate::mapper::as_record;

type Made = Result<Mapped, Refusal>;

impl Job<'_> {
    /// Tells of every record of a stream and every item of a batch whose output would be another than that of the live
    /// version.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer, or triggers were selected: what their runs extract is not known.
    pub async fn diff(&self, mut tell: impl FnMut(&Difference)) -> Result<Summary, OperateError> {
        let mut told = Told { summary: Summary::default(), tell: &mut tell };
        match self.spec.source {
            Source::Stream => self.diff_records(&mut told).await?,
            Source::Batches => self.diff_batches(&mut told).await?,
            Source::Triggers => {
                let reason = "what a run would extract is not known: compare its batches".to_owned();
                return Err(OperateError::Refused(reason));
            }
        }
        Ok(told.summary)
    }

    async fn diff_records<T: FnMut(&Difference)>(&self, told: &mut Told<'_, T>) -> Result<(), OperateError> {
        let versions = Versions { desk: self.desk, spec: &self.spec };
        let (live, other) = (versions.live_stream().await?, versions.stream().await?);
        let topic: Arc<str> = self.selection.topic.as_str().into();
        let mut scan = self.scan(self.selection.ranges.clone()).await?;
        while let Some(read) = scan.next().await {
            let record = as_record(&topic, read);
            let (before, after) = (live.map(&record).await, other.map(&record).await);
            let place = (record.source.partition, record.offset);
            told.note(place, None, text(record.key.as_ref()), &before, &after);
        }
        Ok(())
    }

    async fn diff_batches<T: FnMut(&Difference)>(&self, told: &mut Told<'_, T>) -> Result<(), OperateError> {
        let desk = self.desk;
        // The mappings that were active when the comparison began.
        let stop = CancellationToken::new();
        let active = MappingView::start(&desk.kafka, &desk.topics, desk.codec.clone(), stop.clone()).await;
        stop.cancel();
        let active = active.map_err(|error| OperateError::Refused(error.to_string()))?;
        let versions = Versions { desk, spec: &self.spec };
        let (live, other) = (versions.live_workflow(&active)?, versions.workflow(&active)?);
        let mut scan = self.scan(self.selection.ranges.clone()).await?;
        while let Some(read) = scan.next().await {
            if !self.takes(&read).await {
                continue;
            }
            let Some(batch) = self.batch(&read).await else { continue };
            let (before, after) = (live.map(&batch, read.timestamp).await, other.map(&batch, read.timestamp).await);
            for ((item, before), after) in batch.items.iter().zip(&before).zip(&after) {
                let key = before.as_ref().or(after.as_ref()).ok().and_then(|mapped| text(mapped.key.as_ref()));
                let id = batch.item_id(item.index).to_string();
                told.note((read.partition, read.offset), Some(id), key, before, after);
            }
        }
        Ok(())
    }
}

struct Told<'a, T> {
    summary: Summary,
    tell: &'a mut T,
}

impl<T: FnMut(&Difference)> Told<'_, T> {
    fn note(
        &mut self,
        (partition, offset): (i32, i64),
        item: Option<String>,
        key: Option<String>,
        before: &Made,
        after: &Made,
    ) {
        let outcome = compare(before, after);
        self.summary.note(&outcome);
        if !matches!(outcome, Outcome::Same | Outcome::StillRefused) {
            (self.tell)(&Difference { partition, offset, item, key, outcome });
        }
    }
}

fn text(key: Option<&Bytes>) -> Option<String> {
    key.and_then(|key| std::str::from_utf8(key).ok()).map(str::to_owned)
}
