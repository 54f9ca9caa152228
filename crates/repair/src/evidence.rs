use serde::Serialize;

use crate::guard::Jump;
use crate::outage::Outage;

/// Why a field of the output may be believed, or not. The verdict is made of nothing else.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Evidence {
    /// Entities that are known from before show, in the new records, what they showed then; nothing else does.
    Proven { records: usize, values: usize, bits: f64 },
    /// It is read where it was read before, and looks as before; this many known entities confirm it.
    Kept { confirmed: usize },
    /// It is read where it was, in another form which the values themselves tell.
    Recast { conversion: String },
    /// The same recurring values are in this field, and in no other.
    Vocabulary { shared: usize },
    /// The same name, in other spelling or at another place, and no other field has it.
    SameName,
    /// The only field of identifiers that are written so, under the name with that of the entity.
    SamePattern,
    /// Several fields were renamed in the same way.
    Systematic { times: usize },
    /// Names alone speak for it.
    Named,
    /// Nothing but the proposal speaks for it.
    Proposed,
    /// These would do as well.
    Tied { rivals: Vec<String> },
    /// What it reads gives other values than the same entities had before, or such as the schema refuses.
    Refuted { example: String },
    /// It is optional, and no new record has it where it was: it may have moved.
    Quiet,
    /// Nothing in the new records stands for it.
    Gone,
    /// It reads in a way that cannot be followed.
    Opaque,
}

impl Evidence {
    /// Whether a mapping may be activated on it.
    pub fn carries(&self) -> bool {
        matches!(
            self,
            Self::Proven { .. }
                | Self::Kept { .. }
                | Self::Recast { .. }
                | Self::Vocabulary { .. }
                | Self::SameName
                | Self::SamePattern
                | Self::Systematic { .. }
        )
    }

    /// Order from strong to none, for the score and for what is shown first.
    pub fn weight(&self) -> f64 {
        match self {
            Self::Proven { .. } => 1.0,
            Self::Kept { confirmed } if *confirmed > 0 => 1.0,
            Self::Kept { .. } => 0.95,
            Self::Recast { .. } | Self::Vocabulary { .. } => 0.9,
            Self::Systematic { .. } | Self::SameName | Self::SamePattern => 0.85,
            Self::Named | Self::Quiet | Self::Proposed => 0.5,
            Self::Tied { .. } | Self::Opaque => 0.3,
            Self::Refuted { .. } | Self::Gone => 0.0,
        }
    }

    /// In words, as the reason in a table.
    pub fn because(&self) -> String {
        match self {
            Self::Proven { records, values, .. } => {
                format!("{records} known entities show the same values there ({values} different)")
            }
            Self::Kept { confirmed: 0 } => "unchanged, and looks as before".to_owned(),
            Self::Kept { confirmed } => format!("unchanged, confirmed by {confirmed} known entities"),
            Self::Recast { conversion } => format!("same place, other form: {conversion}"),
            Self::Vocabulary { shared } => format!("the same {shared} recurring values, in no other field"),
            Self::SameName => "the only field of that name, with values as before".to_owned(),
            Self::SamePattern => "the only field of identifiers of that form, under a like name".to_owned(),
            Self::Systematic { times } => format!("renamed in the same way at {times} places"),
            Self::Named => "only the name speaks for it".to_owned(),
            Self::Proposed => "nothing but the proposal speaks for it".to_owned(),
            Self::Tied { rivals } => format!("cannot be told from {}", rivals.join(", ")),
            Self::Refuted { example } => format!("contradicted: {example}"),
            Self::Quiet => "optional, and not seen in the new records".to_owned(),
            Self::Gone => "nothing in the new records stands for it".to_owned(),
            Self::Opaque => "read in a way that cannot be followed".to_owned(),
        }
    }
}

/// What became of one field of the output.
#[derive(Debug, Clone, Serialize)]
pub struct FieldChange {
    /// Name in the output.
    pub field: String,
    /// JSONata before.
    pub old: String,
    /// JSONata now; the same when nothing had to change.
    pub new: String,
    pub evidence: Evidence,
    pub because: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Proven: may run without asking.
    Activate,
    /// A person has to decide; the mapping, if there is one, is a proposal.
    Review,
    /// There is nothing to map, or too much is gone.
    Refuse,
    /// The mapping is right as it is.
    Unchanged,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Review => "review",
            Self::Refuse => "refuse",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What a mapping was tried on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Records as they come now, and of those the ones that the old mapping still serves.
    pub records: usize,
    pub old_shape: usize,
    /// Records that are outages and were not learned from.
    pub outages: usize,
    /// Records whose output was valid.
    pub valid: usize,
    /// Records that the mapping was not made from.
    pub held_back: usize,
    /// Rows of known entities, and those whose output is what it was.
    pub known: usize,
    pub reproduced: usize,
    /// Remembered samples of the old shape that the mapping serves too, and those it gives the same output for.
    pub remembered: usize,
    pub regressed: usize,
}

/// All that a reviewer reads.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// One sentence.
    pub summary: String,
    /// What changed in the source: fields gone and fields new.
    pub gone: Vec<String>,
    pub new: Vec<String>,
    pub fields: Vec<FieldChange>,
    pub trial: Trial,
    pub jumps: Vec<Jump>,
    pub outages: Vec<Outage>,
    /// Lowest weight of a field, times the share of valid records.
    pub score: f64,
    /// Why this verdict and no better one.
    pub reasons: Vec<String>,
    /// What would change the verdict.
    pub would_change: Vec<String>,
}

/// What the product journals, shows and acts on.
#[derive(Debug, Clone, Serialize)]
pub struct Repair {
    pub id: String,
    pub verdict: Verdict,
    pub mapping: Option<String>,
    pub origin: &'static str,
    pub evidence: Story,
}
