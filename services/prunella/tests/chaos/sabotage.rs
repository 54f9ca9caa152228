//! A suite that cannot fail shows nothing: each promise is broken on purpose, and the oracle has to say which.

use std::time::Duration;

use prunella_testkit::harness::Cluster;

use crate::oracle::Property;
use crate::plan::{Fault, Plan};
use crate::round;

struct Broken {
    sabotage: &'static str,
    guarantee: &'static str,
    /// What lets the damage show.
    armed: &'static [&'static str],
    /// One of these at least.
    noticed_as: &'static [Property],
}

const LOST: &[Property] = &[Property::Complete, Property::InTime, Property::OneEnd, Property::Accounted];

const BROKEN: [Broken; 8] = [
    Broken { sabotage: "lose-produce", guarantee: "exactly-once", armed: &[], noticed_as: &[Property::Complete] },
    Broken { sabotage: "lose-dead-letters", guarantee: "exactly-once", armed: &[], noticed_as: &[Property::Accounted] },
    Broken {
        sabotage: "mix-lanes",
        guarantee: "at-least-once",
        armed: &["sleep+40@stream.default.ticks:decided:every-3", "sleep+40@stream.default.ticks:decided:every-3"],
        noticed_as: &[Property::Order],
    },
    Broken {
        sabotage: "commit-early",
        guarantee: "exactly-once",
        armed: &["kill@stream.default.ticks:committed:11", "kill@validator:committed:9", "kill@any:committed:61"],
        noticed_as: LOST,
    },
    Broken {
        sabotage: "skip-commit",
        guarantee: "exactly-once",
        armed: &["kill@validator:committed:10", "kill@stream.default.ticks:committed:20"],
        noticed_as: &[Property::Once],
    },
    Broken {
        sabotage: "keep-late-outcomes",
        guarantee: "exactly-once",
        armed: &["freeze+4500@stream.default.ticks:begun:6,sleep+4000@stream.default.ticks:written:6", ""],
        noticed_as: &[Property::Once],
    },
    Broken {
        sabotage: "drop-generation",
        guarantee: "exactly-once",
        armed: &["freeze+5500@stream.default.ticks:written:6", ""],
        noticed_as: &[Property::Once],
    },
    Broken {
        sabotage: "restore-uncommitted",
        guarantee: "exactly-once",
        armed: &["kill@orchestrator:written:6", "kill@orchestrator:written:9", "kill@orchestrator:offsets-sent:7"],
        noticed_as: LOST,
    },
];

impl Broken {
    /// `None` is the control: the same faults without sabotage, which have to be green.
    fn plan(&self, seed: u64, sabotage: Option<&'static str>) -> Plan {
        Plan {
            seed,
            placement: "staged",
            guarantee: self.guarantee,
            armed: self.armed.iter().map(|armed| (*armed).to_owned()).collect(),
            faults: vec![Fault::Wait(Duration::from_secs(20))],
            sabotage,
            drain_timeout: "1s",
            patience: Duration::from_secs(60),
        }
    }
}

/// `make chaos-sabotage`; `SABOTAGE` names one.
#[test]
#[ignore = "minutes of rounds that have to be red"]
fn every_broken_promise_is_noticed() {
    let only = std::env::var("SABOTAGE").ok();
    let cluster = Cluster::start();
    let mut unnoticed = Vec::new();
    for broken in BROKEN.iter().filter(|broken| only.as_deref().is_none_or(|only| only == broken.sabotage)) {
        let control = round::run(&broken.plan(0, None), &cluster);
        assert!(control.is_empty(), "{} is red without sabotage", broken.sabotage);
        // What happens when is up to the machine: a second chance for it to happen.
        let seen = (1..=2).any(|seed| {
            let findings = round::run(&broken.plan(seed, Some(broken.sabotage)), &cluster);
            findings.iter().any(|finding| broken.noticed_as.contains(&finding.property))
        });
        eprintln!("{}: {}", broken.sabotage, if seen { "noticed" } else { "NOT NOTICED" });
        if !seen {
            unnoticed.push(broken.sabotage);
        }
    }
    assert!(unnoticed.is_empty(), "broken and not noticed: {unnoticed:?}");
}
