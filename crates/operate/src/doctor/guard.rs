use std::collections::BTreeMap;

use prunella_stream::homes::now_millis;
use prunella_wire::ControlRecord;
use prunella_wire::records::StepPause;

use super::Finding;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;
use crate::scan::Scan;

/// Steps that are paused because most of their items went to the dead letters.
pub(super) async fn guard(desk: &Desk, offsets: &Offsets) -> Result<Finding, OperateError> {
    let mut last: BTreeMap<String, StepPause> = BTreeMap::new();
    let mut scan = Scan::whole(&desk.kafka, offsets, &desk.topics.stage_control()).await?;
    while let Some(record) = scan.next().await {
        let Some(value) = &record.value else { continue };
        let Ok(opened) = desk.codec.open(value).await else { continue };
        if opened.name() != StepPause::NAME {
            continue;
        }
        let pause: StepPause = opened.read()?;
        let step = format!("{}/{}@{} step {}", pause.workspace, pause.workflow, pause.version, pause.step);
        if last.get(&step).is_none_or(|known| known.at <= pause.at) {
            last.insert(step, pause);
        }
    }
    Ok(judge(&last, now_millis()))
}

fn judge(last: &BTreeMap<String, StepPause>, now: i64) -> Finding {
    let paused: Vec<_> = last.iter().filter(|(_, pause)| pause.until > now).collect();
    let Some((step, pause)) = paused.first() else { return Finding::ok("guard", "no step is paused") };
    let more = paused.len() - 1;
    let others = if more > 0 { format!(", and {more} others") } else { String::new() };
    Finding::wrong(
        "guard",
        format!("{step} is paused: {}{others}", pause.reason),
        format!(
            "`prunella deadletters list {}` says why its items fail; mend that, then `prunella workflows resume {} {}`",
            pause.workflow, pause.workflow, pause.step
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_paused_step_is_wrong_until_its_time_is_up() {
        let pause = StepPause {
            workspace: prunella_model::WorkspaceName::default_workspace(),
            workflow: "orders".parse().expect("valid"),
            version: prunella_model::WorkflowVersion(3),
            step: "all".parse().expect("valid"),
            until: 100,
            reason: "90 % of its items go to the dead letters".to_owned(),
            at: 10,
        };
        let last = BTreeMap::from([("default/orders@3 step all".to_owned(), pause)]);
        let found = judge(&last, 50);
        assert!(found.level == Level::Wrong && found.detail.contains("90 %"), "{found:?}");
        assert!(found.next.is_some_and(|next| next.contains("workflows resume orders all")));
        assert_eq!(judge(&last, 100).level, Level::Ok);
    }
}
