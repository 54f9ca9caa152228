//! The processes of a round, started again whenever they end, as a cluster manager would.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Installation, Prunella};

use crate::plan::{Plan, SLOTS};
use crate::timeline::Timeline;

const SERVICES: [&str; 5] = ["orchestrator", "extractor", "transformer", "validator", "streams"];
const PAUSE_BEFORE_RESTART: Duration = Duration::from_millis(300);
/// A moment before the process would end itself, with the drain timeout of a round.
const LONGEST_LEAVE: Duration = Duration::from_secs(13);

pub(crate) struct Members {
    installation: Arc<Installation>,
    timeline: Arc<Timeline>,
    armed: std::vec::IntoIter<String>,
    sabotage: Option<&'static str>,
    slots: [Slot; SLOTS],
    pub(crate) starts: usize,
}

#[derive(Default)]
struct Slot {
    wanted: bool,
    process: Option<Prunella>,
    ended: Option<Instant>,
}

impl Members {
    pub(crate) fn new(installation: Arc<Installation>, timeline: Arc<Timeline>, plan: &Plan) -> Self {
        Self {
            installation,
            timeline,
            armed: plan.armed.clone().into_iter(),
            sabotage: plan.sabotage,
            slots: Default::default(),
            starts: 0,
        }
    }

    pub(crate) fn clock_file(installation: &Installation) -> std::path::PathBuf {
        installation.directory().join("clock")
    }

    fn start(&mut self, slot: usize, arm: bool) {
        let armed = if arm { self.armed.next().unwrap_or_default() } else { String::new() };
        let environment = [
            ("PRUNELLA__PROCESSING__TRANSACTIONS__SLOT", slot.to_string()),
            ("PRUNELLA_CHAOS", armed.clone()),
            ("PRUNELLA_SABOTAGE", self.sabotage.unwrap_or_default().to_owned()),
            ("PRUNELLA_CLOCK", Self::clock_file(&self.installation).display().to_string()),
        ];
        let process = self.installation.launch(&SERVICES, &environment);
        self.timeline.note(format!("process {slot} starts, pid {}, {}", process.pid(), or_nothing(&armed)));
        self.slots[slot] = Slot { wanted: true, process: Some(process), ended: None };
        self.starts += 1;
    }

    /// Starts what is wanted and not there.
    pub(crate) fn tend(&mut self, arm: bool) {
        for slot in 0..SLOTS {
            let state = &mut self.slots[slot];
            if let Some(process) = &mut state.process
                && let Some(status) = process.try_wait()
            {
                let last = last_words(&process.log());
                self.timeline.note(format!("process {slot} ended with {status}{last}"));
                state.process = None;
                state.ended = Some(Instant::now());
            }
            let rested = state.ended.is_none_or(|ended| ended.elapsed() > PAUSE_BEFORE_RESTART);
            if state.wanted && state.process.is_none() && rested {
                self.start(slot, arm);
            }
        }
    }

    pub(crate) fn want(&mut self, slot: usize) {
        self.slots[slot].wanted = true;
    }

    pub(crate) fn kill(&mut self, slot: usize) {
        if let Some(process) = self.slots[slot].process.take() {
            process.kill();
            self.slots[slot].ended = Some(Instant::now());
        }
    }

    /// SIGTERM. Whoever does not end by itself in time is a finding, even if it would end itself a moment later.
    pub(crate) fn leave(&mut self, slot: usize) -> Option<String> {
        let process = self.slots[slot].process.take()?;
        self.slots[slot].wanted = false;
        let began = Instant::now();
        process.ask_to_end();
        let mut process = process;
        while began.elapsed() < LONGEST_LEAVE {
            if process.try_wait().is_some() {
                self.timeline.note(format!("process {slot} left after {} ms", began.elapsed().as_millis()));
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let stacks = stacks_of(process.pid());
        Some(format!("process {slot} did not end within {} s of SIGTERM\n{stacks}", LONGEST_LEAVE.as_secs()))
    }

    pub(crate) fn with(&self, slot: usize, act: impl FnOnce(&Prunella)) {
        if let Some(process) = &self.slots[slot].process {
            act(process);
        }
    }
}

/// What the threads of a process that hangs are doing, as far as a debugger is there to tell.
fn stacks_of(pid: u32) -> String {
    let all = ["-batch", "-ex", "set pagination off", "-ex", "thread apply all backtrace 30", "-p"];
    let gdb = Command::new("gdb").args(all).arg(pid.to_string()).output();
    match gdb {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("no gdb to look at its threads with: {error}"),
    }
}

fn or_nothing(armed: &str) -> &str {
    if armed.is_empty() { "unarmed" } else { armed }
}

/// The last error of a log, if there is one.
fn last_words(log: &str) -> String {
    let error = log.lines().rev().find(|line| line.contains("\"error\"") || line.contains("ERROR"));
    error.map_or_else(String::new, |line| format!(": {}", line.chars().take(300).collect::<String>()))
}
