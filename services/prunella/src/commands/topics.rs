use std::process::ExitCode;

use serde_json::json;

use prunella_catalog::Catalog;
use prunella_stream::{Tail, TailFrom, Tailed, TailedRecord};
use prunella_topology::{DesiredTopic, Plan, Topology};
use prunella_wire::Codec;

use crate::cli::TopicsCommand;
use crate::commands::Context;
use crate::definitions::known_topics;
use crate::failure::{Exit, Failure};
use crate::process::{codec, connect};
use crate::signals::stop_on_signal;

pub async fn run(context: &Context, command: TopicsCommand) -> Result<ExitCode, Failure> {
    let topology = Topology::new(context.config.topics.clone())?;
    match command {
        TopicsCommand::Plan => plan(context, &topology).await,
        TopicsCommand::Apply { allow_data_loss } => apply(context, &topology, allow_data_loss).await,
        TopicsCommand::Tail { topic, from_beginning } => tail(context, &topology, &topic, from_beginning).await,
    }
}

/// The shared topics, and those of every workflow the catalog knows.
async fn desired(context: &Context, topology: &Topology) -> Result<Vec<DesiredTopic>, Failure> {
    let mut desired = topology.shared_topics();
    let cluster = connect(&context.config).await?;
    let catalog_topic = topology.topics().state_workflows();
    let shape = cluster.describe(std::slice::from_ref(&catalog_topic)).await?;
    if shape.topics.contains_key(&catalog_topic) {
        let codec = codec(&context.config, topology).await?;
        let stop = tokio_util::sync::CancellationToken::new();
        let catalog = Catalog::start(&context.config.kafka, topology.topics(), codec, stop.clone()).await?;
        for ((workspace, _), known) in &catalog.history().workflows {
            desired.extend(known_topics(topology, workspace, known));
        }
        stop.cancel();
    }
    Ok(desired)
}

fn print_plan(context: &Context, plan: &Plan) {
    if context.json {
        println!("{}", json!(plan));
        return;
    }
    for topic in &plan.topics {
        println!("{topic}");
    }
}

async fn plan(context: &Context, topology: &Topology) -> Result<ExitCode, Failure> {
    let cluster = connect(&context.config).await?;
    let plan = cluster.plan(&desired(context, topology).await?).await?;
    print_plan(context, &plan);
    if !context.json && plan.is_empty() {
        println!("the cluster is as topics/*.yaml wants it");
    }
    Ok(ExitCode::SUCCESS)
}

async fn apply(context: &Context, topology: &Topology, allow_data_loss: bool) -> Result<ExitCode, Failure> {
    let cluster = connect(&context.config).await?;
    let plan = cluster.plan(&desired(context, topology).await?).await?;
    print_plan(context, &plan);
    let applied =
        cluster.apply(&plan, allow_data_loss).await.map_err(|error| Failure::from(error).exit(Exit::Refused))?;
    if !context.json {
        println!("{} changes applied", applied.changes.len());
    }
    Ok(ExitCode::SUCCESS)
}

async fn tail(context: &Context, topology: &Topology, topic: &str, from_beginning: bool) -> Result<ExitCode, Failure> {
    let prefix = topology.topics().prefix();
    let topic = if topic.starts_with(prefix) { topic.to_owned() } else { format!("{prefix}{topic}") };
    let codec = codec(&context.config, topology).await?;
    let from = if from_beginning { TailFrom::Beginning } else { TailFrom::End };
    let mut tail = Tail::start(&context.config.kafka, &topic, from).await?;
    let stop = stop_on_signal()?;
    loop {
        let tailed = tokio::select! {
            tailed = tail.next() => tailed,
            () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
        };
        match tailed {
            Some(Tailed::Record(record)) => println!("{}", describe(&codec, &record).await),
            Some(Tailed::CaughtUp) if from_beginning => return Ok(ExitCode::SUCCESS),
            Some(Tailed::CaughtUp) => {}
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// One JSON object a record. Values that are neither control records nor text are shown by their length.
async fn describe(codec: &Codec, record: &TailedRecord) -> serde_json::Value {
    let text =
        |bytes: &[u8]| std::str::from_utf8(bytes).map_or_else(|_| format!("<{} bytes>", bytes.len()), str::to_owned);
    let headers: serde_json::Map<String, serde_json::Value> = record
        .headers
        .iter()
        .map(|(name, value)| (name.to_owned(), value.map_or(serde_json::Value::Null, |value| json!(text(value)))))
        .collect();
    let value = match &record.value {
        None => serde_json::Value::Null,
        Some(bytes) => match codec.open(bytes).await {
            Ok(opened) => {
                json!({ "record": opened.name(), "value": opened.to_json().unwrap_or_else(|error| json!(error.to_string())) })
            }
            Err(_) => serde_json::from_slice(bytes).unwrap_or_else(|_| json!(text(bytes))),
        },
    };
    json!({
        "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp,
        "key": record.key.as_ref().map(|key| text(key)), "headers": headers, "value": value,
    })
}
