//! Dead letters: read, sent back to where they came from, or laid aside for good.

mod context;
mod decide;
mod filter;
mod headers;
mod item;
mod letter;
mod redrive;

pub use decide::{Decided, Deciding, Verdict};
pub use filter::{Filter, State};
pub use letter::{Letter, LetterPlace, Letters};
