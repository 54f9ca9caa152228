use std::path::PathBuf;
use std::process::ExitCode;

use prunella_catalog::{Applied, CatalogWriter, NewVersion};
use prunella_model::{Code, WorkflowName, WorkspaceName};
use prunella_topology::{Cluster, Topology};
use prunella_workflow::Loaded;
use serde_json::json;

use crate::commands::Context;
use crate::commands::validate::{load_paths, refuse};
use crate::config::Config;
use crate::definitions::{as_json, check_models, check_stream, declared_topics, models_missing, shown_topics};
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

/// Creates the topics of each definition, then makes it live: nothing is ever live without its topics.
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
        let name = one.declared.name();
        writer.check_name(workspace, name, one.declared.kind()).await?;
        if let Some(stream) = one.declared.as_stream() {
            check_stream(config, &cluster, topology.topics(), workspace, stream).await?;
        }
        let plan = cluster.plan(&declared_topics(&topology, workspace, &one.declared)).await?;
        cluster.apply(&plan, false).await?;
        let version = NewVersion { kind: one.declared.kind(), text: &one.canonical, digest: &one.digest };
        applied.push((name.clone(), writer.apply(workspace, name, version).await?));
    }
    Ok(applied)
}

const MODEL: Code = Code::LlmNotConfigured;

/// Steps that name a model which this configuration does not know. Where it knows no provider at all, the healer may run
/// with another one: these are warnings then.
fn unasked_models(config: &Config, loaded: &[Loaded]) -> Result<Vec<String>, Failure> {
    if !config.llm.providers.is_empty() {
        check_models(config, loaded)?;
    }
    let missing = models_missing(config, loaded);
    for message in &missing {
        eprintln!("warning {MODEL}: {message}: no model is asked unless the configuration of the healer has it");
    }
    Ok(missing)
}

pub async fn run(context: &Context, paths: &[PathBuf]) -> Result<ExitCode, Failure> {
    let loaded = load_paths(paths).map_err(|problems| refuse(&problems, context.json))?;
    let warnings = unasked_models(&context.config, &loaded)?;
    let applied = apply_paths(&context.config, &context.workspace, &loaded).await?;
    let topics = Topology::new(context.config.topics.clone())?;
    for (one, (name, applied)) in loaded.iter().zip(&applied) {
        let kind = one.declared.kind();
        let shown = shown_topics(topics.topics(), &context.workspace, &one.declared);
        if context.json {
            let mut line = json!({
                "workspace": context.workspace, "kind": kind.as_str(), kind.as_str(): name, "version": applied.version,
                "created": applied.created, "live_before": applied.live_before,
            });
            for (topic, name) in as_json(&shown) {
                line[format!("{topic}_topic")] = name;
            }
            if !warnings.is_empty() {
                line["warnings"] = warnings.iter().map(|it| json!({ "code": MODEL.id(), "message": it })).collect();
            }
            println!("{line}");
            continue;
        }
        match (applied.created, applied.live_before) {
            (false, _) => println!("{name}@{}: unchanged", applied.version),
            (true, None) => println!("{name}@{}: live", applied.version),
            (true, Some(before)) => println!("{name}@{}: live, was @{before}", applied.version),
        }
        for (topic, name) in shown {
            println!("  {topic:<11} {name}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
