use std::time::{Duration, Instant};

use prunella_model::{Attempt, RunId, RunOrigin, WorkflowVersion};
use prunella_stream::{Tail, TailFrom, Tailed, TailedRecord};
use prunella_wire::records::{
    AuditEvent, BatchRange, CancelRun, Dispatch, RunEvent, RunState, RunStatus, StepState, StepStatus, TriggerOrigin,
};
use prunella_wire::{TraceContext, names};
use reqwest::Method;
use serde_json::Value;

use crate::support::{Api, eventually, json, kafka, orders, problem, workspace};

const RUNS: &str = "/v1/workspaces/default/workflows/orders/runs";

async fn records(api: &Api, topic: &str) -> Vec<TailedRecord> {
    let mut tail = Tail::start(&api.kafka, topic, TailFrom::Beginning).await.expect("a tail");
    let mut records = Vec::new();
    while let Some(Tailed::Record(record)) = tail.next().await {
        records.push(record);
    }
    records
}

fn run_of_key(key: &str) -> RunId {
    RunId::derive(&workspace(), &orders(), RunOrigin::IdempotencyKey(key))
}

fn state(run: &RunId, status: RunStatus) -> RunState {
    RunState {
        run: run.clone(),
        workspace: workspace(),
        workflow: orders(),
        version: WorkflowVersion(3),
        status,
        origin: TriggerOrigin { topic: "t".to_owned(), partition: 0, offset: 7, timestamp: 1000 },
        idempotency_key: None,
        replay_of: None,
        created_at: 1000,
        deadline: 9000,
        ended_at: status.is_terminal().then_some(2000),
        steps: 2,
        extracted: 10,
        valid: 9,
        dead_lettered: 1,
        error: None,
        traceparent: None,
        done_steps: Vec::new(),
    }
}

async fn write_state(api: &Api, state: &RunState) {
    api.write(&api.topics.state_runs(), state.run.as_str(), state).await;
}

async fn is_shown(api: &Api, run: &RunId, status: &str) {
    let path = format!("/v1/workspaces/default/runs/{run}");
    eventually(&format!("{run} is {status}"), async || {
        let response = api.get(&path).await;
        response.status() == 200 && json(response).await.1["status"] == status
    })
    .await;
}

#[tokio::test]
async fn a_run_is_a_record_on_the_trigger_topic() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    let trace = TraceContext::root();
    let payload = "{ \"order\" : 12345678901234567890123 ,\"text\":\"ü\"}\n";
    let request = api
        .request(Method::POST, &format!("{RUNS}?key=customer-7"))
        .header("idempotency-key", "order-7")
        .header("traceparent", trace.to_string())
        .header("tracestate", "vendor=1")
        .body(payload);
    let response = request.send().await.expect("an answer");
    let location = response.headers()["location"].to_str().expect("text").to_owned();
    let (status, answer) = json(response).await;
    let run = run_of_key("order-7");
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["run"], run.as_str());
    assert_eq!((&answer["status"], &answer["duplicate"]), (&"accepted".into(), &false.into()));
    assert_eq!(location, format!("/v1/workspaces/default/runs/{run}"));
    assert_eq!(answer["url"], *location);

    let written = records(&api, &api.topics.trigger(&workspace(), &orders())).await;
    let [record] = written.as_slice() else { panic!("one record: {written:?}") };
    assert_eq!(record.value.as_deref(), Some(payload.as_bytes()), "byte for byte");
    assert_eq!(record.key.as_deref(), Some(&b"customer-7"[..]));
    assert_eq!(record.headers.text(names::IDEMPOTENCY_KEY), Some("order-7"));
    assert_eq!(record.headers.text(names::TRACESTATE), Some("vendor=1"));
    let passed_on = TraceContext::of(&record.headers).expect("a trace");
    assert_eq!(passed_on.trace_id(), trace.trace_id());
    assert_ne!(passed_on, trace, "a span of its own");
}

#[tokio::test]
async fn without_a_key_every_request_is_a_run_of_its_own() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    for _ in 0..2 {
        let (status, answer) = json(api.post(RUNS, "{}").await).await;
        assert_eq!(status, 202);
        let key = answer["idempotency_key"].as_str().expect("a key");
        assert_eq!(answer["run"], run_of_key(key).as_str(), "the key names the run");
    }
    let written = records(&api, &api.topics.trigger(&workspace(), &orders())).await;
    let keys: Vec<_> = written.iter().map(|record| record.headers.text(names::IDEMPOTENCY_KEY)).collect();
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] != keys[1], "{keys:?}");
    assert!(written.iter().all(|record| record.key.is_none() && TraceContext::of(&record.headers).is_some()));
}

#[tokio::test]
async fn a_key_that_is_known_starts_nothing_again() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    let run = run_of_key("known");
    let ask = async |path: &str| {
        let request = api.request(Method::POST, path).header("idempotency-key", "known").body("{}");
        json(request.send().await.expect("an answer")).await
    };
    let (status, first) = ask(RUNS).await;
    assert_eq!((status, &first["run"], &first["duplicate"]), (202, &run.as_str().into(), &false.into()));

    write_state(&api, &state(&run, RunStatus::Running)).await;
    is_shown(&api, &run, "running").await;
    let (status, second) = ask(RUNS).await;
    assert_eq!((status, &second["run"], &second["duplicate"]), (202, &run.as_str().into(), &true.into()));
    assert_eq!(second["status"], "running");

    write_state(&api, &state(&run, RunStatus::Succeeded)).await;
    is_shown(&api, &run, "succeeded").await;
    let (status, third) = ask(RUNS).await;
    assert_eq!((status, &third["duplicate"], &third["finished"]["counts"]["valid"]), (200, &true.into(), &9.into()));
    assert_eq!(records(&api, &api.topics.trigger(&workspace(), &orders())).await.len(), 1);
}

#[tokio::test]
async fn waiting_ends_with_the_run_or_with_the_time() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    let asked = Instant::now();
    let (status, answer) = json(api.post(&format!("{RUNS}?wait=true&timeout=300ms"), "{}").await).await;
    assert_eq!((status, &answer["finished"]), (202, &Value::Null), "{answer}");
    assert!(asked.elapsed() >= Duration::from_millis(300));

    let request = api.request(Method::POST, &format!("{RUNS}?wait=true&timeout=20s"));
    let waiting = tokio::spawn(request.header("idempotency-key", "waited-for").body("{}").send());
    let run = run_of_key("waited-for");
    write_state(&api, &state(&run, RunStatus::Running)).await;
    is_shown(&api, &run, "running").await;
    assert!(!waiting.is_finished(), "it has not ended");
    let ended = Instant::now();
    write_state(&api, &state(&run, RunStatus::Succeeded)).await;
    let (status, answer) = json(waiting.await.expect("no panic").expect("an answer")).await;
    assert!(ended.elapsed() < Duration::from_secs(5), "told, not timed out");
    assert_eq!((status, &answer["status"], &answer["finished"]["ended_at"]), (200, &"succeeded".into(), &2000.into()));
}

#[tokio::test]
async fn a_shutdown_answers_those_who_wait() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    let waiting = tokio::spawn(api.request(Method::POST, &format!("{RUNS}?wait=true&timeout=60s")).body("{}").send());
    let trigger = api.topics.trigger(&workspace(), &orders());
    eventually("the trigger is written", async || !records(&api, &trigger).await.is_empty()).await;
    api.stopped().await;
    let (status, answer) = json(waiting.await.expect("no panic").expect("an answer")).await;
    assert_eq!((status, &answer["status"]), (202, &"accepted".into()));
}

#[tokio::test]
async fn a_run_is_shown_with_its_steps_its_history_and_its_topics() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    let run = run_of_key("shown");
    write_state(&api, &state(&run, RunStatus::Running)).await;
    let step = StepState {
        run: run.clone(),
        step: "fetch".parse().expect("valid"),
        attempt: Attempt(2),
        status: StepStatus::Running,
        dispatch: Dispatch::Topic,
        started_at: Some(1100),
        ended_at: None,
        retry_at: None,
        batches: Some(5),
        seen: vec![BatchRange { first: 0, last: 1 }, BatchRange { first: 3, last: 3 }],
        extracted: 10,
        valid: 9,
        dead_lettered: 1,
        error: None,
    };
    api.write(&api.topics.state_runs(), &format!("{run}/fetch"), &step).await;
    for (at, kind) in [(1000, "run-started"), (1100, "step-started"), (1200, "step-retry")] {
        let event = RunEvent {
            run: run.clone(),
            workspace: workspace(),
            workflow: orders(),
            // Old events are forgotten, and these shall not be.
            at: prunella_stream::homes::now_millis() + at,
            kind: kind.to_owned(),
            step: None,
            attempt: None,
            batch: None,
            code: None,
            message: String::new(),
        };
        api.write(&api.topics.log_runs(), run.as_str(), &event).await;
    }
    let path = format!("/v1/workspaces/default/runs/{run}");
    eventually("all of it is in the view", async || {
        let events = api.get(&format!("{path}/events")).await;
        let detail = api.get(&path).await;
        events.status() == 200
            && json(events).await.1["events"].as_array().is_some_and(|events| events.len() == 3)
            && json(detail).await.1["steps"].as_array().is_some_and(|steps| steps.len() == 1)
    })
    .await;

    let detail = api.get_json(&path).await;
    assert_eq!((&detail["steps_total"], &detail["counts"]["dead_lettered"]), (&2.into(), &1.into()), "{detail}");
    let step = &detail["steps"][0];
    assert_eq!((&step["attempt"], &step["batches"], &step["batches_done"]), (&2.into(), &5.into(), &3.into()));
    assert_eq!(detail["topics"]["output"], api.topics.output(&workspace(), &orders()));
    assert_eq!(detail["topics"]["dead_letters"], api.topics.deadletter(&workspace(), &orders()));
    assert_eq!(detail["as_of"]["caught_up"], true);
    assert!(detail["as_of"]["newest"].is_number());

    let first = api.get_json(&format!("{path}/events?limit=2")).await;
    let next = first["next"].as_str().expect("one more");
    let second = api.get_json(&format!("{path}/events?limit=2&cursor={next}")).await;
    let kinds: Vec<&Value> = [&first, &second]
        .iter()
        .flat_map(|page| page["events"].as_array().expect("events"))
        .map(|event| &event["kind"])
        .collect();
    assert_eq!(kinds, ["run-started", "step-started", "step-retry"]);
    let foreign = api.get(&format!("/v1/workspaces/other/runs/{run}")).await;
    assert_eq!(problem(foreign).await, (404, "PRN-0811".to_owned()));
}

#[tokio::test]
async fn lists_filter_and_go_on_over_a_restart() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    for number in 0..7_i64 {
        let status = if number % 2 == 0 { RunStatus::Succeeded } else { RunStatus::Failed };
        let run = run_of_key(&number.to_string());
        write_state(&api, &RunState { created_at: 1000 + number, ..state(&run, status) }).await;
    }
    is_shown(&api, &run_of_key("6"), "succeeded").await;
    let list = "/v1/workspaces/default/runs";
    eventually("all are listed", async || {
        api.get_json(list).await["runs"].as_array().is_some_and(|runs| runs.len() == 7)
    })
    .await;
    let created = |page: &Value| -> Vec<i64> {
        let runs = page["runs"].as_array().expect("runs");
        runs.iter().map(|run| run["created_at"].as_i64().expect("a time")).collect()
    };
    let failed = api.get_json(&format!("{list}?status=failed&workflow=orders")).await;
    assert_eq!(created(&failed), [1005, 1003, 1001]);
    let middle = api.get_json(&format!("{list}?since=1002&until=1970-01-01T00:00:01.004Z")).await;
    assert_eq!(created(&middle), [1003, 1002]);
    let first = api.get_json(&format!("{list}?limit=3")).await;
    assert_eq!(created(&first), [1006, 1005, 1004]);

    let api = api.restarted().await;
    write_state(&api, &RunState { created_at: 2000, ..state(&run_of_key("new"), RunStatus::Running) }).await;
    is_shown(&api, &run_of_key("new"), "running").await;
    let next = first["next"].as_str().expect("more");
    let second = api.get_json(&format!("{list}?limit=30&cursor={next}")).await;
    assert_eq!((created(&second), &second["next"]), (vec![1003, 1002, 1001, 1000], &Value::Null));
}

#[tokio::test]
async fn a_cancel_is_a_command_at_the_home_of_the_run() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    let run = run_of_key("to-be-cancelled");
    let path = format!("/v1/workspaces/default/runs/{run}/cancel");
    assert_eq!(problem(api.post(&path, "").await).await, (404, "PRN-0811".to_owned()));

    write_state(&api, &state(&run, RunStatus::Running)).await;
    assert_eq!(problem(api.post(&path, "{\"why\":1}").await).await, (400, "PRN-0805".to_owned()));
    let (status, answer) = json(api.post(&path, "{\"reason\":\"wrong file\"}").await).await;
    assert_eq!((status, &answer["status"]), (202, &"running".into()), "{answer}");

    let progress = records(&api, &api.topics.stage_progress()).await;
    let [record] = progress.as_slice() else { panic!("one command: {progress:?}") };
    let cancel: CancelRun = api.codec.decode(record.value.as_deref().expect("a value")).await.expect("a command");
    assert_eq!((&cancel.run, cancel.workspace, cancel.reason.as_str()), (&run, workspace(), "wrong file"));
    assert_eq!(record.key.as_deref(), Some(run.as_str().as_bytes()));
    assert_eq!(record.partition, run.home(2), "the home of the run");
    let audit = records(&api, &api.topics.log_audit()).await;
    let entry: AuditEvent = api.codec.decode(audit[0].value.as_deref().expect("a value")).await.expect("an entry");
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("run-cancelled", run.as_str()));

    write_state(&api, &state(&run, RunStatus::Cancelled)).await;
    is_shown(&api, &run, "cancelled").await;
    assert_eq!(problem(api.post(&path, "").await).await, (409, "PRN-0812".to_owned()));
}
