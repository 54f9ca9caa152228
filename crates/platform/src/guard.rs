//! A step most of whose items go to the dead letters is paused: a source has changed, and going on would only pour it out.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use prunella_model::{Code, Period, StepId, WorkflowRef};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, Output};
use prunella_telemetry::{Event, emit, metrics};
use prunella_wire::Codec;
use prunella_wire::records::{StepPause, StepRef};

/// When a step is paused whose items go to the dead letters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct GuardSettings {
    /// Percent of a step's items that may go to the dead letters; at more it is paused. 100 never pauses.
    pub share: u8,
    /// Items of a step that a process has to have seen before it judges.
    pub least_items: u64,
    /// How long a paused step waits before it goes on by itself.
    pub pause: Period,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self { share: 80, least_items: 500, pause: Period::from_secs(600) }
    }
}

/// Items of a step in a process, the older half counting less and less.
#[derive(Debug, Default, Clone, Copy)]
struct Window {
    items: u64,
    dead: u64,
}

impl Window {
    /// Takes a batch in; gives the percentage of dead items if it is too much.
    fn note(&mut self, items: u64, dead: u64, settings: &GuardSettings) -> Option<u64> {
        self.items += items;
        self.dead += dead;
        if self.items < settings.least_items.max(1) {
            return None;
        }
        let percent = self.dead * 100 / self.items;
        if self.items >= settings.least_items.saturating_mul(2) {
            (self.items, self.dead) = (self.items / 2, self.dead / 2);
        }
        (percent > u64::from(settings.share)).then_some(percent)
    }
}

type Step = (WorkflowRef, StepId);

/// What this process knows of paused steps. Processes tell each other on `stage.control`.
pub struct Guard {
    settings: GuardSettings,
    windows: Mutex<HashMap<Step, Window>>,
    /// Until when, in milliseconds since the epoch.
    paused: watch::Sender<HashMap<Step, i64>>,
    output: Output,
    codec: Arc<Codec>,
    control: Arc<str>,
}

impl Guard {
    pub fn new(settings: GuardSettings, output: Output, codec: Arc<Codec>, control: impl Into<Arc<str>>) -> Arc<Self> {
        let (windows, paused) = (Mutex::default(), watch::Sender::default());
        Arc::new(Self { settings, windows, paused, output, codec, control: control.into() })
    }

    /// A batch of `at` is judged: `dead` of its `items` go to the dead letters.
    pub async fn note(&self, at: &StepRef, items: u64, dead: u64) {
        if self.settings.share >= 100 {
            return;
        }
        let step = (at.workflow_ref(), at.step.clone());
        let percent = {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.entry(step.clone()).or_default().note(items, dead, &self.settings)
        };
        let Some(percent) = percent.filter(|_| !self.is_paused(at)) else { return };
        let now = now_millis();
        let pause = StepPause {
            workspace: at.workspace.clone(),
            workflow: at.workflow.clone(),
            version: at.version,
            step: at.step.clone(),
            until: now.saturating_add(self.settings.pause.millis()),
            reason: format!("{percent} % of its items go to the dead letters, the limit is {} %", self.settings.share),
            at: now,
        };
        self.hear(&pause);
        match pause_record(&self.codec, &self.control, &pause) {
            // A notice that is lost costs the others what they find out by themselves.
            Ok(record) => self.output.send(vec![record], |_| ()).await,
            Err(error) => tracing::warn!(%error, "other processes are not told of a paused step"),
        }
    }

    /// What a process says of a step, this one or another.
    pub(crate) fn hear(&self, pause: &StepPause) {
        let at = WorkflowRef {
            workspace: pause.workspace.clone(),
            workflow: pause.workflow.clone(),
            version: pause.version,
        };
        let step = (at, pause.step.clone());
        let goes_on = pause.until <= now_millis();
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(&step);
        let changed = self.paused.send_if_modified(|paused| {
            if goes_on { paused.remove(&step).is_some() } else { paused.insert(step.clone(), pause.until).is_none() }
        });
        if changed {
            emit(StepPaused { step: &step, goes_on, reason: &pause.reason });
        }
    }

    pub fn is_paused(&self, at: &StepRef) -> bool {
        let paused = self.paused.borrow();
        let until = if paused.is_empty() { None } else { paused.get(&(at.workflow_ref(), at.step.clone())) };
        until.is_some_and(|until| *until > now_millis())
    }

    /// Waits until the step is not paused.
    pub async fn flowing(&self, at: &StepRef) {
        let step = (at.workflow_ref(), at.step.clone());
        let mut changes = self.paused.subscribe();
        loop {
            let Some(until) = changes.borrow_and_update().get(&step).copied() else { return };
            let left = u64::try_from(until.saturating_sub(now_millis())).unwrap_or(0);
            if left == 0 {
                return self.time_is_up(&step, until);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left)) => {}
                changed = changes.changed() => if changed.is_err() { pending::<()>().await },
            }
        }
    }

    fn time_is_up(&self, step: &Step, until: i64) {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).remove(step);
        let changed = self.paused.send_if_modified(|paused| {
            paused.get(step).is_some_and(|other| *other == until) && paused.remove(step).is_some()
        });
        if changed {
            emit(StepPaused { step, goes_on: true, reason: "its time is up" });
        }
    }
}

/// The record that tells every process of a pause, or of its end.
///
/// # Errors
/// [`prunella_wire::WireError`] when it cannot be encoded.
pub fn pause_record(codec: &Codec, control: &str, pause: &StepPause) -> Result<OutRecord, prunella_wire::WireError> {
    let key = format!("{}/{}/{}", pause.workspace, pause.workflow, pause.step);
    Ok(OutRecord::new(control, key, codec.encode(control, pause)?))
}

struct StepPaused<'a> {
    step: &'a Step,
    goes_on: bool,
    reason: &'a str,
}

impl Event for StepPaused<'_> {
    fn emit(self) {
        let (workflow, step) = self.step;
        let labels = [workflow.workspace.as_str(), workflow.workflow.as_str(), step.as_str()];
        metrics::PAUSED_STEPS.with_label_values(&labels).set(i64::from(!self.goes_on));
        if self.goes_on {
            tracing::info!(%workflow, %step, reason = self.reason, "a paused step goes on");
        } else {
            tracing::error!(code = Code::StepPaused.id(), %workflow, %step, reason = self.reason, "step paused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(share: u8) -> GuardSettings {
        GuardSettings { share, least_items: 10, pause: Period::from_secs(1) }
    }

    #[test]
    fn a_step_is_judged_once_enough_is_known_and_by_what_came_lately() {
        let (mut window, settings) = (Window::default(), settings(50));
        assert_eq!(window.note(9, 9, &settings), None, "too little to judge");
        assert_eq!(window.note(1, 0, &settings), Some(90));
        for _ in 0..6 {
            window.note(10, 0, &settings);
        }
        assert_eq!(window.note(10, 0, &settings), None, "it has become better");
        let judged: Vec<_> = (0..8).map(|_| window.note(10, 10, &settings).is_some()).collect();
        assert!(!judged[0] && judged[7], "it becomes worse: {judged:?}");
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let mut window = Window::default();
        assert_eq!(window.note(10, 5, &settings(50)), None);
        assert_eq!(window.note(10, 10, &settings(100)), None);
    }
}
