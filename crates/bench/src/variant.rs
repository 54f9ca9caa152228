//! Ways to run the product, and the one place that knows which keys of its configuration select them.

use std::fmt;

use prunella_testkit::harness::{Broker, Installation};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the product promises when it is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

impl Guarantee {
    pub(crate) const ALL: [Self; 2] = [Self::AtLeastOnce, Self::ExactlyOnce];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::ExactlyOnce => "exactly-once",
        }
    }
}

/// Whether stages hand over by records or in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Placement {
    Staged,
    Fused,
}

impl Placement {
    const ALL: [Self; 2] = [Self::Staged, Self::Fused];

    fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Fused => "fused",
        }
    }
}

/// A placement with a guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub(crate) placement: Placement,
    pub(crate) guarantee: Guarantee,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.placement.name(), self.guarantee.name())
    }
}

/// A variable of the environment that sets a key of the configuration.
type Setting = (&'static str, &'static str);

/// The same guarantee for every service.
fn guarantee_settings(guarantee: Guarantee) -> [Setting; 5] {
    [
        ("PRUNELLA__PROCESSING__GUARANTEE__STREAMS", guarantee.name()),
        ("PRUNELLA__PROCESSING__GUARANTEE__ORCHESTRATOR", guarantee.name()),
        ("PRUNELLA__PROCESSING__GUARANTEE__EXTRACTOR", guarantee.name()),
        ("PRUNELLA__PROCESSING__GUARANTEE__TRANSFORMER", guarantee.name()),
        ("PRUNELLA__PROCESSING__GUARANTEE__VALIDATOR", guarantee.name()),
    ]
}

fn placement_setting(placement: Placement) -> Setting {
    ("PRUNELLA__PROCESSING__PLACEMENT", placement.name())
}

/// A variant that the binary at hand has.
#[derive(Debug, Clone)]
pub(crate) struct Mode {
    pub(crate) variant: Variant,
    pub(crate) environment: Vec<Setting>,
    /// The variable that tells processes of one service apart, if they must be.
    pub(crate) slot_key: Option<&'static str>,
}

const SLOT: &str = "PRUNELLA__PROCESSING__TRANSACTIONS__SLOT";

/// The variants that the binary has, of those that are `wanted` (all, if none is named); `notes` tells of those it
/// does not have.
///
/// A binary without one of the keys has only that key's first value, and is run without the key.
pub(crate) fn modes(broker: &Broker, binary: &str, wanted: &[String], notes: &mut Vec<String>) -> Vec<Mode> {
    let accepts = |settings: &[Setting]| {
        let mut installation = Installation::on(broker, binary, &json!({}));
        for (name, value) in settings {
            installation = installation.with_environment(name, value);
        }
        // Reads the configuration and changes nothing. Topics that are missing are a difference, not a refusal.
        let answer = installation.cli(&["topics", "plan"]);
        !answer.stderr.contains("unknown field") && !answer.stderr.contains("unknown variant")
    };
    let mut modes = Vec::new();
    let has_placement = accepts(&[placement_setting(Placement::Staged)]);
    let has_guarantee = accepts(&guarantee_settings(Guarantee::AtLeastOnce));
    for placement in Placement::ALL {
        for guarantee in Guarantee::ALL {
            let variant = Variant { placement, guarantee };
            if !wanted.is_empty() && !wanted.contains(&variant.to_string()) {
                continue;
            }
            let mut environment = Vec::new();
            let mut missing = Vec::new();
            match (has_placement, placement) {
                (true, _) => environment.push(placement_setting(placement)),
                (false, Placement::Staged) => {}
                (false, Placement::Fused) => missing.push("processing.placement"),
            }
            match (has_guarantee, guarantee) {
                (true, _) => environment.extend(guarantee_settings(guarantee)),
                (false, Guarantee::AtLeastOnce) => {}
                (false, Guarantee::ExactlyOnce) => missing.push("processing.guarantee"),
            }
            if !missing.is_empty() {
                notes.push(format!("{variant}: this binary has no setting {}", missing.join(", ")));
            } else if !accepts(&environment) {
                notes.push(format!("{variant}: this binary refuses {environment:?}"));
            } else {
                modes.push(Mode { variant, environment, slot_key: has_guarantee.then_some(SLOT) });
            }
        }
    }
    modes
}
