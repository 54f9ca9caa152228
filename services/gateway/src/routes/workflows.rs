use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use prunella_model::{Code, WorkflowName, WorkspaceName};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::extract::At;
use crate::problem::{Problem, ProblemAnswer};
use crate::site::Site;
use crate::workflows::LiveWorkflow;

/// A workflow that runs can be started of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowAnswer {
    #[schema(value_type = String)]
    workflow: WorkflowName,
    /// The version that new runs use.
    version: i32,
    /// SHA-256 of the definition, in hex.
    digest: String,
    description: Option<String>,
    applied_at: i64,
    applied_by: String,
    topics: WorkflowTopics,
}

/// The topics of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowTopics {
    /// Records that start runs.
    trigger: String,
    /// Validated records.
    output: String,
    /// Items that could not be mapped or are not valid, and triggers that start no run.
    dead_letters: String,
}

/// The workflows of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowsAnswer {
    workflows: Vec<WorkflowAnswer>,
}

/// A workflow with its definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkflowDetailAnswer {
    #[serde(flatten)]
    workflow: WorkflowAnswer,
    /// The definition, as `schemas/workflow.schema.json` describes it, with mappings and schemas inline.
    #[schema(value_type = Object)]
    definition: Box<RawValue>,
}

/// List workflows by name.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/workflows",
    tag = "workflows",
    params(("workspace" = String, Path, description = "Name of the workspace")),
    responses((status = 200, description = "The workflows", body = WorkflowsAnswer))
)]
pub(crate) async fn list_workflows(
    State(site): State<Site>,
    At(workspace): At<WorkspaceName>,
) -> Json<WorkflowsAnswer> {
    let live = site.deps.workflows.list(&workspace).await;
    Json(WorkflowsAnswer { workflows: live.into_iter().map(|live| answer(&site, &workspace, live)).collect() })
}

/// Look a workflow up.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/workflows/{workflow}",
    tag = "workflows",
    params(
        ("workspace" = String, Path, description = "Name of the workspace"),
        ("workflow" = String, Path, description = "Name of the workflow"),
    ),
    responses(
        (status = 200, description = "The workflow", body = WorkflowDetailAnswer),
        (status = 404, description = "There is no such workflow", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_workflow(
    State(site): State<Site>,
    At((workspace, workflow)): At<(WorkspaceName, WorkflowName)>,
) -> Result<Json<WorkflowDetailAnswer>, Problem> {
    let mut live = find(&site, &workspace, &workflow).await?;
    let definition = RawValue::from_string(std::mem::take(&mut live.definition))
        .map_err(|error| Problem::internal(format!("the definition of {workflow} is not JSON: {error}")))?;
    Ok(Json(WorkflowDetailAnswer { workflow: answer(&site, &workspace, live), definition }))
}

/// The live version of a workflow, or the problem that there is none.
pub(crate) async fn find(
    site: &Site,
    workspace: &WorkspaceName,
    workflow: &WorkflowName,
) -> Result<LiveWorkflow, Problem> {
    site.deps.workflows.live(workspace, workflow).await.ok_or_else(|| {
        let detail = format!(
            "there is no workflow {workflow} in workspace {workspace}: `prunella apply` makes one, GET /v1/workspaces/{workspace}/workflows lists those there are"
        );
        Problem::new(StatusCode::NOT_FOUND, Code::RequestWorkflowUnknown, detail)
    })
}

fn answer(site: &Site, workspace: &WorkspaceName, live: LiveWorkflow) -> WorkflowAnswer {
    let topics = &site.deps.topics;
    WorkflowAnswer {
        topics: WorkflowTopics {
            trigger: topics.trigger(workspace, &live.workflow),
            output: topics.output(workspace, &live.workflow),
            dead_letters: topics.deadletter(workspace, &live.workflow),
        },
        workflow: live.workflow,
        version: live.version.0,
        digest: live.digest,
        description: live.description,
        applied_at: live.applied_at,
        applied_by: live.applied_by,
    }
}
