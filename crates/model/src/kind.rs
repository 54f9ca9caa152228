use std::fmt;
use std::str::FromStr;

/// The two kinds of work that a definition can declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A trigger starts a run of steps.
    #[default]
    Workflow,
    /// Every record of a topic is mapped onto another.
    Stream,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Stream => "stream",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A later release may know more kinds: then the text is given back.
impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Workflow, Self::Stream].into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| text.to_owned())
    }
}
