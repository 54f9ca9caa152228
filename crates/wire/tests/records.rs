//! The Rust types against the schemas in `schemas/`: what one writes, the other reads.

use bytes::Bytes;
use prunella_model::{Attempt, BatchNumber, RunId, RunOrigin, WorkflowVersion, WorkspaceName};
use prunella_wire::records::*;
use prunella_wire::{Claim, Codec, ControlRecord, Payload, WireError};

fn run() -> RunId {
    RunId::derive(
        &WorkspaceName::default_workspace(),
        &"orders".parse().expect("valid"),
        RunOrigin::IdempotencyKey("one"),
    )
}

fn at() -> StepRef {
    StepRef {
        workspace: WorkspaceName::default_workspace(),
        workflow: "orders".parse().expect("valid"),
        version: WorkflowVersion(3),
        run: run(),
        step: "fetch".parse().expect("valid"),
        attempt: Attempt(2),
    }
}

fn inline(text: &'static str) -> Payload {
    Payload::Inline(Bytes::from_static(text.as_bytes()))
}

fn claim() -> Payload {
    Payload::Claim(Claim { location: "default/1/ab".into(), sha256: "ab".into(), length: 7 })
}

fn context() -> RunContext {
    RunContext {
        trigger: inline("{}"),
        steps: vec![StepOutputs { step: "first".parse().expect("valid"), outputs: vec![inline("[1]"), claim()] }],
    }
}

fn origin() -> TriggerOrigin {
    TriggerOrigin { topic: "t".into(), partition: 1, offset: 2, timestamp: 3 }
}

fn error() -> Option<ErrorInfo> {
    Some(ErrorInfo { code: "PRN-0704".into(), message: "step failed".into() })
}

async fn survives<T: ControlRecord + PartialEq + std::fmt::Debug>(codec: &Codec, record: T) {
    let bytes = codec.encode("topic", &record).expect("encodes");
    let opened = codec.open(&bytes).await.expect("opens");
    assert_eq!(opened.name(), T::NAME);
    assert_eq!(opened.read::<T>().expect("reads"), record);
}

#[tokio::test]
async fn every_record_is_read_back_as_it_was_written() {
    let codec = Codec::new(None, None);
    let workspace = WorkspaceName::default_workspace;
    let workflow = || "orders".parse().expect("valid");
    survives(
        &codec,
        StartRun {
            workspace: workspace(),
            workflow: workflow(),
            version: WorkflowVersion(1),
            run: run(),
            trigger: claim(),
            origin: origin(),
            idempotency_key: Some("k".into()),
            replay_of: Some(run()),
            generation: Some("g".into()),
            accepted_at: 9,
        },
    )
    .await;
    survives(
        &codec,
        CancelRun {
            workspace: workspace(),
            run: run(),
            requested_by: "ops".into(),
            reason: "wrong input".into(),
            requested_at: 1,
        },
    )
    .await;
    survives(&codec, ExtractionEnded { at: at(), batches: 3, items: 1500, ended_at: 1 }).await;
    survives(
        &codec,
        BatchResult {
            at: at(),
            batch: BatchNumber(2),
            items: 5,
            valid: 3,
            dead_lettered: 2,
            outputs: Some(inline("[]")),
            error: error(),
            ended_at: 4,
        },
    )
    .await;
    survives(
        &codec,
        StepFailed { at: at(), batch: None, error: error().expect("some"), retry_at: Some(5), failed_at: 4 },
    )
    .await;
    survives(&codec, StepSkipped { at: at(), skipped_at: 4 }).await;
    let pause = StepPause {
        workspace: workspace(),
        workflow: at().workflow,
        version: at().version,
        step: at().step,
        until: 5,
        reason: "enough".to_owned(),
        at: 4,
    };
    survives(&codec, pause).await;
    survives(&codec, ExtractRequest { at: at(), deadline: 7, context: context(), requested_at: 6 }).await;
    survives(
        &codec,
        StageBatch {
            at: at(),
            batch: BatchNumber(0),
            deadline: 7,
            items: vec![
                StageItem { index: 0, input: inline("{\"a\":1.0}"), output: None, error: error() },
                StageItem { index: 2, input: claim(), output: Some(inline("null")), error: None },
            ],
            extracted: 3,
            dead_lettered: 1,
            mapping_version: 1,
            context: Some(context()),
            error: None,
        },
    )
    .await;
    survives(
        &codec,
        RunState {
            run: run(),
            workspace: workspace(),
            workflow: workflow(),
            version: WorkflowVersion(1),
            status: RunStatus::Failed,
            origin: origin(),
            idempotency_key: None,
            replay_of: Some(run()),
            created_at: 1,
            deadline: 2,
            ended_at: Some(2),
            steps: 2,
            extracted: 10,
            valid: 8,
            dead_lettered: 2,
            error: error(),
            traceparent: None,
            done_steps: Vec::new(),
        },
    )
    .await;
    survives(&codec, RunInput { run: run(), trigger: inline("[]") }).await;
    survives(
        &codec,
        StepState {
            run: run(),
            step: "fetch".parse().expect("valid"),
            attempt: Attempt(1),
            status: StepStatus::Retrying,
            dispatch: Dispatch::Topic,
            started_at: Some(1),
            ended_at: None,
            retry_at: Some(4),
            batches: Some(3),
            seen: vec![BatchRange { first: 0, last: 1 }],
            extracted: 1,
            valid: 1,
            dead_lettered: 0,
            error: None,
        },
    )
    .await;
    survives(
        &codec,
        StepOutput {
            run: run(),
            step: "fetch".parse().expect("valid"),
            attempt: Attempt(1),
            batch: BatchNumber(4),
            outputs: claim(),
        },
    )
    .await;
    survives(
        &codec,
        Extraction {
            at: at(),
            deadline: 1,
            context: context(),
            cursor: Some("{}".into()),
            page_batches: 1,
            next_batch: BatchNumber(7),
            items: 700,
            ended: false,
            failed: false,
            tries: 0,
            retry_at: Some(8),
            requested_at: 1,
            updated_at: 1,
            traceparent: None,
            request_offset: 3,
        },
    )
    .await;
    survives(
        &codec,
        prunella_wire::records::WorkflowVersion {
            kind: "stream".to_owned(),
            workspace: workspace(),
            workflow: workflow(),
            version: WorkflowVersion(1),
            digest: "d".into(),
            definition: "{}".into(),
            applied_at: 1,
            applied_by: "me".into(),
        },
    )
    .await;
    survives(
        &codec,
        WorkflowLive {
            workspace: workspace(),
            workflow: workflow(),
            version: WorkflowVersion(1),
            changed_at: 1,
            changed_by: "me".into(),
        },
    )
    .await;
    survives(
        &codec,
        RunEvent {
            run: run(),
            workspace: workspace(),
            workflow: workflow(),
            at: 1,
            kind: "run-started".into(),
            step: None,
            attempt: Some(Attempt(1)),
            batch: None,
            code: None,
            message: String::new(),
        },
    )
    .await;
    survives(
        &codec,
        AuditEvent {
            at: 1,
            actor: "me".into(),
            action: "workflow-applied".into(),
            workspace: workspace(),
            subject: "orders@1".into(),
            detail: String::new(),
        },
    )
    .await;
    survives(
        &codec,
        LlmCall {
            id: "c1".into(),
            at: 1,
            workspace: workspace(),
            workflow: workflow(),
            step: "fetch".parse().expect("valid"),
            mapping: "default/orders/fetch".into(),
            run: Some(run()),
            purpose: "repair-mapping".into(),
            provider: "local".into(),
            model: "small".into(),
            outcome: "failed".into(),
            code: Some("PRN-0908".into()),
            message: "slow".into(),
            request: "…".into(),
            request_digest: "ab".into(),
            answer_digest: None,
            candidates: 0,
            redacted: 2,
            tries: 3,
            input_tokens: Some(900),
            output_tokens: None,
            cost_micros: None,
            charged_micros: 12,
            currency: "USD".into(),
            duration_ms: 5,
        },
    )
    .await;
    survives(&codec, CancelNotice { run: run(), workspace: workspace(), at: 1 }).await;
}

#[tokio::test]
async fn what_is_no_control_record_is_a_coded_error() {
    let codec = Codec::new(None, None);
    for bytes in [&b""[..], b"\xc3", b"\xc3\x01short", b"{\"json\":1}", b"\x00\x00\x01"] {
        let error = codec.open(bytes).await.err().expect("refused");
        assert_eq!(error.code().id(), "PRN-0301", "{error}");
    }
    let unknown = codec.open(b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08body").await.err().expect("refused");
    assert!(matches!(unknown, WireError::UnknownFingerprint { .. }), "{unknown}");
    let confluent = codec.open(b"\x00\x00\x00\x00\x07body").await.err().expect("refused");
    assert!(matches!(confluent, WireError::NoRegistry { id: 7 }), "{confluent}");
}

#[tokio::test]
async fn a_truncated_or_longer_body_is_a_coded_error() {
    let codec = Codec::new(None, None);
    let bytes = codec.encode("topic", &RunInput { run: run(), trigger: inline("[1,2]") }).expect("encodes");
    let mut longer = bytes.clone();
    longer.push(0);
    for damaged in [&bytes[..bytes.len() - 1], &longer[..]] {
        let error = codec.open(damaged).await.expect("opens").read::<RunInput>().expect_err("damaged");
        assert_eq!(error.code().id(), "PRN-0301", "{error}");
    }
}
