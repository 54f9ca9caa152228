//! What is wrong, and the next step to take.

use std::process::ExitCode;
use std::sync::Arc;

use prunella_cache::SharedCache;
use prunella_catalog::Catalog;
use prunella_operate::Offsets;
use prunella_operate::doctor::{Finding, Level, disk, examine};
use prunella_topology::Topology;
use prunella_vault::Vault;
use prunella_wire::{ClaimStore, Registry};

use crate::cli::DoctorArgs;
use crate::commands::Context;
use crate::definitions::known_topics;
use crate::desk::desk;
use crate::failure::{Exit, Failure};
use crate::process::{codec, connect};

pub async fn run(context: &Context, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    look(context, args, &mut findings).await;
    let ok = findings.iter().all(|finding| finding.level < Level::Wrong);
    if context.json {
        let told: Vec<_> = findings.iter().map(as_json).collect();
        println!("{}", serde_json::json!({ "ok": ok, "findings": told }));
    } else {
        findings.iter().for_each(print);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) })
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let mut value = serde_json::json!(finding);
    value["ok"] = serde_json::json!(finding.level < Level::Wrong);
    value
}

fn print(finding: &Finding) {
    let mark = match finding.level {
        Level::Ok => "✓",
        Level::Warn => "!",
        Level::Wrong => "✗",
    };
    println!("{mark} {:<12} {}", finding.check, finding.detail);
    if let Some(next) = &finding.next {
        println!("  {:<12} → {next}", "");
    }
}

/// A failure as a finding; its code has a page with what to do.
fn failed(check: &'static str, failure: &Failure) -> Finding {
    let next = match failure.code() {
        Some(code) => format!("docs/errors/{code}.md says what it means and what to do"),
        None => "the message says what to do".to_owned(),
    };
    Finding::wrong(check, failure.to_string(), next)
}

fn finding(check: &'static str, result: Result<String, Failure>) -> Finding {
    result.map_or_else(|failure| failed(check, &failure), |detail| Finding::ok(check, detail))
}

/// From the outside to the inside: what a check needs has been found in order before.
async fn look(context: &Context, args: &DoctorArgs, findings: &mut Vec<Finding>) {
    let config = &context.config;
    findings.push(finding("claims", claims(context)));
    findings.push(disk(&context.data_directory));
    let topology = match Topology::new(config.topics.clone()) {
        Ok(topology) => topology,
        Err(error) => return findings.push(failed("topics", &error.into())),
    };
    let cluster = match connect(config).await {
        Ok(cluster) => cluster,
        Err(failure) => return findings.push(failed("kafka", &failure)),
    };
    findings.push(Finding::ok("kafka", format!("{} answers", config.kafka.brokers)));
    if let Err(error) = cluster.check(&topology.shared_topics()).await {
        return findings.push(failed("topics", &error.into()));
    }
    findings.push(Finding::ok("topics", "all there, as wanted"));
    let registry = registry(context, &topology).await;
    let has_registry = registry.is_ok();
    findings.push(finding("registry", registry));
    if !has_registry {
        return;
    }
    findings.extend(redis(context).await);
    findings.push(finding("workflows", list_workflows(context, &topology, &cluster).await));
    match inside(context, args).await {
        Ok(found) => findings.extend(found),
        Err(failure) => findings.push(failed("groups", &failure)),
    }
}

fn claims(context: &Context) -> Result<String, Failure> {
    let directory = context.config.claims_directory(&context.data_directory);
    ClaimStore::local(&directory, context.config.claims.threshold)?;
    Ok(directory.display().to_string())
}

async fn registry(context: &Context, topology: &Topology) -> Result<String, Failure> {
    let Some(client) = context.config.schema_registry.client()? else {
        return Ok("none configured: records carry the fingerprint of their schema".to_owned());
    };
    Registry::new(&client)?;
    codec(&context.config, topology).await?;
    Ok(format!("{} knows our schemas", client.url))
}

/// Only where one is configured; nothing depends on it.
async fn redis(context: &Context) -> Option<Finding> {
    let settings = &context.config.redis;
    let cache = match SharedCache::new(settings, "", Arc::new(Vault::plain())) {
        Ok(cache) => cache?,
        Err(error) => return Some(failed("redis", &Failure::new(error.code(), error.to_string()))),
    };
    Some(if cache.answers().await {
        Finding::ok("redis", "it answers")
    } else {
        let detail = format!("redis.url does not answer within {} (redis.timeout)", settings.timeout);
        Finding::warn(
            "redis",
            detail,
            "nothing depends on it: language models are asked again what they were asked before",
        )
    })
}

async fn inside(context: &Context, args: &DoctorArgs) -> Result<Vec<Finding>, Failure> {
    let desk = desk(context).await?;
    let offsets = Offsets::new(&desk.kafka)?;
    Ok(examine(&desk, &offsets, args.watch_for.duration()).await?)
}

async fn list_workflows(
    context: &Context,
    topology: &Topology,
    cluster: &prunella_topology::Cluster,
) -> Result<String, Failure> {
    let codec = codec(&context.config, topology).await?;
    let stop = tokio_util::sync::CancellationToken::new();
    let catalog = Catalog::start(&context.config.kafka, topology.topics(), codec, stop.clone()).await?;
    stop.cancel();
    let history = catalog.history();
    for ((workspace, workflow), known) in &history.workflows {
        cluster.check(&known_topics(topology, workspace, known)).await?;
        if let Some(live) = known.live_definition()
            && let Err(reason) = live.compiled()
        {
            let message =
                format!("{workspace}/{workflow}@{} cannot be executed by this release: {reason}", live.at.version);
            return Err(Failure::new(prunella_model::Code::WorkflowUnknown, message));
        }
    }
    Ok(format!("{} in the catalog, their topics are there", history.workflows.len()))
}
