//! What more steps and larger batches cost.

use crate::child::RelayProcess;
use crate::cli::{self, Settings};
use crate::client::PATIENCE;
use crate::error::Result;
use crate::load::closed_loop;
use crate::product::Product;
use crate::relay::Relay;
use crate::results::Report;
use crate::sheet::Unit;
use crate::targets::{RunTarget, TopicTarget};
use crate::variant::{Guarantee, Variant, variants};
use crate::workflows::{batch, chain};

use super::runs::{create_baselines, hop_name, topic_target};

const WARM_UP: u64 = 5;

pub(crate) fn growth(settings: &Settings, report: &mut Report) -> Result<()> {
    let broker = cli::broker();
    let brokers = broker.bootstrap_servers();
    let variants = variants(&settings.modes);
    create_baselines(&broker, settings.partitions);
    let binary = settings.binary()?;
    let install = |variant: &Variant| {
        let product = Product::install(&broker, &binary, *variant, settings.partitions);
        settings.steps.iter().for_each(|steps| product.apply(&chain(&chain_name(*steps), *steps)));
        product.apply(&batch("batch"));
        product
    };
    let products: Vec<Product> = variants.iter().map(install).collect();
    let (warm_up, runs) = (0..WARM_UP, WARM_UP..WARM_UP + settings.growth_runs);
    let sheet = &mut report.sheet;
    for round in 0..settings.rounds {
        for guarantee in Guarantee::ALL {
            let name = hop_name(guarantee);
            cli::step(round, &name);
            let mut target = topic_target(&broker, &format!("{name}-in"), &format!("{name}-out"))?;
            let hop = RelayProcess::start(&Relay::hop(&brokers, &name, guarantee))?;
            closed_loop(&mut target, warm_up.clone(), 1)?;
            let measured = closed_loop(&mut target, runs.clone(), 1)?;
            sheet.add(format!("growth/{name}/p50"), Unit::Milliseconds, None, measured.latency(0.5));
            hop.stop()?;
        }
        for items in &settings.items {
            let items = *items;
            let value = move |number| trigger_with_items(number, items);
            let mut target = TopicTarget::new(&brokers, "raw-in", "raw-in", 0, value)?;
            closed_loop(&mut target, warm_up.clone(), 1)?;
            let measured = closed_loop(&mut target, runs.clone(), 1)?;
            sheet.add(format!("growth/raw/items-{items}/p50"), Unit::Milliseconds, None, measured.latency(0.5));
        }
        for (variant, product) in variants.iter().zip(&products) {
            cli::step(round, &variant.to_string());
            let process = product.serve(0);
            let hop = format!("growth/{}/p50", hop_name(variant.guarantee));
            for steps in &settings.steps {
                let mut target = RunTarget::new(product, &brokers, &chain_name(*steps))?;
                closed_loop(&mut target, warm_up.clone(), 1)?;
                let measured = closed_loop(&mut target, runs.clone(), 1)?;
                let name = format!("growth/{}/steps-{steps}/p50", variant);
                sheet.add(name, Unit::Milliseconds, Some(&hop), measured.latency(0.5));
            }
            for items in &settings.items {
                let items = *items;
                let value = move |number| trigger_with_items(number, items);
                let mut target = RunTarget::with_items(product, &brokers, "batch", items, value)?;
                closed_loop(&mut target, warm_up.clone(), 1)?;
                let measured = closed_loop(&mut target, runs.clone(), 1)?;
                let raw = format!("growth/raw/items-{items}/p50");
                let name = format!("growth/{}/items-{items}/p50", variant);
                sheet.add(name, Unit::Milliseconds, Some(&raw), measured.latency(0.5));
            }
            process.terminate(PATIENCE);
        }
    }
    Ok(())
}

fn chain_name(steps: usize) -> String {
    format!("chain-{steps}")
}

/// Each item carries the number of its run, by which outputs are told apart.
fn trigger_with_items(number: u64, items: usize) -> Vec<u8> {
    let item = format!("{{\"number\":{number},\"text\":\"a text of forty letters, more or less so\"}}");
    format!("{{\"items\":[{}]}}", vec![item; items].join(",")).into_bytes()
}
