use std::path::PathBuf;
use std::process::ExitCode;

use prunella_catalog::{Applied, CatalogWriter};
use prunella_model::{WorkflowName, WorkspaceName};
use prunella_topology::{Cluster, Topology};
use prunella_workflow::Loaded;

use crate::commands::Context;
use crate::commands::validate::{load_paths, refuse};
use crate::config::Config;
use crate::failure::Failure;
use crate::process::{codec, connect};

/// Who is named as the author of a change.
pub fn actor() -> String {
    std::env::var("PRUNELLA_ACTOR").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "cli".to_owned())
}

pub async fn catalog_writer(config: &Config, topology: &Topology) -> Result<CatalogWriter, Failure> {
    Ok(CatalogWriter {
        kafka: config.kafka.clone(),
        topics: topology.topics().clone(),
        codec: codec(config, topology).await?,
        actor: actor(),
    })
}

/// Creates the topics of each workflow, then makes it live: a workflow is never live without its topics.
pub async fn apply_paths(
    config: &Config,
    workspace: &WorkspaceName,
    loaded: &[Loaded],
) -> Result<Vec<(WorkflowName, Applied)>, Failure> {
    let topology = Topology::new(config.topics.clone())?;
    let cluster: Cluster = connect(config).await?;
    cluster.check(&topology.shared_topics()).await?;
    let writer = catalog_writer(config, &topology).await?;
    let mut applied = Vec::new();
    for one in loaded {
        let workflow = &one.workflow.workflow;
        let plan = cluster.plan(&topology.workflow_topics(workspace, workflow)).await?;
        cluster.apply(&plan, false).await?;
        applied.push((workflow.clone(), writer.apply(workspace, workflow, &one.canonical, &one.digest).await?));
    }
    Ok(applied)
}

pub async fn run(context: &Context, paths: &[PathBuf]) -> Result<ExitCode, Failure> {
    let loaded = load_paths(paths).map_err(|problems| refuse(&problems, context.json))?;
    let applied = apply_paths(&context.config, &context.workspace, &loaded).await?;
    let topics = Topology::new(context.config.topics.clone())?;
    for (workflow, applied) in &applied {
        if context.json {
            let line = serde_json::json!({
                "workspace": context.workspace, "workflow": workflow, "version": applied.version,
                "created": applied.created, "live_before": applied.live_before,
                "trigger_topic": topics.topics().trigger(&context.workspace, workflow),
                "output_topic": topics.topics().output(&context.workspace, workflow),
                "deadletter_topic": topics.topics().deadletter(&context.workspace, workflow),
            });
            println!("{line}");
            continue;
        }
        match (applied.created, applied.live_before) {
            (false, _) => println!("{workflow}@{}: unchanged", applied.version),
            (true, None) => println!("{workflow}@{}: live", applied.version),
            (true, Some(before)) => println!("{workflow}@{}: live, was @{before}", applied.version),
        }
        println!("  trigger     {}", topics.topics().trigger(&context.workspace, workflow));
        println!("  output      {}", topics.topics().output(&context.workspace, workflow));
        println!("  dead letter {}", topics.topics().deadletter(&context.workspace, workflow));
    }
    Ok(ExitCode::SUCCESS)
}
