//! Clients that never close, as one that leaves its group while partitions come to it may not (librdkafka#4884).

use std::time::Duration;

use bytes::Bytes;
use prunella_model::{Code, Period};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::homes::{self, Addressed, Effects, Home, HomeSite, Homes, HomesConfig};
use crate::record::OutRecord;
use crate::sharded;
use crate::stage::{Outcome, Stage, StageError};

const PATIENCE: Duration = Duration::from_secs(60);

/// A stage, and homes, of which nothing is asked.
struct Idle;

impl Stage for Idle {
    async fn process(&self, _: &Record) -> Result<Outcome, StageError> {
        Ok(Outcome::nothing())
    }

    async fn given_up(&self, _: &Record, _: &StageError) -> Vec<OutRecord> {
        Vec::new()
    }
}

impl Home for Idle {
    type Command = ();

    async fn apply(&mut self, _: usize, _: &Bytes, _: Option<Bytes>) -> Result<(), String> {
        Ok(())
    }

    async fn restored(&mut self, _: i64) -> Effects {
        Effects::of(Vec::new())
    }

    async fn handle(&mut self, (): (), _: &Record, _: i64) -> Result<Effects, StageError> {
        Ok(Effects::of(Vec::new()))
    }

    fn next_timer(&self) -> Option<i64> {
        None
    }

    async fn on_timer(&mut self, _: i64) -> Effects {
        Effects::of(Vec::new())
    }
}

impl Homes for Idle {
    type Command = ();
    type Home = Idle;

    fn open(&mut self, _: HomeSite) -> Idle {
        Idle
    }

    async fn address(&mut self, _: &Record) -> Result<Option<Addressed<()>>, StageError> {
        Ok(None)
    }

    fn forward(&mut self, _: &Addressed<()>, _: &Record) -> Result<OutRecord, StageError> {
        Err(StageError::new(Code::RecordMalformed, "nothing is forwarded"))
    }

    async fn given_up(&mut self, _: &Record, _: &StageError) -> Vec<OutRecord> {
        Vec::new()
    }
}

/// What a client that does not close keeps: its thread, and the sender of its events.
struct Hanging {
    _events: UnboundedSender<MemberEvent>,
    _thread: Sender<()>,
}

fn hanging() -> (Member, Hanging) {
    let (sender, events) = unbounded_channel();
    let (commands, taken) = channel();
    let (end, ended) = channel::<()>();
    let thread = std::thread::spawn(move || {
        ended.iter().for_each(drop);
        drop(taken);
    });
    let runtime = RuntimeSettings { drain_timeout: Period::from_millis(50), ..RuntimeSettings::default() };
    let handle = MemberHandle { commands, stopping: Arc::default(), stage: "idle".into(), group: "idle".into() };
    let outlet = Outlet::AtLeastOnce(Output::new(&KafkaSettings::default(), "idle").expect("a producer"));
    let member = Member { events, handle, runtime, outlet, thread: Some(thread), deadline: None };
    (member, Hanging { _events: sender, _thread: end })
}

#[tokio::test]
async fn a_stage_ends_though_its_client_does_not() {
    let (member, _client) = hanging();
    let stop = CancellationToken::new();
    let stage = tokio::spawn(sharded::run(member, Arc::new(Idle), "dead".into(), stop.clone()));
    sleep(Duration::from_millis(300)).await;
    assert!(!stage.is_finished(), "nobody has asked it to");
    stop.cancel();
    timeout(PATIENCE, stage).await.expect("it ends").expect("no panic").expect("no error");
}

#[tokio::test]
async fn homes_end_though_their_client_does_not() {
    let (member, _client) = hanging();
    let config = HomesConfig {
        kafka: KafkaSettings::default(),
        home_topic: "homes".into(),
        state_topics: Vec::new(),
        system_dead_letters: "dead".into(),
    };
    let stop = CancellationToken::new();
    let stage = tokio::spawn(homes::run(member, Idle, config, stop.clone()));
    sleep(Duration::from_millis(300)).await;
    assert!(!stage.is_finished(), "nobody has asked them to");
    stop.cancel();
    timeout(PATIENCE, stage).await.expect("they end").expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_thread_that_never_ends_is_left_behind_and_one_that_does_is_joined() {
    let (end, ended) = channel::<()>();
    let hangs = std::thread::spawn(move || ended.iter().for_each(drop));
    assert!(thread_ended(hangs, sleep(Duration::from_millis(30))).await.is_none());
    drop(end);
    let ends = std::thread::spawn(|| {});
    assert!(matches!(thread_ended(ends, sleep(PATIENCE)).await, Some(Ok(()))));
    let panics = std::thread::spawn(|| panic!("as it should"));
    assert!(matches!(thread_ended(panics, sleep(PATIENCE)).await, Some(Err(_))));
}
