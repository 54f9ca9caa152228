use super::Finding;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::{Bounds, Offsets};
use crate::scan::Scan;

/// Records of the control topics that cannot be read here: the last one of each partition is tried.
pub(super) async fn schemas(desk: &Desk, offsets: &Offsets) -> Result<Finding, OperateError> {
    let topics = &desk.topics;
    let mut unreadable = Vec::new();
    let mut tried = 0_u32;
    for topic in [
        topics.stage_extract(),
        topics.stage_transform(),
        topics.stage_validate(),
        topics.stage_progress(),
        topics.state_runs(),
        topics.state_extractions(),
        topics.state_workflows(),
    ] {
        let ends = offsets.bounds(&topic).await?.unwrap_or_default();
        // The last places may be markers of transactions.
        let last = |bounds: Bounds| Bounds { first: (bounds.end - 4).max(bounds.first), end: bounds.end };
        let ranges = ends.into_iter().map(|(partition, bounds)| (partition, last(bounds))).collect();
        let mut scan = Scan::ranges(&desk.kafka, &topic, ranges).await?;
        while let Some(record) = scan.next().await {
            let Some(value) = &record.value else { continue };
            tried += 1;
            if let Err(error) = desk.codec.open(value).await {
                unreadable.push((format!("{topic}/{}/{}", record.partition, record.offset), error.to_string()));
            }
        }
    }
    Ok(judge(tried, &unreadable))
}

fn judge(tried: u32, unreadable: &[(String, String)]) -> Finding {
    let Some((place, reason)) = unreadable.first() else {
        return Finding::ok("schemas", format!("the last {tried} control records can be read"));
    };
    Finding::wrong(
        "schemas",
        format!("{} control records cannot be read, such as {place}: {reason}", unreadable.len()),
        "a later release may run beside this one, or somebody else writes to the topic: `prunella deadletters list` shows what was set aside (docs/errors/PRN-0302.md)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_record_that_cannot_be_read_is_wrong_and_named() {
        let found = judge(9, &[("t/0/7".to_owned(), "unknown schema".to_owned())]);
        assert!(found.level == Level::Wrong && found.detail.contains("t/0/7"), "{found:?}");
        assert_eq!(judge(9, &[]).level, Level::Ok);
    }
}
