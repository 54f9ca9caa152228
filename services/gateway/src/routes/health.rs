use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::site::Site;

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AliveAnswer {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether requests can be served, and why not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyAnswer {
    ready: bool,
    /// The view of runs has been read to its end since the start.
    view_caught_up: bool,
    /// Most records that the view is behind; null when not known.
    view_lag: Option<i64>,
    /// Kafka has answered within `gateway.unreachable-after`.
    kafka_reachable: bool,
    /// Milliseconds since Kafka has answered; null when it never has.
    kafka_silent_for: Option<u64>,
}

/// Whether the process is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    responses((status = 200, description = "The process is alive", body = AliveAnswer)),
    security(())
)]
pub(crate) async fn alive() -> Json<AliveAnswer> {
    Json(AliveAnswer { status: "ok" })
}

/// Whether requests can be served.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "Requests can be served", body = ReadyAnswer),
        (status = 503, description = "Kafka is away, or the view of runs is still being read", body = ReadyAnswer),
    ),
    security(())
)]
pub(crate) async fn ready(State(site): State<Site>) -> (StatusCode, Json<ReadyAnswer>) {
    let health = site.deps.runs.health();
    let patience = site.config.unreachable_after.duration();
    let kafka_reachable = health.since_contact.is_some_and(|silence| silence < patience);
    let ready = health.caught_up && kafka_reachable;
    let answer = ReadyAnswer {
        ready,
        view_caught_up: health.caught_up,
        view_lag: health.lag,
        kafka_reachable,
        kafka_silent_for: health.since_contact.map(|silence| silence.as_millis() as u64),
    };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(answer))
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, description = "The metrics of the process", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics() -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], prunella_telemetry::metrics::render())
}
