//! Writing to Kafka: records are handed over at once, and their delivery is reported once for all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::util::IntoOpaque;
use rdkafka::{ClientContext, Message};
use tokio::sync::oneshot;

use prunella_telemetry::emit;

use crate::error::StreamError;
use crate::events::{ClientError, RecordsProduced};
use crate::record::OutRecord;
use crate::settings::KafkaSettings;

/// Why records were not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OutputError {
    /// This record alone can never be written; the ones before it may have been.
    #[error(
        "a record of {bytes} bytes for {topic} is larger than the topic or the client takes; raise max.message.bytes of the topic or make the record smaller"
    )]
    TooLarge { topic: String, bytes: usize },
    /// Kafka did not confirm the records in time, or refused them.
    #[error("{topic}: {reason}")]
    Failed { topic: String, reason: String },
    /// Not written, as far as one can tell: its partition went to another member, or its producer is gone.
    #[error("its partition was given up")]
    GivenUp,
}

type Done = Box<dyn FnOnce(Result<(), OutputError>) + Send>;

/// Delivery of a group of records: `done` runs once, when the last of them is reported.
struct Delivery {
    remaining: AtomicUsize,
    failure: Mutex<Option<OutputError>>,
    done: Mutex<Option<Done>>,
}

impl Delivery {
    fn fail(&self, error: OutputError) {
        lock(&self.failure).get_or_insert(error);
    }

    fn reported(&self, records: usize) {
        if records > 0 && self.remaining.fetch_sub(records, Ordering::AcqRel) == records {
            self.finish();
        }
    }

    fn finish(&self) {
        if let Some(done) = lock(&self.done).take() {
            done(lock(&self.failure).take().map_or(Ok(()), Err));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

struct OutputContext {
    client: String,
}

impl ClientContext for OutputContext {
    fn error(&self, error: KafkaError, reason: &str) {
        emit(ClientError { client: &self.client, error: &error, reason });
    }
}

impl ProducerContext for OutputContext {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        if let Err((error, message)) = result {
            delivery.fail(match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => OutputError::TooLarge {
                    topic: message.topic().to_owned(),
                    bytes: message.payload().map_or(0, <[u8]>::len),
                },
                _ => OutputError::Failed { topic: message.topic().to_owned(), reason: error.to_string() },
            });
        }
        delivery.reported(1);
    }
}

/// The producer of a process. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    producer: Arc<ThreadedProducer<OutputContext>>,
    client: Arc<str>,
}

impl Output {
    /// # Errors
    /// [`StreamError`] when the settings cannot be used. Does not connect yet.
    pub fn new(settings: &KafkaSettings, client: &str) -> Result<Self, StreamError> {
        let producer = settings
            .producer_config()?
            .create_with_context(OutputContext { client: client.to_owned() })
            .map_err(|error| StreamError::Client { stage: client.to_owned(), reason: error.to_string() })?;
        Ok(Self { producer: Arc::new(producer), client: client.into() })
    }

    /// Hands `records` to the client, waiting only for room in its queue, and calls `done` when all
    /// are delivered or one is not. Order per partition is the order of the calls.
    pub async fn send(&self, records: Vec<OutRecord>, done: impl FnOnce(Result<(), OutputError>) + Send + 'static) {
        let delivery = Arc::new(Delivery {
            // One more than the records, so that reports cannot finish it before all are handed over.
            remaining: AtomicUsize::new(records.len() + 1),
            failure: Mutex::new(None),
            done: Mutex::new(Some(Box::new(done))),
        });
        let total = records.len();
        let mut handed_over = 0;
        for record in &records {
            match self.hand_over(record, &delivery).await {
                Ok(()) => handed_over += 1,
                Err(error) => {
                    delivery.fail(error);
                    break;
                }
            }
        }
        emit(RecordsProduced { client: &self.client, records: handed_over });
        delivery.reported(total - handed_over + 1);
    }

    /// Writes `records` and waits until all are confirmed.
    pub async fn deliver(&self, records: Vec<OutRecord>) -> Result<(), OutputError> {
        let (confirm, confirmed) = oneshot::channel();
        // The receiver is gone only when the caller gave up waiting.
        self.send(records, move |result| drop(confirm.send(result))).await;
        confirmed.await.unwrap_or(Err(OutputError::GivenUp))
    }

    async fn hand_over(&self, record: &OutRecord, delivery: &Arc<Delivery>) -> Result<(), OutputError> {
        loop {
            let failed = match self.producer.send(base_record(record, delivery.clone())) {
                Ok(()) => return Ok(()),
                Err((error, _)) => error,
            };
            match failed.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => tokio::time::sleep(Duration::from_millis(2)).await,
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    return Err(OutputError::TooLarge { topic: record.topic.to_string(), bytes: record.size() });
                }
                _ => {
                    return Err(OutputError::Failed { topic: record.topic.to_string(), reason: failed.to_string() });
                }
            }
        }
    }

    /// Waits until everything handed over is reported, at most `timeout`.
    pub async fn drain(&self, timeout: Duration) {
        let deadline = tokio::time::Instant::now() + timeout;
        while self.producer.in_flight_count() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

pub(crate) fn base_record<D: IntoOpaque>(record: &OutRecord, delivery: D) -> BaseRecord<'_, [u8], [u8], D> {
    let mut base = BaseRecord::with_opaque_to(&record.topic, delivery);
    if let Some(partition) = record.partition {
        base = base.partition(partition);
    }
    if let Some(key) = &record.key {
        base = base.key(key.as_ref());
    }
    if let Some(value) = &record.value {
        base = base.payload(value.as_ref());
    }
    if record.headers.is_empty() {
        return base;
    }
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in record.headers.iter() {
        headers = headers.insert(Header { key, value: value.map(AsRef::<[u8]>::as_ref) });
    }
    base.headers(headers)
}
