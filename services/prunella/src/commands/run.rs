use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use serde_json::json;

use prunella_model::{Code, RunId, RunOrigin, WorkflowName, WorkspaceName};
use prunella_stream::{OutRecord, Output};
use prunella_topology::Topology;
use prunella_wire::records::RunStatus;
use prunella_wire::{Headers, TraceContext, names};

use crate::cli::RunArgs;
use crate::commands::Context;
use crate::commands::runs::{RunReader, print_report};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::process::connect;

/// A run to be started.
pub struct Trigger {
    pub workflow: WorkflowName,
    pub payload: Bytes,
    pub key: Option<String>,
    pub idempotency_key: Option<String>,
}

/// Writes the trigger and gives the id of its run, known in advance because the trigger carries an
/// idempotency key, if need be one of ours.
pub async fn send_trigger(
    output: &Output,
    topology: &Topology,
    workspace: &WorkspaceName,
    trigger: Trigger,
) -> Result<RunId, Failure> {
    let key = trigger.idempotency_key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let run = RunId::derive(workspace, &trigger.workflow, RunOrigin::IdempotencyKey(&key));
    let headers =
        Headers::new().with(names::IDEMPOTENCY_KEY, key).with(names::TRACEPARENT, TraceContext::root().to_string());
    let record = OutRecord {
        topic: topology.topics().trigger(workspace, &trigger.workflow).into(),
        partition: None,
        key: trigger.key.map(Bytes::from),
        value: Some(trigger.payload),
        headers,
    };
    output.deliver(vec![record]).await?;
    Ok(run)
}

fn payload(input: Option<&Path>) -> Result<Bytes, Failure> {
    let bytes = match input {
        None => b"{}".to_vec(),
        Some(path) if path == Path::new("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
        Some(path) => {
            std::fs::read(path).map_err(|error| Failure::plain(Exit::Failed, format!("{}: {error}", path.display())))?
        }
    };
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        .map_err(|error| Failure::new(Code::TriggerNotJson, format!("the input is not JSON: {error}")))?;
    Ok(bytes.into())
}

/// Fails when nobody would ever read the trigger.
async fn check_workflow(
    config: &Config,
    topology: &Topology,
    workspace: &WorkspaceName,
    workflow: &WorkflowName,
) -> Result<(), Failure> {
    let topic = topology.topics().trigger(workspace, workflow);
    let shape = connect(config).await?.describe(std::slice::from_ref(&topic)).await?;
    if shape.topics.contains_key(&topic) {
        return Ok(());
    }
    let message = format!(
        "there is no workflow {workflow} in workspace {workspace}: topic {topic} is missing; `prunella apply` makes it"
    );
    Err(Failure::new(Code::WorkflowUnknown, message).exit(Exit::NotFound))
}

pub async fn run(context: &Context, args: RunArgs) -> Result<ExitCode, Failure> {
    let payload = payload(args.input.as_deref())?;
    let topology = Topology::new(context.config.topics.clone())?;
    check_workflow(&context.config, &topology, &context.workspace, &args.workflow).await?;
    let output = Output::new(&context.config.kafka, "prunella-cli")?;
    let trigger = Trigger { workflow: args.workflow, payload, key: args.key, idempotency_key: args.idempotency_key };
    let run = send_trigger(&output, &topology, &context.workspace, trigger).await?;
    if !args.wait {
        if context.json {
            println!("{}", json!({ "run": run }));
        } else {
            println!("{run}");
            println!("  prunella runs watch {run}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let reader = RunReader::new(&context.config, topology).await?;
    let report = tokio::time::timeout(args.timeout.duration(), reader.wait_for_end(&run)).await.map_err(|_| {
        let message =
            format!("run {run} has not ended within {}; `prunella runs watch {run}` follows it", args.timeout);
        Failure::plain(Exit::RunNotSucceeded, message)
    })??;
    print_report(&report, &reader, context.json);
    let succeeded = report.state.status == RunStatus::Succeeded;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::from(Exit::RunNotSucceeded as u8) })
}
