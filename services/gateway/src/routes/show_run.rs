use axum::Json;
use axum::extract::State;
use prunella_model::{RunId, WorkspaceName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::{AsOfAnswer, RunAnswer, StepAnswer};
use crate::extract::At;
use crate::problem::{Problem, ProblemAnswer};
use crate::site::Site;

/// A run with its steps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunDetailAnswer {
    #[serde(flatten)]
    run: RunAnswer,
    /// Steps of the definition, those that still wait included.
    steps_total: i32,
    /// Steps that have started or ended, in the order they started.
    steps: Vec<StepAnswer>,
    as_of: AsOfAnswer,
}

/// Look a run up.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/runs/{run}",
    tag = "runs",
    params(
        ("workspace" = String, Path, description = "Name of the workspace"),
        ("run" = String, Path, description = "Id of the run"),
    ),
    responses(
        (status = 200, description = "The run", body = RunDetailAnswer),
        (status = 404, description = "There is no such run", body = ProblemAnswer, content_type = "application/problem+json"),
        (status = 503, description = "The run is not known yet", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_run(
    State(site): State<Site>,
    At((workspace, run)): At<(WorkspaceName, RunId)>,
) -> Result<Json<RunDetailAnswer>, Problem> {
    let detail = site.deps.runs.run(&workspace, &run).await?.ok_or_else(|| site.not_found(&run))?;
    Ok(Json(RunDetailAnswer {
        steps_total: detail.run.steps,
        run: RunAnswer::new(detail.run, &site.deps.topics),
        steps: detail.steps.into_iter().map(StepAnswer::from).collect(),
        as_of: detail.as_of.into(),
    }))
}
