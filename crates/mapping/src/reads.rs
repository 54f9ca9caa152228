use std::collections::BTreeSet;

use jlens_core::reads::Read;

/// The name under which steps stand, as a variable and in the root context.
const STEPS: &str = "steps";

/// What an expression may read: never less than it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// `None`: not known, so everything.
    analysed: Option<jlens_core::reads::Reads>,
}

/// The outputs of steps that an expression may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepReads {
    /// Perhaps every step: the expression reads the steps as a whole, or it cannot be known.
    All,
    /// These steps at most.
    Only(BTreeSet<String>),
}

impl StepReads {
    /// What either of the two reads.
    pub fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut mine), Self::Only(theirs)) => {
                mine.extend(theirs);
                Self::Only(mine)
            }
            _ => Self::All,
        }
    }
}

impl Reads {
    #[cfg_attr(not(feature = "jsonata-rs"), expect(dead_code, reason = "for engines that cannot tell"))]
    pub(crate) fn everything() -> Self {
        Self { analysed: None }
    }

    pub(crate) fn analysed(reads: jlens_core::reads::Reads) -> Self {
        Self { analysed: Some(reads) }
    }

    /// Whether the expression may read the variable `$name`.
    pub fn binding(&self, name: &str) -> bool {
        self.analysed.as_ref().is_none_or(|reads| reads.every_binding() || reads.binding(name).is_some())
    }

    /// Whether the expression may read any variable that it does not bind itself.
    pub fn any_binding(&self) -> bool {
        self.analysed.as_ref().is_none_or(|reads| reads.every_binding() || !reads.bindings().is_empty())
    }

    /// The steps read, as `$steps.<id>` or `steps.<id>`.
    pub fn steps(&self) -> StepReads {
        self.steps_of_variable().union(self.steps_of_input())
    }

    /// The steps read as `$steps.<id>`.
    pub fn steps_of_variable(&self) -> StepReads {
        match &self.analysed {
            Some(reads) if !reads.every_binding() => ids(reads.binding(STEPS)),
            _ => StepReads::All,
        }
    }

    /// The steps read as `steps.<id>`, where the input is the context document.
    pub fn steps_of_input(&self) -> StepReads {
        match self.analysed.as_ref().map(jlens_core::reads::Reads::input) {
            Some(None) => ids(None),
            Some(Some(Read::Fields(fields))) => ids(fields.get(STEPS)),
            None | Some(Some(Read::Whole)) => StepReads::All,
        }
    }
}

fn ids(steps: Option<&Read>) -> StepReads {
    match steps {
        None => StepReads::Only(BTreeSet::new()),
        Some(Read::Whole) => StepReads::All,
        Some(Read::Fields(fields)) => StepReads::Only(fields.keys().cloned().collect()),
    }
}
