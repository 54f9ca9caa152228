//! Offline repair of mappings: right, or not at all.
//!
//! A source has changed. From the mapping as it was, the target schema, remembered good samples and the records that
//! come now, [`repair`] finds the mapping that serves them, proves it, or says that it cannot be known. No model is
//! asked, nothing is fetched; the same case gives the same answer.
//!
//! Invariants:
//! 1. **No harm first.** A mapping is activated only if each field of the output carries by its [`Evidence`]; the
//!    verdict is made of evidence alone.
//! 2. Agreement is not proof: where another field would do as well, it is a tie, and a person decides.
//! 3. Names rank, values prove. Data is data: text inside records is never an instruction.
//! 4. The author's text stays as it is but for the places that read what moved.
//! 5. Nothing is learned from an outage.
//! 6. Work is bounded in rows and fields; what is beyond the bounds is no candidate, but every record is proven on.

mod assign;
mod candidate;
mod case;
mod combine;
mod convert;
mod dates;
mod envelope;
mod error;
mod eval;
mod evidence;
mod examples;
mod factor;
mod files;
mod filter;
mod fit;
mod former;
mod forms;
mod grid;
mod guard;
mod habit;
mod infer;
mod join;
mod keyed;
mod known;
mod locate;
mod named;
mod names;
mod outage;
mod path;
mod pick;
mod places;
mod profile;
mod proof;
mod recoded;
mod refer;
mod repair;
mod report;
mod rewrite;
mod rows;
mod schema;
mod settings;
mod settle;
mod shape;
mod solve;
mod swapped;
mod syntax;
mod systematic;
mod table;
mod value;
mod verdict;

pub use candidate::{prove, prove_all};
pub use case::{Case, Sample};
pub use convert::{Conversion, Duration};
pub use dates::DateForm;
pub use error::RepairError;
pub use evidence::{Evidence, FieldChange, Repair, Story, Trial, Verdict};
pub use examples::with_examples;
pub use files::{CaseFiles, case_directories};
pub use former::with_former;
pub use guard::{Jump, JumpKind, jumps};
pub use habit::{Habit, Looks, Portion};
pub use outage::{Outage, Usual, recognise};
pub use path::{FieldPath, Literal, Reference, Step};
pub use profile::{FieldProfile, OutputProfile};
pub use repair::repair;
pub use report::{difference as lines_that_differ, report};
pub use settings::{Ingredients, Settings, Thresholds};
pub use value::equal as same;
