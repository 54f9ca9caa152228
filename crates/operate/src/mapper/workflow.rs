use std::sync::Arc;

use bytes::Bytes;

use prunella_catalog::MappingView;
use prunella_mapping::{Bindings, MappingCache};
use prunella_model::{Code, WorkflowVersion};
use prunella_platform::{ContextDocument, OutputLimits, Refusal, StepWork, moment_of};
use prunella_streams::Mapped;
use prunella_wire::WireError;
use prunella_wire::records::{StageBatch, StageItem};
use prunella_workflow::Plan;

use crate::desk::Desk;

/// Mappings that are kept compiled: a workflow has few steps.
const COMPILED: usize = 64;

/// Maps and validates the items of batches, with the mappings that are active for its version.
pub(crate) struct WorkflowMapper {
    desk: Desk,
    version: WorkflowVersion,
    plan: Arc<Plan>,
    active: Arc<MappingView>,
    compiled: MappingCache,
}

impl WorkflowMapper {
    pub(crate) fn new(desk: &Desk, version: WorkflowVersion, plan: Arc<Plan>, active: Arc<MappingView>) -> Self {
        Self { desk: desk.clone(), version, plan, active, compiled: MappingCache::new(COMPILED) }
    }

    /// What becomes of each item of `batch`, in their order.
    pub(crate) async fn map(&self, batch: &StageBatch, timestamp: i64) -> Vec<Result<Mapped, Refusal>> {
        let mut batch = batch.clone();
        batch.at.version = self.version;
        let work = match self.work(&batch).await {
            Ok(work) => work,
            Err(refusal) => return batch.items.iter().map(|_| Err(refusal.clone())).collect(),
        };
        let mut mapped = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            mapped.push(self.map_item(&work, &batch, item, timestamp).await);
        }
        mapped
    }

    async fn work(&self, batch: &StageBatch) -> Result<(StepWork, Bindings), Refusal> {
        let missing = || Refusal::new(Code::WorkflowUnknown, format!("the version has no step {}", batch.at.step));
        let work = StepWork::of(self.plan.clone(), &batch.at.step).ok_or_else(missing)?;
        let Some(context) = &batch.context else { return Ok((work, Bindings::new())) };
        let document = ContextDocument::load(&self.desk.claims, &batch.at, context, u64::MAX).await.map_err(refused)?;
        Ok((work, document.bindings()?))
    }

    async fn map_item(
        &self,
        (work, bindings): &(StepWork, Bindings),
        batch: &StageBatch,
        item: &StageItem,
        timestamp: i64,
    ) -> Result<Mapped, Refusal> {
        let input = self.desk.claims.fetch(&item.input, u64::MAX, "").await.map_err(refused)?;
        let moment = moment_of(&batch.item_id(item.index), timestamp);
        let output = match self.mapping(work, batch) {
            None => input,
            Some(text) => {
                let refused = |error: prunella_mapping::CompileError| Refusal::new(error.code, error.to_string());
                let known = self.compiled.find(&text);
                let mapping = known.map_or_else(|| self.compiled.compile(&text), Ok).map_err(refused)?;
                Bytes::from(mapping.map_item(&input, bindings, moment, &self.desk.limits.mapping)?)
            }
        };
        let limits = OutputLimits { settings: &self.desk.limits.output, mapping: &self.desk.limits.mapping };
        let key = work.judge(&output, &batch.at.run, moment, limits)?;
        Ok(Mapped { key, value: Some(output) })
    }

    /// The healed mapping, or that of its author.
    fn mapping(&self, work: &StepWork, batch: &StageBatch) -> Option<String> {
        let healed = || self.active.healed(&work.mapping_key(&batch.at)?, &work.step().healing.as_ref()?.base);
        let authors = || work.step().transform.as_ref().map(|mapping| mapping.source().to_owned());
        healed().map(|version| version.text.clone()).or_else(authors)
    }
}

fn refused(error: WireError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}
