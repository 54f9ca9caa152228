use std::collections::BTreeSet;

use super::{Finding, Seen};
use crate::error::OperateError;
use crate::offsets::Offsets;

/// Queues that nobody reads.
pub(super) async fn readers(offsets: &Offsets, seen: &[Seen]) -> Result<Finding, OperateError> {
    let groups: BTreeSet<&str> = seen.iter().map(|one| one.queue.group.as_str()).collect();
    let mut empty = BTreeSet::new();
    for group in groups {
        if offsets.members(group).await? == 0 {
            empty.insert(group.to_owned());
        }
    }
    Ok(judge(seen, &empty))
}

fn judge(seen: &[Seen], empty: &BTreeSet<String>) -> Finding {
    let unread: Vec<&Seen> = seen.iter().filter(|one| empty.contains(&one.queue.group)).collect();
    let stages = |of: &[&Seen]| {
        let names: BTreeSet<&str> = of.iter().map(|one| one.queue.stage.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    if unread.is_empty() {
        return Finding::ok("services", "every service and stream has somebody at work");
    }
    let next = "start what is missing: `prunella up`, or `prunella serve` with the names of services";
    let waiting: Vec<&Seen> = unread.iter().copied().filter(|one| one.after.lag() > 1).collect();
    if waiting.is_empty() {
        return Finding::warn("services", format!("nobody is at work, and nothing waits: {}", stages(&unread)), next);
    }
    Finding::wrong("services", format!("work waits and nobody is at it: {}", stages(&waiting)), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use crate::offsets::Bounds;
    use crate::queues::{Queue, Reading};

    #[test]
    fn work_that_nobody_takes_is_wrong() {
        let seen = |end: i64| {
            let queue = Queue { stage: "validator".into(), group: "g".into(), topics: vec!["t".into()] };
            let after = Reading { ends: [(0, Bounds { first: 0, end })].into(), committed: [(0, 5)].into() };
            Seen { queue, topic: "t".into(), before: Reading::default(), after, waits: false }
        };
        let nobody = BTreeSet::from(["g".to_owned()]);
        let wrong = judge(&[seen(50)], &nobody);
        assert!(wrong.level == Level::Wrong && wrong.detail.contains("validator"), "{wrong:?}");
        assert_eq!(judge(&[seen(5)], &nobody).level, Level::Warn);
        assert_eq!(judge(&[seen(50)], &BTreeSet::new()).level, Level::Ok);
    }
}
