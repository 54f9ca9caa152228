use std::collections::{BTreeMap, HashMap, HashSet};

use prunella_model::{RunId, RunOrigin, StepId, WorkflowName, WorkflowRef, WorkflowVersion};
use prunella_topology::TopicName;
use prunella_wire::names;
use prunella_wire::records::RunStatus;

use super::account::Account;
use super::letters::{Fates, KnownLetters, letters};
use super::runs::{KnownRun, runs};
use super::stream::Horizon;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::ledger::Ledger;
use crate::letters::State;
use crate::offsets::Offsets;
use crate::scan::Scan;

/// Three sums: triggers into runs, items into outputs and dead letters, redriven letters into what they became.
pub(super) async fn audit(desk: &Desk, offsets: &Offsets, name: &WorkflowName) -> Result<Vec<Account>, OperateError> {
    let trigger = desk.topics.trigger(&desk.workspace, name);
    let orchestrator = format!("{}orchestrator", desk.topics.prefix());
    let committed = offsets.committed(&orchestrator, &trigger).await?;
    let ledger = Ledger::read(desk).await?;
    let known = runs(desk, offsets, name).await?;
    // Asked after the runs were read: a start that was on its way then is on its way still, or it is missing.
    let busy = Busy::look(desk, offsets).await?;
    let letters = letters(desk, offsets, name, &ledger).await?;
    let out = Outputs::read(desk, offsets, name).await?;
    let triggers = Triggers { desk, offsets, name, topic: &trigger, committed, known: &known, letters: &letters, busy };
    let items = items(desk, name, &known, &letters, &out);
    Ok(vec![triggers.account().await?, items, redriven(desk, name, &known, &letters, &out, busy)])
}

/// Whether something waits between the stages.
#[derive(Debug, Clone, Copy)]
struct Busy {
    starts: bool,
    batches: bool,
}

impl Busy {
    async fn look(desk: &Desk, offsets: &Offsets) -> Result<Self, OperateError> {
        let topics = &desk.topics;
        let prefix = topics.prefix();
        let waits = async |group: &str, topic: String| -> Result<bool, OperateError> {
            let ends = offsets.bounds(&topic).await?.unwrap_or_default();
            let committed = offsets.committed(&format!("{prefix}{group}"), &topic).await?;
            // Markers of transactions stand behind the last record: one does not make a partition busy.
            let behind = |(partition, bounds): (&i32, &crate::offsets::Bounds)| {
                bounds.end - committed.get(partition).copied().unwrap_or(bounds.first) > 1
            };
            Ok(ends.iter().any(behind))
        };
        Ok(Self {
            starts: waits("orchestrator", topics.stage_progress()).await?,
            batches: waits("transformer", topics.stage_transform()).await?
                || waits("validator", topics.stage_validate()).await?,
        })
    }
}

/// Items on the output topic, by run: those of the run itself, and those that operators have had done again.
struct Outputs {
    of_run: HashMap<RunId, HashSet<Box<str>>>,
    again: HashMap<RunId, HashSet<Box<str>>>,
    copies: u64,
    horizon: i64,
}

impl Outputs {
    async fn read(desk: &Desk, offsets: &Offsets, name: &WorkflowName) -> Result<Self, OperateError> {
        let topic = desk.topics.output(&desk.workspace, name);
        let kept = offsets.bounds(&topic).await?.unwrap_or_default();
        let mut horizon = Horizon::of(&kept);
        let mut found = Self { of_run: HashMap::new(), again: HashMap::new(), copies: 0, horizon: 0 };
        let mut scan = Scan::ranges(&desk.kafka, &topic, kept).await?;
        while let Some(record) = scan.next().await {
            horizon.note(record.partition, record.timestamp);
            let item = record.headers.text(names::ITEM).and_then(|item| item.split_once('/'));
            let Some((run, item)) = item.and_then(|(run, item)| Some((run.parse::<RunId>().ok()?, item))) else {
                continue;
            };
            if record.headers.is_done_again() {
                found.again.entry(run).or_default().insert(item.into());
            } else if !found.of_run.entry(run).or_default().insert(item.into()) {
                found.copies += 1;
            }
        }
        found.horizon = horizon.time();
        Ok(found)
    }
}

struct Triggers<'a> {
    desk: &'a Desk,
    offsets: &'a Offsets,
    name: &'a WorkflowName,
    topic: &'a str,
    committed: BTreeMap<i32, i64>,
    known: &'a HashMap<RunId, KnownRun>,
    letters: &'a KnownLetters,
    busy: Busy,
}

impl Triggers<'_> {
    async fn account(&self) -> Result<Account, OperateError> {
        let mut account = Account::new(format!("triggers on {}", self.topic));
        let fates = Fates::of_records(self.letters, self.topic);
        let mut origins: HashSet<(i32, i64)> = HashSet::new();
        for run in self.known.values() {
            origins.insert((run.state.origin.partition, run.state.origin.offset));
        }
        let mut scan = Scan::whole(&self.desk.kafka, self.offsets, self.topic).await?;
        while let Some(record) = scan.next().await {
            let place = (record.partition, record.offset);
            if origins.contains(&place) {
                account.add("runs", "started a run", 1);
                continue;
            }
            match fates.get(&place) {
                Some(State::Redriven) => account.add("redriven", "a dead letter that was sent again", 1),
                Some(State::Discarded) => account.add("discarded", "a dead letter that somebody laid aside", 1),
                Some(State::Open | State::Any) => account.add("dead", "a dead letter", 1),
                None if self.committed.get(&place.0).is_none_or(|next| place.1 >= *next) => {
                    account.add("waiting", "not taken yet", 1);
                }
                None if self.is_known(record.headers.text(names::IDEMPOTENCY_KEY)) => {
                    account.add("duplicates", "named a run that another trigger had started", 1);
                }
                None if self.busy.starts => account.add("starting", "on its way to the home of its run", 1),
                None => account.miss(1, || format!("{}/{}/{}", self.topic, place.0, place.1)),
            }
        }
        let count = |status: RunStatus| self.known.values().filter(|run| run.state.status == status).count();
        account.notes.push(format!(
            "{} runs: {} succeeded, {} failed, {} cancelled, the others are at work",
            self.known.len(),
            count(RunStatus::Succeeded),
            count(RunStatus::Failed),
            count(RunStatus::Cancelled)
        ));
        let again = self.known.values().filter(|run| run.state.replay_of.is_some()).count();
        if again > 0 {
            account.notes.push(format!("{again} of them do an earlier run again"));
        }
        Ok(account)
    }

    fn is_known(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| {
            let run = RunId::derive(&self.desk.workspace, self.name, RunOrigin::IdempotencyKey(key));
            self.known.contains_key(&run)
        })
    }
}

/// Every item that was extracted and counted: put out, passed on, or a dead letter.
fn items(
    desk: &Desk,
    name: &WorkflowName,
    known: &HashMap<RunId, KnownRun>,
    letters: &KnownLetters,
    out: &Outputs,
) -> Account {
    let mut account = Account::new(format!("items of the runs of {name}"));
    let mut output_steps: HashMap<WorkflowVersion, Option<StepId>> = HashMap::new();
    let mut dead: HashMap<&str, HashMap<&str, State>> = HashMap::new();
    for one in &letters.all {
        // An item that became a letter again, when it was redriven, has the fate of the last one.
        if let Some((run, item)) = one.letter.item().and_then(|item| item.split_once('/')) {
            let fate = dead.entry(run).or_default().entry(item).or_insert(one.state);
            if !letters.successors.contains(&one.letter.place) {
                *fate = one.state;
            }
        }
    }
    let nothing = HashMap::new();
    for (run, one) in known {
        let steps = one.steps.values();
        let of = |count: fn(&prunella_wire::records::StepState) -> i64| steps.clone().map(count).sum::<i64>();
        if one.state.created_at < out.horizon.max(letters.horizon) {
            let all = of(|step| step.extracted);
            account.add("beyond reach", "of runs that are older than what the topics still keep", unsigned(all));
            continue;
        }
        let output_step = output_steps.entry(one.state.version).or_insert_with(|| output_step(desk, one));
        let is_output = |step: &StepId| output_step.as_ref() == Some(step);
        let valid_out: i64 = one.steps.values().filter(|step| is_output(&step.step)).map(|step| step.valid).sum();
        account.add(
            "passed on",
            "valid items that later steps of their run have read",
            unsigned(of(|step| step.valid) - valid_out),
        );
        account.add("in flight", "sent by the extractor and not counted yet", unsigned(one.in_flight));

        let found = out.of_run.get(run).map_or(0, |items| items.len() as i64);
        account.add("out", "on the output topic", unsigned(found.min(valid_out)));
        account.miss(unsigned(valid_out - found), || {
            format!("run {run}: {valid_out} valid items, {found} on the output topic")
        });
        let is_surplus = one.state.status == RunStatus::Succeeded && found > valid_out;
        account.miss(u64::from(is_surplus), || {
            format!("run {run}: {valid_out} valid items, {found} on the output topic, which is more")
        });

        let counted = of(|step| step.dead_lettered);
        let of_run = dead.get(run.as_str()).unwrap_or(&nothing);
        let again = out.again.get(run);
        let fates = of_run.iter().take(usize::try_from(counted).unwrap_or(0));
        for (item, state) in fates {
            match state {
                State::Discarded => account.add("discarded", "dead letters that somebody laid aside", 1),
                State::Redriven if again.is_some_and(|again| again.contains(*item)) => {
                    account.add("redriven", "dead letters that were redriven and are on the output topic", 1);
                }
                State::Redriven => account.add(
                    "redriving",
                    "dead letters that were redriven; the next sum says what became of them",
                    1,
                ),
                State::Open | State::Any => account.add("dead", "dead letters", 1),
            }
        }
        let lost = of(|step| step.extracted) - of(|step| step.valid) - counted;
        account.miss(unsigned(lost), || {
            format!("run {run}: {lost} items were counted neither as valid nor as dead letters")
        });
        let missing = counted - of_run.len() as i64;
        account.miss(unsigned(missing), || {
            format!("run {run}: {counted} items counted as dead letters, {} are there", of_run.len())
        });
    }
    if out.copies > 0 {
        account.notes.push(format!("{} outputs are there more than once, with the same `prunella-item`", out.copies));
    }
    account.notes.push(letters.summary());
    account
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The step whose items go to the output topic.
fn output_step(desk: &Desk, run: &KnownRun) -> Option<StepId> {
    let at = WorkflowRef {
        workspace: run.state.workspace.clone(),
        workflow: run.state.workflow.clone(),
        version: run.state.version,
    };
    let plan = desk.catalog.definition(&at)?.plan().ok()?;
    Some(plan.steps()[plan.output().from].id.clone())
}

/// Every letter that was redriven: put out, a run, a letter again, or on its way.
fn redriven(
    desk: &Desk,
    name: &WorkflowName,
    known: &HashMap<RunId, KnownRun>,
    letters: &KnownLetters,
    out: &Outputs,
    busy: Busy,
) -> Account {
    let mut account = Account::new(format!("redriven dead letters of {name}"));
    for one in letters.all.iter().filter(|one| one.state == State::Redriven) {
        let letter = &one.letter;
        if letters.successors.contains(&letter.place) {
            account.add("dead again", "failed again: another letter", 1);
            continue;
        }
        let item = letter.item().and_then(|item| item.split_once('/'));
        let is_out = item.is_some_and(|(run, item)| {
            let run = run.parse::<RunId>().ok();
            run.and_then(|run| out.again.get(&run)).is_some_and(|items| items.contains(item))
        });
        let is_trigger = letter
            .original
            .as_ref()
            .is_some_and(|original| matches!(desk.topics.parse(&original.topic), Some(TopicName::Trigger(..))));
        let own = format!("redrive/{}", letter.place);
        let key = letter.headers.text(names::IDEMPOTENCY_KEY).unwrap_or(&own);
        let run = RunId::derive(&desk.workspace, name, RunOrigin::IdempotencyKey(key));
        if is_out {
            account.add("out", "on the output topic", 1);
        } else if is_trigger && known.contains_key(&run) {
            account.add("runs", "started a run", 1);
        } else if item.is_none() && !is_trigger {
            account.add("sent", "a whole batch or command, sent to its stage again", 1);
        } else if letter.failed_at < out.horizon {
            account.add("beyond reach", "older than what the output topic still keeps", 1);
        } else if busy.batches || busy.starts {
            account.add("on its way", "not taken yet", 1);
        } else {
            account.miss(1, || letter.place.to_string());
        }
    }
    account
}
