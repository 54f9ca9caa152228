//! Ways to run the product, and the one place that knows which keys of its configuration select them.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// A placement with guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub(crate) placement: Placement,
    /// Of what is put out.
    pub(crate) guarantee: Guarantee,
    /// Of the state of runs.
    pub(crate) orchestrator: Guarantee,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.orchestrator == self.guarantee { "" } else { "-outputs" };
        write!(f, "{}/{}{state}", self.placement.name(), self.guarantee.name())
    }
}

/// A variable of the environment that sets a key of the configuration.
type Setting = (&'static str, &'static str);

impl Variant {
    /// Each placement with the same guarantee for every service.
    fn uniform() -> impl Iterator<Item = Self> {
        Placement::ALL.into_iter().flat_map(|placement| {
            Guarantee::ALL.map(|guarantee| Self { placement, guarantee, orchestrator: guarantee })
        })
    }

    /// As it is configured when nothing is.
    const DEFAULT: Self =
        Self { placement: Placement::Staged, guarantee: Guarantee::AtLeastOnce, orchestrator: Guarantee::ExactlyOnce };

    pub(crate) fn environment(self) -> [Setting; 6] {
        let outputs = self.guarantee.name();
        [
            ("PRUNELLA__PROCESSING__PLACEMENT", self.placement.name()),
            ("PRUNELLA__PROCESSING__GUARANTEE__STREAMS", outputs),
            ("PRUNELLA__PROCESSING__GUARANTEE__ORCHESTRATOR", self.orchestrator.name()),
            ("PRUNELLA__PROCESSING__GUARANTEE__EXTRACTOR", outputs),
            ("PRUNELLA__PROCESSING__GUARANTEE__TRANSFORMER", outputs),
            ("PRUNELLA__PROCESSING__GUARANTEE__VALIDATOR", outputs),
        ]
    }
}

/// The variants that are `wanted`; all with one guarantee if none is named.
pub(crate) fn variants(wanted: &[String]) -> Vec<Variant> {
    if wanted.is_empty() {
        return Variant::uniform().collect();
    }
    let is_wanted = |variant: &Variant| wanted.contains(&variant.to_string());
    Variant::uniform().chain([Variant::DEFAULT]).filter(is_wanted).collect()
}

/// The same with what is configured when nothing is, which differs from the others in what a run costs.
pub(crate) fn variants_of_runs(wanted: &[String]) -> Vec<Variant> {
    let mut variants = variants(wanted);
    if wanted.is_empty() {
        variants.push(Variant::DEFAULT);
    }
    variants
}
