use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use prunella_telemetry::emit;

use super::outbox::{Cause, Outbox};
use super::restoring::{RestoredHomes, apply_all};
use super::round::{Command, Handled, Part, side_by_side};
use super::{Effects, Home, HomeSite, Homes, HomesConfig, now_millis};
use crate::error::StreamError;
use crate::events::Restored;
use crate::member::{Member, MemberEvent, MemberHandle};
use crate::offsets::AssignmentEpoch;
use crate::outlet::Outlet;
use crate::record::{Record, TopicPartition};
use crate::restore::restore_partitions;
use crate::retry::Backoff;
use crate::stage::{StageError, without_panic};

pub(super) struct Slot<T> {
    epoch: AssignmentEpoch,
    site: HomeSite,
    /// `None` while its state is being restored.
    pub(super) home: Option<T>,
}

/// Hands commands to homes, one after the other, and what comes of them to the outlet.
pub(super) struct Driver<H: Homes> {
    pub(super) homes: H,
    pub(super) slots: HashMap<i32, Slot<H::Home>>,
    pub(super) outlet: Outlet,
    pub(super) handle: MemberHandle,
    pub(super) config: HomesConfig,
    restored_sender: UnboundedSender<RestoredHomes<H::Home>>,
    pub(super) attempts: u32,
    pub(super) backoff: Backoff,
    drain_timeout: Duration,
    pub(super) stop: CancellationToken,
    pub(super) outbox: Outbox,
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
/// Records that are handled together.
const ROUND: usize = 256;

/// A record, and what came of handling it.
type Attempted = (Record, Result<Effects, StageError>);

impl<H: Homes> Driver<H> {
    pub(super) fn new(
        member: &Member,
        homes: H,
        config: HomesConfig,
        stop: CancellationToken,
    ) -> (Self, UnboundedReceiver<RestoredHomes<H::Home>>) {
        let (restored_sender, restored) = unbounded_channel();
        let outbox = Outbox::new(member.outlet.clone(), member.handle(), config.system_dead_letters.clone());
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
            outbox,
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
        let mut events = Vec::with_capacity(ROUND);
        loop {
            if self.outbox.is_full() || (member.events.is_empty() && self.outbox.is_due()) {
                self.outbox.send_all().await;
            }
            let timer = self.until_next_timer();
            if timer.is_zero() {
                // Under constant load the timer below would never get its turn.
                self.fire_timers().await;
            }
            self.hold_back();
            // What is held back is looked at again when nothing else happens.
            let timer = if self.held_back.is_empty() { timer } else { timer.min(HOLD_BACK_LOOK) };
            self.take_waiting().await?;
            // The next one is looked at when there is something else to do, or at once if it may go on.
            let pause = if self.homes.room() == 0 { FULL_PAUSE } else { Duration::ZERO };
            let due = self.outbox.until_due();
            let overdue = member.overdue();
            tokio::select! {
                biased;
                () = overdue => return Ok(()),
                Some(homes) = restored.recv() => self.homes_restored(homes).await?,
                count = member.events.recv_many(&mut events, ROUND) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.take_all(&mut events, stopping).await?;
                }
                () = tokio::time::sleep(pause), if !self.waiting.is_empty() => {}
                () = due, if !self.outbox.is_empty() => {}
                () = tokio::time::sleep(timer) => self.fire_timers().await,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    // Background work stops between two pieces and goes on at the next start.
                    self.cancel_all();
                    self.give_back(|_| true);
                    member.stop();
                }
            }
        }
    }

    async fn take_all(&mut self, events: &mut Vec<MemberEvent>, stopping: bool) -> Result<(), StreamError> {
        let mut records = VecDeque::with_capacity(events.len());
        for event in events.drain(..) {
            let event = match event {
                MemberEvent::Record(record) => {
                    records.push_back(record);
                    continue;
                }
                other => other,
            };
            self.take(std::mem::take(&mut records), stopping).await?;
            match event {
                MemberEvent::Record(_) => {}
                MemberEvent::Assigned(partitions) => self.assigned(&partitions)?,
                MemberEvent::Revoked { partitions, released } => {
                    self.give_back(|record| partitions.contains(&record.source));
                    self.outbox.send_all().await;
                    self.revoked(&partitions, released);
                }
                MemberEvent::Failed(error) => return Err(error),
            }
        }
        self.take(records, stopping).await
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
            self.outbox.put(Cause::Home(owner), effects);
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

    /// Handles records, as far as there is room; the others wait behind those that wait already.
    async fn take(&mut self, mut records: VecDeque<Record>, stopping: bool) -> Result<(), StreamError> {
        if self.waiting.is_empty() {
            let room = self.homes.room().min(records.len());
            let rest = records.split_off(room);
            self.round(std::mem::replace(&mut records, rest)).await?;
        }
        if stopping {
            records.iter().for_each(|record| self.handle.give_back(record));
        } else {
            self.waiting.append(&mut records);
        }
        Ok(())
    }

    async fn take_waiting(&mut self) -> Result<(), StreamError> {
        let room = self.homes.room().min(self.waiting.len()).min(ROUND);
        let records = self.waiting.drain(..room).collect();
        self.round(records).await
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

    /// Handles `records`: those of a home in order, homes side by side.
    async fn round(&mut self, mut records: VecDeque<Record>) -> Result<(), StreamError> {
        while !records.is_empty() {
            let (parts, other) = self.parts(&mut records).await;
            let mut ended = side_by_side(parts).await;
            let (mut handled, mut failed, mut left) = (Vec::new(), Vec::new(), Vec::new());
            for part in &mut ended {
                handled.append(&mut part.handled);
                failed.extend(part.failed.take());
                left.append(&mut part.left);
            }
            for part in ended {
                if let Some(slot) = self.slots.get_mut(&part.number) {
                    slot.home = Some(part.home);
                }
            }
            handled.sort_unstable_by_key(|it| it.place);
            for Handled { record, effects, took, .. } in handled {
                self.decided(record, effects, took);
            }
            for (record, error) in failed {
                self.settle(record, Err(error)).await?;
            }
            if left.is_empty() {
                if let Some((record, result)) = other {
                    self.settle(record, result).await?;
                }
            } else {
                // What was decided has grown large. What is behind the rest in its partitions stays behind it.
                self.outbox.send_all().await;
                left.sort_unstable_by_key(|(place, _)| *place);
                let again = left.into_iter().map(|(_, record)| record).chain(other.map(|(record, _)| record));
                records = again.chain(records).collect();
            }
        }
        Ok(())
    }

    /// Takes records from the front whose commands are for homes that are here, up to one that needs something else;
    /// what came of that one is beside it.
    async fn parts(&mut self, records: &mut VecDeque<Record>) -> (Vec<Part<H::Home>>, Option<Attempted>) {
        let (mut parts, mut other) = (HashMap::<i32, Part<H::Home>>::new(), None);
        let mut place = 0;
        while other.is_none()
            && let Some(record) = records.pop_front()
        {
            place += 1;
            let addressed = match without_panic(self.homes.address(&record)).await {
                Ok(Some(addressed)) => addressed,
                Ok(None) => {
                    other = Some((record, Ok(Effects::none())));
                    continue;
                }
                Err(error) => {
                    other = Some((record, Err(error)));
                    continue;
                }
            };
            let number = addressed.home;
            if let Some(home) = self.slots.get_mut(&number).and_then(|slot| slot.home.take()) {
                parts.insert(number, Part { number, home, commands: Vec::new() });
            }
            match parts.get_mut(&number) {
                Some(part) => part.commands.push(Command { place, record, command: addressed.command }),
                None => {
                    let forwarded = self.homes.forward(&addressed, &record);
                    other = Some((record, forwarded.map(|it| Effects::of(vec![it]))));
                }
            }
        }
        (parts.into_values().collect(), other)
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
            self.outbox.put(Cause::Home(owner), effects);
        }
    }
}
