//! The driver of stages whose state moves with their partitions. Each partition of the home topic is
//! the *home* of the keys in it: its owner alone holds their state and writes their changelog.
//!
//! Invariants:
//! 1. a home handles commands only after every record of its state was applied;
//! 2. commands of a home are handled one at a time, in the order of its partition;
//! 3. what a command changes is written (changelog and next requests) before its offset moves;
//! 4. when a write fails, the state in memory is dropped and restored, never reused;
//! 5. a revoked home writes nothing after the member has released its partition.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use prunella_model::{Code, Route};
use prunella_telemetry::emit;

use crate::dead_letter::DeadLetter;
use crate::error::StreamError;
use crate::events::{RecordDone, RecordFailed, Restored, UnreadableState};
use crate::member::{Member, MemberEvent, MemberHandle};
use crate::offsets::AssignmentEpoch;
use crate::output::{Output, OutputError};
use crate::record::{OutRecord, Record, TopicPartition};
use crate::restore::restore_partitions;
use crate::retry::Backoff;
use crate::settings::KafkaSettings;
use crate::sharded::produce_failed;
use crate::stage::StageError;

/// Milliseconds since the epoch.
pub fn now_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// What a home wants done: records written and, once they are, something started.
#[derive(Default)]
pub struct Effects {
    pub records: Vec<OutRecord>,
    /// Runs when `records` are written. Must not block.
    pub then: Option<Box<dyn FnOnce() + Send>>,
}

impl Effects {
    pub fn none() -> Self {
        Self::default()
    }

    pub fn of(records: Vec<OutRecord>) -> Self {
        Self { records, then: None }
    }
}

/// A command and the home it is for.
pub struct Addressed<C> {
    pub home: i32,
    pub command: C,
}

/// The state of one home partition. Called by one task at a time; never waits for Kafka.
pub trait Home: Send + 'static {
    type Command: Send;

    /// Takes one record of the state topic, in order.
    ///
    /// # Errors
    /// A text when the record cannot be read; it is counted, logged and left alone.
    fn apply(&mut self, key: &Bytes, value: Option<Bytes>) -> impl Future<Output = Result<(), String>> + Send;

    /// All records were applied: hand out again what only memory knew.
    fn restored(&mut self, now: i64) -> Effects;

    /// Handles a command; `record` is the one that carried it.
    fn handle(&mut self, command: Self::Command, record: &Record, now: i64) -> Result<Effects, StageError>;

    /// When [`Home::on_timer`] wants to be called, in milliseconds since the epoch.
    fn next_timer(&self) -> Option<i64>;

    fn on_timer(&mut self, now: i64) -> Effects;
}

/// The logic of a stage with homes.
pub trait Homes: Send + 'static {
    type Command: Send;
    type Home: Home<Command = Self::Command>;

    fn open(&mut self, site: HomeSite) -> Self::Home;

    /// Reads a record and says which home its command is for; `None` when there is nothing to do.
    fn address(
        &mut self,
        record: &Record,
    ) -> impl Future<Output = Result<Option<Addressed<Self::Command>>, StageError>> + Send;

    /// The record that carries a command to a home that is not here.
    fn forward(&mut self, addressed: &Addressed<Self::Command>, record: &Record) -> Result<OutRecord, StageError>;

    /// What to write beside the dead letter of a record that was given up.
    fn given_up(&mut self, record: &Record, error: &StageError) -> impl Future<Output = Vec<OutRecord>> + Send;
}

/// Where a home is, and the way its background work writes.
#[derive(Clone)]
pub struct HomeSite {
    pub partition: i32,
    /// Cancelled when the partition is revoked: background work stops at once.
    pub revoked: CancellationToken,
    tasks: TaskTracker,
    /// Work is started from delivery reports too, which run outside the runtime.
    runtime: tokio::runtime::Handle,
    output: Output,
    handle: MemberHandle,
}

/// Why background work of a home must stop.
#[derive(Debug)]
pub enum EmitError {
    /// The partition has a new owner.
    Revoked,
    /// Kafka did not take the records; the stage is being rebuilt.
    Output(OutputError),
}

impl HomeSite {
    /// Runs background work that the revocation of the home waits for.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Writes `effects` and then `changelog`, so that the changelog never speaks of effects that are
    /// not there.
    ///
    /// # Errors
    /// As [`HomeSite::emit`]. Effects may have been written without the changelog: they are written
    /// again, under the same ids, after a restore.
    pub async fn commit(&self, effects: Vec<OutRecord>, changelog: Vec<OutRecord>) -> Result<(), EmitError> {
        if !effects.is_empty() {
            self.emit(effects).await?;
        }
        self.emit(changelog).await
    }

    /// Writes records on behalf of this home and waits until they are confirmed.
    ///
    /// # Errors
    /// [`EmitError`]: the work must end. A failed write also rebuilds the stage.
    pub async fn emit(&self, records: Vec<OutRecord>) -> Result<(), EmitError> {
        if self.revoked.is_cancelled() {
            return Err(EmitError::Revoked);
        }
        let count = records.len();
        match self.output.deliver(records).await {
            Ok(()) => Ok(()),
            Err(error @ OutputError::TooLarge { .. }) => Err(EmitError::Output(error)),
            Err(error) => {
                self.handle.fail(produce_failed(self.handle.stage(), count, &error));
                Err(EmitError::Output(error))
            }
        }
    }
}

/// Which topics make a stage with homes.
pub struct HomesConfig {
    pub kafka: KafkaSettings,
    /// Its partitions are the homes.
    pub home_topic: Arc<str>,
    /// Partition for partition the changelog of the home topic.
    pub state_topic: Arc<str>,
    pub system_dead_letters: Arc<str>,
}

/// Runs `homes` until `stop` is cancelled and the work in flight is drained.
///
/// # Errors
/// [`StreamError`] when the member, the output or a restore fails; the caller joins again, and all
/// state is restored.
pub async fn run<H: Homes>(
    mut member: Member,
    homes: H,
    output: Output,
    config: HomesConfig,
    stop: CancellationToken,
) -> Result<(), StreamError> {
    let (restored_sender, restored) = unbounded_channel();
    let mut driver = Driver {
        homes,
        slots: HashMap::new(),
        output,
        handle: member.handle(),
        config,
        restored_sender,
        attempts: member.runtime.attempts,
        backoff: Backoff::new(member.runtime.backoff.duration(), member.runtime.max_backoff.duration()),
        drain_timeout: member.runtime.drain_timeout.duration(),
        stop: stop.clone(),
    };
    let result = driver.drive(&mut member, restored, stop).await;
    driver.cancel_all();
    member.handle.stop();
    member.ended().await;
    result
}

struct Slot<T> {
    epoch: AssignmentEpoch,
    site: HomeSite,
    /// `None` while its state is being restored.
    home: Option<T>,
}

struct RestoredHomes<T> {
    result: Result<Vec<(i32, AssignmentEpoch, T, u64)>, StreamError>,
    took: Duration,
}

struct Driver<H: Homes> {
    homes: H,
    slots: HashMap<i32, Slot<H::Home>>,
    output: Output,
    handle: MemberHandle,
    config: HomesConfig,
    restored_sender: UnboundedSender<RestoredHomes<H::Home>>,
    attempts: u32,
    backoff: Backoff,
    drain_timeout: Duration,
    stop: CancellationToken,
}

impl<H: Homes> Driver<H> {
    async fn drive(
        &mut self,
        member: &mut Member,
        mut restored: UnboundedReceiver<RestoredHomes<H::Home>>,
        stop: CancellationToken,
    ) -> Result<(), StreamError> {
        let mut stopping = false;
        loop {
            let timer = self.until_next_timer();
            if timer.is_zero() {
                // Under constant load the timer below would never get its turn.
                self.fire_timers().await;
            }
            tokio::select! {
                biased;
                Some(homes) = restored.recv() => self.homes_restored(homes).await?,
                event = member.events.recv() => match event {
                    Some(MemberEvent::Record(record)) => self.record(record).await?,
                    Some(MemberEvent::Assigned(partitions)) => self.assigned(&partitions)?,
                    Some(MemberEvent::Revoked { partitions, released }) => self.revoked(&partitions, released),
                    Some(MemberEvent::Failed(error)) => return Err(error),
                    None => return Ok(()),
                },
                () = tokio::time::sleep(timer) => self.fire_timers().await,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    // Background work stops between two pieces and goes on at the next start.
                    self.cancel_all();
                    member.handle.stop();
                }
            }
        }
    }

    fn assigned(&mut self, partitions: &[(TopicPartition, AssignmentEpoch)]) -> Result<(), StreamError> {
        let mut opened = HashMap::new();
        for (source, epoch) in partitions.iter().filter(|(source, _)| source.topic == self.config.home_topic) {
            let site = HomeSite {
                partition: source.partition,
                revoked: CancellationToken::new(),
                tasks: TaskTracker::new(),
                runtime: tokio::runtime::Handle::current(),
                output: self.output.clone(),
                handle: self.handle.clone(),
            };
            let home = self.homes.open(site.clone());
            self.slots.insert(source.partition, Slot { epoch: *epoch, site, home: None });
            opened.insert(source.partition, (*epoch, home, 0_u64));
        }
        if opened.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i32> = opened.keys().copied().collect();
        let records = restore_partitions(&self.config.kafka, &self.config.state_topic, &numbers)?;
        let sender = self.restored_sender.clone();
        let stage = self.handle.stage().to_owned();
        let topic = self.config.state_topic.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            let result = apply_all(opened, records, &stage, &topic).await;
            // The driver is gone when the stage has ended meanwhile.
            drop(sender.send(RestoredHomes { result, took: started.elapsed() }));
        });
        Ok(())
    }

    async fn homes_restored(&mut self, restored: RestoredHomes<H::Home>) -> Result<(), StreamError> {
        for (partition, epoch, home, records) in restored.result? {
            let Some(slot) = self.slots.get_mut(&partition).filter(|slot| slot.epoch == epoch) else { continue };
            emit(Restored { stage: self.handle.stage(), partition, records, took: restored.took });
            let effects = slot.home.insert(home).restored(now_millis());
            self.perform(None, effects).await;
            let source = TopicPartition { topic: self.config.home_topic.clone(), partition };
            self.handle.restored(source, epoch);
        }
        Ok(())
    }

    fn revoked(&mut self, partitions: &[TopicPartition], released: SyncSender<()>) {
        let homes = partitions.iter().filter(|source| source.topic == self.config.home_topic);
        let sites: Vec<HomeSite> =
            homes.filter_map(|source| self.slots.remove(&source.partition)).map(|slot| slot.site).collect();
        for site in &sites {
            site.revoked.cancel();
            site.tasks.close();
        }
        let timeout = self.drain_timeout;
        tokio::spawn(async move {
            let all = async {
                for site in &sites {
                    site.tasks.wait().await;
                }
            };
            if tokio::time::timeout(timeout, all).await.is_err() {
                tracing::warn!("background work of revoked homes did not stop in time");
            }
            // The poll thread stops waiting by itself after its own timeout.
            let _ = released.try_send(());
        });
    }

    fn cancel_all(&mut self) {
        for slot in self.slots.values() {
            slot.site.revoked.cancel();
        }
    }

    async fn record(&mut self, record: Record) -> Result<(), StreamError> {
        let started = Instant::now();
        let mut attempt = 1;
        let effects = loop {
            let error = match self.process(&record).await {
                Ok(effects) => break effects,
                Err(error) => error,
            };
            let route = match error.route() {
                Route::Retry if attempt >= self.attempts => Route::DeadLetter,
                route => route,
            };
            emit(RecordFailed { stage: self.handle.stage(), record: &record, error: &error, route, attempt });
            match route {
                Route::Retry | Route::Wait => {
                    tokio::select! {
                        () = tokio::time::sleep(self.backoff.delay(attempt)) => attempt += 1,
                        // Not completed: it is taken again at the next start.
                        () = self.stop.cancelled() => return Ok(()),
                    }
                }
                Route::DeadLetter => break self.give_up(&record, &error).await,
                Route::Fatal => {
                    return Err(StreamError::Stage {
                        stage: self.handle.stage().to_owned(),
                        place: record.place(),
                        code: error.code,
                        reason: error.message,
                    });
                }
            }
        };
        emit(RecordDone { stage: self.handle.stage(), record: &record, took: started.elapsed() });
        self.perform(Some(record), effects).await;
        Ok(())
    }

    async fn process(&mut self, record: &Record) -> Result<Effects, StageError> {
        let Some(addressed) = self.homes.address(record).await? else { return Ok(Effects::none()) };
        match self.slots.get_mut(&addressed.home).and_then(|slot| slot.home.as_mut()) {
            Some(home) => home.handle(addressed.command, record, now_millis()),
            None => Ok(Effects::of(vec![self.homes.forward(&addressed, record)?])),
        }
    }

    async fn give_up(&mut self, record: &Record, error: &StageError) -> Effects {
        let topic = error.dead_letter_topic.clone().unwrap_or_else(|| self.config.system_dead_letters.clone());
        let letter =
            DeadLetter::new(record, self.handle.stage(), self.handle.group(), error.code, &error.message, now_millis())
                .of_record(topic, record);
        let mut records = vec![letter];
        records.extend(self.homes.given_up(record, error).await);
        Effects::of(records)
    }

    /// Writes effects without waiting for their confirmation; the offset of `record` moves with it.
    async fn perform(&mut self, record: Option<Record>, effects: Effects) {
        if effects.records.is_empty() {
            if let Some(then) = effects.then {
                then();
            }
            if let Some(record) = record {
                self.handle.complete(&record);
            }
            return;
        }
        let handle = self.handle.clone();
        let count = effects.records.len();
        let then = effects.then;
        let too_large = TooLarge {
            output: self.output.clone(),
            handle: self.handle.clone(),
            topic: self.config.system_dead_letters.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        self.output
            .send(effects.records, move |result| match result {
                Ok(()) => {
                    if let Some(then) = then {
                        then();
                    }
                    if let Some(record) = record {
                        handle.complete(&record);
                    }
                }
                Err(error @ OutputError::TooLarge { .. }) => too_large.report(record, error.to_string()),
                Err(error) => handle.fail(produce_failed(handle.stage(), count, &error)),
            })
            .await;
    }

    fn until_next_timer(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60);
        let next = self.slots.values().filter_map(|slot| slot.home.as_ref()).filter_map(Home::next_timer).min();
        next.map_or(LONGEST, |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(now_millis())).unwrap_or(0)).min(LONGEST)
        })
    }

    async fn fire_timers(&mut self) {
        let now = now_millis();
        let due = |home: &H::Home| home.next_timer().is_some_and(|at| at <= now);
        let effects: Vec<Effects> = self
            .slots
            .values_mut()
            .filter_map(|slot| slot.home.as_mut())
            .filter(|home| due(home))
            .map(|home| home.on_timer(now))
            .collect();
        for effects in effects {
            self.perform(None, effects).await;
        }
    }
}

/// Effects that Kafka will never take. Rebuilding would only meet them again: the command goes to the
/// dead letters, and the run it was for ends at its deadline at the latest.
struct TooLarge {
    output: Output,
    handle: MemberHandle,
    topic: Arc<str>,
    runtime: tokio::runtime::Handle,
}

impl TooLarge {
    fn report(self, record: Option<Record>, message: String) {
        let Some(record) = record else {
            return tracing::error!(
                stage = self.handle.stage(),
                code = Code::RecordTooLarge.id(),
                message,
                "not written"
            );
        };
        let failed = StageError::new(Code::RecordTooLarge, message);
        emit(RecordFailed {
            stage: self.handle.stage(),
            record: &record,
            error: &failed,
            route: Route::DeadLetter,
            attempt: 1,
        });
        let (stage, group) = (self.handle.stage(), self.handle.group());
        let letter = DeadLetter::new(&record, stage, group, failed.code, &failed.message, now_millis());
        let letter = letter.of_record(self.topic, &record);
        let (output, handle) = (self.output, self.handle.clone());
        self.runtime.spawn(async move {
            match output.deliver(vec![letter]).await {
                Ok(()) => handle.complete(&record),
                Err(error) => handle.fail(produce_failed(handle.stage(), 1, &error)),
            }
        });
    }
}

async fn apply_all<T: Home>(
    mut homes: HashMap<i32, (AssignmentEpoch, T, u64)>,
    mut records: tokio::sync::mpsc::Receiver<Result<Vec<crate::restore::StateRecord>, StreamError>>,
    stage: &str,
    topic: &str,
) -> Result<Vec<(i32, AssignmentEpoch, T, u64)>, StreamError> {
    while let Some(chunk) = records.recv().await {
        for record in chunk? {
            let Some((_, home, count)) = homes.get_mut(&record.partition) else { continue };
            *count += 1;
            if let Err(reason) = home.apply(&record.key, record.value).await {
                let place = format!("{topic}[{}]@{}", record.partition, record.offset);
                let error = StreamError::Restore { place: place.clone(), reason };
                emit(UnreadableState { stage, place, error: &error });
            }
        }
    }
    Ok(homes.into_iter().map(|(partition, (epoch, home, count))| (partition, epoch, home, count)).collect())
}
