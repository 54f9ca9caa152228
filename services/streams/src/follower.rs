//! Keeps one stream running in its live version.
//!
//! A new version takes the place of the old one between two records where it can: same input, same way of sharing records
//! out. Otherwise the member leaves, what is in flight done and committed, and a new one goes on at the group's offsets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use prunella_catalog::Definition;
use prunella_model::{Code, WorkflowRef};
use prunella_stream::{Backoff, Member, MemberConfig, RuntimeSettings, StreamError, sharded, supervise};
use prunella_telemetry::emit;
use prunella_wire::{ValueWriter, WireError};
use prunella_workflow::StreamPlan;

use crate::events::{StreamReplaced, StreamStarted, StreamStopped, StreamUnusable};
use crate::names;
use crate::service::Deps;
use crate::stage::{StreamStage, Version};
use crate::work::Work;

/// Shards of a stream that shares records out by partition: as many partitions as a topic can sensibly have.
const PARTITION_SHARDS: usize = 1024;

pub(crate) struct Follower {
    deps: Deps,
    wanted: watch::Receiver<Arc<Definition>>,
    stop: CancellationToken,
}

/// What happens after a member has left.
enum Next {
    /// Another version is wanted.
    Replace,
    /// Nothing before another version is wanted.
    Rest,
}

impl Follower {
    pub(crate) fn new(deps: Deps, wanted: watch::Receiver<Arc<Definition>>, stop: CancellationToken) -> Self {
        Self { deps, wanted, stop }
    }

    pub(crate) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let definition = self.wanted.borrow_and_update().clone();
            let next = match self.prepare(&definition).await {
                Some(version) if version.work.plan().stream().paused => {
                    emit(StreamStopped { at: &definition.at, reason: "paused" });
                    Next::Rest
                }
                Some(version) => self.run_version(version).await,
                None => Next::Rest,
            };
            if matches!(next, Next::Rest) && !self.replaced().await {
                return;
            }
        }
    }

    /// Waits for another version; false when there will be none because the process stops.
    async fn replaced(&mut self) -> bool {
        tokio::select! {
            changed = self.wanted.changed() => changed.is_ok(),
            () = self.stop.cancelled() => false,
        }
    }

    /// Makes `definition` ready, asking the registry as long as it takes. `None` when it cannot run, or no longer has to.
    async fn prepare(&mut self, definition: &Definition) -> Option<Arc<Version>> {
        let at = &definition.at;
        let plan = match definition.stream_plan() {
            Ok(plan) => plan,
            Err(reason) => {
                emit(StreamUnusable { at, code: Code::WorkflowUnknown, reason: &reason, wait: None });
                return None;
            }
        };
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut failures = 0;
        loop {
            let error = match self.writer(at, &plan).await {
                Ok(writer) => return Some(self.version(at.clone(), plan, writer)),
                Err(error) => error,
            };
            failures += 1;
            let wait = backoff.delay(failures);
            let (code, reason) = (error.code(), error.to_string());
            emit(StreamUnusable { at, code, reason: &reason, wait: Some(wait) });
            let replaced = tokio::select! {
                () = tokio::time::sleep(wait) => false,
                () = self.stop.cancelled() => return None,
                changed = self.wanted.changed() => changed.is_ok(),
            };
            if replaced {
                // Left to be seen by whoever asks next.
                self.wanted.mark_changed();
                return None;
            }
        }
    }

    async fn writer(&self, at: &WorkflowRef, plan: &StreamPlan) -> Result<Option<Arc<ValueWriter>>, WireError> {
        let topic = names::output_topic(&self.deps.platform.topics, &at.workspace, plan.stream());
        match names::output_subject(plan.stream(), &topic) {
            Some((subject, schema)) => Ok(Some(Arc::new(self.deps.schemas.writer(&subject, &schema).await?))),
            None => Ok(None),
        }
    }

    fn version(&self, at: WorkflowRef, plan: Arc<StreamPlan>, writer: Option<Arc<ValueWriter>>) -> Arc<Version> {
        let topic = names::output_topic(&self.deps.platform.topics, &at.workspace, plan.stream());
        let work = Work::new(plan, self.deps.schemas.clone(), writer, self.deps.limits.clone());
        Arc::new(Version { name: Bytes::from(at.to_string()), at, output_topic: topic.into(), work })
    }

    /// Runs `version` and those that can take its place, until the process stops or a version needs a new member.
    async fn run_version(&mut self, version: Arc<Version>) -> Next {
        let stop = self.stop.child_token();
        let (current, versions) = watch::channel(version);
        let member = tokio::spawn(run_member(self.deps.clone(), versions, stop.clone()));
        tokio::pin!(member);
        let next = loop {
            tokio::select! {
                // The supervisor gave up: a wrong configuration, which a new version may mend.
                _ = &mut member => return Next::Rest,
                changed = self.wanted.changed() => if changed.is_err() { break Next::Rest },
                () = self.stop.cancelled() => break Next::Rest,
            }
            let definition = self.wanted.borrow_and_update().clone();
            let running = current.borrow().clone();
            let Some(version) = self.prepare(&definition).await else {
                break if definition.stream_plan().is_ok() { Next::Replace } else { Next::Rest };
            };
            let (old, new) = (running.work.plan().stream(), version.work.plan().stream());
            if new.paused || old.input != new.input {
                break Next::Replace;
            }
            let same_lanes = running.holds() == version.holds();
            emit(StreamReplaced { at: &version.at });
            // Also before a new member takes over: the old one may hold a record that this version takes.
            current.send_replace(version);
            if !same_lanes {
                break Next::Replace;
            }
        };
        stop.cancel();
        // A panic of the member has been printed; a new one starts like after a crash.
        let _ = member.await;
        next
    }
}

async fn run_member(deps: Deps, versions: watch::Receiver<Arc<Version>>, stop: CancellationToken) {
    let version = versions.borrow().clone();
    let at = version.at.clone();
    let stage_name = names::stage(&at.workspace, &at.workflow);
    let result =
        supervise(&stage_name, &stop, || join_and_run(&deps, &stage_name, versions.clone(), stop.clone())).await;
    match result {
        Err(error) if !stop.is_cancelled() => {
            emit(StreamUnusable { at: &at, code: error.code(), reason: &error.to_string(), wait: None });
        }
        _ => emit(StreamStopped { at: &at, reason: "left its group" }),
    }
}

/// The one place where a stream meets the runtime.
async fn join_and_run(
    deps: &Deps,
    stage_name: &str,
    versions: watch::Receiver<Arc<Version>>,
    stop: CancellationToken,
) -> Result<(), StreamError> {
    let platform = &deps.platform;
    let version = versions.borrow().clone();
    let at = &version.at;
    let input = version.work.plan().stream().input.topic.to_string();
    let group = names::group(&platform.topics, &at.workspace, &at.workflow);
    let shards = if version.holds() { PARTITION_SHARDS } else { platform.runtime.shards };
    let guarantee = platform.processing.guarantee.streams;
    let config = platform.member(stage_name, guarantee, vec![input.clone()], Vec::new());
    let runtime = RuntimeSettings { shards, ..config.runtime.clone() };
    let member = Member::join(MemberConfig { runtime, ..config })?;
    emit(StreamStarted { at, group: &group, input: &input, output: &version.output_topic });
    let dead_letters: Arc<str> = platform.topics.deadletter(&at.workspace, &at.workflow).into();
    drop(version);
    let schemas = deps.schemas.clone();
    let workbench = platform.workbench.clone();
    let stage = StreamStage::new(stage_name.to_owned(), group, dead_letters.clone(), schemas, workbench, versions);
    let stage = Arc::new(stage);
    sharded::run(member, stage, dead_letters, stop).await
}
