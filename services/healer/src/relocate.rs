//! The items of a step are somewhere else in the answers of its source: which list they are, proven by what the mapping
//! makes of it.

use bytes::Bytes;

use serde_json::json;

use prunella_model::workflow::ItemsPath;
use prunella_repair::Verdict;
use prunella_wire::Payload;
use prunella_wire::records::{HealOutcome, ItemsMove, MovedItems, MovedList};

use crate::attempt::Attempt;
use crate::service::Workshop;

/// Names of lists that say nothing of what is in them.
const PLAIN: &[&str] = &[
    "content", "data", "elements", "entries", "hits", "items", "list", "nodes", "objects", "records", "result",
    "results", "rows", "values",
];

/// Tries the mapping on each list. Items are proven to be in one if the mapping serves it as it is, or is repaired and
/// proven for it, and no other list would do.
pub(crate) async fn relocate(workshop: &Workshop, attempt: &Attempt, moved: &MovedItems) -> HealOutcome {
    let mut tried: Vec<(&MovedList, HealOutcome)> = Vec::new();
    for list in &moved.lists {
        let failing = list.items.iter().map(|item| Payload::Inline(Bytes::copy_from_slice(item.as_bytes()))).collect();
        let (outcome, _) = Attempt { failing, ..attempt.clone() }.run(workshop).await;
        tried.push((list, outcome));
    }
    let is =
        |wanted: &[Verdict], outcome: &HealOutcome| wanted.iter().any(|verdict| outcome.verdict == verdict.as_str());
    let of = |wanted: &[Verdict]| -> Vec<&(&MovedList, HealOutcome)> {
        tried.iter().filter(|(_, outcome)| is(wanted, outcome) && outcome.text.is_some()).collect()
    };
    let sure = of(&[Verdict::Activate, Verdict::Unchanged]);
    let open = of(&[Verdict::Review]);
    let (list, outcome, verdict) = match (sure.as_slice(), open.as_slice()) {
        ([(list, outcome)], _) if speaks_for(list, outcome, attempt, moved) => (list, outcome, Verdict::Activate),
        ([(list, outcome)], _) | ([], [(list, outcome)]) => (list, outcome, Verdict::Review),
        (sure, open) => {
            let both: Vec<&str> = sure.iter().chain(open).map(|(list, _)| list.path.as_str()).collect();
            let summary = match both.as_slice() {
                [] => format!("no list of the answer holds what the mapping reads; {}", moved.reason),
                both => format!("several lists may be the items: {}", both.join(", ")),
            };
            return nothing(attempt, &summary);
        }
    };
    let mut evidence: serde_json::Value = serde_json::from_str(&outcome.evidence).unwrap_or_default();
    evidence["summary"] = json!(format!("the items are at `{}` instead of `{}`", list.path, moved.path));
    evidence["moved"] = json!({ "was": moved.path, "is": list.path, "tried": tried.len() });
    HealOutcome {
        verdict: verdict.as_str().to_owned(),
        origin: "repaired".to_owned(),
        evidence: evidence.to_string(),
        moved: Some(ItemsMove { was: moved.path.clone(), is: list.path.clone() }),
        ..outcome.clone()
    }
}

/// Whether the list is the one that was meant, and not another one of the same shape, such as what was deleted: it has the
/// name that it had, or one that says nothing, or holds entities that are known. With nothing remembered nobody can tell.
fn speaks_for(list: &MovedList, outcome: &HealOutcome, attempt: &Attempt, moved: &MovedItems) -> bool {
    let name_of = |path: &str| path.parse().ok().and_then(|path: ItemsPath| path.fields().last().cloned());
    let (is, was) = (name_of(&list.path), name_of(&moved.path));
    let is_plain = is.as_ref().is_none_or(|name| PLAIN.contains(&name.to_lowercase().as_str()));
    let evidence: serde_json::Value = serde_json::from_str(&outcome.evidence).unwrap_or_default();
    let known = evidence["trial"]["known"].as_u64().unwrap_or(0);
    !attempt.remembered.is_empty() && (is == was || is_plain || known > 0)
}

fn nothing(attempt: &Attempt, summary: &str) -> HealOutcome {
    let evidence = json!({ "summary": summary }).to_string();
    attempt.outcome(Verdict::Refuse, None, "repaired", evidence)
}
