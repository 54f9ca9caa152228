//! Faults of every kind under load, on three brokers, and an oracle that checks what is promised: docs/testing.md.
//!
//! `ROUNDS` is how many rounds (one), `SEED` the first of them; a seed gives the same faults again. Only a build with the
//! feature `chaos` can be ended at a named point, have its clock moved or be sabotaged.

#[path = "../shared/drift.rs"]
mod drift;
mod healing;
mod members;
mod observed;
mod oracle;
mod plan;
mod round;
mod sabotage;
mod timeline;
mod workload;

use std::time::{SystemTime, UNIX_EPOCH};

use prunella_testkit::harness::Cluster;

/// Every round has topics of its own, and brokers keep them all.
const ROUNDS_PER_CLUSTER: u64 = 5;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[test]
fn rounds_of_faults() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = from_environment("SEED", now.as_secs() % 1_000_000);
    let rounds = from_environment("ROUNDS", 1);
    let mut cluster = None;
    for seed in first..first + rounds {
        if (seed - first).is_multiple_of(ROUNDS_PER_CLUSTER) {
            // The old one goes before the new one comes.
            drop(cluster.take());
        }
        let findings = round::run(&plan::Plan::of(seed), cluster.get_or_insert_with(Cluster::start));
        assert!(findings.is_empty(), "round {} of {rounds}, SEED={seed}", seed - first + 1);
    }
}
