//! `prunella demo`: a bounded tour on real components. What it reports was counted by a consumer of
//! the topics, not by the services.

mod count;
mod files;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use prunella_localkafka::LocalKafkaConfig;
use prunella_model::{RunId, WorkspaceName};
use prunella_testkit::source::{Shop, ShopConfig, ShopHandle};
use prunella_wire::records::RunStatus;

use crate::cli::DemoArgs;
use crate::commands::up::{apply_topics, start_broker, stop_broker};
use crate::commands::validate::{load_paths, refuse};
use crate::commands::{Context, RunReader, Trigger, apply_paths, print_report, send_trigger};
use crate::config::Config;
use crate::demo::count::Count;
use crate::failure::{Exit, Failure};
use crate::print::Progress;
use crate::process::{Process, Service};
use crate::signals::stop_on_signal;

/// Longest time for the run of the demo.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run(context: &Context, args: &DemoArgs) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let stop = stop_on_signal()?;
    let directory = tempfile::Builder::new().prefix("prunella-demo-").tempdir()?;
    let mut config = context.config.clone();
    // Nobody looks at a page of this gateway: any free port will do.
    config.gateway.listen = "127.0.0.1:0".to_owned();
    let broker = if context.brokers_given {
        None
    } else {
        say(context, "Apache Kafka, as a child process");
        let broker = start_broker(LocalKafkaConfig::new(directory.path().join("kafka")), None, context.json).await?;
        config.kafka.brokers = broker.bootstrap_servers();
        Some(broker)
    };
    say(context, &format!("  {} after {:.1} s", config.kafka.brokers, started.elapsed().as_secs_f64()));
    let told = tokio::select! {
        told = tour(context, &config, args, directory.path()) => told,
        () = stop.cancelled() => Err(Failure::plain(Exit::Failed, "interrupted")),
    };
    stop_broker(broker).await?;
    let (count, succeeded) = told?;
    if context.json {
        println!("{}", json!(count));
    } else {
        println!("\n{count}");
        println!("done after {:.1} s, nothing is left running", started.elapsed().as_secs_f64());
    }
    let complete = succeeded && count.lost == 0 && count.waiting == 0;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(Exit::RunNotSucceeded as u8) })
}

fn say(context: &Context, text: &str) {
    if !context.json {
        println!("{text}");
    }
}

async fn open_shop(orders: u32) -> Result<ShopHandle, Failure> {
    let config = ShopConfig {
        orders: u64::from(orders),
        page_size: 100,
        bad_one_in: 150,
        flaky: HashMap::from([(3, 1), (7, 2)]),
        ..ShopConfig::default()
    };
    Ok(Shop::start(config).await?)
}

async fn tour(
    context: &Context,
    config: &Config,
    args: &DemoArgs,
    directory: &std::path::Path,
) -> Result<(Count, bool), Failure> {
    let workspace = WorkspaceName::default_workspace();
    let shop = open_shop(args.orders).await?;
    say(
        context,
        &format!("a shop with {} orders, one in 150 of them bad, two pages flaky\n  {}", args.orders, shop.base_url()),
    );
    apply_topics(config).await?;
    let loaded = load_paths(&[files::write(directory)?]).map_err(|problems| refuse(&problems, context.json))?;
    let applied = apply_paths(config, &workspace, &loaded).await?;
    let stop = CancellationToken::new();
    let process = Process::start(config.clone(), directory, &stop).await?;
    for (workflow, applied) in &applied {
        say(
            context,
            &format!("workflow {workflow}@{}: customers, then orders with their customer's name", applied.version),
        );
    }
    let watched = async {
        let payload = Bytes::from(json!({ "shop": shop.base_url() }).to_string());
        let trigger = Trigger { workflow: files::workflow(), payload, key: None, idempotency_key: None };
        let topology = process.topology.clone();
        let run = send_trigger(&process.platform.output, &topology, &workspace, trigger).await?;
        say(
            context,
            &format!("a record on {} starts run {run}", topology.topics().trigger(&workspace, &files::workflow())),
        );
        let reader = RunReader::new(config, topology).await?;
        let succeeded = follow(context, &reader, &run).await?;
        let count = Count::take(config, &process, &workspace, &run).await?;
        Ok((count, succeeded))
    };
    let served = process.serve(&Service::ALL, stop.clone());
    tokio::pin!(served);
    let told = tokio::select! {
        told = watched => told,
        ended = &mut served => {
            return Err(ended.err().unwrap_or_else(|| Failure::plain(Exit::Failed, "the services ended early")));
        }
    };
    stop.cancel();
    served.await?;
    say(context, &format!("the shop saw {} requests", shop.requests()));
    told
}

async fn follow(context: &Context, reader: &RunReader, run: &RunId) -> Result<bool, Failure> {
    let progress = Progress::start(context.json, "the run is at work");
    let report = tokio::time::timeout(PATIENCE, reader.wait_for_end(run)).await.map_err(|_| {
        let message = format!("the run has not ended within {} s", PATIENCE.as_secs());
        Failure::plain(Exit::RunNotSucceeded, message)
    })??;
    drop(progress);
    if !context.json {
        println!();
        print_report(&report, reader, false);
    }
    Ok(report.state.status == RunStatus::Succeeded)
}
