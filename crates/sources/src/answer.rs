//! Reading an answer: bounded, checked, as JSON in UTF-8.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use prunella_model::{ByteSize, Code};

use crate::charset;
use crate::document::{Document, excerpt};
use crate::error::SourceError;
use crate::exchange::reason_of;
use crate::retry_after;

/// Bytes of an error's body that a message shows.
const SHOWN_BYTES: usize = 200;
/// How long the body of an error is waited for: it is shown, not needed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a source answered with success.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    /// `None` for 204 and 205: there is nothing, and nothing after it.
    pub(crate) body: Option<Bytes>,
}

/// Reads an answer, of any status, and counts its bytes in `received`.
///
/// # Errors
/// [`SourceError`] for a status that is no success, and for a body that is cut, too large or compressed in
/// another way than was offered.
pub(crate) async fn read(response: Response, limit: ByteSize, received: &AtomicU64) -> Result<Answer, SourceError> {
    let status = response.status();
    let headers = response.headers().clone();
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
        return Ok(Answer { headers, body: None });
    }
    if !status.is_success() {
        let shown = tokio::time::timeout(PATIENCE, read_start(response, received)).await.unwrap_or_default();
        return Err(status_error(status, &headers, &shown));
    }
    if let Some(length) = response.content_length().filter(|length| *length > limit.bytes()) {
        return Err(too_large(&format!("announces {length} bytes"), limit));
    }
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let message = format!("the answer is compressed with {encoding:?}, only gzip was offered");
        return Err(SourceError::doubtful(Code::SourceEncoding, message));
    }
    let body = read_all(response, limit, received).await?;
    Ok(Answer { headers, body: Some(body) })
}

/// What the body says. Takes time in proportion to its size, and does not wait.
///
/// # Errors
/// [`SourceError`] when it is not in its charset, not JSON or nested too deep.
pub(crate) fn decode(body: Bytes, headers: &HeaderMap, max_nesting: usize) -> Result<Document, SourceError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = charset::utf8(body, charset::declared(content_type))?;
    let document = Document::parse(&body)?;
    let nesting = document.nesting();
    if nesting > max_nesting {
        let message = format!("the answer is nested {nesting} levels deep, more than {max_nesting} (http.max-nesting)");
        return Err(SourceError::permanent(Code::SourceNesting, message));
    }
    Ok(document)
}

async fn read_all(mut response: Response, limit: ByteSize, received: &AtomicU64) -> Result<Bytes, SourceError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken_off(&error, body.len()))? {
        received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if (body.len() + chunk.len()) as u64 > limit.bytes() {
            return Err(too_large("goes on", limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The first bytes of a body, as far as they can be had.
async fn read_start(mut response: Response, received: &AtomicU64) -> Vec<u8> {
    let mut start = Vec::new();
    while start.len() <= SHOWN_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        start.extend_from_slice(&chunk);
    }
    start
}

fn broken_off(error: &reqwest::Error, received: usize) -> SourceError {
    let reason = reason_of(error);
    if reason.contains("gzip") || reason.contains("deflate") {
        let message = format!("the answer's compression is broken after {received} bytes: {reason}");
        return SourceError::doubtful(Code::SourceEncoding, message);
    }
    SourceError::transient(Code::SourceCut, format!("the answer was cut off after {received} bytes: {reason}"))
}

fn too_large(what: &str, limit: ByteSize) -> SourceError {
    let message = format!("the answer {what}, more than the limit of {limit} (max-page-bytes of the step)");
    SourceError::permanent(Code::SourceTooLarge, message)
}

fn status_error(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> SourceError {
    let shown = excerpt(body, SHOWN_BYTES);
    let message = format!("answered {status}{}{shown}", if shown.is_empty() { "" } else { ": " });
    let wish = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wish.and_then(|wish| retry_after::parse(wish, SystemTime::now()));
    match status.as_u16() {
        // Some sources say 403 when they mean 429.
        403 if wait.is_some() => SourceError::transient(Code::SourceRateLimit, message).not_before(wait),
        401 | 403 => SourceError::permanent(Code::SourceUnauthorized, message),
        429 => SourceError::transient(Code::SourceRateLimit, message).not_before(wait),
        408 | 425 | 500..=599 => SourceError::transient(Code::SourceStatus, message).not_before(wait),
        _ => SourceError::permanent(Code::SourceRefused, message),
    }
}
