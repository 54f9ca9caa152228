//! What the acts of the demo have in common: they start runs, wait for what becomes of them, and tell it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use prunella_catalog::MappingHistory;
use prunella_model::{MappingKey, RunId, TextHash, WorkflowName, WorkspaceName};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, Tail, TailFrom, Tailed, TailedRecord};
use prunella_testkit::source::ShopHandle;
use prunella_wire::records::{MappingCommand, RunState, RunStatus};

use crate::commands::{Context, Trigger, actor, send_trigger};
use crate::demo::files;
use crate::failure::{Exit, Failure};
use crate::print::Progress;
use crate::process::Process;

/// Longest time for anything that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Stage<'a> {
    pub context: &'a Context,
    pub workspace: &'a WorkspaceName,
    pub process: &'a Process,
    pub shop: &'a ShopHandle,
}

impl Stage<'_> {
    /// Prints, unless programs read the output.
    pub fn say(&self, text: impl std::fmt::Display) {
        if !self.context.json {
            println!("{text}");
        }
    }

    pub fn progress(&self, text: &str) -> Progress {
        Progress::start(self.context.json, text)
    }

    /// Starts a run with a record on the trigger topic.
    pub async fn start(&self, workflow: &WorkflowName) -> Result<RunId, Failure> {
        let payload = Bytes::from(json!({ "shop": self.shop.base_url() }).to_string());
        let trigger = Trigger { workflow: workflow.clone(), payload, key: None, idempotency_key: None };
        send_trigger(&self.process.platform.output, &self.process.topology, self.workspace, trigger).await
    }

    /// Starts `count` runs, one `every` so often, whatever becomes of them.
    pub async fn start_many(
        &self,
        workflow: &WorkflowName,
        count: usize,
        every: Duration,
    ) -> Result<BTreeSet<RunId>, Failure> {
        let mut turn = tokio::time::interval(every);
        let mut runs = BTreeSet::new();
        for _ in 0..count {
            turn.tick().await;
            runs.insert(self.start(workflow).await?);
        }
        Ok(runs)
    }

    /// Waits until all `runs` have succeeded.
    pub async fn succeeded(&self, runs: &BTreeSet<RunId>) -> Result<(), Failure> {
        let platform = &self.process.platform;
        let mut tail = Tail::start(&platform.kafka, &platform.topics.state_runs(), TailFrom::Beginning).await?;
        let mut open = runs.clone();
        let all = async {
            while !open.is_empty() {
                let record = next(&mut tail).await?;
                let Some(run) = key_of(&record).parse::<RunId>().ok().filter(|run| open.contains(run)) else {
                    continue;
                };
                let state: RunState = platform.codec.decode(&record.value.unwrap_or_default()).await?;
                if state.status.is_terminal() && state.status != RunStatus::Succeeded {
                    let message = format!("run {run} is {}", state.status.as_str());
                    return Err(Failure::plain(Exit::RunNotSucceeded, message));
                }
                if state.status.is_terminal() {
                    open.remove(&run);
                }
            }
            Ok(())
        };
        in_time("the end of the runs", all).await
    }

    /// Waits until something of all `runs` waits for its mapping.
    pub async fn parked(&self, runs: &BTreeSet<RunId>) -> Result<(), Failure> {
        let platform = &self.process.platform;
        let mut tail = Tail::start(&platform.kafka, &platform.topics.state_parked(), TailFrom::Beginning).await?;
        let mut open = runs.clone();
        let all = async {
            while !open.is_empty() {
                let record = next(&mut tail).await?;
                open.retain(|run| !key_of(&record).contains(run.as_str()));
            }
            Ok(())
        };
        in_time("the records that wait", all).await
    }

    /// The mapping that is healed, and the author's text of it.
    pub fn mapping(&self) -> Result<(MappingKey, TextHash, String), Failure> {
        let (workflow, step) = files::sales();
        let unknown = || Failure::plain(Exit::Failed, format!("{workflow}/{step} has no mapping that may be healed"));
        let live = self.process.platform.catalog.live(self.workspace, &workflow).ok_or_else(unknown)?;
        let plan = live.plan().map_err(|reason| Failure::plain(Exit::Failed, reason))?;
        let healing = plan.step(&step).and_then(|step| step.healing.as_ref()).ok_or_else(unknown)?;
        let schema = healing.schema_hash.clone();
        let key =
            MappingKey { workspace: self.workspace.clone(), workflow: workflow.clone(), step: step.clone(), schema };
        Ok((key, healing.base.clone(), healing.text.to_string()))
    }

    /// Asks the healer, as `prunella mappings` does.
    pub async fn ask(
        &self,
        mapping: &MappingKey,
        (command, version): (&str, i32),
        text: Option<String>,
        reason: &str,
    ) -> Result<(), Failure> {
        let platform = &self.process.platform;
        let now = now_millis();
        let command = MappingCommand {
            mapping: mapping.clone(),
            id: format!("demo-{command}-{now}"),
            command: command.to_owned(),
            version,
            text,
            actor: actor(),
            reason: reason.to_owned(),
            asked_at: now,
            base: None,
            in_use: None,
        };
        let topic = platform.topics.stage_heal();
        let value = platform.codec.encode(&topic, &command)?;
        platform.output.deliver(vec![OutRecord::new(topic, mapping.to_string(), value)]).await?;
        Ok(())
    }

    /// Waits until the history of the mapping shows what is looked for.
    pub async fn shown<T>(
        &self,
        mapping: &MappingKey,
        what: &str,
        wanted: impl Fn(&MappingHistory) -> Option<T>,
    ) -> Result<T, Failure> {
        let found = self.process.platform.mappings.wait_for(mapping, PATIENCE, wanted).await;
        found.ok_or_else(|| too_late(what))
    }
}

async fn next(tail: &mut Tail) -> Result<TailedRecord, Failure> {
    loop {
        match tail.next().await {
            Some(Tailed::Record(record)) => return Ok(record),
            Some(Tailed::CaughtUp) => {}
            None => return Err(Failure::plain(Exit::Failed, "a topic cannot be followed any more")),
        }
    }
}

fn key_of(record: &TailedRecord) -> &str {
    record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
}

async fn in_time(what: &str, waited: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| Err(too_late(what)))
}

fn too_late(what: &str) -> Failure {
    let message = format!(
        "{what}: nothing of it within {} s; `PRUNELLA_LOG=info prunella demo` shows what goes on meanwhile",
        PATIENCE.as_secs()
    );
    Failure::plain(Exit::RunNotSucceeded, message)
}
