use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use prunella_model::{Code, Route};
use prunella_telemetry::emit;

use super::restoring::{RestoredHomes, apply_all};
use super::too_large::TooLarge;
use super::{Effects, Home, HomeSite, Homes, HomesConfig, now_millis};
use crate::chaos::{self, Point};
use crate::dead_letter::DeadLetter;
use crate::error::StreamError;
use crate::events::{RecordDone, RecordFailed, Restored};
use crate::member::{Member, MemberEvent, MemberHandle};
use crate::offsets::AssignmentEpoch;
use crate::outlet::Outlet;
use crate::output::OutputError;
use crate::record::{OutRecord, Record, TopicPartition};
use crate::restore::restore_partitions;
use crate::retry::Backoff;
use crate::sharded::produce_failed;
use crate::stage::{StageError, without_panic};
use crate::transactor::{Done, Owner};

struct Slot<T> {
    epoch: AssignmentEpoch,
    site: HomeSite,
    /// `None` while its state is being restored.
    home: Option<T>,
}

/// Hands commands to homes, one after the other, and what comes of them to the outlet.
pub(super) struct Driver<H: Homes> {
    homes: H,
    slots: HashMap<i32, Slot<H::Home>>,
    outlet: Outlet,
    handle: MemberHandle,
    config: HomesConfig,
    restored_sender: UnboundedSender<RestoredHomes<H::Home>>,
    attempts: u32,
    backoff: Backoff,
    drain_timeout: Duration,
    stop: CancellationToken,
    /// In the order in which they were decided.
    outbox: Vec<Outgoing>,
    /// Records that came while the homes were full, in the order of their partitions. Bounded by what the member takes.
    waiting: VecDeque<Record>,
    /// Topics that are held back, and when that was looked at.
    held_back: HashSet<Arc<str>>,
    looked_at: Instant,
}

/// How soon it is looked again whether homes that were full may go on.
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// How often it is looked whether topics are to be held back.
const HOLD_BACK_LOOK: Duration = Duration::from_millis(50);
/// Outcomes that may wait for others of the same moment.
const OUTBOX: usize = 64;

struct Outgoing {
    owner: Owner,
    records: Vec<OutRecord>,
    done: Done,
}

impl<H: Homes> Driver<H> {
    pub(super) fn new(
        member: &Member,
        homes: H,
        config: HomesConfig,
        stop: CancellationToken,
    ) -> (Self, UnboundedReceiver<RestoredHomes<H::Home>>) {
        let (restored_sender, restored) = unbounded_channel();
        let driver = Self {
            homes,
            slots: HashMap::new(),
            outlet: member.outlet.clone(),
            handle: member.handle(),
            config,
            restored_sender,
            attempts: member.runtime.attempts,
            backoff: Backoff::new(member.runtime.backoff.duration(), member.runtime.max_backoff.duration()),
            drain_timeout: member.runtime.drain_timeout.duration(),
            stop,
            outbox: Vec::new(),
            waiting: VecDeque::new(),
            held_back: HashSet::new(),
            looked_at: Instant::now(),
        };
        (driver, restored)
    }

    pub(super) async fn drive(
        &mut self,
        member: &mut Member,
        mut restored: UnboundedReceiver<RestoredHomes<H::Home>>,
        stop: CancellationToken,
    ) -> Result<(), StreamError> {
        let mut stopping = false;
        loop {
            // Outcomes go out together while there is more to handle: fewer and larger requests.
            if member.events.is_empty() || self.outbox.len() >= OUTBOX {
                self.send_all().await;
            }
            let timer = self.until_next_timer();
            if timer.is_zero() {
                // Under constant load the timer below would never get its turn.
                self.fire_timers().await;
            }
            self.hold_back();
            if !self.homes.is_full()
                && let Some(record) = self.waiting.pop_front()
            {
                self.record(record).await?;
            }
            // The next one is looked at when there is something else to do, or at once if it may go on.
            let pause = if self.homes.is_full() { FULL_PAUSE } else { Duration::ZERO };
            tokio::select! {
                biased;
                Some(homes) = restored.recv() => self.homes_restored(homes).await?,
                event = member.events.recv() => match event {
                    Some(MemberEvent::Record(record)) => self.take(record, stopping).await?,
                    Some(MemberEvent::Assigned(partitions)) => self.assigned(&partitions)?,
                    Some(MemberEvent::Revoked { partitions, released }) => {
                        self.give_back(|record| partitions.contains(&record.source));
                        self.send_all().await;
                        self.revoked(&partitions, released);
                    }
                    Some(MemberEvent::Failed(error)) => return Err(error),
                    None => return Ok(()),
                },
                () = tokio::time::sleep(pause), if !self.waiting.is_empty() => {}
                () = tokio::time::sleep(timer) => self.fire_timers().await,
                () = tokio::time::sleep(HOLD_BACK_LOOK), if !self.held_back.is_empty() => {}
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    // Background work stops between two pieces and goes on at the next start.
                    self.cancel_all();
                    self.give_back(|_| true);
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
                home: source.clone(),
                epoch: *epoch,
                outlet: self.outlet.clone(),
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
        let mut changelogs = Vec::with_capacity(self.config.state_topics.len());
        for topic in &self.config.state_topics {
            changelogs.push((topic.clone(), restore_partitions(&self.config.kafka, topic, &numbers)?));
        }
        let sender = self.restored_sender.clone();
        let stage = self.handle.stage().to_owned();
        tokio::spawn(async move {
            let started = Instant::now();
            let result = apply_all(opened, changelogs, &stage).await;
            // The driver is gone when the stage has ended meanwhile.
            drop(sender.send(RestoredHomes { result, took: started.elapsed() }));
        });
        Ok(())
    }

    async fn homes_restored(&mut self, restored: RestoredHomes<H::Home>) -> Result<(), StreamError> {
        for (partition, epoch, home, records) in restored.result? {
            let Some(slot) = self.slots.get_mut(&partition).filter(|slot| slot.epoch == epoch) else { continue };
            emit(Restored { stage: self.handle.stage(), partition, records, took: restored.took });
            let owner = slot.site.owner();
            let effects = slot.home.insert(home).restored(now_millis()).await;
            self.perform(Cause::Home(owner), effects).await;
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

    pub(super) fn cancel_all(&mut self) {
        for slot in self.slots.values() {
            slot.site.revoked.cancel();
        }
    }

    /// Handles a record, or lets it wait behind those that wait already.
    async fn take(&mut self, record: Record, stopping: bool) -> Result<(), StreamError> {
        if self.waiting.is_empty() && !self.homes.is_full() {
            return self.record(record).await;
        }
        if stopping {
            self.handle.give_back(&record);
        } else {
            self.waiting.push_back(record);
        }
        Ok(())
    }

    fn hold_back(&mut self) {
        if self.looked_at.elapsed() < HOLD_BACK_LOOK {
            return;
        }
        self.looked_at = Instant::now();
        let held_back = self.homes.held_back();
        if held_back != self.held_back {
            self.held_back.clone_from(&held_back);
            self.handle.hold_back(held_back);
        }
    }

    fn give_back(&mut self, which: impl Fn(&Record) -> bool) {
        let handle = &self.handle;
        self.waiting.retain(|record| {
            let goes = which(record);
            if goes {
                handle.give_back(record);
            }
            !goes
        });
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
                    self.send_all().await;
                    tokio::select! {
                        () = tokio::time::sleep(self.backoff.delay(attempt)) => attempt += 1,
                        // Not completed: it is taken again at the next start.
                        () = self.stop.cancelled() => return Ok(()),
                    }
                }
                // What a command changed before it panicked is not to be built upon.
                Route::DeadLetter if error.code == Code::StagePanicked => return self.set_aside(record, error).await,
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
        chaos::at(self.handle.stage(), Point::Decided);
        self.perform(Cause::Record(Box::new(record)), effects).await;
        Ok(())
    }

    async fn process(&mut self, record: &Record) -> Result<Effects, StageError> {
        let Some(addressed) = without_panic(self.homes.address(record)).await? else { return Ok(Effects::none()) };
        match self.slots.get_mut(&addressed.home).and_then(|slot| slot.home.as_mut()) {
            Some(home) => without_panic(home.handle(addressed.command, record, now_millis())).await,
            None => Ok(Effects::of(vec![self.homes.forward(&addressed, record)?])),
        }
    }

    /// Writes the dead letter of a record, and then has the stage built anew, with its state.
    async fn set_aside(&mut self, record: Record, error: StageError) -> Result<(), StreamError> {
        self.send_all().await;
        let letter = self.letter(&record, &error);
        let written = self.outlet.deliver(|| Owner::Record(record.position()), vec![letter]).await;
        if let Err(error) = written {
            return Err(produce_failed(self.handle.stage(), 1, &error));
        }
        self.handle.complete(&record);
        let (stage, place) = (self.handle.stage().to_owned(), record.place());
        Err(StreamError::Stage { stage, place, code: error.code, reason: error.message })
    }

    fn letter(&self, record: &Record, error: &StageError) -> OutRecord {
        let topic = error.dead_letter_topic.clone().unwrap_or_else(|| self.config.system_dead_letters.clone());
        let (stage, group) = (self.handle.stage(), self.handle.group());
        DeadLetter::new(record, stage, group, error.code, &error.message, now_millis()).of_record(topic, record)
    }

    async fn give_up(&mut self, record: &Record, error: &StageError) -> Effects {
        let mut records = vec![self.letter(record, error)];
        records.extend(self.homes.given_up(record, error).await);
        Effects::of(records)
    }

    /// Puts effects into the outbox; the offset of a record moves with them.
    async fn perform(&mut self, cause: Cause, effects: Effects) {
        let Effects { records, then } = effects;
        let owner = match &cause {
            Cause::Record(record) => Owner::Record(record.position()),
            Cause::Home(_) if records.is_empty() => return then.map_or((), |then| then()),
            Cause::Home(owner) => owner.clone(),
        };
        let (handle, count) = (self.handle.clone(), records.len());
        let too_large = TooLarge {
            outlet: self.outlet.clone(),
            handle: self.handle.clone(),
            topic: self.config.system_dead_letters.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let done = move |result| match result {
            Ok(()) => {
                if let Some(then) = then {
                    then();
                }
                if let Cause::Record(record) = cause {
                    handle.complete(&record);
                }
            }
            Err(error @ OutputError::TooLarge { .. }) => too_large.report(cause, error.to_string()),
            Err(error) => handle.fail(produce_failed(handle.stage(), count, &error)),
        };
        self.outbox.push(Outgoing { owner, records, done: Box::new(done) });
    }

    async fn send_all(&mut self) {
        for Outgoing { owner, records, done } in self.outbox.drain(..) {
            self.outlet.submit(|| owner, records, done).await;
        }
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
        let is_due = |slot: &Slot<H::Home>| slot.home.as_ref().and_then(Home::next_timer).is_some_and(|at| at <= now);
        let due: Vec<i32> = self.slots.iter().filter(|(_, slot)| is_due(slot)).map(|(home, _)| *home).collect();
        for number in due {
            let Some(slot) = self.slots.get_mut(&number) else { continue };
            let owner = slot.site.owner();
            let Some(home) = slot.home.as_mut() else { continue };
            let effects = home.on_timer(now).await;
            self.perform(Cause::Home(owner), effects).await;
        }
    }
}

/// What effects came of.
pub(super) enum Cause {
    Record(Box<Record>),
    /// A timer, or a restore.
    Home(Owner),
}
