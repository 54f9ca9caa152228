use std::collections::BTreeMap;

use prunella_catalog::Definition;
use prunella_model::WorkflowName;
use prunella_stream::homes::now_millis;
use prunella_streams::{group, output_topic};
use prunella_wire::names;

use super::account::Account;
use super::letters::{Fates, letters};
use super::places::Places;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::ledger::Ledger;
use crate::letters::State;
use crate::offsets::{Bounds, Offsets};
use crate::scan::Scan;

/// Every record of the input: on the output topic, a dead letter, or not taken yet.
pub(super) async fn audit(
    desk: &Desk,
    offsets: &Offsets,
    name: &WorkflowName,
    definition: &Definition,
) -> Result<Vec<Account>, OperateError> {
    let plan = definition.stream_plan().map_err(OperateError::Refused)?;
    let input = plan.stream().input.topic.to_string();
    let committed = offsets.committed(&group(&desk.topics, &desk.workspace, name), &input).await?;
    let Some(bounds) = offsets.bounds(&input).await? else {
        return Err(OperateError::Refused(format!("topic {input} does not exist")));
    };
    let ledger = Ledger::read(desk).await?;
    let output = output_topic(&desk.topics, &desk.workspace, plan.stream());
    let mut account = Account::new(format!("records of {input}"));
    let out = outputs(desk, offsets, &output, &input, &bounds, &mut account).await?;
    let letters = letters(desk, offsets, name, &ledger).await?;
    let fates = Fates::of_records(&letters, &input);
    let mut scan = Scan::ranges(&desk.kafka, &input, bounds).await?;
    while let Some(record) = scan.next().await {
        let place = (record.partition, record.offset);
        let is_out = out.places.contains(place.0, place.1);
        match (is_out, fates.get(&place)) {
            (true, Some(State::Redriven)) => {
                account.add("redriven", "a dead letter that was redriven and is on the output topic", 1)
            }
            (true, _) => account.add("out", "on the output topic", 1),
            (false, Some(State::Discarded)) => account.add("discarded", "a dead letter that somebody laid aside", 1),
            (false, Some(State::Open | State::Any)) => account.add("dead", "a dead letter", 1),
            (false, _) if committed.get(&place.0).is_none_or(|next| record.offset >= *next) => {
                account.add("waiting", "not taken yet", 1);
            }
            (false, _) if record.timestamp < out.horizon => {
                account.add("beyond reach", "older than what the output topic still keeps", 1);
            }
            (false, _) => account.miss(1, || format!("{input}/{}/{}", record.partition, record.offset)),
        }
    }
    if !ledger.marks.is_empty() {
        account.notes.push(letters.summary());
    }
    Ok(vec![account])
}

struct Outputs {
    places: Places,
    /// Outputs of before this time may have been removed, in milliseconds.
    horizon: i64,
}

async fn outputs(
    desk: &Desk,
    offsets: &Offsets,
    topic: &str,
    input: &str,
    bounds: &BTreeMap<i32, Bounds>,
    account: &mut Account,
) -> Result<Outputs, OperateError> {
    let kept = offsets.bounds(topic).await?.unwrap_or_default();
    let mut horizon = Horizon::of(&kept);
    let mut places = Places::within(bounds);
    let mut copies = 0_u64;
    let mut scan = Scan::ranges(&desk.kafka, topic, kept).await?;
    while let Some(record) = scan.next().await {
        horizon.note(record.partition, record.timestamp);
        let source = record.headers.text(names::SOURCE).and_then(|source| source.rsplit_once('/'));
        let Some((rest, offset)) = source else { continue };
        let Some((_, partition)) = rest.rsplit_once('/').filter(|(topic, _)| *topic == input) else { continue };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else { continue };
        let again = record.headers.is_done_again();
        copies += u64::from(!places.insert(partition, offset) && !again);
    }
    if copies > 0 {
        account
            .notes
            .push(format!("{copies} outputs stand on {topic} more than once, with the same `prunella-source`"));
    }
    Ok(Outputs { places, horizon: horizon.time() })
}

/// Since when a topic keeps everything.
pub(super) struct Horizon {
    /// Partitions of which something was removed, with the time of the first record that is left.
    cut: BTreeMap<i32, Option<i64>>,
}

impl Horizon {
    pub(super) fn of(kept: &BTreeMap<i32, Bounds>) -> Self {
        let cut = kept.iter().filter(|(_, bounds)| bounds.first > 0).map(|(partition, _)| (*partition, None));
        Self { cut: cut.collect() }
    }

    pub(super) fn note(&mut self, partition: i32, timestamp: i64) {
        if let Some(first) = self.cut.get_mut(&partition) {
            first.get_or_insert(timestamp);
        }
    }

    pub(super) fn time(&self) -> i64 {
        self.cut.values().map(|first| first.unwrap_or_else(now_millis)).max().unwrap_or(i64::MIN)
    }
}
