use std::time::{Duration, Instant};

use prunella_gateway::GatewayConfig;
use prunella_model::{ByteSize, Period};
use prunella_topology::Topics;
use reqwest::Method;

use crate::support::{Api, DEFINITION, json, no_kafka, problem};

const RUNS: &str = "/v1/workspaces/default/workflows/orders/runs";

async fn refused(change: impl FnOnce(&mut GatewayConfig)) -> prunella_gateway::GatewayError {
    let directory = tempfile::tempdir().expect("a directory");
    let topics = Topics::new("test.").expect("a prefix");
    Api::try_start(no_kafka(), topics, directory, change).await.err().expect("does not start")
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_token() {
    let error = refused(|config| config.listen = "0.0.0.0:0".to_owned()).await;
    assert_eq!(error.code().id(), "PRN-0801");
    let api = Api::without_kafka(|config| {
        config.listen = "0.0.0.0:0".to_owned();
        config.token = Some("s3cret".to_owned());
    })
    .await;
    assert_eq!(problem(api.get("/metrics").await).await, (401, "PRN-0803".to_owned()), "closed by default there");
    assert_eq!(api.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn a_taken_address_and_an_unusable_token_are_coded_errors() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let _holder = std::net::TcpListener::bind(taken).expect("still free");
    let error = refused(|config| config.listen = taken.to_string()).await;
    assert_eq!(error.code().id(), "PRN-0802");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    let error = refused(|config| config.token = Some("env:PRUNELLA_NO_SUCH_VARIABLE".to_owned())).await;
    assert_eq!(error.code().id(), "PRN-0201");
}

#[tokio::test]
async fn a_token_is_asked_of_every_request_but_the_probes() {
    let api = Api::without_kafka(|config| config.token = Some("s3cret".to_owned())).await;
    for path in ["/v1/workspaces/default/workflows", "/openapi.json", "/nowhere"] {
        let response = api.get(path).await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(problem(response).await, (401, "PRN-0803".to_owned()), "{path}");
        let wrong = api.request(Method::GET, path).bearer_auth("s3cre").send().await.expect("an answer");
        assert_eq!(wrong.status(), 401);
    }
    let right = api.request(Method::GET, "/openapi.json").bearer_auth("s3cret").send().await.expect("an answer");
    assert_eq!(right.status(), 200);
    assert_eq!(api.get("/healthz").await.status(), 200);
    assert_eq!(api.get("/readyz").await.status(), 503);
    assert_eq!(api.get("/metrics").await.status(), 200, "open on loopback");
}

#[tokio::test]
async fn web_pages_of_other_sites_are_refused_where_no_token_protects() {
    let api = Api::without_kafka(|_| ()).await;
    let from_page = api.request(Method::POST, RUNS).header("origin", "https://evil.example").body("{}");
    assert_eq!(problem(from_page.send().await.expect("an answer")).await, (403, "PRN-0804".to_owned()));
    let rebound = api.request(Method::GET, "/v1/workspaces/default/runs").header("host", "evil.example:8787");
    assert_eq!(problem(rebound.send().await.expect("an answer")).await, (403, "PRN-0804".to_owned()));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let api = Api::without_kafka(|_| ()).await;
    assert_eq!(problem(api.get("/v2/anything").await).await, (404, "PRN-0809".to_owned()));
    assert_eq!(problem(api.post("/healthz", "").await).await, (405, "PRN-0809".to_owned()));
    let unknown = api.post("/v1/workspaces/default/workflows/invoices/runs", "{}").await;
    assert_eq!(problem(unknown).await, (404, "PRN-0810".to_owned()));
    let foreign = api.get("/v1/workspaces/other/workflows/orders").await;
    assert_eq!(problem(foreign).await, (404, "PRN-0810".to_owned()));
}

#[tokio::test]
async fn parameters_that_are_not_valid_are_named() {
    let api = Api::without_kafka(|_| ()).await;
    for path in [
        "/v1/workspaces/Not%20A%20Name/workflows",
        "/v1/workspaces/default/runs/not-a-run",
        "/v1/workspaces/default/runs?status=finished",
        "/v1/workspaces/default/runs?since=yesterday",
        "/v1/workspaces/default/runs?limit=0",
        "/v1/workspaces/default/runs?limit=501",
        "/v1/workspaces/default/runs?cursor=abc",
        "/v1/workspaces/default/runs?error_code=703",
        "/v1/workspaces/default/runs?colour=blue",
    ] {
        assert_eq!(problem(api.get(path).await).await, (400, "PRN-0805".to_owned()), "{path}");
    }
    let too_long = api.post(&format!("{RUNS}?wait=true&timeout=1h"), "{}").await;
    assert_eq!(problem(too_long).await, (400, "PRN-0805".to_owned()));
    let empty_key = api.request(Method::POST, RUNS).header("idempotency-key", "").body("{}").send().await;
    assert_eq!(problem(empty_key.expect("an answer")).await, (400, "PRN-0805".to_owned()));
}

#[tokio::test]
async fn bodies_are_json_and_within_their_limit() {
    let api = Api::without_kafka(|config| config.max_body_bytes = ByteSize::from_kib(4)).await;
    for body in ["", "{", "a=b", "{} {}"] {
        assert_eq!(problem(api.post(RUNS, body).await).await, (400, "PRN-0806".to_owned()), "{body:?}");
    }
    let large = format!("\"{}\"", "x".repeat(5000));
    assert_eq!(problem(api.post(RUNS, large.clone()).await).await, (413, "PRN-0807".to_owned()));
    let chunked = reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>(large)]));
    assert_eq!(problem(api.post(RUNS, chunked).await).await, (413, "PRN-0807".to_owned()), "without a length");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let api = Api::without_kafka(|config| config.body_timeout = Period::from_millis(100)).await;
    let never = reqwest::Body::wrap_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert_eq!(problem(api.post(RUNS, never).await).await, (408, "PRN-0808".to_owned()));
}

#[tokio::test]
async fn bodies_over_the_memory_for_bodies_are_asked_to_come_again() {
    let api = Api::without_kafka(|config| {
        config.max_body_bytes = ByteSize::from_kib(64);
        config.max_held_bytes = ByteSize::from_kib(64);
    })
    .await;
    // Its length is not announced, so it holds room for the largest.
    let never = reqwest::Body::wrap_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = api.request(Method::POST, RUNS).body(never);
    let holder = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let response = api.post(RUNS, "{}").await;
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(problem(response).await, (503, "PRN-0814".to_owned()));
    holder.abort();
}

#[tokio::test]
async fn without_kafka_runs_are_not_accepted_and_it_is_said_how_to_repeat() {
    let api = Api::without_kafka(|config| config.accept_timeout = Period::from_millis(300)).await;
    let asked = Instant::now();
    let response = api.request(Method::POST, RUNS).body("{}").header("x-request-id", "mine").send().await;
    let response = response.expect("an answer");
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(response.headers()["x-request-id"], "mine");
    let (status, body) = json(response).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("PRN-0813")), "{body}");
    assert!(body["detail"].as_str().expect("text").contains("Idempotency-Key: "), "{body}");

    let ready = json(api.get("/readyz").await).await;
    assert_eq!((ready.0, &ready.1["kafka_reachable"]), (503, &false.into()), "{}", ready.1);
    let run = "/v1/workspaces/default/runs/0123456789abcdef0123456789abcdef";
    assert_eq!(problem(api.get(run).await).await, (503, "PRN-0815".to_owned()), "it may be there");
    assert_eq!(api.get("/v1/workspaces/default/runs").await.status(), 200, "as far as the view goes");
    api.stopped().await;
}

#[tokio::test]
async fn workflows_are_shown_with_their_topics_and_definition() {
    let api = Api::without_kafka(|_| ()).await;
    let list = api.get_json("/v1/workspaces/default/workflows").await;
    assert_eq!(list["workflows"][0]["workflow"], "orders");
    assert_eq!(list["workflows"][0]["topics"]["trigger"], "test.trigger.default.orders");
    assert_eq!(api.get_json("/v1/workspaces/other/workflows").await["workflows"], serde_json::json!([]));
    let detail = api.get("/v1/workspaces/default/workflows/orders").await.text().await.expect("a body");
    assert!(detail.contains(&format!("\"definition\":{DEFINITION}")), "as it was applied: {detail}");
    assert!(detail.contains("\"version\":3"), "{detail}");
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let api = Api::without_kafka(|_| ()).await;
    api.get("/v1/workspaces/default/workflows/orders").await;
    let metrics = api.get("/metrics").await.text().await.expect("a body");
    let line = "prunella_gateway_requests_total{method=\"GET\",route=\"/v1/workspaces/{workspace}/workflows/{workflow}\",status=\"200\"}";
    assert!(metrics.contains(line), "{metrics}");
    let api_description = api.get_json("/openapi.json").await;
    assert_eq!(api_description["info"]["title"], "Prunella");
}
