//! A run that falls asleep wakes up as it was.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use prunella_model::{Attempt, BatchNumber, ByteSize, RunId, RunOrigin, StepId, WorkflowVersion, WorkspaceName};
use prunella_topology::Topics;
use prunella_wire::records::{BatchResult, ExtractionEnded, RunStatus, StartRun, StepRef, TriggerOrigin};
use prunella_wire::{Codec, Payload};

use super::known::{Form, KnownRuns, Suffixes};
use super::packed::PackedRun;
use super::remains::Remains;
use crate::machine::{self, Actions, PlannedStep, Run, RunPlan};
use crate::memory::RunMemory;
use crate::records::RecordWriter;

fn step(id: &str) -> StepId {
    id.parse().expect("valid step id")
}

fn run_id(key: &str) -> RunId {
    let workflow = "orders".parse().expect("valid");
    RunId::derive(&WorkspaceName::default_workspace(), &workflow, RunOrigin::IdempotencyKey(key))
}

fn plan() -> RunPlan {
    let planned = |id: &str, needs: &[&str]| PlannedStep {
        id: step(id),
        needs: needs.iter().map(|id| step(id)).collect(),
        reads: needs.iter().map(|id| step(id)).collect(),
        pure: false,
    };
    RunPlan { steps: vec![planned("a", &[]), planned("b", &["a"])], deadline: 1000 }
}

/// A run with some batches of its first step counted.
fn run(key: &str, trigger: &[u8], batches: &[(i64, Vec<u8>)], total: Option<i64>) -> Run {
    let workflow = "orders".parse().expect("valid");
    let at = StepRef {
        workspace: WorkspaceName::default_workspace(),
        workflow,
        version: WorkflowVersion(1),
        run: run_id(key),
        step: step("a"),
        attempt: Attempt::FIRST,
    };
    let start = StartRun {
        workspace: at.workspace.clone(),
        workflow: at.workflow.clone(),
        version: at.version,
        run: at.run.clone(),
        trigger: Payload::Inline(Bytes::copy_from_slice(trigger)),
        origin: TriggerOrigin { topic: "t".into(), partition: 0, offset: 0, timestamp: 0 },
        idempotency_key: Some(key.to_owned()),
        replay_of: None,
        generation: None,
        accepted_at: 0,
    };
    let (plan, mut actions) = (plan(), Actions::default());
    let mut run = machine::on_start(start, &plan, None, 0, &mut actions);
    for (number, outputs) in batches {
        let result = BatchResult {
            at: at.clone(),
            batch: BatchNumber(*number),
            items: 3,
            valid: 2,
            dead_lettered: 1,
            outputs: Some(Payload::Inline(Bytes::copy_from_slice(outputs))),
            error: None,
            ended_at: 1,
        };
        machine::on_batch_result(&mut run, &plan, result, 1, &mut actions);
    }
    if let Some(batches) = total {
        let ended = ExtractionEnded { at, batches, items: batches * 3, ended_at: 2 };
        machine::on_extraction_ended(&mut run, &plan, ended, 2, &mut actions);
    }
    run
}

fn writer(codec: &Arc<Codec>) -> RecordWriter {
    RecordWriter::new(&Topics::new("prunella.").expect("legal prefix"), codec.clone(), 0)
}

proptest! {
    #[test]
    fn packing_forgets_nothing(
        trigger in prop::collection::vec(any::<u8>(), 0..50),
        batches in prop::collection::btree_map(0_i64..8, prop::collection::vec(any::<u8>(), 0..50), 0..6),
        total in prop::option::of(0_i64..8),
    ) {
        let codec = Arc::new(Codec::new(None, None));
        let run = run("k", &trigger, &batches.into_iter().collect::<Vec<_>>(), total);
        prop_assume!(run.state.status == RunStatus::Running);
        let packed = PackedRun::of(&run, &writer(&codec)).expect("can be written");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let remains = runtime.block_on(Remains::read(&run.state.run, &packed, &codec));
        prop_assert_eq!(remains.into_run(), Some(run));
    }
}

#[test]
fn awake_and_asleep_runs_are_live_and_due_at_their_time() {
    let codec = Arc::new(Codec::new(None, None));
    let memory = RunMemory::new(ByteSize::from_mib(1));
    let mut known = KnownRuns::default();
    for (key, due) in [("a", 30), ("b", 10), ("c", 20)] {
        let run = run(key, b"{}", &[], None);
        let held = memory.hold(&run.state.workspace, &run.state.workflow, run.size());
        known.insert(&run_id(key), due, Form::Awake(Box::new(run)), held);
    }
    known.retire(&run_id("d"), 5, Suffixes::new(["", "/@trigger"]));
    assert_eq!(known.awake(), 3);
    known.put_to_sleep(|run| (run.state.run != run_id("c")).then(|| PackedRun::of(run, &writer(&codec)))?);
    assert_eq!(known.awake(), 1, "what cannot be packed stays awake");

    assert!(known.is_live(&run_id("a")) && known.is_ended(&run_id("d")) && !known.contains(&run_id("e")));
    assert!(known.due(9).is_none() && known.pop_forgotten(5).is_none());
    assert_eq!(known.next_due(), Some(10));
    let (forgotten, suffixes) = known.pop_forgotten(60_000).expect("d is to be forgotten");
    assert_eq!(forgotten, run_id("d"));
    assert!(!known.contains(&run_id("d")));
    assert_eq!(suffixes.iter().collect::<Vec<_>>(), ["", "/@trigger"]);
    known.postpone(&run_id("b"), 40);
    let order: Vec<RunId> = std::iter::from_fn(|| {
        let next = known.due(i64::MAX)?;
        known.remove(&next).map(|_| next)
    })
    .collect();
    assert_eq!(order, [run_id("c"), run_id("a"), run_id("b")]);
    assert_eq!(memory.held(), 0, "all is given back");
}
