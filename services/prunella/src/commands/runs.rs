use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use prunella_model::{Code, RunId, StepId, WorkspaceName, murmur2_partition};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, Output, Tail, TailFrom, Tailed, restore_partitions};
use prunella_topology::Topology;
use prunella_wire::records::{CancelRun, RunEvent, RunState, RunStatus, StepState};
use prunella_wire::{Codec, ControlRecord};

use crate::cli::RunsCommand;
use crate::commands::Context;
use crate::commands::apply::actor;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::print::{table, time, took};
use crate::process::{codec, connect};

/// A run as its state topic tells it.
pub struct RunReport {
    pub state: RunState,
    pub steps: BTreeMap<StepId, StepState>,
    pub events: Vec<RunEvent>,
}

/// Reads runs straight from Kafka.
pub struct RunReader {
    config: Config,
    topology: Topology,
    codec: Arc<Codec>,
    state_partitions: i32,
    log_partitions: i32,
}

#[derive(Default)]
struct Fold {
    states: BTreeMap<RunId, RunState>,
    steps: BTreeMap<RunId, BTreeMap<StepId, StepState>>,
}

impl Fold {
    async fn take(&mut self, codec: &Codec, key: &[u8], value: Option<&[u8]>) {
        let Ok(text) = std::str::from_utf8(key) else { return };
        let Some(Ok(run)) = text.get(..32).map(str::parse::<RunId>) else { return };
        let Some(value) = value else {
            if text.len() == 32 {
                self.states.remove(&run);
            }
            return;
        };
        let Ok(opened) = codec.open(value).await else { return };
        if opened.name() == RunState::NAME {
            if let Ok(mut state) = opened.read::<RunState>() {
                let done = std::mem::take(&mut state.done_steps).into_iter().map(|step| (step.step.clone(), step));
                self.steps.entry(run.clone()).or_default().extend(done);
                self.states.insert(run, state);
            }
        } else if opened.name() == StepState::NAME
            && let Ok(step) = opened.read::<StepState>()
        {
            self.steps.entry(run).or_default().insert(step.step.clone(), step);
        }
    }
}

impl RunReader {
    pub async fn new(config: &Config, topology: Topology) -> Result<Self, Failure> {
        let (state, log) = (topology.topics().state_runs(), topology.topics().log_runs());
        let shape = connect(config).await?.describe(&[state.clone(), log.clone()]).await?;
        let partitions = |topic: &str| {
            shape.topics.get(topic).map(|found| found.partitions).ok_or_else(|| {
                Failure::new(Code::TopicShape, format!("topic {topic} is missing; run `prunella topics apply`"))
            })
        };
        Ok(Self {
            state_partitions: partitions(&state)?,
            log_partitions: partitions(&log)?,
            codec: codec(config, &topology).await?,
            config: config.clone(),
            topology,
        })
    }

    async fn fold(&self, partitions: &[i32]) -> Result<Fold, Failure> {
        let mut fold = Fold::default();
        let topic = self.topology.topics().state_runs();
        let mut records = restore_partitions(&self.config.kafka, &topic, partitions)?;
        while let Some(chunk) = records.recv().await {
            for record in chunk? {
                fold.take(&self.codec, &record.key, record.value.as_deref()).await;
            }
        }
        Ok(fold)
    }

    /// Everything that is known of one run.
    pub async fn show(&self, run: &RunId) -> Result<Option<RunReport>, Failure> {
        let mut fold = self.fold(&[run.home(self.state_partitions)]).await?;
        let Some(state) = fold.states.remove(run) else { return Ok(None) };
        let steps = fold.steps.remove(run).unwrap_or_default();
        let events = self.events(run).await?;
        Ok(Some(RunReport { state, steps, events }))
    }

    async fn events(&self, run: &RunId) -> Result<Vec<RunEvent>, Failure> {
        let partition = murmur2_partition(run.as_str().as_bytes(), self.log_partitions);
        let topic = self.topology.topics().log_runs();
        let mut records = restore_partitions(&self.config.kafka, &topic, &[partition])?;
        let mut events = Vec::new();
        while let Some(chunk) = records.recv().await {
            for record in chunk?.into_iter().filter(|record| *record.key == *run.as_str().as_bytes()) {
                let Some(value) = record.value else { continue };
                if let Ok(event) = self.codec.decode::<RunEvent>(&value).await {
                    events.push(event);
                }
            }
        }
        Ok(events)
    }

    async fn list(&self) -> Result<Vec<RunState>, Failure> {
        let all: Vec<i32> = (0..self.state_partitions).collect();
        let mut runs: Vec<RunState> = self.fold(&all).await?.states.into_values().collect();
        runs.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.run.cmp(&b.run)));
        Ok(runs)
    }

    /// Follows the state topic until `run` has ended. `seen` is told every change.
    async fn follow(&self, run: &RunId, mut seen: impl FnMut(&str, &Value)) -> Result<(), Failure> {
        let topic = self.topology.topics().state_runs();
        let mut tail = Tail::start(&self.config.kafka, &topic, TailFrom::Beginning).await?;
        while let Some(tailed) = tail.next().await {
            let Tailed::Record(record) = tailed else { continue };
            let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { continue };
            if !key.starts_with(run.as_str()) {
                continue;
            }
            let Some(value) = &record.value else { continue };
            let Ok(opened) = self.codec.open(value).await else { continue };
            if opened.name() == StepState::NAME
                && let Ok(step) = opened.read::<StepState>()
            {
                seen("step", &step_json(&step));
            }
            if opened.name() == RunState::NAME
                && let Ok(state) = opened.read::<RunState>()
            {
                for step in &state.done_steps {
                    seen("step", &step_json(step));
                }
                seen("run", &run_json(&state));
                if state.status.is_terminal() {
                    return Ok(());
                }
            }
        }
        Err(Failure::plain(Exit::Failed, "the state topic cannot be followed any more"))
    }

    /// Waits for the end of a run that may not have begun.
    pub async fn wait_for_end(&self, run: &RunId) -> Result<RunReport, Failure> {
        self.follow(run, |_, _| {}).await?;
        self.show(run).await?.ok_or_else(|| not_found(run))
    }
}

fn not_found(run: &RunId) -> Failure {
    let message = format!(
        "there is no run {run}: it may not have been read from its trigger topic yet, or its retention is over"
    );
    Failure::plain(Exit::NotFound, message)
}

fn run_json(state: &RunState) -> Value {
    json!({
        "run": state.run, "workspace": state.workspace, "workflow": state.workflow, "version": state.version,
        "status": state.status, "created_at": state.created_at, "deadline": state.deadline, "ended_at": state.ended_at,
        "extracted": state.extracted, "valid": state.valid, "dead_lettered": state.dead_lettered,
        "error": state.error, "origin": state.origin, "idempotency_key": state.idempotency_key,
        "traceparent": state.traceparent, "replay_of": state.replay_of,
    })
}

fn step_json(step: &StepState) -> Value {
    let counted: i64 = step.seen.iter().map(|range| range.last - range.first + 1).sum();
    json!({
        "step": step.step, "attempt": step.attempt, "status": step.status, "started_at": step.started_at,
        "ended_at": step.ended_at, "retry_at": step.retry_at, "batches": step.batches, "batches_counted": counted,
        "extracted": step.extracted, "valid": step.valid, "dead_lettered": step.dead_lettered, "error": step.error,
    })
}

pub fn print_report(report: &RunReport, reader: &RunReader, json: bool) {
    let state = &report.state;
    let topics = reader.topology.topics();
    let (output, dead_letter) =
        (topics.output(&state.workspace, &state.workflow), topics.deadletter(&state.workspace, &state.workflow));
    if json {
        let mut value = run_json(state);
        value["steps"] = report.steps.values().map(step_json).collect();
        value["events"] = json!(report.events);
        value["output_topic"] = json!(output);
        value["deadletter_topic"] = json!(dead_letter);
        return println!("{value}");
    }
    println!("run {}  {}", state.run, state.status.as_str());
    println!("├─ workflow  {}/{}@{}", state.workspace, state.workflow, state.version);
    println!("├─ trigger   {}[{}]@{}", state.origin.topic, state.origin.partition, state.origin.offset);
    if let Some(of) = &state.replay_of {
        println!("├─ replay of {of}");
    }
    println!("├─ created   {}", time(state.created_at));
    match state.ended_at {
        Some(ended) => println!("├─ ended     {} after {}", time(ended), took(ended - state.created_at)),
        None => println!("├─ deadline  {}", time(state.deadline)),
    }
    if let Some(error) = &state.error {
        println!("├─ error     {} {}", error.code, error.message);
    }
    println!("├─ steps");
    for (index, step) in report.steps.values().enumerate() {
        let last = index + 1 == report.steps.len();
        let (branch, stem) = if last { ("└─", "  ") } else { ("├─", "│ ") };
        let spent =
            step.started_at.map_or_else(String::new, |start| took(step.ended_at.unwrap_or_else(now_millis) - start));
        println!("│  {branch} {}  {}  {spent}", step.step, step.status.as_str());
        let counted: i64 = step.seen.iter().map(|range| range.last - range.first + 1).sum();
        let batches = step.batches.map_or_else(|| format!("{counted} so far"), |total| format!("{counted} of {total}"));
        println!(
            "│  {stem}   batches {batches}   extracted {}   valid {}   dead-lettered {}",
            step.extracted, step.valid, step.dead_lettered
        );
        if let Some(error) = &step.error {
            println!("│  {stem}   {} {}", error.code, error.message);
        }
    }
    println!("└─ records");
    println!("   ├─ output       {output}");
    println!("   └─ dead letters {dead_letter}");
}

pub async fn run(context: &Context, command: RunsCommand) -> Result<ExitCode, Failure> {
    let topology = Topology::new(context.config.topics.clone())?;
    let reader = RunReader::new(&context.config, topology).await?;
    match command {
        RunsCommand::List { workflow, status, limit } => {
            let wanted = |run: &RunState| {
                run.workspace == context.workspace
                    && workflow.as_ref().is_none_or(|workflow| run.workflow == *workflow)
                    && status.as_deref().is_none_or(|status| run.status.as_str() == status)
            };
            let runs: Vec<RunState> = reader.list().await?.into_iter().filter(wanted).collect();
            print_list(context, &runs, limit);
        }
        RunsCommand::Show { run } => {
            let report = reader.show(&run).await?.ok_or_else(|| not_found(&run))?;
            print_report(&report, &reader, context.json);
        }
        RunsCommand::Watch { run } => return watch(context, &reader, &run).await,
        RunsCommand::Cancel { run, reason } => cancel(context, &reader, run, reason).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(context: &Context, runs: &[RunState], limit: usize) {
    let shown = &runs[..runs.len().min(limit)];
    if context.json {
        let listed: Vec<Value> = shown.iter().map(run_json).collect();
        return println!("{}", json!({ "runs": listed, "total": runs.len() }));
    }
    if runs.is_empty() {
        return println!("no runs");
    }
    let mut rows = table(&["run", "workflow", "status", "created", "took", "valid", "dead-lettered", "error"]);
    for run in shown {
        rows.add_row([
            run.run.to_string(),
            format!("{}@{}", run.workflow, run.version),
            run.status.as_str().to_owned(),
            time(run.created_at),
            run.ended_at.map_or_else(String::new, |ended| took(ended - run.created_at)),
            run.valid.to_string(),
            run.dead_lettered.to_string(),
            run.error.as_ref().map_or_else(String::new, |error| error.code.clone()),
        ]);
    }
    println!("{rows}");
    if runs.len() > shown.len() {
        println!("{} more: raise --limit or filter by --workflow and --status", runs.len() - shown.len());
    }
}

async fn watch(context: &Context, reader: &RunReader, run: &RunId) -> Result<ExitCode, Failure> {
    if reader.show(run).await?.is_none() {
        return Err(not_found(run));
    }
    let json = context.json;
    reader
        .follow(run, |kind, value| {
            if json {
                println!("{}", json!({ kind: value }));
            } else if kind == "step" {
                let (step, status) = (value["step"].as_str().unwrap_or(""), value["status"].as_str().unwrap_or(""));
                println!(
                    "{step}  {status}  batches {}  valid {}  dead-lettered {}",
                    value["batches_counted"], value["valid"], value["dead_lettered"]
                );
            } else {
                println!("run  {}", value["status"].as_str().unwrap_or(""));
            }
        })
        .await?;
    let report = reader.show(run).await?.ok_or_else(|| not_found(run))?;
    let succeeded = report.state.status == RunStatus::Succeeded;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::from(Exit::RunNotSucceeded as u8) })
}

async fn cancel(context: &Context, reader: &RunReader, run: RunId, reason: String) -> Result<(), Failure> {
    let report = reader.show(&run).await?.ok_or_else(|| not_found(&run))?;
    if report.state.status.is_terminal() {
        let message = format!("run {run} has ended already: {}", report.state.status.as_str());
        return Err(Failure::plain(Exit::Refused, message));
    }
    let topic = reader.topology.topics().stage_progress();
    let command = CancelRun {
        workspace: WorkspaceName::clone(&context.workspace),
        run: run.clone(),
        requested_by: actor(),
        reason,
        requested_at: now_millis(),
    };
    let value = reader.codec.encode(&topic, &command)?;
    let output = Output::new(&reader.config.kafka, "prunella-cli")?;
    let home = run.home(reader.state_partitions);
    output.deliver(vec![OutRecord::new(topic, run.to_string(), value).to_partition(home)]).await?;
    if context.json {
        println!("{}", json!({ "run": run, "cancel": "requested" }));
    } else {
        println!("cancelling {run}");
    }
    Ok(())
}
