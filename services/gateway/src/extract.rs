//! Parameters of requests, refused with a problem that says what was expected.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use prunella_model::Period;
use serde::de::DeserializeOwned;
use tokio::time::Duration;

use crate::problem::Problem;
use crate::site::Site;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const LONGEST_KEY: usize = 256;

/// Names and ids in the path.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Site> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let found = Path::from_request_parts(parts, site).await;
        found.map(|Path(names)| Self(names)).map_err(|rejection| Problem::malformed(rejection.body_text()))
    }
}

/// Query parameters.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Site> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let found = Query::from_request_parts(parts, site).await;
        found.map(|Query(params)| Self(params)).map_err(|rejection| Problem::malformed(rejection.body_text()))
    }
}

/// A time as milliseconds since the epoch, or as RFC 3339.
pub(crate) fn time(parameter: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let millis = text.parse().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()));
    let expected = || {
        let example = "2026-01-31T12:00:00Z, or milliseconds since 1970 such as 1769860800000";
        Problem::malformed(format!("{parameter}: {text:?} is not a time: write {example}"))
    };
    millis.map(Some).ok_or_else(expected)
}

/// The size of a page.
pub(crate) fn limit(site: &Site, limit: Option<u32>) -> Result<usize, Problem> {
    let most = site.config.max_page_size;
    let limit = limit.unwrap_or(site.config.page_size.min(most));
    if limit == 0 || limit > most {
        return Err(Problem::malformed(format!("limit: {limit} is not from 1 to {most} (gateway.max-page-size)")));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How long to wait.
pub(crate) fn timeout(site: &Site, timeout: Option<Period>) -> Result<Duration, Problem> {
    let most = site.config.max_wait_timeout;
    let timeout = timeout.unwrap_or(site.config.wait_timeout.min(most));
    if timeout > most {
        let detail =
            format!("timeout: {timeout} is more than {most} (gateway.max-wait-timeout); ask for the run later instead");
        return Err(Problem::malformed(detail));
    }
    Ok(timeout.duration())
}

/// The caller's key, or a new one; and whether it is the caller's.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<(String, bool), Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok((uuid::Uuid::new_v4().to_string(), false));
    };
    let usable = value.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    usable.map(|key| (key.to_owned(), true)).ok_or_else(|| {
        Problem::malformed(format!("Idempotency-Key: expected 1 to {LONGEST_KEY} visible ASCII characters"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(time("since", None).expect("absent"), None);
        assert_eq!(time("since", Some("1500")).expect("milliseconds"), Some(1500));
        assert_eq!(time("since", Some("1970-01-01T00:00:01.5Z")).expect("text"), Some(1500));
        assert_eq!(time("since", Some("1970-01-01T01:00:00+01:00")).expect("text"), Some(0));
        let problem = time("since", Some("yesterday")).expect_err("no time");
        assert!(problem.detail.starts_with("since:"), "{}", problem.detail);
    }
}
