use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use prunella_catalog::{Catalog, Definition, WorkflowHistory};
use prunella_model::{Code, Kind, StepId, WorkflowName, WorkflowVersion};
use prunella_platform::pause_record;
use prunella_stream::Output;
use prunella_stream::homes::now_millis;
use prunella_topology::Topology;
use prunella_wire::records::StepPause;

use crate::cli::WorkflowsCommand;
use crate::commands::Context;
use crate::commands::apply::{actor, catalog_writer};
use crate::definitions;
use crate::failure::{Exit, Failure};
use crate::print::{table, time};
use crate::process::{codec, connect};

pub async fn run(context: &Context, command: WorkflowsCommand) -> Result<ExitCode, Failure> {
    let topology = Topology::new(context.config.topics.clone())?;
    let cluster = connect(&context.config).await?;
    cluster.check(&topology.shared_topics()).await?;
    if let WorkflowsCommand::Rollback { workflow, version } = command {
        return rollback(context, &topology, &workflow, version).await;
    }
    let codec = codec(&context.config, &topology).await?;
    let stop = CancellationToken::new();
    let catalog = Catalog::start(&context.config.kafka, topology.topics(), codec, stop.clone()).await?;
    stop.cancel();
    match command {
        WorkflowsCommand::Show { workflow, version } => show(context, &topology, &catalog, &workflow, version)?,
        WorkflowsCommand::Resume { workflow, step, version } => {
            resume(context, &topology, &catalog, workflow, step, version).await?;
        }
        WorkflowsCommand::List | WorkflowsCommand::Rollback { .. } => list(context, &catalog),
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells every process; those that the step is not paused in have nothing to do.
async fn resume(
    context: &Context,
    topology: &Topology,
    catalog: &Catalog,
    workflow: WorkflowName,
    step: StepId,
    version: Option<WorkflowVersion>,
) -> Result<(), Failure> {
    let known = catalog.workflow(&context.workspace, &workflow);
    let Some(version) = version.or_else(|| known.as_ref().and_then(live_of)) else {
        return Err(Failure::new(Code::WorkflowUnknown, format!("workflow {workflow} has no live version")));
    };
    let (codec, control) = (codec(&context.config, topology).await?, topology.topics().stage_control());
    let pause = StepPause {
        workspace: context.workspace.clone(),
        workflow,
        version,
        step,
        until: 0,
        reason: format!("{} says so", actor()),
        at: now_millis(),
    };
    let record = pause_record(&codec, &control, &pause)?;
    Output::new(&context.config.kafka, "prunella-cli")?.deliver(vec![record]).await?;
    if context.json {
        println!(
            "{}",
            json!({ "workflow": pause.workflow, "version": version, "step": pause.step, "resume": "requested" })
        );
    } else {
        println!("step {} of {}@{version} goes on", pause.step, pause.workflow);
    }
    Ok(())
}

fn live_of(known: &WorkflowHistory) -> Option<WorkflowVersion> {
    known.live.as_ref().map(|live| live.version)
}

fn kind_of(known: &WorkflowHistory) -> String {
    let definition = known.live_definition().or_else(|| known.latest());
    let kind = definition.map(|definition| definition.kind.as_ref().map_or_else(Clone::clone, Kind::to_string));
    kind.unwrap_or_default()
}

fn list(context: &Context, catalog: &Catalog) {
    let history = catalog.history();
    let known: Vec<_> =
        history.workflows.iter().filter(|((workspace, _), _)| *workspace == context.workspace).collect();
    if context.json {
        let listed: Vec<Value> = known
            .iter()
            .map(|((_, workflow), known)| {
                json!({ "workflow": workflow, "kind": kind_of(known), "live": live_of(known), "versions": known.versions.keys().collect::<Vec<_>>() })
            })
            .collect();
        return println!("{}", json!({ "workflows": listed }));
    }
    if known.is_empty() {
        return println!("no workflows and streams in workspace {}; `prunella apply` adds them", context.workspace);
    }
    let mut rows = table(&["name", "kind", "live", "versions", "applied", "by"]);
    for ((_, workflow), known) in known {
        let live = known.live_definition();
        rows.add_row([
            workflow.to_string(),
            kind_of(known),
            live_of(known).map_or_else(String::new, |version| format!("@{version}")),
            known.versions.len().to_string(),
            live.map_or_else(String::new, |live| time(live.applied_at)),
            live.map_or_else(String::new, |live| live.applied_by.clone()),
        ]);
    }
    println!("{rows}");
}

fn show(
    context: &Context,
    topology: &Topology,
    catalog: &Catalog,
    workflow: &WorkflowName,
    version: Option<WorkflowVersion>,
) -> Result<(), Failure> {
    let known = catalog
        .workflow(&context.workspace, workflow)
        .ok_or_else(|| definitions::missing(&context.workspace, workflow))?;
    let shown: Arc<Definition> = match version {
        Some(version) => known.versions.get(&version).cloned(),
        None => known.live_definition().cloned(),
    }
    .ok_or_else(|| {
        let message = format!("{workflow} has no such version");
        Failure::new(Code::WorkflowUnknown, message).exit(Exit::NotFound)
    })?;
    let definition: Value = serde_json::from_str(&shown.text).unwrap_or(Value::Null);
    let declared = definitions::declared(&shown);
    let names = declared
        .map_or_else(Vec::new, |declared| definitions::shown_topics(topology.topics(), &context.workspace, &declared));
    if context.json {
        let versions: Vec<Value> = known
            .versions
            .values()
            .map(|one| json!({ "version": one.at.version, "digest": one.digest, "applied_at": one.applied_at, "applied_by": one.applied_by }))
            .collect();
        println!(
            "{}",
            json!({ "workflow": workflow, "live": live_of(&known), "version": shown.at.version, "digest": shown.digest,
                    "kind": kind_of(&known), "topics": definitions::as_json(&names), "versions": versions, "definition": definition })
        );
        return Ok(());
    }
    println!("{workflow}@{}  {}", shown.at.version, shown.digest);
    for (topic, name) in names {
        println!("  {topic:<10} {name}");
    }
    let mut rows = table(&["version", "applied", "by", "digest", ""]);
    for one in known.versions.values() {
        let mark = if live_of(&known) == Some(one.at.version) { "live" } else { "" };
        rows.add_row([
            format!("@{}", one.at.version),
            time(one.applied_at),
            one.applied_by.clone(),
            one.digest.chars().take(12).collect(),
            mark.to_owned(),
        ]);
    }
    println!("{rows}");
    println!("{}", serde_json::to_string_pretty(&definition).unwrap_or_default());
    Ok(())
}

async fn rollback(
    context: &Context,
    topology: &Topology,
    workflow: &WorkflowName,
    version: WorkflowVersion,
) -> Result<ExitCode, Failure> {
    let writer = catalog_writer(&context.config, topology).await?;
    let applied = writer
        .rollback(&context.workspace, workflow, version)
        .await
        .map_err(|error| Failure::from(error).exit(Exit::NotFound))?;
    if context.json {
        println!("{}", json!({ "workflow": workflow, "live": version, "live_before": applied.live_before }));
    } else {
        println!("{workflow}@{version}: live");
    }
    Ok(ExitCode::SUCCESS)
}
