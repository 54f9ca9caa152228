use std::collections::BTreeMap;

use super::origins::{Origins, origins};
use super::spec::{Source, Spec};
use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::{Bounds, Offsets};

/// The offsets that a replay reads, and which of the records there it takes.
pub(super) struct Selection {
    pub(super) topic: String,
    pub(super) ranges: BTreeMap<i32, Bounds>,
    pub(super) origins: Option<Origins>,
}

/// The topic that is read.
pub(super) fn topic_of(desk: &Desk, spec: &Spec) -> Result<String, OperateError> {
    let refused = |reason: String| Err(OperateError::Refused(reason));
    match spec.source {
        Source::Triggers => Ok(desk.topics.trigger(&desk.workspace, &spec.name)),
        Source::Batches => Ok(desk.topics.stage_transform()),
        Source::Stream => {
            let Some(live) = desk.catalog.live(&desk.workspace, &spec.name) else {
                return refused(format!("stream {} has no live version", spec.name));
            };
            match live.stream_plan() {
                Ok(plan) => Ok(plan.stream().input.topic.to_string()),
                Err(reason) => refused(reason),
            }
        }
    }
}

impl Selection {
    pub(super) async fn resolve(desk: &Desk, offsets: &Offsets, spec: &Spec) -> Result<Self, OperateError> {
        let topic = topic_of(desk, spec)?;
        let refused = |reason: String| Err(OperateError::Refused(reason));
        let Some(known) = offsets.bounds(&topic).await? else {
            return refused(format!("topic {topic} does not exist"));
        };
        let from_time = match spec.since {
            Some(millis) => Some(offsets.at_time(&topic, millis).await?),
            None => None,
        };
        let until_time = match spec.until {
            Some(millis) => Some(offsets.at_time(&topic, millis).await?),
            None => None,
        };
        let named = spec.from_offsets.keys().chain(spec.until_offsets.keys());
        if let Some(wrong) = named.clone().find(|partition| !known.contains_key(*partition)) {
            return refused(format!("{topic} has no partition {wrong}: it has {}", known.len()));
        }
        if let Some((partition, from)) =
            spec.from_offsets.iter().find(|(partition, from)| known.get(*partition).is_some_and(|it| **from < it.first))
        {
            let first = known.get(partition).map_or(0, |bounds| bounds.first);
            return refused(format!("{topic}[{partition}] begins at {first}: what stood at {from} is no longer there"));
        }
        let all = spec.from_offsets.is_empty() && spec.until_offsets.is_empty();
        let mut ranges = BTreeMap::new();
        for (partition, bounds) in known {
            if !all && !spec.from_offsets.contains_key(&partition) && !spec.until_offsets.contains_key(&partition) {
                continue;
            }
            let at =
                |times: &Option<BTreeMap<i32, i64>>| times.as_ref().and_then(|times| times.get(&partition).copied());
            let first = [Some(bounds.first), spec.from_offsets.get(&partition).copied(), at(&from_time)];
            let end = [Some(bounds.end), spec.until_offsets.get(&partition).copied(), at(&until_time)];
            let first = first.into_iter().flatten().max().unwrap_or(bounds.first);
            let end = end.into_iter().flatten().min().unwrap_or(bounds.end);
            if first < end {
                ranges.insert(partition, Bounds { first, end });
            }
        }
        let origins = origins(desk, offsets, spec).await?;
        if let Some(origins) = origins.as_ref().filter(|_| spec.source == Source::Triggers) {
            narrow(&mut ranges, origins);
        }
        Ok(Self { topic, ranges, origins })
    }
}

/// Leaves of `ranges` what lies between the first and the last wanted place.
fn narrow(ranges: &mut BTreeMap<i32, Bounds>, origins: &Origins) {
    ranges.retain(|partition, bounds| {
        let of_partition = || origins.places.iter().filter(|(at, _)| at == partition).map(|(_, offset)| *offset);
        let (Some(first), Some(last)) = (of_partition().min(), of_partition().max()) else { return false };
        bounds.first = bounds.first.max(first);
        bounds.end = bounds.end.min(last + 1);
        bounds.first < bounds.end
    });
}
