//! Mappings as they stand, and what they would make of an item.

use axum::Json;
use axum::extract::{Request, State};
use prunella_model::{Code, StepId, TextHash, WorkflowName, WorkspaceName};
use prunella_operate::mappings::{
    DifferenceAnswer, EvalAnswer, HistoryEntry, KnownMapping, MappingAddress, MappingAnswer, MappingSummary,
    VersionAnswer,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::body::json;
use crate::extract::{At, Params};
use crate::problem::{Problem, ProblemAnswer};
use crate::routes::of_step::{NoMapping, OfStep, SchemaParams};
use crate::site::Site;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiffParams {
    /// 1, without it: the author's text.
    from: Option<i32>,
    /// Without it, the version in use.
    to: Option<i32>,
    /// As for the mapping itself.
    #[param(value_type = Option<String>)]
    schema: Option<TextHash>,
}

/// The mappings of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MappingsAnswer {
    mappings: Vec<MappingSummary>,
}

/// What became of a mapping, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryAnswer {
    #[schema(value_type = String)]
    mapping: String,
    history: Vec<HistoryEntry>,
}

/// An item to be mapped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvalRequest {
    /// Without it, the version in use; 1 is the author's text.
    #[serde(default)]
    version: Option<i32>,
    /// Any JSON.
    #[schema(value_type = Object)]
    item: Box<RawValue>,
}

/// List mappings that have versions besides their author's.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/mappings",
    tag = "mappings",
    params(("workspace" = String, Path, description = "Name of the workspace")),
    responses((status = 200, description = "The mappings", body = MappingsAnswer))
)]
pub(crate) async fn list_mappings(State(site): State<Site>, At(workspace): At<WorkspaceName>) -> Json<MappingsAnswer> {
    let known = site.deps.mappings.list(&workspace);
    Json(MappingsAnswer { mappings: known.iter().map(KnownMapping::summary).collect() })
}

/// Look a mapping up, with all its versions.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}",
    tag = "mappings",
    params(OfStep, SchemaParams),
    responses(
        (status = 200, description = "The mapping", body = MappingAnswer),
        NoMapping,
    )
)]
pub(crate) async fn show_mapping(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<SchemaParams>,
) -> Result<Json<MappingAnswer>, Problem> {
    Ok(Json(find(&site, step, params.schema)?.answer()))
}

/// Look one version up.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/versions/{version}",
    tag = "mappings",
    params(
        OfStep,
        ("version" = i32, Path, description = "From 2; 1 is the author's text"),
        SchemaParams,
    ),
    responses(
        (status = 200, description = "The version", body = VersionAnswer),
        NoMapping,
    )
)]
pub(crate) async fn show_version(
    State(site): State<Site>,
    At((workspace, workflow, step, version)): At<(WorkspaceName, WorkflowName, StepId, i32)>,
    Params(params): Params<SchemaParams>,
) -> Result<Json<VersionAnswer>, Problem> {
    let known = find(&site, OfStep { workspace, workflow, step }, params.schema)?;
    Ok(Json(VersionAnswer::of(known.version(version)?)))
}

/// The history of a mapping, oldest first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/history",
    tag = "mappings",
    params(OfStep, SchemaParams),
    responses(
        (status = 200, description = "Versions, decisions and questions to models", body = HistoryAnswer),
        NoMapping,
    )
)]
pub(crate) async fn mapping_history(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<SchemaParams>,
) -> Result<Json<HistoryAnswer>, Problem> {
    let known = find(&site, step, params.schema)?;
    Ok(Json(HistoryAnswer { mapping: known.key.to_string(), history: known.entries() }))
}

/// The lines in which two versions differ.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/diff",
    tag = "mappings",
    params(OfStep, DiffParams),
    responses(
        (status = 200, description = "Both texts, and how they differ", body = DifferenceAnswer),
        NoMapping,
    )
)]
pub(crate) async fn diff_mapping(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DiffParams>,
) -> Result<Json<DifferenceAnswer>, Problem> {
    Ok(Json(find(&site, step, params.schema)?.difference(params.from.unwrap_or(1), params.to)?))
}

/// What a version makes of an item.
///
/// Nothing is written. The mapping runs within the limits of `mapping`, without `$trigger`, `$steps` and `$run`.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/eval",
    tag = "mappings",
    params(OfStep, SchemaParams),
    request_body = EvalRequest,
    responses(
        (status = 200, description = "The output", body = EvalAnswer),
        NoMapping,
        (status = 422, description = "The mapping fails on the item", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn eval_mapping(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<SchemaParams>,
    request: Request,
) -> Result<Json<EvalAnswer>, Problem> {
    let asked: EvalRequest = json(&site, request).await?;
    let known = find(&site, step, params.schema)?;
    let limits = site.deps.mappings.limits.clone();
    let evaluated =
        tokio::task::spawn_blocking(move || known.eval(asked.version, asked.item.get().as_bytes(), &limits)).await;
    let evaluated = evaluated.map_err(|_| {
        Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, Code::MappingEngine, "the mapping engine panicked")
    })?;
    Ok(Json(evaluated?))
}

/// The mapping of a step, or the problem that there is none.
pub(crate) fn find(
    site: &Site,
    OfStep { workspace, workflow, step }: OfStep,
    schema: Option<TextHash>,
) -> Result<KnownMapping, Problem> {
    Ok(site.deps.mappings.find(&MappingAddress { workspace, workflow, step, schema })?)
}
