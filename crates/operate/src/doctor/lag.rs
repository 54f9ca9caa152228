use std::time::Duration;

use super::{Finding, Seen};
use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Bounds;
use crate::scan::Scan;

/// Fewer records that wait are the ordinary course of work.
const MANY: i64 = 1000;

/// Queues that are long and get longer.
pub(super) fn growing(seen: &[Seen], apart: Duration) -> Finding {
    let grows = |one: &&Seen| one.after.lag() > MANY && one.after.lag() > one.before.lag();
    let worst = seen.iter().filter(grows).max_by_key(|one| one.after.lag() - one.before.lag());
    let Some(worst) = worst else {
        let total: i64 = seen.iter().map(|one| one.after.lag()).sum();
        return Finding::ok("lag", format!("{total} records wait, and not more and more"));
    };
    let grown = worst.after.lag() - worst.before.lag();
    Finding::warn(
        "lag",
        format!(
            "{} is {} records behind on {}, {grown} more than {:.0} s before",
            worst.queue.stage,
            worst.after.lag(),
            worst.topic,
            apart.as_secs_f32()
        ),
        "look whether it keeps growing: `prunella top`. Then start more of this stage, up to the partitions of its topic",
    )
}

/// Partitions that have records and do not move.
pub(super) fn stuck(seen: &[Seen], apart: Duration) -> Finding {
    let still = seen.iter().filter(|one| one.waits).collect::<Vec<_>>();
    let Some(first) = still.first() else {
        return Finding::ok("movement", "no partition stands still with work in it");
    };
    let partition = stands(first).first().copied().unwrap_or(0);
    let more = still.len() - 1;
    let others = if more > 0 { format!(", and {more} other topics") } else { String::new() };
    Finding::wrong(
        "movement",
        format!(
            "{} has stood at {}[{partition}]@{} for {:.0} s with records behind it{others}",
            first.queue.stage,
            first.topic,
            first.after.next(partition),
            apart.as_secs_f32()
        ),
        "its log tells why: a held stream names its record (PRN-0606), a registry or disk that is away is waited for. Without such a line start the service anew: nothing is lost",
    )
}

/// Partitions with something in front of the group that it did not take.
fn stands(one: &Seen) -> Vec<i32> {
    let still =
        |partition: &i32| one.after.lag_of(*partition) > 0 && one.after.next(*partition) == one.before.next(*partition);
    let there_before = |partition: &i32| one.before.lag_of(*partition) > 0;
    one.after.ends.keys().copied().filter(|partition| still(partition) && there_before(partition)).collect()
}

/// Whether a record, and not only the marker of a transaction, is what a standing partition has in front of it.
pub(super) async fn waits(desk: &Desk, one: &Seen) -> Result<bool, OperateError> {
    for partition in stands(one) {
        let end = one.before.ends.get(&partition).map_or(0, |bounds| bounds.end);
        let range = Bounds { first: one.after.next(partition), end };
        let mut scan = Scan::ranges(&desk.kafka, &one.topic, [(partition, range)].into()).await?;
        if scan.next().await.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use crate::queues::{Queue, Reading};

    fn at(end: i64, committed: i64) -> Reading {
        Reading { ends: [(0, Bounds { first: 0, end })].into(), committed: [(0, committed)].into() }
    }

    fn seen(before: Reading, after: Reading, waits: bool) -> Seen {
        let queue = Queue { stage: "validator".into(), group: "g".into(), topics: vec!["t".into()] };
        Seen { queue, topic: "t".into(), before, after, waits }
    }

    #[test]
    fn a_long_queue_that_grows_is_told_and_one_that_shrinks_is_not() {
        let apart = Duration::from_secs(3);
        let grows = growing(&[seen(at(5000, 100), at(6000, 200), false)], apart);
        assert_eq!(grows.level, Level::Warn);
        assert!(grows.detail.contains("5800") && grows.detail.contains("900 more"), "{}", grows.detail);
        for other in [seen(at(5000, 100), at(5000, 900), false), seen(at(100, 0), at(500, 0), false)] {
            assert_eq!(growing(&[other], apart).level, Level::Ok);
        }
    }

    #[test]
    fn a_partition_that_stands_with_work_in_it_is_wrong() {
        let apart = Duration::from_secs(3);
        let finding = stuck(&[seen(at(50, 7), at(60, 7), true)], apart);
        assert_eq!(finding.level, Level::Wrong);
        assert!(finding.detail.contains("t[0]@7"), "{}", finding.detail);
        assert_eq!(stuck(&[seen(at(50, 7), at(60, 8), false)], apart).level, Level::Ok);
        assert_eq!(stands(&seen(at(50, 7), at(60, 7), false)), [0]);
        assert!(stands(&seen(at(50, 7), at(60, 9), false)).is_empty(), "it moves");
        assert!(stands(&seen(at(7, 7), at(60, 7), false)).is_empty(), "its work has only come");
    }
}
