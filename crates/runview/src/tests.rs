//! The view without Kafka: plain records in, answers out.

use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use prunella_model::{Attempt, RunId, RunOrigin, WorkflowName, WorkflowVersion, WorkspaceName};
use prunella_wire::records::{
    Dispatch, ErrorInfo, RunEvent, RunState, RunStatus, StepState, StepStatus, TriggerOrigin,
};
use tempfile::TempDir;

use crate::change::Change;
use crate::config::RunViewConfig;
use crate::cursor::{EventCursor, RunCursor};
use crate::error::RunViewError;
use crate::filter::RunFilter;
use crate::store::Store;
use crate::tables::{META, META_SCHEMA};
use crate::write::{Chunk, Positions};

const EVERYTHING: usize = usize::MAX;

struct Env {
    directory: TempDir,
    store: Store,
}

impl Env {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&RunViewConfig::new(directory.path())).expect("a new view");
        Self { directory, store }
    }

    fn restarted(self) -> Self {
        self.store.close();
        let store = Store::open(&RunViewConfig::new(self.directory.path())).expect("opened again");
        Self { directory: self.directory, store }
    }

    fn apply(&self, changes: Vec<Change>) {
        self.store.apply(&Chunk { changes, durable: true, ..Chunk::default() }).expect("applied");
    }

    fn list(&self, filter: &RunFilter) -> Vec<RunState> {
        self.store.list(&workspace(), filter, None, EVERYTHING, EVERYTHING).expect("a page").entries
    }

    /// All pages, and how often `between` was called after one.
    fn walk(&self, limit: usize, mut between: impl FnMut(&Self)) -> Vec<RunId> {
        let mut runs = Vec::new();
        let mut cursor = None;
        loop {
            let page = self
                .store
                .list(&workspace(), &RunFilter::default(), cursor.as_ref(), limit, EVERYTHING)
                .expect("a page");
            runs.extend(page.entries.into_iter().map(|state| state.run));
            let Some(next) = page.next else { return runs };
            cursor = Some(RunCursor::parse(&next).expect("a cursor"));
            between(self);
        }
    }
}

fn workspace() -> WorkspaceName {
    WorkspaceName::default_workspace()
}

fn run_id(number: i64) -> RunId {
    let workflow: WorkflowName = "any".parse().expect("valid");
    RunId::derive(&workspace(), &workflow, RunOrigin::IdempotencyKey(&number.to_string()))
}

fn run(number: i64) -> RunState {
    RunState {
        run: run_id(number),
        workspace: workspace(),
        workflow: "orders".parse().expect("valid"),
        version: WorkflowVersion(1),
        status: RunStatus::Running,
        origin: TriggerOrigin { topic: "t".to_owned(), partition: 0, offset: number, timestamp: number },
        idempotency_key: None,
        replay_of: None,
        created_at: number,
        deadline: number + 1000,
        ended_at: None,
        steps: 1,
        extracted: 0,
        valid: 0,
        dead_lettered: 0,
        error: None,
        traceparent: None,
        done_steps: Vec::new(),
    }
}

fn failed(number: i64, code: &str) -> RunState {
    let error = Some(ErrorInfo { code: code.to_owned(), message: String::new() });
    RunState { status: RunStatus::Failed, error, ..run(number) }
}

fn put(state: RunState) -> Change {
    Change::Run(Box::new(state))
}

fn step(number: i64, id: &str, started_at: i64) -> Change {
    Change::Step(Box::new(StepState {
        run: run_id(number),
        step: id.parse().expect("valid"),
        attempt: Attempt::FIRST,
        status: StepStatus::Running,
        dispatch: Dispatch::Topic,
        started_at: Some(started_at),
        ended_at: None,
        retry_at: None,
        batches: None,
        seen: Vec::new(),
        extracted: 0,
        valid: 0,
        dead_lettered: 0,
        error: None,
    }))
}

fn event(number: i64, at: i64, offset: i64) -> Change {
    let event = RunEvent {
        run: run_id(number),
        workspace: workspace(),
        workflow: "orders".parse().expect("valid"),
        at,
        kind: format!("kind-{offset}"),
        step: None,
        attempt: None,
        batch: None,
        code: None,
        message: String::new(),
    };
    Change::Event { partition: 0, offset, event: Box::new(event) }
}

fn numbers(runs: &[RunState]) -> Vec<i64> {
    runs.iter().map(|state| state.created_at).collect()
}

#[test]
fn lists_show_the_newest_first_and_only_their_workspace() {
    let env = Env::new();
    let foreign = RunState { workspace: "other".parse().expect("valid"), ..run(9) };
    env.apply(vec![put(run(1)), put(run(3)), put(foreign), put(run(2))]);
    assert_eq!(numbers(&env.list(&RunFilter::default())), [3, 2, 1]);
    let seen_from_outside = env.store.detail(&workspace(), &run_id(9)).expect("readable");
    assert!(seen_from_outside.is_none(), "a run of another workspace is not found");
}

#[test]
fn a_changed_run_stands_once_and_as_it_is_now() {
    let env = Env::new();
    env.apply(vec![put(run(1)), put(run(2))]);
    env.apply(vec![put(RunState { status: RunStatus::Succeeded, valid: 7, ..run(1) })]);
    let runs = env.list(&RunFilter::default());
    assert_eq!(numbers(&runs), [2, 1]);
    assert_eq!((runs[1].status, runs[1].valid), (RunStatus::Succeeded, 7));
    assert_eq!(env.list(&RunFilter { status: Some(RunStatus::Running), ..RunFilter::default() }).len(), 1);
}

#[test]
fn filters_hold_together() {
    let env = Env::new();
    let other = RunState { workflow: "invoices".parse().expect("valid"), ..failed(4, "PRN-0703") };
    env.apply(vec![put(run(1)), put(failed(2, "PRN-0703")), put(failed(3, "PRN-0704")), put(other)]);
    let all = RunFilter::default();
    let failures = RunFilter { status: Some(RunStatus::Failed), ..all.clone() };
    let deadlines = RunFilter { error_code: Some("PRN-0703".to_owned()), ..all.clone() };
    let orders = RunFilter { workflow: Some("orders".parse().expect("valid")), ..deadlines.clone() };
    let middle = RunFilter { since: Some(2), until: Some(4), ..all };
    assert_eq!(numbers(&env.list(&failures)), [4, 3, 2]);
    assert_eq!(numbers(&env.list(&deadlines)), [4, 2]);
    assert_eq!(numbers(&env.list(&orders)), [2]);
    assert_eq!(numbers(&env.list(&middle)), [3, 2], "since is included, until is not");
    let nothing = RunFilter { since: Some(4), until: Some(2), ..RunFilter::default() };
    assert_eq!(env.list(&nothing), []);
}

#[test]
fn pages_neither_repeat_nor_skip_while_runs_come_and_go() {
    let env = Env::new();
    env.apply((0..25).map(|number| put(run(number))).collect());
    let expected: Vec<RunId> = (0..25).rev().map(run_id).collect();
    assert_eq!(env.walk(25, |_| ()), expected);
    let mut newer = 100;
    let walked = env.walk(4, |env| {
        newer += 1;
        env.apply(vec![put(run(newer)), put(RunState { valid: newer, ..run(3) }), Change::RunGone(run_id(24))]);
    });
    assert_eq!(walked, expected);
}

#[test]
fn runs_of_the_same_moment_are_all_listed() {
    let env = Env::new();
    env.apply((0..10).map(|number| put(RunState { created_at: 5, ..run(number) })).collect());
    let mut walked = env.walk(3, |_| ());
    walked.sort();
    walked.dedup();
    assert_eq!(walked.len(), 10);
}

#[test]
fn a_page_looks_at_no_more_runs_than_its_limit_and_says_where_it_ended() {
    let env = Env::new();
    env.apply((0..10).map(|number| put(if number == 0 { failed(0, "PRN-0703") } else { run(number) })).collect());
    let filter = RunFilter { status: Some(RunStatus::Failed), ..RunFilter::default() };
    let first = env.store.list(&workspace(), &filter, None, 5, 6).expect("a page");
    assert!(first.entries.is_empty());
    let cursor = RunCursor::parse(&first.next.expect("not the last")).expect("a cursor");
    let second = env.store.list(&workspace(), &filter, Some(&cursor), 5, 6).expect("a page");
    assert_eq!((numbers(&second.entries), second.next), (vec![0], None));
}

#[test]
fn a_tombstone_takes_the_run_with_all_that_belongs_to_it() {
    let env = Env::new();
    env.apply(vec![
        put(run(1)),
        step(1, "fetch", 2),
        step(1, "clean", 1),
        event(1, 5, 0),
        put(run(2)),
        step(2, "fetch", 1),
        event(2, 5, 1),
    ]);
    let detail = env.store.detail(&workspace(), &run_id(1)).expect("readable").expect("there");
    let order: Vec<&str> = detail.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(order, ["clean", "fetch"], "as they started");

    env.apply(vec![Change::StepGone(run_id(1), "clean".parse().expect("valid"))]);
    assert_eq!(env.store.detail(&workspace(), &run_id(1)).expect("readable").expect("there").steps.len(), 1);

    env.apply(vec![Change::RunGone(run_id(1)), Change::RunGone(run_id(77))]);
    assert_eq!(numbers(&env.list(&RunFilter::default())), [2]);
    assert!(env.store.detail(&workspace(), &run_id(1)).expect("readable").is_none());
    assert!(env.store.events(&run_id(1), None, 10).expect("readable").entries.is_empty());
    assert_eq!(env.store.events(&run_id(2), None, 10).expect("readable").entries.len(), 1);
    let other = env.store.detail(&workspace(), &run_id(2)).expect("readable").expect("there");
    assert_eq!(other.steps.len(), 1);
}

#[test]
fn events_come_in_pages_by_time_and_twice_read_is_once_kept() {
    let env = Env::new();
    for _ in 0..2 {
        env.apply(vec![event(1, 30, 0), event(1, 10, 1), event(1, 20, 2), event(1, 20, 3)]);
    }
    let first = env.store.events(&run_id(1), None, 3).expect("a page");
    let kinds: Vec<&str> = first.entries.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["kind-1", "kind-2", "kind-3"]);
    let cursor = EventCursor::parse(&first.next.expect("one more")).expect("a cursor");
    let second = env.store.events(&run_id(1), Some(cursor), 3).expect("a page");
    assert_eq!((second.entries[0].kind.as_str(), second.entries.len(), second.next), ("kind-0", 1, None));
}

#[test]
fn old_events_are_forgotten() {
    let env = Env::new();
    env.apply(vec![event(1, 10, 0), event(1, 20, 1)]);
    let chunk = Chunk { changes: vec![event(1, 12, 2)], forget_before: 15, ..Chunk::default() };
    env.store.apply(&chunk).expect("applied");
    let left = env.store.events(&run_id(1), None, 10).expect("readable").entries;
    assert_eq!(left.iter().map(|event| event.at).collect::<Vec<_>>(), [20]);
}

#[test]
fn a_restart_goes_on_where_the_view_is() {
    let env = Env::new();
    let positions = Positions::from([(("state".to_owned(), 3), 42), (("log".to_owned(), 0), 7)]);
    let chunk =
        Chunk { changes: vec![put(run(1))], positions: positions.clone(), newest: Some(99), ..Chunk::default() };
    env.store.apply(&Chunk { durable: true, fed_at: 123, ..chunk }).expect("applied");
    env.store.set_source("here").expect("noted");
    let env = env.restarted();
    let origin = env.store.origin().expect("readable");
    assert_eq!(origin.positions, positions);
    assert_eq!((origin.source.as_deref(), origin.fed_at), (Some("here"), Some(123)));
    assert_eq!(env.store.newest().expect("readable"), Some(99));
    assert_eq!(env.list(&RunFilter::default()).len(), 1);
}

#[test]
fn what_is_not_durable_yet_is_seen_and_kept_by_the_next_durable_chunk() {
    let env = Env::new();
    let changes = vec![put(run(1))];
    env.store.apply(&Chunk { changes, durable: false, ..Chunk::default() }).expect("applied");
    assert_eq!(env.list(&RunFilter::default()).len(), 1);
    env.apply(Vec::new());
    assert_eq!(env.restarted().list(&RunFilter::default()).len(), 1);
}

#[test]
fn a_damaged_file_is_replaced_by_an_empty_view() {
    for damage in [&b"not a database"[..], &[0; 4096], &[0xff; 65536]] {
        let env = Env::new();
        env.apply((0..500).map(|number| put(run(number))).collect());
        let path = env.store.path().to_owned();
        env.store.close();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
        file.seek(SeekFrom::Start(0)).expect("at its start");
        file.write_all(damage).expect("written");
        drop(file);
        let env = env.restarted();
        assert_eq!(env.list(&RunFilter::default()), []);
        assert!(env.store.origin().expect("readable").positions.is_empty(), "it is read from the beginning");
        env.apply(vec![put(run(1))]);
        assert_eq!(env.list(&RunFilter::default()).len(), 1);
    }
}

#[test]
fn an_empty_or_missing_file_is_a_new_view() {
    let env = Env::new();
    env.apply(vec![put(run(1))]);
    let path = env.store.path().to_owned();
    env.store.close();
    std::fs::write(&path, b"").expect("emptied");
    let env = env.restarted();
    assert_eq!(env.list(&RunFilter::default()), []);
    env.store.close();
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(env.restarted().list(&RunFilter::default()), []);
}

#[test]
fn a_view_of_another_version_is_replaced() {
    let env = Env::new();
    env.apply(vec![put(run(1))]);
    let other_version = env.store.write(|transaction| {
        transaction.open_table(META)?.insert(META_SCHEMA, "0")?;
        Ok(transaction)
    });
    other_version.expect("written");
    assert_eq!(env.restarted().list(&RunFilter::default()), []);
}

#[test]
fn a_second_process_is_told_that_the_view_is_in_use() {
    let env = Env::new();
    let error = Store::open(&RunViewConfig::new(env.directory.path())).err().expect("in use");
    assert!(matches!(error, RunViewError::InUse { .. }), "{error}");
    env.apply(vec![put(run(1))]);
}

#[test]
fn a_place_that_cannot_hold_a_view_is_an_error_with_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, b"").expect("written");
    let error = Store::open(&RunViewConfig::new(&file)).err().expect("a file is no directory");
    assert_eq!(error.code().id(), "PRN-0816");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[tokio::test]
async fn waiters_hear_of_their_run_and_leave_nothing_behind() {
    let waiters = crate::waiters::Waiters::default();
    let mut mine = waiters.subscribe(&run_id(1));
    let mut other = waiters.subscribe(&run_id(2));
    waiters.notify([run_id(1)].iter());
    mine.changed().await.expect("told");
    let silence = tokio::time::timeout(Duration::from_millis(20), other.changed()).await;
    assert!(silence.is_err(), "nothing happened to the other run");
}
