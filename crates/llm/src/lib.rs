//! Language models, asked to repair a mapping when nothing cheaper could.
//!
//! Invariants:
//! 1. **An answer is text.** Nothing of it is evaluated, compiled or trusted here: candidates are handed on to be proven.
//! 2. **Nothing leaves that was not redacted**: the whole request goes through one redaction pass, which knows the keys of
//!    the providers as well. What is logged and cached is what was sent.
//! 3. **Data is data.** Samples stand in delimited blocks whose mark nobody can forge, and are shortened to a limit, which
//!    is said. What is asked comes from constants of this crate alone.
//! 4. **No call without room for it.** Before each try the worst case of its cost has to fit the budgets of the mapping,
//!    its workflow and its workspace; what is not known is counted as its worst case. A price that is not configured is
//!    unknown, never guessed.
//! 5. **One answer for each request.** Equal requests are answered from the cache; a provider that fails is left alone; waits
//!    are bounded and `Retry-After` is obeyed.
//! 6. **Half an answer is none**: an answer that is cut, refused or of another shape is a coded error with its tokens counted.
//! 7. Every consultation ends in a record for `log.llm`, also when no call was made.
//!
//! [`Llm::repair`] is the whole of it. The library knows no Kafka and keeps nothing on disk; budgets survive a restart by
//! [`Llm::restore`] with the records of the last hour.

mod answer;
mod breaker;
mod budget;
mod cache;
mod error;
mod events;
mod exchange;
mod llm;
mod model_name;
mod pace;
mod prompt;
mod protocol;
mod provider;
mod request;
mod settings;
mod shared;
mod shorten;

pub use answer::{Answer, Candidate, Usage};
pub use budget::{Scope, Spent};
pub use cache::{AnswerCache, CachedAnswer, MemoryCache, RequestDigest};
pub use error::LlmError;
pub use llm::{Consultation, Llm};
pub use model_name::ModelName;
pub use request::{CacheUse, FieldError, RepairRequest, Sample, Subject, Tried};
pub use settings::{BreakerSettings, BudgetLimits, BudgetSettings, LlmSettings, Price, Protocol, ProviderSettings};
pub use shared::TieredAnswers;
