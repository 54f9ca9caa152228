//! Items of a step are not where they were: the healer is told where they may be, and the step is put off meanwhile.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use prunella_model::MappingKey;
use prunella_platform::{Platform, StepWork};
use prunella_sources::{FoundList, Moved};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, StageError};
use prunella_vault::Place;
use prunella_wire::records::{MovedItems, MovedList, StepRef};

/// Many runs meet the same change; one report tells it.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Bytes of items in one report.
const LARGEST: usize = 256 << 10;
/// Before the first next try of the step, in milliseconds; twice as long before each further one, up to the longest.
const FIRST_WAIT: i64 = 3_000;
const LONGEST_WAIT: i64 = 60_000;

/// When which mapping was reported last, by this process.
#[derive(Default)]
pub(crate) struct Reports(Mutex<HashMap<MappingKey, Instant>>);

impl Reports {
    fn is_due(&self, mapping: &MappingKey) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(mapping).is_some_and(|last| last.elapsed() < REPORT_EVERY) {
            return false;
        }
        last.insert(mapping.clone(), Instant::now());
        true
    }
}

/// When a step whose items have moved is tried again, if its mapping may be healed.
pub(crate) fn next_try(work: &StepWork, tries: i32) -> Option<i64> {
    work.step().healing.as_ref()?;
    let doubled = FIRST_WAIT.saturating_mul(1 << tries.clamp(0, 10));
    Some(now_millis() + doubled.min(LONGEST_WAIT))
}

/// What the healer is told, unless it was told just now.
///
/// # Errors
/// [`StageError`] when it cannot be encoded.
pub(crate) fn report(
    platform: &Platform,
    reports: &Reports,
    work: &StepWork,
    at: &StepRef,
    moved: &Moved,
    reason: &str,
) -> Result<Option<OutRecord>, StageError> {
    let (Some(mapping), Some(healing)) = (work.mapping_key(at), work.step().healing.as_ref()) else { return Ok(None) };
    if !reports.is_due(&mapping) {
        return Ok(None);
    }
    let Some(written) = &work.step().items else { return Ok(None) };
    let mut room = LARGEST;
    let record = MovedItems {
        base: healing.base.clone(),
        version: work.version(platform, at),
        at: at.clone(),
        path: written.to_string(),
        reason: reason.to_owned(),
        lists: moved.lists.iter().map(|list| told(list, &mut room)).collect(),
        noticed_at: now_millis(),
        mapping,
    };
    let topic = platform.topics.stage_heal();
    let value = platform.codec.encode(&topic, &record)?;
    let key = record.mapping.to_string();
    let sealed = platform.vault.seal(Place { store: "stage.heal", key: key.as_bytes() }, &value);
    Ok(Some(OutRecord::new(topic, key, Bytes::from(sealed))))
}

fn told(list: &FoundList, room: &mut usize) -> MovedList {
    let texts = list.items.iter().filter_map(|item| std::str::from_utf8(item).ok());
    let items = texts.take_while(|item| {
        let fits = item.len() <= *room;
        *room = room.saturating_sub(item.len());
        fits
    });
    MovedList { path: list.path.to_string(), items: items.map(str::to_owned).collect() }
}
