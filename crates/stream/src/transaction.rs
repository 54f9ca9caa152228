//! A producer whose writes are visible together with the offsets they came from.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::util::Timeout;
use rdkafka::{ClientContext, Message, TopicPartitionList};

use prunella_telemetry::emit;

use crate::error::StreamError;
use crate::events::ClientError;
use crate::output::base_record;
use crate::processing::TransactionSettings;
use crate::record::OutRecord;
use crate::settings::KafkaSettings;

/// One try to reach the transaction coordinator; between two tries a stop is looked at.
const INIT_TRY: Duration = Duration::from_secs(3);
const INIT_PATIENCE: Duration = Duration::from_secs(60);
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a transaction did not come to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Generation(String),
    #[error("{0}")]
    Fenced(String),
    #[error("{0}")]
    Denied(String),
    #[error("the member is not in its group any more: {0}")]
    Group(String),
    #[error("a record of {bytes} bytes for {topic} is larger than the topic takes")]
    TooLarge { topic: String, bytes: usize },
    #[error("{0}")]
    Unclear(String),
}

impl Failure {
    pub(crate) fn for_stage(self, stage: &str, slot: u32) -> StreamError {
        let stage = stage.to_owned();
        match self {
            Self::Fenced(reason) => StreamError::Fenced { stage, slot, reason },
            Self::Denied(reason) => StreamError::Denied { stage, reason },
            other => StreamError::Transaction { stage, reason: other.to_string() },
        }
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self::of(error.rdkafka_error_code(), error.to_string())
    }
}

impl Failure {
    fn of(code: Option<RDKafkaErrorCode>, reason: String) -> Self {
        match code {
            Some(RDKafkaErrorCode::IllegalGeneration) => Self::Generation(reason),
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::FencedInstanceId,
            ) => Self::Fenced(reason),
            Some(
                RDKafkaErrorCode::TransactionalIdAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed,
            ) => Self::Denied(reason),
            Some(RDKafkaErrorCode::UnknownMemberId) => Self::Group(reason),
            _ => Self::Unclear(reason),
        }
    }
}

/// Deliveries of the transaction at hand.
#[derive(Default)]
struct Deliveries {
    open: usize,
    failure: Option<Failure>,
}

#[derive(Default)]
struct Counted {
    deliveries: Mutex<Deliveries>,
    changed: Condvar,
}

impl Counted {
    fn lock(&self) -> std::sync::MutexGuard<'_, Deliveries> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TransactionContext {
    client: String,
    counted: Arc<Counted>,
}

impl ClientContext for TransactionContext {
    fn error(&self, error: KafkaError, reason: &str) {
        emit(ClientError { client: &self.client, error: &error, reason });
    }
}

impl ProducerContext for TransactionContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut deliveries = self.counted.lock();
        deliveries.open -= 1;
        if let Err((error, message)) = result {
            let failure = match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => Failure::TooLarge {
                    topic: message.topic().to_owned(),
                    bytes: message.payload_len() + message.key_len(),
                },
                _ => Failure::from(error.clone()),
            };
            deliveries.failure.get_or_insert(failure);
        }
        if deliveries.open == 0 || deliveries.failure.is_some() {
            self.counted.changed.notify_all();
        }
    }
}

pub(crate) struct TransactionalProducer {
    producer: ThreadedProducer<TransactionContext>,
    counted: Arc<Counted>,
    timeout: Duration,
}

impl TransactionalProducer {
    /// Does not connect yet.
    pub(crate) fn new(
        kafka: &KafkaSettings,
        settings: &TransactionSettings,
        id: &str,
        stage: &str,
    ) -> Result<Self, StreamError> {
        let counted = Arc::new(Counted::default());
        let timeout = settings.timeout.duration();
        let producer = kafka
            .transactional_config(id, timeout)?
            .create_with_context(TransactionContext { client: stage.to_owned(), counted: counted.clone() })
            .map_err(|error| StreamError::Client { stage: stage.to_owned(), reason: error.to_string() })?;
        Ok(Self { producer, counted, timeout })
    }

    /// Ends what a predecessor of the same id left open, and fences it off.
    pub(crate) fn init(&self, stopped: impl Fn() -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + INIT_PATIENCE;
        loop {
            let Err(error) = self.producer.init_transactions(INIT_TRY) else { return Ok(()) };
            let KafkaError::Transaction(cause) = &error else { return Err(error.into()) };
            if !cause.is_retriable() || stopped() || Instant::now() > deadline {
                return Err(error.into());
            }
        }
    }

    pub(crate) fn begin(&self) -> Result<(), Failure> {
        self.producer.begin_transaction().map_err(|error| self.cause_of(error.into()))
    }

    /// Writes `records` and waits until all are confirmed.
    pub(crate) fn write<'r>(&self, records: impl Iterator<Item = &'r OutRecord>) -> Result<(), Failure> {
        for record in records {
            self.counted.lock().open += 1;
            if let Err(failure) = self.hand_over(record) {
                self.counted.lock().open -= 1;
                return Err(self.cause_of(failure));
            }
        }
        let deadline = Instant::now() + self.timeout;
        let mut deliveries = self.counted.lock();
        // After the first failure nothing more is sent, and the rest is reported when it is purged.
        while deliveries.open > 0 && deliveries.failure.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Unclear(format!("{} records were not confirmed in time", deliveries.open)));
            }
            deliveries = self.counted.changed.wait_timeout(deliveries, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let failure = deliveries.failure.take();
        drop(deliveries);
        failure.map_or(Ok(()), |failure| Err(self.cause_of(failure)))
    }

    /// When a producer fails for good, everything in it is purged: that is not why.
    fn cause_of(&self, failure: Failure) -> Failure {
        match self.producer.client().fatal_error() {
            Some((code, reason)) => Failure::of(Some(code), reason),
            None => failure,
        }
    }

    fn hand_over(&self, record: &OutRecord) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let Err((error, _)) = self.producer.send(base_record(record, ())) else { return Ok(()) };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    return Err(Failure::TooLarge { topic: record.topic.to_string(), bytes: record.size() });
                }
                _ => return Err(error.into()),
            }
        }
    }

    pub(crate) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        let sent = self.producer.send_offsets_to_transaction(offsets, group, self.timeout);
        sent.map_err(|error| self.cause_of(error.into()))
    }

    pub(crate) fn commit(&self) -> Result<(), Failure> {
        // The client flushes before it commits, and a flush that finds a report not yet put away waits
        // a tenth of a second for nothing. The last report is being put away: that is microseconds.
        let deadline = Instant::now() + self.timeout;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Without a limit of ours: the client uses what is left of the transaction's own timeout.
        self.producer.commit_transaction(Timeout::Never).map_err(|error| self.cause_of(error.into()))
    }

    pub(crate) fn abort(&self) -> Result<(), Failure> {
        self.producer.abort_transaction(ABORT_TIMEOUT).map_err(|error| self.cause_of(error.into()))?;
        let mut deliveries = self.counted.lock();
        deliveries.failure = None;
        Ok(())
    }
}
