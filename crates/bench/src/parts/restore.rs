//! How long a restarted orchestrator needs until runs flow again, by the number of live runs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use prunella_testkit::harness::Broker;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use crate::cli::{self, Settings};
use crate::client::{PATIENCE, Writer, consumer, read_from};
use crate::error::{BenchError, Result};
use crate::live_runs::write_live_runs;
use crate::product::Product;
use crate::results::Report;
use crate::sheet::{Sheet, Unit};
use crate::usage::peak_memory;
use crate::variant::{Variant, variants};
use crate::workflows::chain;

const WORKFLOW: &str = "restored";
/// Enough that every home gets some of them.
const PROBES_PER_PARTITION: u64 = 16;
const LONGEST: Duration = Duration::from_secs(300);

pub(crate) fn restore(settings: &Settings, report: &mut Report) -> Result<()> {
    let binary = settings.binary()?;
    let sheet = &mut report.sheet;
    for live in &settings.live_runs {
        // A broker for each number: what is compacted of one must not disturb the next.
        let broker = cli::broker();
        report.notes.clear();
        let variants = variants(&settings.modes);
        let mut products = Vec::new();
        for variant in &variants {
            let product = Product::install(&broker, &binary, *variant, settings.partitions);
            product.apply(&chain(WORKFLOW, 1));
            cli::step(0, &format!("writing {live} live runs for {}", variant));
            write_live_runs(&broker.bootstrap_servers(), &product, WORKFLOW, settings.partitions, *live)?;
            products.push((*variant, product));
        }
        for round in 0..settings.rounds {
            for (variant, product) in &products {
                cli::step(round, &format!("{live} live runs, {}", variant));
                one_round(sheet, &broker, settings, (*variant, product), *live)?;
            }
        }
    }
    Ok(())
}

fn one_round(
    sheet: &mut Sheet,
    broker: &Broker,
    settings: &Settings,
    (variant, product): (Variant, &Product),
    live: u64,
) -> Result<()> {
    let brokers = broker.bootstrap_servers();
    let (name, state) = (format!("restore/{}/{live}", variant), product.topic("state.runs"));
    let baseline = format!("{name}/read");
    let (took, bytes) = read_whole(&brokers, &state)?;
    sheet.add(&baseline, Unit::Seconds, None, took.as_secs_f64());
    let size = format!("{name}/size");
    sheet.add(&size, Unit::Mebibytes, None, bytes as f64 / 1_048_576.0);

    let observer = consumer(&brokers, None)?;
    read_from(&observer, &[&state], Offset::End)?;
    let writer = Writer::new(&brokers, 0, None)?;
    let trigger = product.topic(&format!("trigger.default.{WORKFLOW}"));
    for probe in 0..PROBES_PER_PARTITION * u64::try_from(settings.partitions).unwrap_or(1) {
        writer.send(&trigger, None, probe.to_string().as_bytes(), b"{\"number\":1,\"text\":\"probe\"}")?;
    }
    writer.settle()?;
    let began = Instant::now();
    let process = product.serve(0);
    wait_for_all_homes(&observer, settings.partitions)?;
    sheet.add(format!("{name}/time"), Unit::Seconds, Some(&baseline), began.elapsed().as_secs_f64());
    sheet.add(format!("{name}/memory"), Unit::Mebibytes, Some(&size), peak_memory(process.pid())?);
    process.terminate(PATIENCE);
    Ok(())
}

/// A home writes about a new run only when it is restored.
fn wait_for_all_homes(observer: &BaseConsumer, homes: i32) -> Result<()> {
    let deadline = Instant::now() + LONGEST;
    let mut flowing = BTreeSet::new();
    while i32::try_from(flowing.len()).unwrap_or(i32::MAX) < homes {
        match observer.poll(Duration::from_millis(20)) {
            Some(Ok(message)) => {
                flowing.insert(message.partition());
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => return Err(error.into()),
        }
        if Instant::now() > deadline {
            let what = format!("all {homes} homes are restored; {} are", flowing.len());
            return Err(BenchError::TooSlow { what, seconds: LONGEST.as_secs() });
        }
    }
    Ok(())
}

/// The baseline: the same records by a consumer that does nothing with them, and the bytes of their keys and values.
fn read_whole(brokers: &str, topic: &str) -> Result<(Duration, usize)> {
    let began = Instant::now();
    let consumer = consumer(brokers, None)?;
    read_from(&consumer, &[topic], Offset::Beginning)?;
    let mut open = consumer.assignment()?.count();
    let mut bytes = 0;
    while open > 0 {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => bytes += message.key_len() + message.payload_len(),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None => {
                return Err(BenchError::TooSlow { what: format!("the end of {topic}"), seconds: PATIENCE.as_secs() });
            }
        }
    }
    Ok((began.elapsed(), bytes))
}
