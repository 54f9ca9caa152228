//! One file per thing that can be asked.

pub(crate) mod cancel_run;
pub(crate) mod decide_mapping;
pub(crate) mod health;
pub(crate) mod list_runs;
pub(crate) mod mappings;
pub(crate) mod of_step;
pub(crate) mod run_events;
pub(crate) mod show_run;
pub(crate) mod start_run;
pub(crate) mod workflows;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use prunella_model::Code;

use crate::guard::guard;
use crate::observe::observe;
use crate::openapi;
use crate::problem::Problem;
use crate::site::Site;

pub(crate) fn router(site: Site) -> Router {
    Router::new()
        .route("/v1/workspaces/{workspace}/workflows", get(workflows::list_workflows))
        .route("/v1/workspaces/{workspace}/workflows/{workflow}", get(workflows::show_workflow))
        .route("/v1/workspaces/{workspace}/workflows/{workflow}/runs", post(start_run::start_run))
        .route("/v1/workspaces/{workspace}/runs", get(list_runs::list_runs))
        .route("/v1/workspaces/{workspace}/runs/{run}", get(show_run::show_run))
        .route("/v1/workspaces/{workspace}/runs/{run}/events", get(run_events::run_events))
        .route("/v1/workspaces/{workspace}/runs/{run}/cancel", post(cancel_run::cancel_run))
        .merge(mapping_routes())
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(site.config.max_body_bytes.as_usize()))
        .layer(from_fn_with_state(site.clone(), guard))
        .layer(from_fn(observe))
        .with_state(site)
}

fn mapping_routes() -> Router<Site> {
    let of_step = Router::new()
        .route("/", get(mappings::show_mapping))
        .route("/versions/{version}", get(mappings::show_version))
        .route("/history", get(mappings::mapping_history))
        .route("/diff", get(mappings::diff_mapping))
        .route("/eval", post(mappings::eval_mapping))
        .route("/approve", post(decide_mapping::approve))
        .route("/reject", post(decide_mapping::reject))
        .route("/rollback", post(decide_mapping::rollback))
        .route("/edit", post(decide_mapping::edit))
        .route("/heal", post(decide_mapping::heal))
        .route("/accept", post(decide_mapping::accept));
    Router::new()
        .route("/v1/workspaces/{workspace}/mappings", get(mappings::list_mappings))
        .nest("/v1/workspaces/{workspace}/mappings/{workflow}/{step}", of_step)
}

async fn nowhere(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}: GET /openapi.json describes the API", uri.path());
    Problem::new(StatusCode::NOT_FOUND, Code::RequestNowhere, detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}: GET /openapi.json describes the API", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::RequestNowhere, detail)
}
