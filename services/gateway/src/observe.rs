//! The outermost layer: names requests, logs and counts them, turns problems and panics into answers.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use prunella_telemetry::emit;

use crate::events::RequestDone;
use crate::problem::Problem;

const REQUEST_ID: &str = "x-request-id";
const LONGEST_ID: usize = 128;

/// The id of a request, for logs.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));

    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response =
        answered.unwrap_or_else(|_| Problem::internal("the request made the service panic").into_response());
    let problem = response.extensions_mut().remove::<Problem>();
    emit(RequestDone {
        id: &id,
        method: &method,
        path: &path,
        route: &route,
        status: response.status(),
        problem: problem.as_ref().map(|problem| (problem.code.id(), problem.detail.as_str())),
        took: started.elapsed(),
    });
    if let Some(problem) = problem {
        response = problem.answer(&path, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The caller's name for the request, if it has a usable one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let usable = given.filter(|id| (1..=LONGEST_ID).contains(&id.len()));
    usable.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}
