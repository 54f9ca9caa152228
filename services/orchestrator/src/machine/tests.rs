//! Commands in, actions out.

use bytes::Bytes;
use proptest::prelude::*;

use prunella_model::{Attempt, BatchNumber, Code, RunId, RunOrigin, StepId, WorkflowVersion, WorkspaceName};
use prunella_wire::Payload;
use prunella_wire::records::{
    BatchResult, CancelRun, ErrorInfo, ExtractionEnded, RunStatus, StartRun, StepFailed, StepRef, StepSkipped,
    StepStatus, TriggerOrigin,
};

use super::*;

fn step(id: &str) -> StepId {
    id.parse().expect("valid step id")
}

/// `a` and `b` run at once, `c` needs both and reads `a`.
fn diamond() -> RunPlan {
    let planned = |id: &str, needs: &[&str], reads: &[&str]| PlannedStep {
        id: step(id),
        needs: needs.iter().map(|id| step(id)).collect(),
        reads: reads.iter().map(|id| step(id)).collect(),
        pure: false,
    };
    RunPlan {
        steps: vec![planned("a", &[], &[]), planned("b", &[], &[]), planned("c", &["a", "b"], &["a"])],
        deadline: 1000,
    }
}

fn run_id() -> RunId {
    RunId::derive(
        &WorkspaceName::default_workspace(),
        &"orders".parse().expect("valid"),
        RunOrigin::IdempotencyKey("k"),
    )
}

fn start() -> StartRun {
    StartRun {
        workspace: WorkspaceName::default_workspace(),
        workflow: "orders".parse().expect("valid"),
        version: WorkflowVersion(1),
        run: run_id(),
        trigger: Payload::Inline(Bytes::from_static(b"{}")),
        origin: TriggerOrigin { topic: "t".into(), partition: 0, offset: 0, timestamp: 0 },
        idempotency_key: None,
        replay_of: None,
        generation: None,
        accepted_at: 0,
    }
}

fn at(id: &str, attempt: i32) -> StepRef {
    StepRef {
        workspace: WorkspaceName::default_workspace(),
        workflow: "orders".parse().expect("valid"),
        version: WorkflowVersion(1),
        run: run_id(),
        step: step(id),
        attempt: Attempt(attempt),
    }
}

fn batch(id: &str, number: i64) -> BatchResult {
    BatchResult {
        at: at(id, 1),
        batch: BatchNumber(number),
        items: 10,
        valid: 9,
        dead_lettered: 1,
        outputs: Some(Payload::Inline(Bytes::from(format!("[{number}]")))),
        error: None,
        ended_at: 1,
    }
}

fn ended(id: &str, batches: i64) -> ExtractionEnded {
    ExtractionEnded { at: at(id, 1), batches, items: batches * 10, ended_at: 1 }
}

/// A run at work, and the actions of its last command.
struct Env {
    plan: RunPlan,
    run: Run,
    actions: Vec<Action>,
}

impl Env {
    fn started() -> Self {
        let plan = diamond();
        let mut actions = Actions::default();
        let run = on_start(start(), &plan, None, 0, &mut actions);
        Self { plan, run, actions: actions.0 }
    }

    fn apply(&mut self, command: impl FnOnce(&mut Run, &RunPlan, &mut Actions)) -> &mut Self {
        let mut actions = Actions::default();
        command(&mut self.run, &self.plan, &mut actions);
        self.actions = actions.0;
        self
    }

    fn batch(&mut self, result: BatchResult) -> &mut Self {
        self.apply(|run, plan, actions| on_batch_result(run, plan, result, 5, actions))
    }

    fn ended(&mut self, ended: ExtractionEnded) -> &mut Self {
        self.apply(|run, plan, actions| on_extraction_ended(run, plan, ended, 5, actions))
    }

    fn finish(&mut self, id: &str) -> &mut Self {
        self.batch(batch(id, 0)).ended(ended(id, 1))
    }

    fn requested(&self) -> Vec<&str> {
        let requests = self.actions.iter().filter_map(|action| match action {
            Action::Request(request) => Some(request.at.step.as_str()),
            _ => None,
        });
        requests.collect()
    }

    fn stale(&self) -> Option<Stale> {
        self.actions.iter().find_map(|action| match action {
            Action::Stale { why, .. } => Some(*why),
            _ => None,
        })
    }

    fn status_of(&self, id: &str) -> Option<StepStatus> {
        self.run.steps.get(&step(id)).map(|state| state.status)
    }
}

#[test]
fn only_what_nothing_goes_on_from_may_wait() {
    let mut env = Env::started();
    let may_wait = |env: &Env| Actions(env.actions.clone()).may_wait();
    assert!(!may_wait(&env), "steps are handed out");
    assert!(may_wait(env.batch(batch("a", 0))), "another batch is to come");
    assert!(may_wait(env.ended(ended("a", 2))));
    assert!(!may_wait(env.batch(batch("a", 1))), "the history tells of a step that has ended");
    env.ended(ended("b", 1));
    assert!(!may_wait(env.batch(batch("b", 0))), "the next step is handed out");
    assert!(!may_wait(env.batch(batch("b", 0))), "stale results are told of");
    let mut failed = batch("c", 0);
    failed.error = Some(ErrorInfo::new(Code::MappingUndefined, "no value"));
    assert!(!may_wait(env.batch(failed)), "the run has ended");
}

#[test]
fn a_start_hands_out_every_step_that_needs_nothing() {
    let env = Env::started();
    assert_eq!(env.requested(), ["a", "b"]);
    assert!(matches!(env.actions[0], Action::WriteRun(_)), "the header is written before anything else");
    assert_eq!(env.run.state.deadline, 1000);
}

#[test]
fn a_step_starts_when_the_last_step_it_needs_is_done_and_sees_what_it_reads() {
    let mut env = Env::started();
    assert!(env.finish("a").requested().is_empty());
    assert_eq!(env.finish("b").requested(), ["c"]);
    let request = env.actions.iter().find_map(|action| match action {
        Action::Request(request) => Some(request),
        _ => None,
    });
    let context = &request.expect("requested").context;
    assert_eq!(context.steps.len(), 1);
    assert_eq!(context.steps[0].step, step("a"));
    assert_eq!(context.steps[0].outputs, [Payload::Inline(Bytes::from_static(b"[0]"))]);
}

#[test]
fn a_run_succeeds_when_all_its_steps_have() {
    let mut env = Env::started();
    env.finish("a").finish("b").finish("c");
    assert_eq!(env.run.state.status, RunStatus::Succeeded);
    assert_eq!((env.run.state.extracted, env.run.state.valid, env.run.state.dead_lettered), (30, 27, 3));
}

#[test]
fn a_step_is_not_done_before_its_extraction_has_ended_nor_before_all_batches_are_counted() {
    let mut env = Env::started();
    env.batch(batch("a", 1));
    assert_eq!(env.status_of("a"), Some(StepStatus::Running));
    env.ended(ended("a", 2));
    assert_eq!(env.status_of("a"), Some(StepStatus::Running));
    env.batch(batch("a", 0));
    assert_eq!(env.status_of("a"), Some(StepStatus::Succeeded));
}

#[test]
fn an_extraction_without_batches_is_done_at_its_end() {
    let mut env = Env::started();
    env.ended(ended("a", 0));
    assert_eq!(env.status_of("a"), Some(StepStatus::Succeeded));
}

#[test]
fn a_batch_counts_once() {
    let mut env = Env::started();
    env.batch(batch("a", 0)).batch(batch("a", 0));
    assert_eq!(env.stale(), Some(Stale::BatchCounted));
    assert_eq!(env.run.steps[&step("a")].extracted, 10);
}

#[test]
fn results_of_another_attempt_change_nothing() {
    let mut env = Env::started();
    let before = env.run.clone();
    env.batch(BatchResult { at: at("a", 2), ..batch("a", 0) });
    assert_eq!(env.stale(), Some(Stale::OldAttempt));
    assert_eq!(env.run, before);
}

#[test]
fn a_failed_step_fails_the_run_and_stops_the_others() {
    let mut env = Env::started();
    let error = ErrorInfo::new(Code::SourceRefused, "404");
    let failed = StepFailed { at: at("a", 1), batch: None, error: error.clone(), retry_at: None, failed_at: 4 };
    env.apply(|run, _, actions| on_step_failed(run, failed, 5, actions));
    assert_eq!(env.run.state.status, RunStatus::Failed);
    assert_eq!(env.run.state.error, Some(error));
    assert_eq!(env.status_of("b"), Some(StepStatus::Cancelled));
    assert!(env.actions.iter().any(|action| matches!(action, Action::Notify(_))), "busy stages are told");
}

#[test]
fn a_step_that_is_put_off_is_handed_out_again_when_its_time_has_come() {
    let mut env = Env::started();
    let error = ErrorInfo::new(Code::SourceStatus, "503");
    let put_off = StepFailed { at: at("a", 1), batch: None, error, retry_at: Some(100), failed_at: 4 };
    env.apply(|run, _, actions| on_step_failed(run, put_off, 5, actions));
    assert_eq!(env.run.next_timer(), 100);
    env.apply(|run, plan, actions| on_retry_due(run, plan, 99, actions));
    assert!(env.actions.is_empty());
    env.apply(|run, plan, actions| on_retry_due(run, plan, 100, actions));
    assert_eq!(env.requested(), ["a"]);
    assert_eq!(env.run.next_timer(), 1000);
}

#[test]
fn a_wait_beyond_the_deadline_is_a_failure_now() {
    let mut env = Env::started();
    let error = ErrorInfo::new(Code::SourceStatus, "503");
    let put_off = StepFailed { at: at("a", 1), batch: None, error, retry_at: Some(1000), failed_at: 4 };
    env.apply(|run, _, actions| on_step_failed(run, put_off, 5, actions));
    assert_eq!(env.run.state.status, RunStatus::Failed);
}

#[test]
fn the_deadline_fails_a_run_and_names_the_open_steps() {
    let mut env = Env::started();
    env.apply(|run, _, actions| on_deadline(run, 999, actions));
    assert_eq!(env.run.state.status, RunStatus::Running);
    env.apply(|run, _, actions| on_deadline(run, 1000, actions));
    let error = env.run.state.error.clone().expect("said why");
    assert_eq!(error.code, Code::RunDeadline.id());
    assert!(error.message.contains("a, b"), "{}", error.message);
}

#[test]
fn a_cancelled_run_is_over() {
    let mut env = Env::started();
    let cancel = CancelRun {
        workspace: WorkspaceName::default_workspace(),
        run: run_id(),
        requested_by: "ops".into(),
        reason: "wrong input".into(),
        requested_at: 4,
    };
    env.apply(|run, _, actions| on_cancel(run, &cancel, 5, actions));
    assert_eq!(env.run.state.status, RunStatus::Cancelled);
    env.apply(|run, _, actions| on_cancel(run, &cancel, 6, actions));
    assert_eq!(env.stale(), Some(Stale::RunEnded));
    assert_eq!(env.run.state.ended_at, Some(5));
}

#[test]
fn a_skipped_step_counts_as_done_without_items() {
    let mut env = Env::started();
    env.apply(|run, plan, actions| {
        on_step_skipped(run, plan, StepSkipped { at: at("a", 1), skipped_at: 4 }, 5, actions)
    });
    assert_eq!(env.status_of("a"), Some(StepStatus::Skipped));
    assert_eq!(env.finish("b").requested(), ["c"]);
    env.finish("c");
    assert_eq!(env.run.state.status, RunStatus::Succeeded);
}

#[test]
fn a_policy_of_failing_fails_the_run_with_the_batch_counted() {
    let mut env = Env::started();
    let error = Some(ErrorInfo::new(Code::ItemInvalid, "no id"));
    env.batch(BatchResult { error, ..batch("a", 0) });
    assert_eq!(env.run.state.status, RunStatus::Failed);
    assert_eq!(env.run.state.dead_lettered, 1);
}

#[test]
fn after_a_restore_open_extractions_are_asked_for_again_and_nothing_else() {
    let mut env = Env::started();
    env.finish("a").ended(ended("b", 3));
    env.apply(|run, plan, actions| on_restored(run, plan, 6, actions));
    assert!(env.requested().is_empty(), "the extraction of b has ended, its batches are under way");
    let mut fresh = Env::started();
    fresh.apply(|run, plan, actions| on_restored(run, plan, 6, actions));
    assert_eq!(fresh.requested(), ["a", "b"]);
}

#[test]
fn a_command_writes_every_key_once_as_it_is_in_the_end() {
    let mut env = Env::started();
    let mut actions = Actions::default();
    for number in 0..3 {
        on_batch_result(&mut env.run, &env.plan, batch("a", number), 5, &mut actions);
    }
    on_extraction_ended(&mut env.run, &env.plan, ended("a", 3), 5, &mut actions);
    actions.settle();
    let written = actions.0.iter().filter_map(|action| match action {
        Action::WriteStep(state) => Some((state.step.as_str(), state.extracted, state.status)),
        _ => None,
    });
    let written: Vec<_> = written.collect();
    assert_eq!(written, [("a", 30, StepStatus::Succeeded)]);
    assert_eq!(actions.0.iter().filter(|action| matches!(action, Action::WriteOutput(_))).count(), 3);
}

#[test]
fn a_run_that_is_over_at_once_is_one_record_and_one_event() {
    let plan = diamond();
    let mut actions = Actions::default();
    let mut run = on_start(start(), &plan, None, 0, &mut actions);
    for id in ["a", "b", "c"] {
        let asked = actions.take_requests(|at| at.step.as_str() == id);
        assert_eq!(asked.len(), 1, "{id} is handed out once");
        on_batch_result(&mut run, &plan, batch(id, 0), 1, &mut actions);
        on_extraction_ended(&mut run, &plan, ended(id, 1), 1, &mut actions);
    }
    actions.settle_whole_run(&run);
    let [Action::WriteRun(state), Action::Event { kind: EventKind::RunSucceeded, .. }] = actions.0.as_slice() else {
        panic!("{:?}", actions.0)
    };
    assert_eq!((state.status, state.extracted, state.done_steps.len()), (RunStatus::Succeeded, 30, 3));
    assert!(state.done_steps.iter().all(|step| step.status == StepStatus::Succeeded));
}

#[derive(Debug, Clone)]
enum Input {
    Batch { step: usize, number: i64 },
    Ended { step: usize },
    OldBatch { step: usize, number: i64 },
    Restored,
    RetryLater { step: usize },
    RetryDue,
}

const STEPS: [&str; 3] = ["a", "b", "c"];
const BATCHES: i64 = 3;

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => (0..3usize, 0..BATCHES).prop_map(|(step, number)| Input::Batch { step, number }),
        3 => (0..3usize).prop_map(|step| Input::Ended { step }),
        1 => (0..3usize, 0..BATCHES).prop_map(|(step, number)| Input::OldBatch { step, number }),
        1 => Just(Input::Restored),
        1 => (0..3usize).prop_map(|step| Input::RetryLater { step }),
        1 => Just(Input::RetryDue),
    ]
}

fn feed(env: &mut Env, input: &Input) {
    match input {
        Input::Batch { step, number } => drop(env.batch(batch(STEPS[*step], *number))),
        Input::Ended { step } => drop(env.ended(ended(STEPS[*step], BATCHES))),
        Input::OldBatch { step, number } => {
            let old = BatchResult { at: at(STEPS[*step], 7), ..batch(STEPS[*step], *number) };
            env.batch(old);
        }
        Input::Restored => drop(env.apply(|run, plan, actions| on_restored(run, plan, 6, actions))),
        Input::RetryLater { step } => {
            let error = ErrorInfo::new(Code::SourceStatus, "503");
            let failed = StepFailed { at: at(STEPS[*step], 1), batch: None, error, retry_at: Some(10), failed_at: 4 };
            env.apply(|run, _, actions| on_step_failed(run, failed, 5, actions));
        }
        Input::RetryDue => drop(env.apply(|run, plan, actions| on_retry_due(run, plan, 10, actions))),
    }
}

proptest! {
    /// Whatever order results come in and however often: counts are exact, terminal states stay, and
    /// once everything has been told, the run has succeeded.
    #[test]
    fn every_interleaving_ends_the_same(inputs in prop::collection::vec(input(), 0..80)) {
        let mut env = Env::started();
        for input in &inputs {
            let before = env.run.clone();
            feed(&mut env, input);
            if before.state.status.is_terminal() {
                prop_assert_eq!(&env.run, &before, "a terminal run changed");
                prop_assert!(env.requested().is_empty());
            }
            for (id, state) in &env.run.steps {
                let counted: i64 = state.seen.iter().map(|range| range.last - range.first + 1).sum();
                prop_assert_eq!(state.extracted, counted * 10, "{}", id);
                prop_assert!(counted <= BATCHES);
                if id.as_str() == "c" {
                    prop_assert!(["a", "b"].iter().all(|need| env.status_of(need) == Some(StepStatus::Succeeded)));
                }
            }
        }
        // Everything that can be told is told, twice, in steps' order as the graph allows it.
        for _ in 0..2 {
            feed(&mut env, &Input::RetryDue);
            for step in 0..3 {
                feed(&mut env, &Input::Ended { step });
                for number in 0..BATCHES {
                    feed(&mut env, &Input::Batch { step, number });
                }
            }
        }
        prop_assert_eq!(env.run.state.status, RunStatus::Succeeded);
        prop_assert_eq!(env.run.state.extracted, 3 * BATCHES * 10);
    }
}
