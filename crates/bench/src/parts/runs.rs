//! Trigger → three small steps → result.

use std::time::Duration;

use prunella_testkit::harness::Broker;

use crate::child::RelayProcess;
use crate::cli::{self, Settings};
use crate::error::Result;
use crate::load::{Target, closed_loop, steady};
use crate::product::Product;
use crate::relay::Relay;
use crate::results::Report;
use crate::sheet::{Sheet, Unit};
use crate::targets::{RunTarget, TopicTarget};
use crate::variant::{Guarantee, Variant, variants_of_runs};
use crate::workflows::chain;

const STEPS: usize = 3;
/// The baseline of the baselines: produce a record, consume it.
const RAW: &str = "runs/raw";
/// Bytes of a record of the baselines.
const RECORD: usize = 400;
/// Work before anything is measured: connections, assignments, compiled mappings.
const WARM_UP: u64 = 50;
/// Under load before anything is measured: compilers of the broker, caches, memory.
const SETTLING: Duration = Duration::from_secs(1);

pub(crate) fn runs(settings: &Settings, report: &mut Report) -> Result<()> {
    let broker = cli::broker();
    let variants = variants_of_runs(&settings.modes);
    create_baselines(&broker, settings.partitions);
    let products = install(&broker, settings, &variants)?;
    let sheet = &mut report.sheet;
    for round in 0..settings.rounds {
        cli::step(round, "produce to consume");
        let mut target = topic_target(&broker, "raw-in", "raw-in")?;
        measure(sheet, settings, &mut target, RAW, None)?;
        for guarantee in Guarantee::ALL {
            let name = hop_name(guarantee);
            cli::step(round, &name);
            let mut target = topic_target(&broker, &format!("{name}-in"), &format!("{name}-out"))?;
            let hop = RelayProcess::start(&Relay::hop(&broker.bootstrap_servers(), &name, guarantee))?;
            measure(sheet, settings, &mut target, &format!("runs/{name}"), Some(RAW))?;
            hop.stop()?;
        }
        for (variant, product) in variants.iter().zip(&products) {
            cli::step(round, &variant.to_string());
            let mut target = RunTarget::new(product, &broker.bootstrap_servers(), "chain")?;
            let process = product.serve(0);
            let hop = format!("runs/{}", hop_name(variant.guarantee));
            measure(sheet, settings, &mut target, &format!("runs/{}", variant), Some(&hop))?;
            if target.duplicates() > 0 {
                report.notes.push(format!("{}: {} outputs came twice", variant, target.duplicates()));
            }
            process.terminate(crate::client::PATIENCE);
        }
    }
    Ok(())
}

/// Latencies of runs one after another, then the rate at each concurrency.
fn measure(
    sheet: &mut Sheet,
    settings: &Settings,
    target: &mut dyn Target,
    name: &str,
    against: Option<&str>,
) -> Result<()> {
    let mut next = WARM_UP + settings.runs;
    closed_loop(target, 0..WARM_UP, 4)?;
    let measured = closed_loop(target, WARM_UP..next, 1)?;
    if against.is_some_and(|against| against != RAW) {
        let (name, raw) = (format!("{name}/p50-of-raw"), format!("{RAW}/p50"));
        sheet.add(name, Unit::Milliseconds, Some(&raw), measured.latency(0.5));
    }
    let mut add = |figure: &str, unit, value| {
        let against = against.map(|against| format!("{against}/{figure}"));
        sheet.add(format!("{name}/{figure}"), unit, against.as_deref(), value);
    };
    for (figure, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        add(figure, Unit::Milliseconds, measured.latency(quantile));
    }
    for concurrency in &settings.concurrency {
        let time = Duration::from_secs(settings.load_seconds);
        let (measured, following) = steady(target, next, *concurrency, SETTLING, time)?;
        next = following;
        add(&format!("throughput-{concurrency}"), Unit::RunsPerSecond, measured.per_second());
        add(&format!("p50-{concurrency}"), Unit::Milliseconds, measured.latency(0.5));
    }
    Ok(())
}

fn install(broker: &Broker, settings: &Settings, variants: &[Variant]) -> Result<Vec<Product>> {
    let binary = settings.binary()?;
    let install = |variant: &Variant| {
        let product = Product::install(broker, &binary, *variant, settings.partitions);
        product.apply(&chain("chain", STEPS));
        product
    };
    Ok(variants.iter().map(install).collect())
}

/// Name of the baseline that does one hop with this guarantee.
pub(super) fn hop_name(guarantee: Guarantee) -> String {
    format!("hop-{}", guarantee.name())
}

/// The topics of the baselines of runs.
pub(super) fn create_baselines(broker: &Broker, partitions: i32) {
    let client = broker.client();
    client.create_topic("raw-in", partitions);
    for guarantee in Guarantee::ALL {
        for role in ["in", "out", "state"] {
            client.create_topic(&format!("{}-{role}", hop_name(guarantee)), partitions);
        }
    }
}

/// Records of 400 bytes to `to`, awaited on `back`.
pub(super) fn topic_target(broker: &Broker, to: &str, back: &str) -> Result<TopicTarget> {
    TopicTarget::new(&broker.bootstrap_servers(), to, back, 0, |_| vec![b'r'; RECORD])
}
