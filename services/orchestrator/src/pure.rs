use std::future::Future;
use std::pin::Pin;

use prunella_stream::{OutRecord, Record};
use prunella_wire::records::{BatchResult, ExtractRequest, ExtractionEnded, StepFailed, StepRef, StepSkipped};

/// Does steps that ask nothing of the world where they are handed out, instead of sending them to the
/// extractor. Doing one again gives the same.
pub trait PureSteps: Send + Sync + 'static {
    /// Whether a step is done here now; one that is paused goes to the extractor, where it waits.
    fn takes(&self, at: &StepRef) -> bool;

    /// Does the step that `request` is for. `origin` is the trigger of its run.
    fn run<'a>(
        &'a self,
        request: &'a ExtractRequest,
        origin: &'a Record,
    ) -> Pin<Box<dyn Future<Output = StepDone> + Send + 'a>>;
}

/// What a step came to.
pub struct StepDone {
    /// Outputs and dead letters.
    pub records: Vec<OutRecord>,
    /// What the run is told, in this order.
    pub results: Vec<StepResult>,
}

/// A result of a step, as it would have come from its stages.
pub enum StepResult {
    Batch(BatchResult),
    ExtractionEnded(ExtractionEnded),
    Failed(StepFailed),
    Skipped(StepSkipped),
}
