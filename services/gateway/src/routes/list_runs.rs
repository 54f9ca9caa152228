use axum::Json;
use axum::extract::State;
use prunella_model::{Code, WorkflowName, WorkspaceName};
use prunella_runview::RunFilter;
use prunella_wire::records::RunStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answers::{AsOfAnswer, RunAnswer};
use crate::extract::{At, Params, limit, time};
use crate::problem::{Problem, ProblemAnswer};
use crate::site::Site;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only runs of this workflow.
    #[param(value_type = Option<String>)]
    workflow: Option<WorkflowName>,
    /// Only runs in this status: `pending`, `running`, `waiting`, `paused`, `succeeded`, `failed`, `cancelled`.
    #[param(value_type = Option<String>, example = "failed")]
    status: Option<RunStatus>,
    /// Only runs that failed with this code.
    #[param(example = "PRN-0703")]
    error_code: Option<String>,
    /// Only runs created at this time or later: RFC 3339, or milliseconds since the epoch.
    #[param(example = "2026-01-31T12:00:00Z")]
    since: Option<String>,
    /// Only runs created before this time.
    until: Option<String>,
    /// Most runs of the answer.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunsAnswer {
    runs: Vec<RunAnswer>,
    /// Cursor of the next page; null on the last. A page may hold fewer runs than asked for, even none, and
    /// not be the last.
    next: Option<String>,
    as_of: AsOfAnswer,
}

/// List runs, newest first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs",
    tag = "runs",
    params(("workspace" = String, Path, description = "Name of the workspace"), ListParams),
    responses(
        (status = 200, description = "A page of runs", body = RunsAnswer),
        (status = 400, description = "A parameter is not valid", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_runs(
    State(site): State<Site>,
    At(workspace): At<WorkspaceName>,
    Params(params): Params<ListParams>,
) -> Result<Json<RunsAnswer>, Problem> {
    if let Some(code) = params.error_code.as_deref().filter(|code| Code::from_id(code).is_none()) {
        return Err(Problem::malformed(format!("error_code: {code:?} is not a code: expected one such as PRN-0703")));
    }
    let limit = limit(&site, params.limit)?;
    let filter = RunFilter {
        workflow: params.workflow,
        status: params.status,
        since: time("since", params.since.as_deref())?,
        until: time("until", params.until.as_deref())?,
        error_code: params.error_code,
    };
    let page = site.deps.runs.runs(&workspace, &filter, params.cursor.as_deref(), limit).await?;
    let runs = page.runs.into_iter().map(|state| RunAnswer::new(state, &site.deps.topics)).collect();
    Ok(Json(RunsAnswer { runs, next: page.next, as_of: page.as_of.into() }))
}
