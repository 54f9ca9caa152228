use std::sync::Arc;

use bytes::Bytes;

use prunella_model::WorkflowRef;
use prunella_platform::Refusal;
use prunella_stream::{AssignmentEpoch, OutRecord, Record, TailedRecord, TopicPartition};
use prunella_streams::{Mapped, Work, output_headers, output_subject, output_topic};
use prunella_wire::ValueSchemas;
use prunella_workflow::StreamPlan;

use crate::desk::Desk;
use crate::error::OperateError;

pub(crate) struct StreamMapper {
    work: Work,
    name: Bytes,
    output_topic: Arc<str>,
    schemas: Arc<ValueSchemas>,
}

impl StreamMapper {
    pub(crate) async fn new(desk: &Desk, at: &WorkflowRef, plan: Arc<StreamPlan>) -> Result<Self, OperateError> {
        let output_topic = output_topic(&desk.topics, &at.workspace, plan.stream());
        let writer = match output_subject(plan.stream(), &output_topic) {
            Some((subject, schema)) => Some(Arc::new(desk.schemas.writer(&subject, &schema).await?)),
            None => None,
        };
        Ok(Self {
            work: Work::new(plan, desk.schemas.clone(), writer, desk.limits.clone()),
            name: Bytes::from(at.to_string()),
            output_topic: output_topic.into(),
            schemas: desk.schemas.clone(),
        })
    }

    pub(crate) fn output_topic(&self) -> &Arc<str> {
        &self.output_topic
    }

    /// What the stream makes of `record`.
    pub(crate) async fn map(&self, record: &Record) -> Result<Mapped, Refusal> {
        if let Some(id) = self.work.unknown_schema(record) {
            let known = self.schemas.reader(id).await;
            known.map_err(|error| Refusal::new(error.code(), error.to_string()))?;
        }
        self.work.run(record)
    }

    /// `mapped` as the stream writes it.
    pub(crate) fn output(&self, record: &Record, mapped: Mapped) -> OutRecord {
        let content_type = mapped.value.as_ref().and_then(|_| self.work.content_type());
        OutRecord {
            topic: self.output_topic.clone(),
            partition: None,
            key: mapped.key,
            value: mapped.value,
            headers: output_headers(record, &self.name, content_type),
        }
    }
}

/// A record that was read outside any group, as a stage sees it.
pub(crate) fn as_record(topic: &Arc<str>, read: TailedRecord) -> Record {
    Record {
        source: TopicPartition { topic: topic.clone(), partition: read.partition },
        offset: read.offset,
        timestamp: read.timestamp,
        key: read.key,
        value: read.value,
        headers: read.headers,
        epoch: AssignmentEpoch::new(0),
        sequence: 0,
        replay: None,
    }
}
