use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use prunella_model::{Code, RunId, WorkspaceName};
use prunella_stream::OutRecord;
use prunella_stream::homes::now_millis;
use prunella_wire::records::{AuditEvent, CancelRun};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::read;
use crate::extract::At;
use crate::problem::{Problem, ProblemAnswer};
use crate::site::{ACTOR, Site};

/// A run is in the view a moment after it was started.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a run is cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CancelRequest {
    /// Shown in the history of the run.
    reason: String,
}

/// A run that is about to be cancelled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelAnswer {
    #[schema(value_type = String)]
    run: RunId,
    /// Status of the run before the request; it becomes `cancelled` unless the run ends first.
    status: &'static str,
    /// Where the run can be looked up.
    url: String,
}

/// Cancel a run.
///
/// The answer comes when Kafka has confirmed the command; the run ends a moment later. What it has written to the
/// output topic stays.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/runs/{run}/cancel",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "Name of the workspace"),
        ("run" = String, Path, description = "Id of the run"),
    ),
    request_body(content = Option<CancelRequest>, description = "May be left out"),
    responses(
        (status = 202, description = "The command is in Kafka", body = CancelAnswer),
        (status = 404, description = "There is no such run", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 409, description = "The run has ended", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "Kafka did not confirm the command", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel_run(
    State(site): State<Site>,
    At((workspace, run)): At<(WorkspaceName, RunId)>,
    request: Request,
) -> Result<(StatusCode, Json<CancelAnswer>), Problem> {
    let asked = cancel_request(&read(&site, request).await?.bytes)?;
    let known = site.deps.runs.wait_for_start(&run, PATIENCE).await?;
    let state = known.filter(|state| state.workspace == workspace).ok_or_else(|| site.not_found(&run))?;
    let status = state.status.as_str();
    if state.status.is_terminal() {
        let detail = format!("run {run} is {status} and stays so");
        return Err(Problem::new(StatusCode::CONFLICT, Code::RequestRunEnded, detail));
    }
    site.accept(records(&site, &workspace, &run, asked.reason)?).await?;
    let url = format!("/v1/workspaces/{workspace}/runs/{run}");
    Ok((StatusCode::ACCEPTED, Json(CancelAnswer { run, status, url })))
}

fn cancel_request(body: &[u8]) -> Result<CancelRequest, Problem> {
    if body.is_empty() {
        return Ok(CancelRequest::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::malformed(format!("the body is not {{\"reason\": \"…\"}}, and may be left out: {error}"))
    })
}

/// The command, bound for the home of the run by its key, and its entry in the audit log.
fn records(site: &Site, workspace: &WorkspaceName, run: &RunId, reason: String) -> Result<Vec<OutRecord>, Problem> {
    let now = now_millis();
    let cancel = CancelRun {
        workspace: workspace.clone(),
        run: run.clone(),
        requested_by: ACTOR.to_owned(),
        reason: reason.clone(),
        requested_at: now,
    };
    let audit = AuditEvent {
        at: now,
        actor: ACTOR.to_owned(),
        action: "run-cancelled".to_owned(),
        workspace: workspace.clone(),
        subject: run.to_string(),
        detail: reason,
    };
    let codec = &site.deps.codec;
    let (progress, log) = (site.deps.topics.stage_progress(), site.deps.topics.log_audit());
    let encoded = codec.encode(&progress, &cancel).and_then(|cancel| Ok((cancel, codec.encode(&log, &audit)?)));
    let (cancel, audit) = encoded.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(vec![OutRecord::new(progress, run.to_string(), cancel), OutRecord::new(log, ACTOR, audit)])
}
