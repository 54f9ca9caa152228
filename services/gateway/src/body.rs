//! Bodies of requests, within bounds of size, time and memory.

use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use bytes::Bytes;
use prunella_model::Code;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::OwnedSemaphorePermit;

use crate::problem::Problem;
use crate::site::Site;

/// A body and its share of the memory for bodies, given back when it is dropped.
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

/// Reads the body of a request. The router limits how much it reads.
pub(crate) async fn read(site: &Site, request: Request) -> Result<HeldBody, Problem> {
    let limit = site.config.max_body_bytes;
    let too_large = || {
        let detail = format!(
            "the body is larger than {limit} (gateway.max-body-bytes); produce to the trigger topic, or send a reference to the data"
        );
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::RequestTooLarge, detail)
    };
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let expected = announced.unwrap_or(limit.bytes());
    if expected > limit.bytes() {
        return Err(too_large());
    }
    let share = site.room.clone().try_acquire_many_owned(kibibytes(expected)).map_err(|_| {
        let detail = format!(
            "the bodies of other requests fill {} (gateway.max-held-bytes): try again",
            site.config.max_held_bytes
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::GatewayBusy, detail)
    })?;
    let patience = site.config.body_timeout;
    let read = tokio::time::timeout(patience.duration(), Bytes::from_request(request, site)).await;
    let bytes = read.map_err(|_| {
        let detail = format!("the body did not arrive within {patience} (gateway.body-timeout)");
        Problem::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, detail)
    })?;
    match bytes {
        Ok(bytes) => Ok(HeldBody { bytes, _share: share }),
        Err(BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))) => Err(too_large()),
        Err(error) => Err(Problem::malformed(format!("the body cannot be read: {error}"))),
    }
}

/// Reads the body of a request as one JSON document of this form.
pub(crate) async fn json<T: DeserializeOwned>(site: &Site, request: Request) -> Result<T, Problem> {
    let body = read(site, request).await?;
    check_json(&body.bytes)?;
    serde_json::from_slice(&body.bytes)
        .map_err(|error| Problem::malformed(format!("the body is not as GET /openapi.json describes it: {error}")))
}

/// Whole KiB, the unit of the memory for bodies.
pub(crate) fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// Checks that bytes are one JSON document, without building it.
pub(crate) fn check_json(bytes: &[u8]) -> Result<(), Problem> {
    let not_json = |reason: String| Problem::new(StatusCode::BAD_REQUEST, Code::RequestNotJson, reason);
    if bytes.is_empty() {
        return Err(not_json("the body is empty: send a JSON document, {} if it has nothing to say".to_owned()));
    }
    // The parser does not look into the strings that it skips.
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(not_json(format!("the body is not UTF-8 from byte {} on", error.valid_up_to())));
    }
    let checked = serde_json::from_slice::<IgnoredAny>(bytes);
    checked.map(drop).map_err(|error| not_json(format!("the body is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_json_document_is_accepted_and_nothing_else() {
        for good in ["{}", " [1, 2] \n", "null", "\"ü\"", "12345678901234567890123"] {
            check_json(good.as_bytes()).expect(good);
        }
        let deep = "[".repeat(100_000);
        for bad in [&b""[..], b"{", b"{} {}", b"a=b", b"\"\xff\"", b"{\"a\":\"\xff\"}", deep.as_bytes()] {
            let problem = check_json(bad).expect_err("not JSON");
            assert_eq!(problem.code, Code::RequestNotJson);
        }
    }

    #[test]
    fn memory_is_counted_in_whole_kibibytes() {
        assert_eq!((kibibytes(0), kibibytes(1), kibibytes(1024), kibibytes(1025)), (0, 1, 1, 2));
    }
}
