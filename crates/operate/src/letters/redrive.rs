//! What a letter becomes when it is sent back to where it came from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prunella_catalog::Definition;
use prunella_model::{Kind, RunId, WorkflowName, WorkspaceName};
use prunella_stream::homes::now_millis;
use prunella_stream::{AssignmentEpoch, OutRecord, Record, TopicPartition};
use prunella_topology::{TopicKind, TopicName};
use prunella_wire::names;
use prunella_wire::records::{StageBatch, StageItem, StepRef};
use prunella_workflow::{Plan, PlannedStep};

use super::context::RunContexts;
use super::headers::{original_headers, redrive_of};
use super::item::item_id;
use super::letter::{Letter, Original};
use crate::desk::Desk;
use crate::error::OperateError;
use crate::mapper::StreamMapper;
use crate::offsets::Offsets;

/// How long a redriven item may wait for its stage: as long as the topics of the stages keep it.
const PATIENCE: i64 = 7 * 86_400_000;

/// Finds the way back of letters, and remembers what it had to look up.
pub(super) struct WayBack<'a> {
    desk: &'a Desk,
    offsets: &'a Offsets,
    mappers: HashMap<(WorkspaceName, WorkflowName), Result<Arc<StreamMapper>, String>>,
    contexts: RunContexts,
}

/// Why a letter cannot go back, for people.
type Reason = String;

impl<'a> WayBack<'a> {
    pub(super) fn new(desk: &'a Desk, offsets: &'a Offsets) -> Self {
        Self { desk, offsets, mappers: HashMap::new(), contexts: RunContexts::default() }
    }

    /// Looks up at once what several letters need of their runs.
    pub(super) async fn prepare(&mut self, letters: &[Letter]) -> Result<(), OperateError> {
        let runs: HashSet<RunId> = letters.iter().filter_map(|letter| self.run_needed(letter)).collect();
        self.contexts = RunContexts::read(self.desk, self.offsets, &runs).await?;
        Ok(())
    }

    fn run_needed(&self, letter: &Letter) -> Option<RunId> {
        let id = item_id(letter.item()?)?;
        let definition = self.live(letter)?;
        let plan = definition.plan().ok()?;
        plan.step(&id.step).is_some_and(reads_context).then_some(id.run)
    }

    fn live(&self, letter: &Letter) -> Option<Arc<Definition>> {
        let topic = self.desk.topics.parse(&letter.place.topic)?;
        let (workspace, workflow) = topic.workflow()?;
        self.desk.catalog.live(workspace, workflow)
    }

    /// What is to be written, or why nothing can be.
    pub(super) async fn of(&mut self, letter: &Letter) -> Result<Result<OutRecord, Reason>, OperateError> {
        let record = match self.live(letter) {
            Some(live) if live.is(Kind::Stream) => self.through_the_stream(letter, &live).await?,
            live => match letter.item() {
                Some(item) => self.to_its_step(letter, item, live.as_deref()).await?,
                None => self.to_its_topic(letter),
            },
        };
        Ok(record.map(|mut record| {
            let header = redrive_of(letter, &self.desk.actor, now_millis());
            record.headers.push(names::REDRIVE_OF, header);
            record
        }))
    }

    /// A whole record goes to the topic it was read from, with its key, value and headers.
    fn to_its_topic(&self, letter: &Letter) -> Result<OutRecord, Reason> {
        let original = original(letter)?;
        let mut record = OutRecord {
            topic: original.topic.as_str().into(),
            partition: None,
            key: letter.key.clone(),
            value: letter.value.clone(),
            headers: original_headers(letter),
        };
        match self.desk.topics.parse(&original.topic) {
            Some(TopicName::Trigger(..)) => {
                // The same letter is the same run, even if it should be sent twice.
                if record.headers.text(names::IDEMPOTENCY_KEY).is_none() {
                    record.headers.push(names::IDEMPOTENCY_KEY, format!("redrive/{}", letter.place));
                }
            }
            Some(TopicName::Shared(TopicKind::StageTransform | TopicKind::StageValidate)) => {}
            // The partition is the home of the run.
            Some(TopicName::Shared(TopicKind::StageProgress)) => record.partition = Some(original.partition),
            Some(TopicName::Shared(TopicKind::StageExtract)) => {
                return Err("its run has failed with it: replay the run (`prunella replay`)".to_owned());
            }
            _ => return Err(format!("it comes from {}, which is not a topic that is read here", original.topic)),
        }
        Ok(record)
    }

    /// An item goes to the mapping of its step, in the version that is live now.
    async fn to_its_step(
        &self,
        letter: &Letter,
        item: &str,
        live: Option<&Definition>,
    ) -> Result<Result<OutRecord, Reason>, OperateError> {
        let Some(id) = item_id(item) else { return Ok(Err(format!("its item id {item:?} cannot be read"))) };
        let Some(live) = live else { return Ok(Err("its workflow has no live version".to_owned())) };
        let plan = match live.plan() {
            Ok(plan) => plan,
            Err(reason) => return Ok(Err(format!("{} cannot be executed by this release: {reason}", live.at))),
        };
        let step = match output_step(&plan, &id.step, &live.at.to_string()) {
            Ok(step) => step,
            Err(reason) => return Ok(Err(reason)),
        };
        let context = match reads_context(step) {
            false => None,
            true => match self.contexts.of(&id.run, &plan, step) {
                Some(context) => Some(context),
                None => {
                    let reason = "its mapping reads what is no longer known of its run: send the trigger again";
                    return Ok(Err(reason.to_owned()));
                }
            },
        };
        let Some(value) = letter.value.clone() else { return Ok(Err("it has no value".to_owned())) };
        let now = now_millis();
        let workspace = &live.at.workspace;
        let input = self.desk.claims.payload(workspace, now, value).await?;
        let at = StepRef {
            workspace: workspace.clone(),
            workflow: live.at.workflow.clone(),
            version: live.at.version,
            run: id.run.clone(),
            step: id.step.clone(),
            attempt: id.attempt,
        };
        let batch = StageBatch {
            at,
            batch: id.batch,
            deadline: now + PATIENCE,
            items: vec![StageItem { index: id.item, input, output: None, error: None }],
            extracted: 1,
            dead_lettered: 0,
            mapping_version: 0,
            context,
            error: None,
        };
        let topic = self.desk.topics.stage_transform();
        let value = self.desk.codec.encode(&topic, &batch)?;
        let mut record = OutRecord::new(topic, format!("{}/{}", id.run, id.batch), value);
        // The redrives before this one; the stage's own headers were those of a batch.
        for earlier in letter.redrives() {
            record.headers.push(names::REDRIVE_OF, earlier.to_owned());
        }
        if let Some(trace) = letter.headers.text(names::TRACEPARENT) {
            record.headers.push(names::TRACEPARENT, trace.to_owned());
        }
        Ok(Ok(record))
    }

    /// A record of a stream is mapped by the version that is live now, as the record it was.
    async fn through_the_stream(
        &mut self,
        letter: &Letter,
        live: &Definition,
    ) -> Result<Result<OutRecord, Reason>, OperateError> {
        let original = match original(letter) {
            Ok(original) => original,
            Err(reason) => return Ok(Err(reason)),
        };
        let mapper = match self.mapper(live).await {
            Ok(mapper) => mapper,
            Err(reason) => return Ok(Err(reason)),
        };
        let record = Record {
            source: TopicPartition { topic: original.topic.as_str().into(), partition: original.partition },
            offset: original.offset,
            timestamp: original.timestamp,
            key: letter.key.clone(),
            value: letter.value.clone(),
            headers: original_headers(letter),
            epoch: AssignmentEpoch::new(0),
            sequence: 0,
            replay: None,
        };
        Ok(match mapper.map(&record).await {
            Ok(mapped) => Ok(mapper.output(&record, mapped)),
            Err(refusal) => Err(format!("{} still refuses it: {}: {}", live.at, refusal.code, refusal.message)),
        })
    }

    async fn mapper(&mut self, live: &Definition) -> Result<Arc<StreamMapper>, Reason> {
        let name = (live.at.workspace.clone(), live.at.workflow.clone());
        if let Some(known) = self.mappers.get(&name) {
            return known.clone();
        }
        let made = match live.stream_plan() {
            Err(reason) => Err(format!("{} cannot be executed by this release: {reason}", live.at)),
            Ok(plan) => {
                let mapper = StreamMapper::new(self.desk, &live.at, plan).await;
                mapper.map(Arc::new).map_err(|error| error.to_string())
            }
        };
        self.mappers.insert(name, made.clone());
        made
    }
}

fn original(letter: &Letter) -> Result<&Original, Reason> {
    letter.original.as_ref().ok_or_else(|| "its headers do not say where it comes from".to_owned())
}

/// The step `id`, when its items are what the workflow puts out.
fn output_step<'p>(plan: &'p Plan, id: &prunella_model::StepId, at: &str) -> Result<&'p PlannedStep, Reason> {
    let step = plan.step(id).ok_or_else(|| format!("{at} has no step {id}"))?;
    if plan.output().from == step.index {
        return Ok(step);
    }
    Err(format!("items of step {id} are for later steps of their run: replay the run (`prunella replay`)"))
}

fn reads_context(step: &PlannedStep) -> bool {
    let reads = |name: &str| step.transform.as_ref().is_some_and(|mapping| mapping.reads().binding(name));
    ["trigger", "steps", "run"].into_iter().any(reads)
}
