//! Steps that ask nothing of the world: their items are computed, again and again the same.

use prunella_mapping::Moment;
use prunella_model::BatchNumber;
use prunella_platform::StepWork;
use prunella_wire::records::{ErrorInfo, ExtractRequest, StageBatch};

use crate::batches::cut;
use crate::job::Stop;
use crate::pages::Pages;
use crate::workshop::Workshop;

/// What the extraction of a pure step came to.
pub enum Pure {
    Batches(Vec<StageBatch>),
    /// Its condition does not hold.
    Skipped,
    Failed(ErrorInfo),
}

/// Extracts a step that has its source at hand: data in the workflow, the trigger, earlier steps.
pub async fn extract_pure(workshop: &Workshop, work: &StepWork, request: &ExtractRequest) -> Pure {
    match batches(workshop, work, request).await {
        Ok(Some(batches)) => Pure::Batches(batches),
        Ok(None) => Pure::Skipped,
        Err(Stop::Failed { error, .. } | Stop::Moved { error, .. }) => Pure::Failed(error),
        // Only journaled work is told to stop.
        Err(Stop::Quiet) => Pure::Skipped,
    }
}

async fn batches(
    workshop: &Workshop,
    work: &StepWork,
    request: &ExtractRequest,
) -> Result<Option<Vec<StageBatch>>, Stop> {
    let context = workshop.context(work, &request.at, &request.context).await?;
    let moment = Moment::new(request.requested_at, 0);
    if !workshop.condition_holds(work, &context, moment)? {
        return Ok(None);
    }
    let pages = Pages::open(workshop, work, &request.at, &request.context, context, moment).await?;
    let items = pages.page(None).await?.items;
    let settings = &workshop.settings;
    let mut batches = Vec::new();
    for (number, range) in cut(&items, settings.batch_items, settings.batch_bytes.as_usize()).into_iter().enumerate() {
        let number = BatchNumber(i64::try_from(number).unwrap_or(i64::MAX));
        let context = work.step().context_wanted.then(|| request.context.clone());
        batches.push(workshop.stage_batch(&request.at, number, request.deadline, context, &items[range]).await?);
    }
    Ok(Some(batches))
}
