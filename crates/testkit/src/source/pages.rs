//! What the shop answers.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::catalogue::{customer, customers, order};
use super::shop::{BadDay, ShopState};

type Shop = State<Arc<ShopState>>;
type Parameters = Query<HashMap<String, String>>;

pub(crate) fn router(state: Arc<ShopState>) -> Router {
    Router::new()
        .route("/orders", get(by_page))
        .route("/orders/by-offset", get(by_offset))
        .route("/orders/by-cursor", get(by_cursor))
        .route("/orders/by-link", get(by_link))
        .route("/orders/latest", get(latest))
        .route("/customers", get(all_customers))
        .route("/customers/{id}", get(one_customer))
        .layer(middleware::from_fn_with_state(state.clone(), at_the_door))
        .with_state(state)
}

/// Counts every request, takes its time, and lets nobody in without the token.
async fn at_the_door(State(state): Shop, request: Request, next: Next) -> Response {
    state.count_request();
    tokio::time::sleep(state.config.latency).await;
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_known = match &state.config.token {
        Some(token) => shown.and_then(|shown| shown.strip_prefix("Bearer ")) == Some(token),
        None => true,
    };
    if is_known { next.run(request).await } else { (StatusCode::UNAUTHORIZED, "show your token").into_response() }
}

fn number(parameters: &Parameters, name: &str) -> Option<u64> {
    parameters.get(name).and_then(|text| text.parse().ok())
}

/// Orders per page, as asked for, within what the shop allows.
fn size(state: &ShopState, parameters: &Parameters, name: &str) -> u64 {
    number(parameters, name).unwrap_or(state.config.page_size).clamp(1, state.config.largest_page.max(1))
}

/// The list of orders from `first` on, unless it is a bad day.
fn page(state: &ShopState, first: u64, size: u64) -> Result<Value, &BadDay> {
    if state.fails(first / size) {
        return Err(&state.config.bad_day);
    }
    state.count_page();
    let end = first.saturating_add(size).min(state.config.orders);
    let orders: Vec<Value> = (first..end).map(|number| order(number, state.config.bad_one_in)).collect();
    Ok(json!({ "data": orders, "total": state.config.orders }))
}

fn bad_day(bad_day: &BadDay) -> Response {
    match bad_day {
        BadDay::Error => (StatusCode::INTERNAL_SERVER_ERROR, "a shelf fell over").into_response(),
        BadDay::Closed => (StatusCode::SERVICE_UNAVAILABLE, "the shop is being cleaned").into_response(),
        BadDay::Busy { retry_after } => {
            let headers = [(header::RETRY_AFTER, retry_after.as_str())];
            (StatusCode::TOO_MANY_REQUESTS, headers, "one after the other").into_response()
        }
    }
}

fn answer(page: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], page.to_string()).into_response()
}

async fn by_page(State(state): Shop, parameters: Parameters) -> Response {
    let size = size(&state, &parameters, "size");
    let first = number(&parameters, "page").unwrap_or(1).saturating_sub(1).saturating_mul(size);
    page(&state, first, size).map_or_else(bad_day, |page| answer(&page))
}

async fn by_offset(State(state): Shop, parameters: Parameters) -> Response {
    let size = size(&state, &parameters, "limit");
    let first = number(&parameters, "offset").unwrap_or(0);
    page(&state, first, size).map_or_else(bad_day, |page| answer(&page))
}

/// Where the page after the one from `first` on begins, if there is one.
fn following(state: &ShopState, first: u64, size: u64) -> Option<u64> {
    first.checked_add(size).filter(|next| *next < state.config.orders)
}

async fn by_cursor(State(state): Shop, parameters: Parameters) -> Response {
    let size = size(&state, &parameters, "size");
    let from = parameters.get("cursor").and_then(|cursor| cursor.strip_prefix("from-"));
    let first = from.and_then(|text| text.parse().ok()).unwrap_or(0);
    match page(&state, first, size) {
        Ok(mut page) => {
            page["next"] = following(&state, first, size).map(|next| format!("from-{next}")).into();
            answer(&page)
        }
        Err(day) => bad_day(day),
    }
}

async fn by_link(State(state): Shop, parameters: Parameters) -> Response {
    let size = size(&state, &parameters, "size");
    let first = number(&parameters, "from").unwrap_or(0);
    match page(&state, first, size) {
        Ok(mut page) => {
            let next = following(&state, first, size).map(|next| format!("/orders/by-link?from={next}&size={size}"));
            page["links"] = json!({ "next": next });
            let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
            let headers: HeaderMap = link.map(|link| (header::LINK, link)).into_iter().collect();
            (headers, answer(&page)).into_response()
        }
        Err(day) => bad_day(day),
    }
}

async fn latest(State(state): Shop) -> Response {
    let release = state.release();
    let orders: Vec<Value> = state.newest_orders().map(|number| release.order(number)).collect();
    answer(&json!({ "data": orders }))
}

async fn all_customers() -> Response {
    let all: Vec<Value> = customers().map(customer).collect();
    answer(&json!({ "customers": all }))
}

async fn one_customer(Path(id): Path<String>) -> Response {
    let number = id.strip_prefix("C-").and_then(|number| number.parse::<u64>().ok());
    match number.filter(|number| customers().contains(number)) {
        Some(number) => answer(&customer(number)),
        None => (StatusCode::NOT_FOUND, "no such customer").into_response(),
    }
}
