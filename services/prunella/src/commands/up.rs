use std::process::ExitCode;

use prunella_localkafka::{LocalKafka, LocalKafkaConfig};
use prunella_topology::Topology;
use tokio_util::sync::CancellationToken;

use crate::cli::UpArgs;
use crate::commands::validate::{load_paths, refuse};
use crate::commands::{Context, apply_paths};
use crate::config::Config;
use crate::definitions::check_models;
use crate::failure::{Exit, Failure};
use crate::print::Progress;
use crate::process::{Process, Service, connect};
use crate::signals::stop_on_signal;

/// Starts the local broker of `directory`; its progress goes to standard error.
pub async fn start_broker(mut config: LocalKafkaConfig, port: Option<u16>, quiet: bool) -> Result<LocalKafka, Failure> {
    config.port = port;
    let started = tokio::task::spawn_blocking(move || {
        let progress = Progress::start(quiet, "starting Apache Kafka");
        LocalKafka::start(config, &|step| progress.say(step.to_string()))
    });
    let broker = started
        .await
        .map_err(|error| Failure::plain(Exit::Failed, format!("the broker's starter panicked: {error}")))?;
    Ok(broker?)
}

/// Makes the topics that every installation has.
pub async fn apply_topics(config: &Config) -> Result<(), Failure> {
    let topology = Topology::new(config.topics.clone())?;
    let cluster = connect(config).await?;
    let plan = cluster.plan(&topology.shared_topics()).await?;
    cluster.apply(&plan, false).await?;
    Ok(())
}

pub async fn stop_broker(broker: Option<LocalKafka>) -> Result<(), Failure> {
    let Some(broker) = broker else { return Ok(()) };
    let stopped = tokio::task::spawn_blocking(move || broker.stop()).await;
    Ok(stopped.map_err(|error| Failure::plain(Exit::Failed, format!("the broker's stop panicked: {error}")))??)
}

/// Ends when the broker dies by itself.
pub async fn broker_ended(broker: Option<&LocalKafka>) -> Failure {
    let Some(broker) = broker else { return std::future::pending().await };
    loop {
        if let Some(failure) = broker.failure() {
            return failure.into();
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

pub async fn run(mut context: Context, args: UpArgs) -> Result<ExitCode, Failure> {
    let stop = stop_on_signal()?;
    let loaded = load_paths(&args.apply).map_err(|problems| refuse(&problems, context.json))?;
    check_models(&context.config, &loaded)?;
    let broker = if context.brokers_given {
        None
    } else {
        let config = LocalKafkaConfig::new(context.data_directory.join("kafka"));
        let broker = start_broker(config, args.kafka_port, context.json).await?;
        context.config.kafka.brokers = broker.bootstrap_servers();
        Some(broker)
    };
    apply_topics(&context.config).await?;
    let services_stop = CancellationToken::new();
    let process = Process::start(context.config.clone(), &context.data_directory, &services_stop).await?;
    apply_paths(&context.config, &context.workspace, &loaded).await?;
    let brokers = &context.config.kafka.brokers;
    if context.json {
        let ready = serde_json::json!({ "ready": { "brokers": brokers, "gateway": context.config.gateway.listen } });
        println!("{ready}");
    } else {
        println!("Kafka     {brokers}");
        println!("HTTP API  http://{}", context.config.gateway.listen);
        println!(
            "Try       prunella --brokers {brokers} apply examples/orders && prunella --brokers {brokers} workflows list"
        );
    }
    let failed = serve_until(&process, services_stop, stop, broker.as_ref()).await;
    // Its clients would complain about the broker that is stopped next.
    drop(process);
    stop_broker(broker).await?;
    match failed {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::SUCCESS),
    }
}

async fn serve_until(
    process: &Process,
    services_stop: CancellationToken,
    stop: CancellationToken,
    broker: Option<&LocalKafka>,
) -> Option<Failure> {
    let serving = process.serve(&Service::ALL, services_stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => result.err(),
        () = stop.cancelled() => {
            services_stop.cancel();
            serving.await.err()
        }
        failure = broker_ended(broker) => Some(failure),
    }
}
