//! From a seed to what goes wrong when.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Processes that may run at once; each has a slot of its own.
pub(crate) const SLOTS: usize = 3;
const BROKERS: usize = 3;
const FAULTS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Network {
    Delay(Duration),
    Limit(u32),
    Silence,
    SilenceThenCut,
    Close,
    Cut,
}

#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing but what processes were armed with.
    Wait(Duration),
    Kill {
        slot: usize,
    },
    Freeze {
        slot: usize,
        time: Duration,
    },
    /// One more process, or one less by SIGTERM.
    Join {
        slot: usize,
    },
    Leave {
        slot: usize,
    },
    /// SIGTERM and a new start, one process after the other.
    RollProcesses,
    Network {
        node: usize,
        how: Network,
        time: Duration,
    },
    KillBroker {
        node: usize,
        away: Duration,
    },
    FreezeBroker {
        node: usize,
        time: Duration,
    },
    /// An orderly restart of one broker after the other.
    RollBrokers,
    /// The clock of all processes is this much ahead from now on.
    Clock {
        seconds: i64,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) placement: &'static str,
    pub(crate) guarantee: &'static str,
    /// What each start of a process is armed with, one after another: `PRUNELLA_CHAOS`.
    pub(crate) armed: Vec<String>,
    pub(crate) faults: Vec<Fault>,
    /// `PRUNELLA_SABOTAGE`.
    pub(crate) sabotage: Option<&'static str>,
    pub(crate) drain_timeout: &'static str,
    /// The longest time without any progress when the last fault is over.
    pub(crate) patience: Duration,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let guarantee = if dice.random_ratio(1, 4) { "at-least-once" } else { "exactly-once" };
        let placement = if dice.random_ratio(1, 2) { "staged" } else { "fused" };
        let mut faults: Vec<Fault> = (0..FAULTS).map(|_| fault(&mut dice)).collect();
        faults.push(Fault::Clock { seconds: 0 });
        let armed = (0..40).map(|_| armed(&mut dice, guarantee)).collect();
        Self { seed, placement, guarantee, armed, faults, sabotage: None, drain_timeout: "3s", patience: PATIENCE }
    }

    pub(crate) fn is_exactly_once(&self) -> bool {
        self.guarantee == "exactly-once"
    }
}

fn pick<'a, T: ?Sized>(dice: &mut StdRng, from: &[&'a T]) -> &'a T {
    from[dice.random_range(0..from.len())]
}

fn millis(dice: &mut StdRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(dice.random_range(from..to))
}

fn fault(dice: &mut StdRng) -> Fault {
    let (slot, node) = (dice.random_range(0..SLOTS), dice.random_range(0..BROKERS));
    match dice.random_range(0..20) {
        0..2 => Fault::Wait(millis(dice, 1000, 4000)),
        2..4 => Fault::Kill { slot },
        4..6 => Fault::Freeze { slot, time: millis(dice, 500, 7000) },
        6..8 => Fault::Join { slot: SLOTS - 1 },
        8 => Fault::Leave { slot: SLOTS - 1 },
        9 => Fault::RollProcesses,
        10..15 => {
            let how = match dice.random_range(0..6) {
                0 => Network::Delay(millis(dice, 20, 300)),
                1 => Network::Limit(dice.random_range(20_000..200_000)),
                2 => Network::Silence,
                3 => Network::SilenceThenCut,
                4 => Network::Close,
                _ => Network::Cut,
            };
            Fault::Network { node, how, time: millis(dice, 500, 6000) }
        }
        15..17 => Fault::KillBroker { node, away: millis(dice, 200, 5000) },
        17 => Fault::FreezeBroker { node, time: millis(dice, 500, 5000) },
        18 => Fault::RollBrokers,
        _ => Fault::Clock { seconds: dice.random_range(-120..=120) },
    }
}

/// Every second start comes with something that happens to it by itself.
fn armed(dice: &mut StdRng, guarantee: &str) -> String {
    if dice.random_ratio(1, 2) {
        return String::new();
    }
    let (point, most) = match dice.random_range(0..10) {
        0 => ("restoring", 4),
        1 => ("assigned", 8),
        2 => ("revoked", 3),
        3 => (pick(dice, &["draining", "leaving"]), 2),
        4 => ("decided", 60),
        _ if guarantee == "exactly-once" => {
            (pick(dice, &["begun", "written", "offsets-sent", "ending", "committed"]), 40)
        }
        _ => (pick(dice, &["delivered", "committing"]), 40),
    };
    let stage = match point {
        "restoring" | "assigned" | "revoked" | "draining" | "leaving" => "any",
        _ => pick(dice, &["any", "orchestrator", "extractor", "transformer", "validator"]),
    };
    let action = match dice.random_range(0..6) {
        0 => format!("freeze+{}", dice.random_range(1000..7000)),
        1 => format!("sleep+{}", dice.random_range(100..3000)),
        2 => format!("kill+{}", dice.random_range(50..4000)),
        _ => "kill".to_owned(),
    };
    format!("{action}@{stage}:{point}:{}", dice.random_range(1..=most))
}
