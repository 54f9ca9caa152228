//! From the topics into the view, without a consumer group: the positions are in the view itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use prunella_model::{Code, Route};
use prunella_stream::homes::now_millis;
use prunella_stream::{KafkaSettings, StreamError, Tail, TailFrom, Tailed, TailedRecord};
use prunella_telemetry::emit;
use prunella_wire::Codec;

use crate::change::{Change, Unreadable, change_of_log, change_of_state};
use crate::config::RunViewConfig;
use crate::error::RunViewError;
use crate::events::{ChunkApplied, FeedInterrupted, LagSeen, RecordSkipped, ViewCaughtUp};
use crate::extent::{Extents, Probe};
use crate::freshness::Freshness;
use crate::read::Origin;
use crate::shelf::Shelf;
use crate::store::Store;
use crate::waiters::Waiters;
use crate::write::{Chunk, Positions};

/// Records in one transaction, at most.
const CHUNK_RECORDS: usize = 1_000;
/// Longest time that a record waits for its transaction.
const CHUNK_TIME: Duration = Duration::from_millis(50);
const DURABLE_EVERY: Duration = Duration::from_secs(1);
/// How often a quiet view notes that it was fed.
const NOTE_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Feed {
    pub(crate) shelf: Shelf,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) codec: Arc<Codec>,
    pub(crate) kafka: KafkaSettings,
    pub(crate) state_topic: String,
    pub(crate) log_topic: String,
    pub(crate) config: RunViewConfig,
}

/// Why feeding has to start over, and what is done about the file before.
#[derive(Debug)]
struct Interruption {
    reason: String,
    recovery: Recovery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    Nothing,
    Reopen,
    Rebuild,
}

impl From<RunViewError> for Interruption {
    fn from(error: RunViewError) -> Self {
        let recovery = match error {
            RunViewError::Storage { damaged: true, .. } => Recovery::Rebuild,
            _ => Recovery::Reopen,
        };
        Self { reason: error.to_string(), recovery }
    }
}

impl From<StreamError> for Interruption {
    fn from(error: StreamError) -> Self {
        Self { reason: error.to_string(), recovery: Recovery::Nothing }
    }
}

fn interruption(reason: impl Into<String>, recovery: Recovery) -> Interruption {
    Interruption { reason: reason.into(), recovery }
}

impl Feed {
    /// Feeds the view until `stop` is cancelled, whatever happens to Kafka or the file.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while let Some(Err(interrupted)) = stop.run_until_cancelled(self.follow(&stop)).await {
            emit(FeedInterrupted { reason: &interrupted.reason });
            self.freshness.behind();
            if let Err(error) = self.recover(interrupted).await {
                emit(FeedInterrupted { reason: &error.to_string() });
            }
            stop.run_until_cancelled(tokio::time::sleep(TRY_AGAIN)).await;
        }
        // What is not durable yet becomes so; without it the next start reads a second of records again.
        let last = Chunk { durable: true, ..self.chunk() };
        if let Err(error) = self.shelf.ask(move |store| store.apply(&last)).await {
            emit(FeedInterrupted { reason: &error.to_string() });
        }
        self.shelf.close();
    }

    async fn recover(&self, interrupted: Interruption) -> Result<(), RunViewError> {
        self.shelf
            .ask(move |store| match interrupted.recovery {
                Recovery::Nothing => Ok(()),
                Recovery::Rebuild => store.rebuild(&interrupted.reason),
                Recovery::Reopen => {
                    store.close();
                    store.reopen()
                }
            })
            .await
    }

    /// Ends only with an interruption, or by being dropped.
    async fn follow(&self, stop: &CancellationToken) -> Result<(), Interruption> {
        let probe = Probe::new(&self.kafka, [self.state_topic.clone(), self.log_topic.clone()])?;
        let extents = probe.look().await.map_err(|reason| interruption(reason, Recovery::Nothing))?;
        self.freshness.contact();
        let positions = self.start_positions(&extents).await?;
        self.look_at(&extents, &positions);
        let state = Tail::start(&self.kafka, &self.state_topic, from(&positions, &self.state_topic)).await?;
        let log = Tail::start(&self.kafka, &self.log_topic, from(&positions, &self.log_topic)).await?;
        let (applied, applied_positions) = watch::channel(positions.clone());
        let (looks, _looking) = look_regularly(probe, applied_positions, stop);
        let partitions = extents.partitions.len();
        let chunk = self.chunk();
        let following = Following { feed: self, positions, applied, chunk, since: None, dirty: false, partitions };
        following.follow(state, log, looks).await
    }

    /// Where reading goes on: in the view's positions if they are of these topics, else at the beginning.
    async fn start_positions(&self, extents: &Extents) -> Result<Positions, Interruption> {
        let origin = self.shelf.ask(Store::origin).await?;
        let source = format!("{} {} {}", extents.cluster, self.state_topic, self.log_topic);
        if let Some(reason) = self.why_not(&origin, &source, extents) {
            self.shelf
                .ask(move |store| {
                    store.rebuild(&reason)?;
                    store.set_source(&source)
                })
                .await?;
            return Ok(Positions::new());
        }
        if origin.source.is_none() {
            self.shelf.ask(move |store| store.set_source(&source)).await?;
        }
        Ok(origin.positions)
    }

    fn why_not(&self, origin: &Origin, source: &str, extents: &Extents) -> Option<String> {
        if origin.source.as_deref().is_some_and(|known| known != source) {
            return Some("it was read from another cluster or from other topics".to_owned());
        }
        let oldest = now_millis().saturating_sub(millis(self.config.rebuild_after));
        if origin.fed_at.is_some_and(|fed_at| fed_at < oldest) {
            return Some("it was not fed for longer than the topics remember deletions".to_owned());
        }
        extents.contradict(&origin.positions)
    }

    fn look_at(&self, extents: &Extents, positions: &Positions) {
        let records = extents.lag(positions);
        self.freshness.contact();
        self.freshness.lag(records);
        emit(LagSeen { records });
    }

    fn chunk(&self) -> Chunk {
        let fed_at = now_millis();
        let forget_before = fed_at.saturating_sub(millis(self.config.event_retention));
        Chunk { fed_at, forget_before, ..Chunk::default() }
    }
}

/// One uninterrupted stretch of feeding.
struct Following<'f> {
    feed: &'f Feed,
    positions: Positions,
    /// The positions after the last chunk, for whoever looks at the topics.
    applied: watch::Sender<Positions>,
    chunk: Chunk,
    /// When the first record of the chunk came.
    since: Option<Instant>,
    /// Something was applied that is not durable yet.
    dirty: bool,
    partitions: usize,
}

impl Following<'_> {
    async fn follow(
        mut self,
        mut state: Tail,
        mut log: Tail,
        mut looks: Receiver<Result<Look, String>>,
    ) -> Result<(), Interruption> {
        let mut behind = 2;
        let mut durable = interval(DURABLE_EVERY);
        durable.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut noted = Instant::now();
        loop {
            let due = self.since.map_or_else(|| Instant::now() + DURABLE_EVERY, |since| since + CHUNK_TIME);
            let tailed = tokio::select! {
                tailed = state.next() => (tailed, true),
                tailed = log.next() => (tailed, false),
                () = sleep_until(due), if self.since.is_some() => {
                    self.flush(false).await?;
                    continue;
                }
                _ = durable.tick() => {
                    if self.dirty || noted.elapsed() >= NOTE_EVERY {
                        self.flush(true).await?;
                        noted = Instant::now();
                    }
                    continue;
                }
                look = looks.recv() => {
                    match look {
                        Some(Ok(Look { contradiction: Some(reason), .. })) => {
                            return Err(interruption(reason, Recovery::Rebuild));
                        }
                        Some(Ok(look)) => self.feed.look_at(&look.extents, &self.positions),
                        Some(Err(reason)) => emit(FeedInterrupted { reason: &reason }),
                        None => return Err(interruption("nobody looks at the topics any more", Recovery::Nothing)),
                    }
                    continue;
                }
            };
            match tailed {
                (Some(Tailed::Record(record)), is_state) => self.take(&record, is_state).await?,
                (Some(Tailed::CaughtUp), _) => {
                    behind -= 1;
                    if behind == 0 {
                        self.flush(true).await?;
                        self.feed.freshness.caught_up();
                        emit(ViewCaughtUp { partitions: self.partitions });
                    }
                }
                (None, _) => return Err(interruption("reading a topic ended", Recovery::Nothing)),
            }
        }
    }

    async fn take(&mut self, record: &TailedRecord, is_state: bool) -> Result<(), Interruption> {
        let topic = if is_state { &self.feed.state_topic } else { &self.feed.log_topic };
        let place = (topic.clone(), record.partition);
        if let Some(next) = self.positions.get(&place).filter(|next| record.offset < **next) {
            let reason =
                format!("{topic}[{}] went back from {next} to {}: it was made anew", record.partition, record.offset);
            return Err(interruption(reason, Recovery::Rebuild));
        }
        let codec = &self.feed.codec;
        let read = if is_state { change_of_state(codec, record).await } else { change_of_log(codec, record).await };
        match read {
            Ok(change) => self.chunk.changes.extend(change),
            Err(Unreadable::Wire(error)) if is_passing(error.code()) => {
                return Err(interruption(error.to_string(), Recovery::Nothing));
            }
            Err(error) => emit(RecordSkipped {
                topic,
                partition: record.partition,
                offset: record.offset,
                reason: &error.to_string(),
            }),
        }
        self.positions.insert(place.clone(), record.offset + 1);
        self.chunk.positions.insert(place, record.offset + 1);
        self.chunk.newest = self.chunk.newest.max(Some(record.timestamp));
        self.chunk.records += 1;
        self.since.get_or_insert_with(Instant::now);
        if self.chunk.records >= CHUNK_RECORDS { self.flush(false).await } else { Ok(()) }
    }

    async fn flush(&mut self, durable: bool) -> Result<(), Interruption> {
        self.since = None;
        let chunk = Chunk { durable, ..std::mem::replace(&mut self.chunk, self.feed.chunk()) };
        let records = chunk.records;
        let chunk = self
            .feed
            .shelf
            .ask(move |store| {
                store.apply(&chunk)?;
                Ok(chunk)
            })
            .await?;
        self.dirty = !durable && (self.dirty || records > 0);
        self.applied.send_replace(self.positions.clone());
        emit(ChunkApplied { records });
        self.feed.waiters.notify(chunk.changes.iter().map(Change::run));
        Ok(())
    }
}

/// The record may be readable later.
fn is_passing(code: Code) -> bool {
    code.route() == Route::Wait
}

fn from(positions: &Positions, topic: &str) -> TailFrom {
    let of_topic = positions.iter().filter(|((name, _), _)| name == topic);
    TailFrom::Offsets(of_topic.map(|((_, partition), next)| (*partition, *next)).collect())
}

/// What a look at the topics found.
struct Look {
    extents: Extents,
    /// Why the topics are not those that were read.
    contradiction: Option<String>,
}

fn look_regularly(
    probe: Probe,
    applied: watch::Receiver<Positions>,
    stop: &CancellationToken,
) -> (Receiver<Result<Look, String>>, DropGuard) {
    let (sender, looks) = channel(1);
    let stop = stop.child_token();
    let ended = stop.clone();
    tokio::spawn(async move {
        while ended.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            // Taken before the look: positions that go on meanwhile may pass the ends it finds.
            let positions = applied.borrow().clone();
            let look =
                probe.look().await.map(|extents| Look { contradiction: extents.contradict(&positions), extents });
            if sender.send(look).await.is_err() {
                return;
            }
        }
    });
    (looks, stop.drop_guard())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
