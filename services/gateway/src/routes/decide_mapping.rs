//! Decisions about mappings. They are commands to the healer, which carries them out one after another.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use prunella_model::{Code, MappingKey, Period, TextHash};
use prunella_operate::mappings::{Asked, Decided, Decision};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::body::json;
use crate::extract::{At, Params, idempotency_key, timeout};
use crate::problem::{Problem, ProblemAnswer};
use crate::routes::mappings::find;
use crate::routes::of_step::{NoMapping, OfStep};
use crate::site::Site;

type DecisionResult = Result<(StatusCode, Json<DecisionAnswer>), Problem>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecideParams {
    /// How long to wait for the healer, such as `30s`.
    #[param(value_type = Option<String>, example = "30s")]
    timeout: Option<Period>,
    /// Of a step that has had several schemas: the last part of the `mapping` that is meant. Without it, that of the live
    /// definition.
    #[param(value_type = Option<String>)]
    schema: Option<TextHash>,
}

/// A decision about a version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionDecision {
    version: i32,
    /// For the history.
    #[serde(default)]
    reason: String,
    /// The version in use (`active`) that the decision was made for: refused with 409 if another one is by now. Without it,
    /// the one that is in use when the request arrives.
    #[serde(default)]
    in_use: Option<i32>,
}

/// Another text for a mapping.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditRequest {
    /// JSONata.
    text: String,
    /// For the history.
    #[serde(default)]
    reason: String,
    /// As for a version.
    #[serde(default)]
    in_use: Option<i32>,
}

/// Outputs that do not look as they used to are right.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptRequest {
    /// For the history.
    #[serde(default)]
    reason: String,
    /// As for a version.
    #[serde(default)]
    in_use: Option<i32>,
}

/// What came of a decision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionAnswer {
    #[schema(value_type = String)]
    mapping: MappingKey,
    /// The version that it was about or that it made; null when it is about none, or not known yet.
    version: Option<i32>,
    /// `active`, `rejected`, `looked-at`; or `accepted` while the healer has not taken it.
    #[schema(example = "active")]
    status: &'static str,
    /// The key of the request, or the one that was made for it. The same decision with it is carried out once.
    idempotency_key: String,
    /// Where the mapping can be looked up.
    url: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "it describes a header")]
pub(crate) struct DecisionKey {
    /// Name of the decision: requests with the same key are carried out once
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

#[derive(IntoResponses)]
#[allow(dead_code, reason = "it describes what decisions come to")]
pub(crate) enum DecisionAnswers {
    /// It is carried out
    #[response(status = 200)]
    Done(DecisionAnswer),
    /// The decision is in Kafka; the healer has not taken it yet
    #[response(status = 202)]
    Waiting(DecisionAnswer),
    /// The mapping is not as it was when this was decided
    #[response(status = 409, content_type = "application/problem+json")]
    Outdated(ProblemAnswer),
    /// Kafka did not confirm the decision
    #[response(status = 503, content_type = "application/problem+json")]
    NotConfirmed(ProblemAnswer),
}

/// Use a proposed version.
///
/// What waits is driven again with it. A version that was rolled back may be approved too; it is not watched then.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/approve",
    tag = "mappings",
    params(OfStep, DecisionKey, DecideParams),
    request_body = VersionDecision,
    responses(DecisionAnswers, NoMapping)
)]
pub(crate) async fn approve(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DecideParams>,
    request: Request,
) -> DecisionResult {
    about_version(&site, step, params, request, Decision::Approve).await
}

/// Turn a proposed version down; what waits for it goes to the dead letters.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/reject",
    tag = "mappings",
    params(OfStep, DecisionKey, DecideParams),
    request_body = VersionDecision,
    responses(DecisionAnswers, NoMapping)
)]
pub(crate) async fn reject(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DecideParams>,
    request: Request,
) -> DecisionResult {
    about_version(&site, step, params, request, Decision::Reject).await
}

/// Go back to a version that was in use; 1 is the author's text.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/rollback",
    tag = "mappings",
    params(OfStep, DecisionKey, DecideParams),
    request_body = VersionDecision,
    responses(DecisionAnswers, NoMapping)
)]
pub(crate) async fn rollback(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DecideParams>,
    request: Request,
) -> DecisionResult {
    about_version(&site, step, params, request, Decision::Rollback).await
}

/// Use another text; it becomes a version of its own, and what waits is driven again with it.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/edit",
    tag = "mappings",
    params(OfStep, DecisionKey, DecideParams),
    request_body = EditRequest,
    responses(
        DecisionAnswers,
        NoMapping,
        (status = 400, description = "The text does not compile", body = ProblemAnswer, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn edit(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DecideParams>,
    request: Request,
) -> DecisionResult {
    let headers = request.headers().clone();
    let EditRequest { text, reason, in_use } = json(&site, request).await?;
    decide(&site, step, params, &headers, (Decision::Edit(text), reason, in_use)).await
}

/// Attempt to heal a mapping now, for what waits.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/heal",
    tag = "mappings",
    params(OfStep, DecisionKey, DecideParams),
    responses(DecisionAnswers, NoMapping)
)]
pub(crate) async fn heal(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DecideParams>,
    headers: HeaderMap,
) -> DecisionResult {
    decide(&site, step, params, &headers, (Decision::Heal, String::new(), None)).await
}

/// Outputs that do not look as they used to are right: learn them, and let go what waits because of it.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/mappings/{workflow}/{step}/accept",
    tag = "mappings",
    params(OfStep, DecisionKey, DecideParams),
    request_body = AcceptRequest,
    responses(DecisionAnswers, NoMapping)
)]
pub(crate) async fn accept(
    State(site): State<Site>,
    At(step): At<OfStep>,
    Params(params): Params<DecideParams>,
    request: Request,
) -> DecisionResult {
    let headers = request.headers().clone();
    let AcceptRequest { reason, in_use } = json(&site, request).await?;
    decide(&site, step, params, &headers, (Decision::Accept, reason, in_use)).await
}

async fn about_version(
    site: &Site,
    step: OfStep,
    params: DecideParams,
    request: Request,
    decision: fn(i32) -> Decision,
) -> DecisionResult {
    let headers = request.headers().clone();
    let VersionDecision { version, reason, in_use } = json(site, request).await?;
    decide(site, step, params, &headers, (decision(version), reason, in_use)).await
}

async fn decide(
    site: &Site,
    step: OfStep,
    params: DecideParams,
    headers: &HeaderMap,
    (decision, reason, in_use): (Decision, String, Option<i32>),
) -> DecisionResult {
    let patience = timeout(site, params.timeout)?;
    let (key, _) = idempotency_key(headers)?;
    let url = format!("/v1/workspaces/{}/mappings/{}/{}", step.workspace, step.workflow, step.step);
    let known = find(site, step, params.schema)?;
    let asked = Asked { decision, reason, in_use, id: key.clone() };
    let deciding = site.deps.mappings.decide(&known, asked, patience);
    let longest = site.config.accept_timeout.duration() + patience;
    // A shutdown ends the wait; whether the decision was written is not known then.
    let decided = site.stop.run_until_cancelled(tokio::time::timeout(longest, deciding)).await;
    let Some(Ok(decided)) = decided else { return Err(not_known(&key)) };
    let (status_code, version, status) = match decided? {
        Decided::Done { version, status } => (StatusCode::OK, Some(version).filter(|version| *version != 0), status),
        Decided::Waiting => (StatusCode::ACCEPTED, None, "accepted"),
    };
    Ok((status_code, Json(DecisionAnswer { mapping: known.key, version, status, idempotency_key: key, url })))
}

fn not_known(key: &str) -> Problem {
    let detail = format!(
        "Kafka did not confirm the decision in time (gateway.accept-timeout); it may still be carried out: try again with the header `Idempotency-Key: {key}`, which is never carried out twice"
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::RequestNotAccepted, detail)
}
