//! Record headers: an ordered list of names and bytes, as Kafka keeps them.

use std::borrow::Cow;

use bytes::Bytes;

use crate::trace::TraceContext;

/// Names of the headers that Prunella writes.
pub mod names {
    pub const TRACEPARENT: &str = "traceparent";
    pub const TRACESTATE: &str = "tracestate";
    /// On trigger records: the caller's name for the run.
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

    /// On outputs and dead letters: the run.
    pub const RUN: &str = "prunella-run";
    /// On outputs and dead letters: `run/step/attempt/batch/item`.
    pub const ITEM: &str = "prunella-item";
    /// On outputs and dead letters: `workspace/workflow@version`.
    pub const WORKFLOW: &str = "prunella-workflow";
    /// On outputs: version of the mapping that made the record.
    pub const MAPPING_VERSION: &str = "prunella-mapping-version";
    /// On outputs and dead letters of streams: `workspace/stream@version`.
    pub const STREAM: &str = "prunella-stream";
    /// On outputs of streams: `topic/partition/offset` of the record it was made of.
    pub const SOURCE: &str = "prunella-source";
    /// On what a redriven dead letter has become, one for each time: `topic/partition/offset code time actor`.
    pub const REDRIVE_OF: &str = "prunella-redrive-of";
    /// On triggers and outputs of a replay: the run or the record that is done again.
    pub const REPLAY_OF: &str = "prunella-replay-of";
    /// On triggers and outputs of a replay: its id.
    pub const REPLAY: &str = "prunella-replay";
    /// On outputs: `application/json`.
    pub const CONTENT_TYPE: &str = "content-type";

    pub const DEAD_STAGE: &str = "prunella-dead-stage";
    pub const DEAD_STEP: &str = "prunella-dead-step";
    pub const DEAD_CODE: &str = "prunella-dead-code";
    pub const DEAD_MESSAGE: &str = "prunella-dead-message";
    /// JSON array of field errors: pointer, keyword, expected, excerpt.
    pub const DEAD_FIELDS: &str = "prunella-dead-fields";
    /// The mapped output that was not valid, while it is small.
    pub const DEAD_OUTPUT: &str = "prunella-dead-output";
    pub const DEAD_ATTEMPTS: &str = "prunella-dead-attempts";
    pub const DEAD_TOPIC: &str = "prunella-original-topic";
    pub const DEAD_PARTITION: &str = "prunella-original-partition";
    pub const DEAD_OFFSET: &str = "prunella-original-offset";
    pub const DEAD_TIMESTAMP: &str = "prunella-original-timestamp";
    pub const DEAD_KEY_PRESENT: &str = "prunella-original-key-present";
    pub const DEAD_GROUP: &str = "prunella-consumer-group";
    pub const DEAD_FAILED_AT: &str = "prunella-failed-at";

    pub const CONNECT_TOPIC: &str = "__connect.errors.topic";
    pub const CONNECT_PARTITION: &str = "__connect.errors.partition";
    pub const CONNECT_OFFSET: &str = "__connect.errors.offset";
    pub const CONNECT_STAGE: &str = "__connect.errors.stage";
    pub const CONNECT_CLASS: &str = "__connect.errors.exception.class.name";
    pub const CONNECT_MESSAGE: &str = "__connect.errors.exception.message";
}

/// Headers in the order they were added; names may repeat, values may be null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Option<Bytes>)>);

impl Headers {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(headers: usize) -> Self {
        Self(Vec::with_capacity(headers))
    }

    /// Adds one of our own headers, whose name need not be copied.
    pub fn push_known(&mut self, name: &'static str, value: impl Into<Bytes>) {
        self.0.push((Cow::Borrowed(name), Some(value.into())));
    }

    pub fn push(&mut self, name: &str, value: impl Into<Bytes>) {
        self.0.push((Cow::Owned(name.to_owned()), Some(value.into())));
    }

    pub fn push_null(&mut self, name: &str) {
        self.0.push((Cow::Owned(name.to_owned()), None));
    }

    /// Numbers in headers are decimal text.
    pub fn push_number(&mut self, name: &str, value: i64) {
        self.push(name, value.to_string());
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Bytes>) -> Self {
        self.push(name, value);
        self
    }

    /// The last header of this name, as Kafka's `lastHeader` gives it.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().rev().find(|(found, _)| found == name).and_then(|(_, value)| value.as_ref())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&Bytes>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether an operator has the record done again: its run has been told of it before.
    pub fn is_done_again(&self) -> bool {
        self.get(names::REDRIVE_OF).is_some() || self.get(names::REPLAY).is_some()
    }

    /// What a record that follows from one with these headers carries on: its trace, and why it is done again.
    pub fn carried_on(&self) -> Self {
        let mut headers = TraceContext::carried_on(self);
        for (name, value) in &self.0 {
            let is_why = matches!(name.as_ref(), names::REDRIVE_OF | names::REPLAY | names::REPLAY_OF);
            if let Some(value) = value.as_ref().filter(|_| is_why) {
                headers.push(name, value.clone());
            }
        }
        headers
    }

    /// Bytes the headers take in a record, roughly.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len) + 4).sum()
    }
}
