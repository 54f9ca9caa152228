//! Read from the environment: `PRUNELLA_CHAOS` is a list of `action@stage:point:nth`, separated by commas. Actions are
//! `kill`, `kill+<microseconds>`, `freeze+<milliseconds>` and `sleep+<milliseconds>`; stage may be `any`; nth may be `every-<n>`.
//! `PRUNELLA_SABOTAGE` is the name of a promise to break. `PRUNELLA_CLOCK` is a file with the milliseconds that the clock is
//! ahead, read again as it changes.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rustix::process::{Signal, getpid, kill_process};

use super::{Point, Sabotage};

/// How old what is known of the clock's file may be.
const CLOCK_AGE: Duration = Duration::from_millis(20);

#[derive(Debug)]
enum Action {
    Kill { after: Duration },
    Freeze(Duration),
    Sleep(Duration),
}

#[derive(Debug)]
struct Fault {
    action: Action,
    stage: String,
    point: String,
    nth: u64,
    again: bool,
    reached: AtomicU64,
}

impl Fault {
    fn parse(text: &str) -> Option<Self> {
        let (action, place) = text.split_once('@')?;
        let (name, amount) = action.split_once('+').unwrap_or((action, "0"));
        let amount: u64 = amount.parse().ok()?;
        let mut place = place.split(':');
        let (stage, point, nth) = (place.next()?.to_owned(), place.next()?.to_owned(), place.next()?);
        let again = nth.strip_prefix("every-");
        Some(Self {
            action: match name {
                "kill" => Action::Kill { after: Duration::from_micros(amount) },
                "freeze" => Action::Freeze(Duration::from_millis(amount)),
                "sleep" => Action::Sleep(Duration::from_millis(amount)),
                _ => return None,
            },
            stage,
            point,
            nth: again.unwrap_or(nth).parse().ok().filter(|nth| *nth > 0)?,
            again: again.is_some(),
            reached: AtomicU64::new(0),
        })
    }

    fn is_due(&self, stage: &str, point: Point) -> bool {
        if self.point != point.as_str() || (self.stage != "any" && self.stage != stage) {
            return false;
        }
        let reached = self.reached.fetch_add(1, Ordering::Relaxed) + 1;
        if self.again { reached.is_multiple_of(self.nth) } else { reached == self.nth }
    }
}

static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    let text = std::env::var("PRUNELLA_CHAOS").unwrap_or_default();
    let parse = |text: &str| {
        let fault = Fault::parse(text);
        assert!(fault.is_some(), "PRUNELLA_CHAOS: {text:?} is not a fault");
        fault
    };
    text.split(',').filter(|text| !text.is_empty()).filter_map(parse).collect()
});

static SABOTAGE: LazyLock<String> = LazyLock::new(|| std::env::var("PRUNELLA_SABOTAGE").unwrap_or_default());

/// This point of `stage` is reached: whatever was asked for happens here.
pub fn at(stage: &str, point: Point) {
    for fault in FAULTS.iter().filter(|fault| fault.is_due(stage, point)) {
        tracing::info!(stage, point = point.as_str(), action = ?fault.action, "chaos");
        match fault.action {
            Action::Sleep(time) => std::thread::sleep(time),
            Action::Freeze(time) => freeze(time),
            Action::Kill { after } if after.is_zero() => end(),
            Action::Kill { after } => {
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    end();
                });
            }
        }
    }
}

/// As if somebody had sent it.
fn end() {
    let killed = kill_process(getpid(), Signal::KILL);
    tracing::error!(?killed, "this process is still there");
}

/// Stops all threads; somebody else has to wake them.
fn freeze(time: Duration) {
    let script = format!("sleep {}; kill -CONT {}", time.as_secs_f64(), getpid().as_raw_pid());
    let mut waker = Command::new("sh");
    waker.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match waker.spawn() {
        Ok(mut waker) => {
            let stopped = kill_process(getpid(), Signal::STOP);
            let woken = waker.wait();
            tracing::info!(?stopped, ?woken, "going on after a freeze");
        }
        Err(error) => tracing::error!(%error, "not frozen: nobody would wake us"),
    }
}

pub(crate) fn sabotaged(what: Sabotage) -> bool {
    let name = match what {
        Sabotage::CommitEarly => "commit-early",
        Sabotage::SkipCommit => "skip-commit",
        Sabotage::LoseProduce => "lose-produce",
        Sabotage::LoseDeadLetters => "lose-dead-letters",
        Sabotage::KeepLateOutcomes => "keep-late-outcomes",
        Sabotage::DropGeneration => "drop-generation",
        Sabotage::RestoreUncommitted => "restore-uncommitted",
        Sabotage::MixLanes => "mix-lanes",
    };
    *SABOTAGE == name
}

/// What a client says of itself that is in no group: Kafka has nothing to check.
pub(crate) fn nobody(group: &str) -> Option<ConsumerGroupMetadata> {
    if !sabotaged(Sabotage::DropGeneration) {
        return None;
    }
    let stranger: BaseConsumer = ClientConfig::new().set("group.id", group).create().ok()?;
    stranger.group_metadata()
}

/// How many milliseconds the clock of this process is ahead.
pub(crate) fn clock_offset() -> i64 {
    static FILE: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("PRUNELLA_CLOCK").map(PathBuf::from));
    static READ_AT: Mutex<Option<Instant>> = Mutex::new(None);
    static OFFSET: AtomicI64 = AtomicI64::new(0);
    let Some(file) = &*FILE else { return 0 };
    let mut read_at = READ_AT.lock().unwrap_or_else(PoisonError::into_inner);
    if read_at.is_none_or(|at| at.elapsed() > CLOCK_AGE) {
        *read_at = Some(Instant::now());
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Ok(offset) = text.trim().parse() {
            OFFSET.store(offset, Ordering::Relaxed);
        }
    }
    OFFSET.load(Ordering::Relaxed)
}
