//! The items of a step are not where they were.

use prunella_wire::records::{MovedItems, StepRef};

use super::{Kept, MappingHome};
use crate::attempt::Attempt;
use crate::relocate::relocate;

/// The search for the items of a mapping, while it goes on.
pub(super) struct Search {
    /// A step attempt that met the change.
    pub(super) at: StepRef,
    begun_at: i64,
}

/// A search that has not ended until then was lost, or has found nothing: the next report begins another one.
const LONGEST: i64 = 60_000;

impl MappingHome {
    /// Looks for the items, unless that goes on, was done, or waits for a person.
    pub(super) fn moved(&mut self, moved: MovedItems, now: i64) {
        let kept = self.kept(&moved.mapping);
        let is_searched = kept.search.as_ref().is_some_and(|search| search.begun_at + LONGEST > now);
        let is_old = kept.history.active_version(&moved.base) != moved.version;
        if is_searched || is_old || kept.is_proposed(&moved) {
            return;
        }
        kept.search = Some(Search { at: moved.at.clone(), begun_at: now });
        let attempt = Attempt {
            mapping: moved.mapping.clone(),
            base: moved.base.clone(),
            parent: moved.version,
            text: kept.history.healed(&moved.base).map(|version| version.text.clone()),
            at: moved.at.clone(),
            failing: Vec::new(),
            errors: Vec::new(),
            remembered: kept.remembered(&moved.base, moved.version),
            still: Vec::new(),
            consultation: None,
            is_drift: true,
        };
        let (site, workshop, writer) = (self.site.clone(), self.workshop.clone(), self.writer.clone());
        self.site.spawn(async move {
            tokio::select! {
                outcome = relocate(&workshop, &attempt, &moved) => match writer.outcome(&outcome) {
                    Ok(record) => drop(site.emit(vec![record]).await),
                    Err(error) => tracing::error!(error = %error.message, "the outcome of an attempt could not be written"),
                },
                () = site.revoked.cancelled() => {}
            }
        });
    }
}

impl Kept {
    /// A version that knows where the items are waits for a person, or was turned down.
    fn is_proposed(&self, moved: &MovedItems) -> bool {
        self.history.versions.values().any(|version| {
            let is_there = version.moved.as_ref().is_some_and(|known| moved.lists.iter().any(|it| it.path == known.is));
            is_there && version.parent == moved.version && version.base == moved.base
        })
    }
}
