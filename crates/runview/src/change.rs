//! From records of `state.runs` and `log.runs` to changes of the view.

use prunella_model::{RunId, StepId};
use prunella_stream::TailedRecord;
use prunella_wire::records::{RunEvent, RunState, StepState};
use prunella_wire::{Codec, ControlRecord, WireError};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Run(Box<RunState>),
    RunGone(RunId),
    Step(Box<StepState>),
    StepGone(RunId, StepId),
    Event { partition: i32, offset: i64, event: Box<RunEvent> },
}

impl Change {
    pub(crate) fn run(&self) -> &RunId {
        match self {
            Self::Run(state) => &state.run,
            Self::Step(step) => &step.run,
            Self::Event { event, .. } => &event.run,
            Self::RunGone(run) | Self::StepGone(run, _) => run,
        }
    }
}

/// Why a record changes nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("{0}")]
    Key(String),
}

/// What the key of a record of `state.runs` says it is about.
#[derive(Debug, PartialEq, Eq)]
enum StateKey {
    Run(RunId),
    Step(RunId, StepId),
    /// The trigger's value or the output of a step: not part of the view.
    Payload,
}

impl StateKey {
    fn parse(key: Option<&[u8]>) -> Result<Self, Unreadable> {
        let text = key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
        let foreign = || {
            Unreadable::Key(format!("its key {text:?} is not <run>, <run>/<step> or <run>/<step>/<attempt>/<batch>"))
        };
        let mut parts = text.split('/');
        let run = parts.next().and_then(|part| part.parse().ok()).ok_or_else(foreign)?;
        let rest: Vec<&str> = parts.collect();
        match rest.as_slice() {
            [] => Ok(Self::Run(run)),
            ["@trigger"] | [_, _, _] => Ok(Self::Payload),
            [step] => Ok(Self::Step(run, step.parse().map_err(|_| foreign())?)),
            _ => Err(foreign()),
        }
    }
}

/// `None` for what the view does not keep.
pub(crate) async fn change_of_state(codec: &Codec, record: &TailedRecord) -> Result<Option<Change>, Unreadable> {
    let key = StateKey::parse(record.key.as_deref())?;
    let Some(value) = record.value.as_deref() else {
        return Ok(match key {
            StateKey::Run(run) => Some(Change::RunGone(run)),
            StateKey::Step(run, step) => Some(Change::StepGone(run, step)),
            StateKey::Payload => None,
        });
    };
    match key {
        StateKey::Run(run) => {
            let state: RunState = read(codec, value).await?;
            if state.run != run {
                return Err(Unreadable::Key(format!("its key names run {run}, its value run {}", state.run)));
            }
            Ok(Some(Change::Run(Box::new(state))))
        }
        StateKey::Step(run, step) => {
            let state: StepState = read(codec, value).await?;
            if state.run != run || state.step != step {
                return Err(Unreadable::Key(format!(
                    "its key names step {run}/{step}, its value {}/{}",
                    state.run, state.step
                )));
            }
            Ok(Some(Change::Step(Box::new(state))))
        }
        StateKey::Payload => Ok(None),
    }
}

/// `None` for records of types that a later release writes.
pub(crate) async fn change_of_log(codec: &Codec, record: &TailedRecord) -> Result<Option<Change>, Unreadable> {
    let Some(value) = record.value.as_deref() else { return Ok(None) };
    let opened = codec.open(value).await?;
    if !opened.is::<RunEvent>() {
        return Ok(None);
    }
    let event = Box::new(opened.read::<RunEvent>()?);
    Ok(Some(Change::Event { partition: record.partition, offset: record.offset, event }))
}

async fn read<T: ControlRecord>(codec: &Codec, value: &[u8]) -> Result<T, Unreadable> {
    Ok(codec.decode(value).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn keys_say_what_a_record_is_about() {
        let run: RunId = RUN.parse().expect("valid");
        let parse = |text: &str| StateKey::parse(Some(text.as_bytes()));
        assert_eq!(parse(RUN).expect("a run"), StateKey::Run(run.clone()));
        let step = StateKey::Step(run, "fetch".parse().expect("valid"));
        assert_eq!(parse(&format!("{RUN}/fetch")).expect("a step"), step);
        assert_eq!(parse(&format!("{RUN}/@trigger")).expect("a trigger"), StateKey::Payload);
        assert_eq!(parse(&format!("{RUN}/fetch/1/7")).expect("an output"), StateKey::Payload);
        for bad in ["", "orders", &format!("{RUN}/Fetch"), &format!("{RUN}/fetch/1")] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(StateKey::parse(None).is_err());
    }
}
