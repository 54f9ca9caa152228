//! `prunella demo`: a bounded tour on real components. What it reports was counted by a consumer of
//! the topics, not by the services.

mod ask;
mod count;
mod drift;
mod files;
mod stage;
mod story;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use prunella_localkafka::{LocalKafka, LocalKafkaConfig};
use prunella_model::{Period, RunId, WorkspaceName};
use prunella_testkit::source::{Shop, ShopConfig, ShopHandle};
use prunella_topology::Topology;
use prunella_wire::records::RunStatus;

use crate::cli::DemoArgs;
use crate::commands::up::{apply_topics, start_broker};
use crate::commands::validate::{load_paths, refuse};
use crate::commands::{Context, RunReader, apply_paths, print_report};
use crate::config::Config;
use crate::demo::count::{Counter, Part, Totals};
use crate::demo::drift::Drift;
use crate::demo::stage::{PATIENCE, Stage};
use crate::failure::{Exit, Failure};
use crate::process::{Process, Service};
use crate::signals::stop_on_signal;

pub async fn run(context: &Context, args: &DemoArgs) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let stop = stop_on_signal()?;
    let directory = tempfile::Builder::new().prefix("prunella-demo-").tempdir()?;
    let mut config = configured(context);
    let broker = if context.brokers_given {
        None
    } else {
        say(context, "Apache Kafka, as a child process");
        let broker = start_broker(LocalKafkaConfig::new(directory.path().join("kafka")), None, context.json).await?;
        config.kafka.brokers = broker.bootstrap_servers();
        // As many partitions as a cluster gets would only take time to make: one process reads them all.
        config.topics.home_partitions.get_or_insert(4);
        config.topics.partitions.get_or_insert(3);
        Some(broker)
    };
    say(context, &format!("  {} after {:.1} s", config.kafka.brokers, started.elapsed().as_secs_f64()));
    let told = tokio::select! {
        told = tour(context, &config, args, directory.path()) => told,
        () = stop.cancelled() => Err(Failure::plain(Exit::Failed, "interrupted")),
    };
    discard(broker).await?;
    let Told { totals, ended } = told?;
    if context.json {
        println!("{}", totals.as_json());
    } else {
        println!("\n{totals}");
        println!("done after {:.1} s, nothing is left running", started.elapsed().as_secs_f64());
    }
    ended?;
    Ok(if is_as_told(&totals) { ExitCode::SUCCESS } else { ExitCode::from(Exit::RunNotSucceeded as u8) })
}

/// Its data goes with the directory.
async fn discard(broker: Option<LocalKafka>) -> Result<(), Failure> {
    let Some(broker) = broker else { return Ok(()) };
    let ended = tokio::task::spawn_blocking(move || broker.discard()).await;
    Ok(ended.map_err(|error| Failure::plain(Exit::Failed, format!("the broker's end panicked: {error}")))??)
}

/// What came of the tour: the figures, and why it ended early if it did.
struct Told {
    totals: Totals,
    ended: Result<(), Failure>,
}

/// Every record has arrived, and each act has shown what it is there for.
fn is_as_told(totals: &Totals) -> bool {
    totals.add_up() && totals.all.healed > 0 && totals.all.reviewed > 0 && totals.rolled_back == 1
}

fn configured(context: &Context) -> Config {
    let mut config = context.config.clone();
    // Nobody looks at a page of this gateway: any free port will do.
    config.gateway.listen = "127.0.0.1:0".to_owned();
    // The source is one shop: there is no other record to gather.
    config.healing.gather = Period::from_millis(300);
    // Topics are read to their ends again and again, and the end of one is told when nothing more has come for so long.
    config.kafka.librdkafka.entry("fetch.wait.max.ms".to_owned()).or_insert_with(|| "20".to_owned());
    // What heals here heals by structure alone, and costs nobody anything.
    config.llm = prunella_llm::LlmSettings::default();
    config
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

async fn tour(context: &Context, config: &Config, args: &DemoArgs, directory: &Path) -> Result<Told, Failure> {
    let workspace = WorkspaceName::default_workspace();
    let shop = open_shop(args.orders).await?;
    say(
        context,
        &format!("a shop with {} orders, one in 150 of them bad, two pages flaky\n  {}", args.orders, shop.base_url()),
    );
    apply_topics(config).await?;
    let stamp = context.brokers_given.then(|| jiff::Timestamp::now().to_string());
    let files = files::write(directory, stamp.as_deref())?;
    let loaded = load_paths(&files).map_err(|problems| refuse(&problems, context.json))?;
    let applied = apply_paths(config, &workspace, &loaded).await?;
    let stop = CancellationToken::new();
    let process = Process::start(config.clone(), directory, &stop).await?;
    if let Some((workflow, applied)) = applied.first() {
        say(
            context,
            &format!("workflow {workflow}@{}: customers, then orders with their customer's name", applied.version),
        );
    }
    let stage = Stage { context, workspace: &workspace, process: &process, shop: &shop };
    let served = process.serve(&Service::ALL, stop.clone());
    tokio::pin!(served);
    let told = tokio::select! {
        told = acts(&stage, args) => told,
        ended = &mut served => {
            return Err(ended.err().unwrap_or_else(|| Failure::plain(Exit::Failed, "the services ended early")));
        }
    };
    stop.cancel();
    served.await?;
    say(context, &format!("the shop saw {} requests", shop.requests()));
    told
}

/// One act after the other; what was done until one fails is counted all the same.
async fn acts(stage: &Stage<'_>, args: &DemoArgs) -> Result<Told, Failure> {
    let drift = Drift::new(stage)?;
    let mut runs: [BTreeSet<RunId>; 3] = Default::default();
    let [orders, healed, reviewed] = &mut runs;
    let ended = async {
        pages(stage, orders).await?;
        drift.heal(healed).await?;
        drift.review(args.decide, reviewed).await
    };
    let ended = ended.await;
    let names = [("orders", files::orders()), ("drift", files::sales()), ("review", files::sales())];
    let part = |((name, (workflow, step)), runs)| Part { name, workflow, step, runs };
    let parts: Vec<Part> = names.into_iter().zip(runs).map(part).collect();
    let counter = Counter { process: stage.process, workspace: stage.workspace, mapping: &drift.mapping() };
    Ok(Told { totals: counter.take(&parts).await?, ended })
}

/// A run of two steps over the pages of the shop.
async fn pages(stage: &Stage<'_>, runs: &mut BTreeSet<RunId>) -> Result<(), Failure> {
    let (workflow, _) = files::orders();
    let run = stage.start(&workflow).await?;
    runs.insert(run.clone());
    let topics = stage.process.topology.topics();
    stage.say(format!("a record on {} starts run {run}", topics.trigger(stage.workspace, &workflow)));
    let reader = RunReader::new(&stage.process.config, Topology::new(stage.process.config.topics.clone())?).await?;
    let progress = stage.progress("the run is at work");
    let report = tokio::time::timeout(PATIENCE, reader.wait_for_end(&run)).await.map_err(|_| {
        let message = format!("the run has not ended within {} s", PATIENCE.as_secs());
        Failure::plain(Exit::RunNotSucceeded, message)
    })??;
    drop(progress);
    if !stage.context.json {
        println!();
        print_report(&report, &reader, false);
    }
    if report.state.status == RunStatus::Succeeded {
        return Ok(());
    }
    Err(Failure::plain(Exit::RunNotSucceeded, format!("run {run} is {}", report.state.status.as_str())))
}
