//! The orchestrator as a member of its group: triggers and progress in, requests and state out.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use prunella_catalog::Catalog;
use prunella_model::{Code, Kind, WorkflowName, WorkflowRef, WorkspaceName};
use prunella_platform::Platform;
use prunella_stream::homes::{self, Addressed, HomeSite, Homes, HomesConfig};
use prunella_stream::{Member, MemberConfig, MemberHandle, OutRecord, Record, StageError, StreamError, supervise};
use prunella_telemetry::emit;
use prunella_topology::TopicName;
use prunella_wire::records::{BatchResult, CancelRun, ExtractionEnded, StartRun, StepFailed, StepSkipped};
use prunella_wire::{ControlRecord, WireError};

use crate::events::{DefinitionUnusable, TriggersHeldBack};
use crate::home::{Command, RunHome};
use crate::machine::{PlannedStep, RunPlan};
use crate::memory::{Pressure, RunMemory};
use crate::pure::PureSteps;
use crate::records::RecordWriter;
use crate::settings::RunSettings;
use crate::trigger::start_command;

const SERVICE: &str = "orchestrator";

/// How long a start waits for the definition it names to arrive here.
const DEFINITION_PATIENCE: Duration = Duration::from_secs(3);

/// How soon the log says again that triggers are held back.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the orchestrator needs.
#[derive(Clone)]
pub struct Deps {
    pub platform: Platform,
    pub settings: RunSettings,
    /// Partitions of `stage.progress`: every run's home is one of them.
    pub homes: i32,
    /// Does pure steps in place; without it every step is sent to the extractor.
    pub pure_steps: Option<Arc<dyn PureSteps>>,
}

/// Runs the orchestrator until `stop` is cancelled.
///
/// # Errors
/// [`StreamError`] that no restart can mend.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), StreamError> {
    supervise(SERVICE, &stop, || run_once(deps.clone(), stop.clone())).await
}

async fn run_once(deps: Deps, stop: CancellationToken) -> Result<(), StreamError> {
    let platform = &deps.platform;
    let home_topic = platform.topics.stage_progress();
    let guarantee = platform.processing.guarantee.orchestrator;
    let restored_topics = vec![home_topic.clone()];
    let config = platform.member(SERVICE, guarantee, subscription(platform), restored_topics);
    // A trigger that an operator has read again starts a run of its own.
    let member = Member::join(MemberConfig { notices_rewinds: true, ..config })?;
    let following = tokio::spawn(follow_workflows(platform.clone(), member.handle()));
    let config = HomesConfig {
        kafka: platform.kafka.clone(),
        home_topic: home_topic.into(),
        state_topics: vec![platform.topics.state_runs().into()],
        system_dead_letters: platform.system_dead_letters(),
    };
    let (plans, memory) = (Plans::new(platform.catalog.clone()), RunMemory::new(deps.settings.memory));
    let (pressure, held_back) = (Pressure::None, HashSet::new());
    // Whatever was held back before is read again.
    emit(TriggersHeldBack { topics: &held_back, is_news: false, held: memory.held(), limit: memory.limit() });
    let orchestrator = Orchestrator { plans, memory, pressure, held_back, told_at: None, deps };
    let result = homes::run(member, orchestrator, config, stop).await;
    following.abort();
    result
}

/// Topics by explicit list: a pattern would see a new workflow minutes late.
fn subscription(platform: &Platform) -> Vec<String> {
    let triggers = live_workflows(platform, |workspace, workflow| Some(platform.topics.trigger(workspace, workflow)));
    std::iter::once(platform.topics.stage_progress()).chain(triggers).collect()
}

/// What `of` gives for each workflow whose triggers are read.
fn live_workflows<T>(platform: &Platform, of: impl Fn(&WorkspaceName, &WorkflowName) -> Option<T>) -> Vec<T> {
    let history = platform.catalog.history();
    let live =
        history.workflows.iter().filter(|(_, known)| known.live_definition().is_some_and(|it| it.is(Kind::Workflow)));
    live.filter_map(|((workspace, workflow), _)| of(workspace, workflow)).collect()
}

async fn follow_workflows(platform: Platform, member: MemberHandle) {
    let mut changes = platform.catalog.changes();
    let mut subscribed = subscription(&platform);
    while changes.changed().await.is_ok() {
        let wanted = subscription(&platform);
        if wanted != subscribed {
            subscribed.clone_from(&wanted);
            member.subscribe(wanted);
        }
    }
}

/// The plans of the catalog, in the form the machine needs.
pub(crate) struct Plans {
    catalog: Arc<Catalog>,
    known: Mutex<HashMap<WorkflowRef, Arc<RunPlan>>>,
}

impl Plans {
    fn new(catalog: Arc<Catalog>) -> Arc<Self> {
        Arc::new(Self { catalog, known: Mutex::default() })
    }

    pub(crate) fn get(&self, at: &WorkflowRef) -> Option<Arc<RunPlan>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known.get(at) {
            return Some(plan.clone());
        }
        let compiled = self.catalog.definition(at)?.plan();
        let plan = match compiled {
            Ok(plan) => Arc::new(run_plan(&plan)),
            Err(reason) => {
                emit(DefinitionUnusable { workflow: at.to_string(), reason: &reason });
                return None;
            }
        };
        known.insert(at.clone(), plan.clone());
        Some(plan)
    }

    pub(crate) fn missing(&self, at: &WorkflowRef) -> StageError {
        StageError::new(Code::WorkflowUnknown, format!("{at} is not in the catalog"))
    }
}

fn run_plan(plan: &prunella_workflow::Plan) -> RunPlan {
    let id_of = |index: &usize| plan.steps()[*index].id.clone();
    let steps = plan.steps().iter().map(|step| PlannedStep {
        id: step.id.clone(),
        needs: step.needs.iter().map(id_of).collect(),
        reads: step.ancestors.iter().filter(|index| plan.steps()[**index].output_wanted).map(id_of).collect(),
        pure: !matches!(step.extract, prunella_workflow::PlannedExtract::Http(_)),
    });
    RunPlan { steps: steps.collect(), deadline: plan.workflow().deadline.millis() }
}

struct Orchestrator {
    plans: Arc<Plans>,
    memory: RunMemory,
    pressure: Pressure,
    held_back: HashSet<Arc<str>>,
    told_at: Option<Instant>,
    deps: Deps,
}

impl Orchestrator {
    async fn read_progress(&self, record: &Record) -> Result<Command, StageError> {
        let Some(value) = &record.value else {
            return Err(StageError::new(Code::RecordMalformed, format!("{} has no value", record.place())));
        };
        let opened = self.deps.platform.codec.open(value).await?;
        Ok(match opened.name() {
            StartRun::NAME => Command::Start(opened.read()?),
            BatchResult::NAME => Command::Batch(opened.read()?),
            ExtractionEnded::NAME => Command::ExtractionEnded(opened.read()?),
            StepFailed::NAME => Command::StepFailed(opened.read()?),
            StepSkipped::NAME => Command::StepSkipped(opened.read()?),
            CancelRun::NAME => Command::Cancel(opened.read()?),
            other => {
                let error = WireError::UnexpectedRecord { found: other.to_owned(), expected: "a command for a run" };
                return Err(error.into());
            }
        })
    }
}

impl Homes for Orchestrator {
    type Command = Command;
    type Home = RunHome;

    fn open(&mut self, site: HomeSite) -> RunHome {
        let codec = self.deps.platform.codec.clone();
        let writer = RecordWriter::new(&self.deps.platform.topics, codec.clone(), site.partition);
        let retention = self.deps.settings.retention.millis();
        RunHome::new(writer, self.plans.clone(), codec, retention, self.memory.clone(), self.deps.pure_steps.clone())
    }

    fn held_back(&mut self) -> HashSet<Arc<str>> {
        self.pressure = self.memory.pressure(self.pressure);
        let waits = |workspace: &WorkspaceName, workflow: &WorkflowName| match self.pressure {
            Pressure::None => false,
            Pressure::Short => self.memory.has_more_than_its_share(workspace, workflow),
            Pressure::Out => true,
        };
        let held_back: HashSet<_> = match self.pressure {
            Pressure::None => HashSet::new(),
            _ => live_workflows(&self.deps.platform, |workspace, workflow| {
                let topic = || self.deps.platform.topics.trigger(workspace, workflow).into();
                waits(workspace, workflow).then(topic)
            })
            .into_iter()
            .collect(),
        };
        if held_back != self.held_back {
            let is_news = self.told_at.is_none_or(|at| at.elapsed() > TELL_AGAIN);
            emit(TriggersHeldBack {
                topics: &held_back,
                is_news,
                held: self.memory.held(),
                limit: self.memory.limit(),
            });
            self.told_at = if is_news { Some(Instant::now()) } else { self.told_at };
            self.held_back.clone_from(&held_back);
        }
        held_back
    }

    async fn address(&mut self, record: &Record) -> Result<Option<Addressed<Command>>, StageError> {
        let platform = &self.deps.platform;
        let command = match platform.topics.parse(&record.source.topic) {
            Some(TopicName::Trigger(workspace, workflow)) => {
                let start = start_command(platform, &self.deps.settings, workspace, workflow, record).await?;
                Command::Start(start)
            }
            _ => self.read_progress(record).await?,
        };
        // Results are for runs that started here, with a definition that was here then.
        if let Some(at) = command.started_workflow() {
            platform.catalog.wait_for(&at, DEFINITION_PATIENCE).await.ok_or_else(|| self.plans.missing(&at))?;
        }
        let home = command.run().home(self.deps.homes);
        Ok(Some(Addressed { home, command }))
    }

    fn forward(&mut self, addressed: &Addressed<Command>, record: &Record) -> Result<OutRecord, StageError> {
        let topic = self.deps.platform.topics.stage_progress();
        let key = addressed.command.run().to_string();
        let value = match &addressed.command {
            Command::Start(start) => self.deps.platform.codec.encode(&topic, start)?,
            // Everything else came from the home topic, whose partition is the home: send it where it belongs.
            _ => record.value.as_deref().unwrap_or_default().to_vec(),
        };
        Ok(OutRecord::new(topic, key, value).to_partition(addressed.home).with_headers(record.headers.clone()))
    }

    async fn given_up(&mut self, _record: &Record, _error: &StageError) -> Vec<OutRecord> {
        Vec::new()
    }
}
