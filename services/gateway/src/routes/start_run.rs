use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use prunella_model::{Code, Period, RunId, RunOrigin, WorkflowName, WorkspaceName};
use prunella_stream::OutRecord;
use prunella_telemetry::emit;
use prunella_wire::records::RunState;
use prunella_wire::{Headers, TraceContext, names};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::answers::RunAnswer;
use crate::body::{check_json, read};
use crate::events::{NotLookedUp, RunAccepted};
use crate::extract::{At, Params, idempotency_key, timeout};
use crate::observe::RequestId;
use crate::problem::{Problem, ProblemAnswer};
use crate::routes::workflows::find;
use crate::site::Site;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StartParams {
    /// Wait until the run has ended.
    #[serde(default)]
    wait: bool,
    /// How long to wait, such as `30s`.
    #[param(value_type = Option<String>, example = "30s")]
    timeout: Option<Period>,
    /// Key of the trigger record. Without it the record has no key.
    key: Option<String>,
}

/// A run that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StartAnswer {
    #[schema(value_type = String, example = "5f0c0f2d1a6b4c3e9d8a7b6c5d4e3f21")]
    run: RunId,
    /// `accepted` until the run has started, then its status.
    #[schema(example = "accepted")]
    status: &'static str,
    /// Where the run can be looked up.
    url: String,
    /// The run was known before this request: an earlier one had the same key, and this one started nothing.
    duplicate: bool,
    /// The key of the request, or the one that was made for it. Asking again with it never starts a second run.
    idempotency_key: String,
    /// The run, once it has ended.
    finished: Option<RunAnswer>,
}

/// Start a run.
///
/// The body is the trigger of the run: any JSON document, passed on byte for byte. The answer comes when Kafka has
/// confirmed the trigger, or, with `wait=true`, when the run has ended or the time is over.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/workflows/{workflow}/runs",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "Name of the workspace"),
        ("workflow" = String, Path, description = "Name of the workflow"),
        ("Idempotency-Key" = Option<String>, Header, description = "Name of the run: requests with the same key start one run"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context that the run continues"),
        StartParams,
    ),
    request_body(content = serde_json::Value, description = "The trigger", content_type = "application/json"),
    responses(
        (status = 200, description = "The run has ended", body = StartAnswer),
        (status = 202, description = "The trigger is in Kafka", body = StartAnswer),
        (status = 400, description = "The body is not JSON, or a parameter is not valid", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 404, description = "There is no such workflow", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "Kafka did not confirm the trigger", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn start_run(
    State(site): State<Site>,
    At((workspace, workflow)): At<(WorkspaceName, WorkflowName)>,
    Params(params): Params<StartParams>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
) -> Result<Response, Problem> {
    let patience = timeout(&site, params.timeout)?;
    let (key, was_given) = idempotency_key(request.headers())?;
    find(&site, &workspace, &workflow).await?;
    let trace = trace_context(request.headers());
    let headers = record_headers(request.headers(), &key, trace);
    let body = read(&site, request).await?;
    check_json(&body.bytes)?;

    let run = RunId::derive(&workspace, &workflow, RunOrigin::IdempotencyKey(&key));
    let known = if was_given { known_run(&site, &workspace, &run).await } else { None };
    let duplicate = known.is_some();
    if !duplicate {
        let record = OutRecord {
            topic: site.deps.topics.trigger(&workspace, &workflow).into(),
            partition: None,
            key: params.key.map(Bytes::from),
            value: Some(body.bytes.clone()),
            headers,
        };
        site.accept(vec![record]).await.map_err(|problem| with_key(problem, &key))?;
    }
    drop(body);
    emit(RunAccepted {
        request: &request_id,
        workspace: workspace.as_str(),
        workflow: workflow.as_str(),
        run: run.as_str(),
        trace: &trace.trace_id(),
        duplicate,
    });
    let state = if params.wait { wait_for_end(&site, &run, known, Instant::now() + patience).await? } else { known };
    Ok(answer(&site, &workspace, run, key, duplicate, state))
}

/// A view that cannot answer keeps nobody from starting runs: the orchestrator knows its runs better.
async fn known_run(site: &Site, workspace: &WorkspaceName, run: &RunId) -> Option<RunState> {
    let found = site.deps.runs.run(workspace, run).await;
    let detail = found.unwrap_or_else(|error| {
        emit(NotLookedUp { run: run.as_str(), error: &error });
        None
    });
    detail.map(|detail| detail.run)
}

/// The last state known; a shutdown ends the wait.
async fn wait_for_end(
    site: &Site,
    run: &RunId,
    known: Option<RunState>,
    deadline: Instant,
) -> Result<Option<RunState>, Problem> {
    match site.stop.run_until_cancelled(site.deps.runs.wait_for_end(run, deadline)).await {
        Some(state) => Ok(state?),
        None => Ok(known),
    }
}

fn answer(
    site: &Site,
    workspace: &WorkspaceName,
    run: RunId,
    idempotency_key: String,
    duplicate: bool,
    state: Option<RunState>,
) -> Response {
    let url = format!("/v1/workspaces/{workspace}/runs/{run}");
    let status = state.as_ref().map_or("accepted", |state| state.status.as_str());
    let finished =
        state.filter(|state| state.status.is_terminal()).map(|state| RunAnswer::new(state, &site.deps.topics));
    let http_status = if finished.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let answer = StartAnswer { run, status, url: url.clone(), duplicate, idempotency_key, finished };
    (http_status, [(header::LOCATION, url)], Json(answer)).into_response()
}

/// A span of the caller's trace, or a new trace.
fn trace_context(headers: &HeaderMap) -> TraceContext {
    let given = headers.get(names::TRACEPARENT).and_then(|value| value.to_str().ok()?.parse::<TraceContext>().ok());
    given.map_or_else(TraceContext::root, TraceContext::child)
}

fn record_headers(request: &HeaderMap, key: &str, trace: TraceContext) -> Headers {
    let mut headers = Headers::new();
    headers.push(names::IDEMPOTENCY_KEY, key.to_owned());
    headers.push(names::TRACEPARENT, trace.to_string());
    // Without a parent of the same caller it would belong to nothing.
    if let Some(state) = request.get(names::TRACESTATE).filter(|_| request.contains_key(names::TRACEPARENT)) {
        headers.push(names::TRACESTATE, state.as_bytes().to_vec());
    }
    headers
}

/// A request whose fate is not known is repeated with the same key.
fn with_key(problem: Problem, key: &str) -> Problem {
    if problem.code != Code::RequestNotAccepted {
        return problem;
    }
    let detail =
        format!("{} with the header `Idempotency-Key: {key}`, which never starts a second run", problem.detail);
    Problem { detail, ..problem }
}
