//! What is wrong, and the next step to take.

use std::process::ExitCode;

use serde::Serialize;

use prunella_catalog::Catalog;
use prunella_topology::Topology;
use prunella_wire::{ClaimStore, Registry};

use crate::commands::Context;
use crate::definitions::known_topics;
use crate::failure::{Exit, Failure};
use crate::process::{codec, connect};

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

struct Findings(Vec<Finding>);

impl Findings {
    fn note(&mut self, check: &'static str, result: Result<String, String>) -> bool {
        let ok = result.is_ok();
        let detail = result.unwrap_or_else(|problem| problem);
        self.0.push(Finding { check, ok, detail });
        ok
    }
}

pub async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let mut findings = Findings(Vec::new());
    examine(context, &mut findings).await;
    let broken = findings.0.iter().filter(|finding| !finding.ok).count();
    if context.json {
        println!("{}", serde_json::json!({ "ok": broken == 0, "findings": findings.0 }));
    } else {
        for finding in &findings.0 {
            println!("{} {:<12} {}", if finding.ok { "✓" } else { "✗" }, finding.check, finding.detail);
        }
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) })
}

async fn examine(context: &Context, findings: &mut Findings) {
    let config = &context.config;
    let topology = match Topology::new(config.topics.clone()) {
        Ok(topology) => topology,
        Err(error) => {
            findings.note("topics", Err(format!("{}: {error}", error.code())));
            return;
        }
    };
    let claims = ClaimStore::local(&config.claims_directory(&context.data_directory), config.claims.threshold);
    let shown = config.claims_directory(&context.data_directory).display().to_string();
    findings.note("claims", claims.map(|_| shown).map_err(|error| format!("{}: {error}", error.code())));
    let cluster = match connect(config).await {
        Ok(cluster) => cluster,
        Err(failure) => {
            findings.note("kafka", Err(failure.to_string()));
            return;
        }
    };
    findings.note("kafka", Ok(format!("{} answers", config.kafka.brokers)));
    let shape = cluster.check(&topology.shared_topics()).await;
    if !findings.note(
        "topics",
        shape.map(|()| "all there, as wanted".to_owned()).map_err(|error| Failure::from(error).to_string()),
    ) {
        return;
    }
    match config.schema_registry.client() {
        Ok(None) => {
            findings.note("registry", Ok("none configured: records carry the fingerprint of their schema".to_owned()));
        }
        Ok(Some(client)) => {
            let usable = match Registry::new(&client) {
                Ok(_) => codec(config, &topology).await.map(|_| format!("{} knows our schemas", client.url)),
                Err(error) => Err(error.into()),
            };
            findings.note("registry", usable.map_err(|failure| failure.to_string()));
        }
        Err(failure) => {
            findings.note("registry", Err(failure.to_string()));
        }
    }
    let listed = list_workflows(context, &topology, &cluster).await;
    findings.note("workflows", listed.map_err(|failure| failure.to_string()));
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
