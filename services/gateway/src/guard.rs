//! Who may ask.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prunella_model::Code;

use crate::problem::Problem;
use crate::site::Site;

pub(crate) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    match check(&site, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(site: &Site, request: &Request) -> Result<(), Problem> {
    let path = request.uri().path();
    if matches!(path, "/healthz" | "/readyz") || (path == "/metrics" && site.open_metrics) {
        return Ok(());
    }
    let Some(token) = &site.token else { return check_browser(request.headers()) };
    let authorization = request.headers().get(header::AUTHORIZATION);
    if authorization.is_some_and(|value| token.opens(value.as_bytes())) {
        return Ok(());
    }
    let found = if authorization.is_some() { "the token is wrong" } else { "there is no token" };
    let detail = format!("{found}: send the header `Authorization: Bearer <token>` with the value of gateway.token");
    Err(Problem::new(StatusCode::UNAUTHORIZED, Code::RequestUnauthorized, detail))
}

/// Without a token, everything on this machine may ask; a web page of another site, opened in a browser
/// on this machine, may not. Such a page shows by its `Origin`, or, when it made its own name point
/// to this machine, by its `Host`.
fn check_browser(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST);
    if let Some(host) = host.filter(|host| !is_loopback(host)) {
        return Err(forbidden(&format!("the header Host is {host:?}, not a loopback address")));
    }
    let origin = text(header::ORIGIN);
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    match origin.filter(|origin| !is_own(origin)) {
        Some(origin) => Err(forbidden(&format!("the header Origin is {origin:?}"))),
        None => Ok(()),
    }
}

fn forbidden(found: &str) -> Problem {
    let detail = format!(
        "{found}: without gateway.token only this machine may ask, and no web page of another site; set a token to allow more"
    );
    Problem::new(StatusCode::FORBIDDEN, Code::RequestForbidden, detail)
}

fn is_loopback(authority: &str) -> bool {
    let Ok(uri) = format!("http://{authority}/").parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_with(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a value"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("a value"));
        }
        check_browser(&headers).is_ok()
    }

    #[test]
    fn this_machine_may_ask() {
        assert!(check_browser(&HeaderMap::new()).is_ok());
        for host in ["localhost:8787", "127.0.0.1:8787", "[::1]:8787", "localhost"] {
            assert!(asked_with(host, None), "{host}");
            assert!(asked_with(host, Some(&format!("http://{host}"))), "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_may_not() {
        for host in ["evil.example:8787", "127.0.0.1.evil.example", "10.0.0.1:8787", ""] {
            assert!(!asked_with(host, None), "{host}");
        }
        for origin in ["https://evil.example", "http://localhost:3000", "null", "http://localhost:8787.evil.example"] {
            assert!(!asked_with("localhost:8787", Some(origin)), "{origin}");
        }
    }
}
