use prunella_stream::homes::now_millis;

use super::Finding;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;

/// Clocks that differ by less are the ordinary case.
const TOLERATED: i64 = 5000;

/// Records of the future: the clock of a service is ahead of the one here, or that one is behind.
pub(super) async fn clocks(desk: &Desk, offsets: &Offsets) -> Result<Finding, OperateError> {
    let now = now_millis();
    let mut ahead = Vec::new();
    let topics = &desk.topics;
    // What services write; the timestamps of triggers are their producers' own.
    for topic in [topics.stage_progress(), topics.stage_transform(), topics.state_runs(), topics.log_runs()] {
        let ends = offsets.bounds(&topic).await?.unwrap_or_default();
        let later = offsets.at_time(&topic, now + TOLERATED).await?;
        let has_later = later.iter().any(|(partition, offset)| ends.get(partition).is_some_and(|it| *offset < it.end));
        if has_later {
            ahead.push(topic);
        }
    }
    Ok(judge(&ahead))
}

fn judge(ahead: &[String]) -> Finding {
    let seconds = TOLERATED / 1000;
    if ahead.is_empty() {
        return Finding::ok("clocks", format!("no record is more than {seconds} s ahead of the clock here"));
    }
    Finding::wrong(
        "clocks",
        format!("records on {} are more than {seconds} s ahead of the clock here", ahead.join(", ")),
        "compare the clocks of the hosts (`timedatectl`): deadlines and retries are kept by the clock of the host that a run is on",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn records_of_the_future_are_wrong() {
        assert_eq!(judge(&["t".to_owned()]).level, Level::Wrong);
        assert_eq!(judge(&[]).level, Level::Ok);
    }
}
