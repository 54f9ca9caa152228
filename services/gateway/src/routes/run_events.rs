use axum::Json;
use axum::extract::State;
use prunella_model::{RunId, WorkspaceName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answers::{AsOfAnswer, EventAnswer};
use crate::extract::{At, Params, limit};
use crate::problem::{Problem, ProblemAnswer};
use crate::site::Site;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventParams {
    /// Most events of the answer.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of the history of a run, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsAnswer {
    events: Vec<EventAnswer>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
    as_of: AsOfAnswer,
}

/// The history of a run, oldest first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs/{run}/events",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "Name of the workspace"),
        ("run" = String, Path, description = "Id of the run"),
        EventParams,
    ),
    responses(
        (status = 200, description = "A page of events", body = EventsAnswer),
        (status = 404, description = "There is no such run", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn run_events(
    State(site): State<Site>,
    At((workspace, run)): At<(WorkspaceName, RunId)>,
    Params(params): Params<EventParams>,
) -> Result<Json<EventsAnswer>, Problem> {
    let limit = limit(&site, params.limit)?;
    if site.deps.runs.run(&workspace, &run).await?.is_none() {
        return Err(site.not_found(&run));
    }
    let page = site.deps.runs.events(&run, params.cursor.as_deref(), limit).await?;
    let events = page.events.into_iter().map(EventAnswer::from).collect();
    Ok(Json(EventsAnswer { events, next: page.next, as_of: page.as_of.into() }))
}
