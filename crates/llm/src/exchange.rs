//! One request and its answer.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use prunella_model::ByteSize;
use prunella_sources::{parse_retry_after, reason_of};

use crate::answer::Usage;
use crate::error::LlmError;
use crate::protocol::{self, Reply};
use crate::provider::Provider;

/// Bytes of an error's body that are read.
const ERROR_BYTES: usize = 16 << 10;
/// Characters of what a provider says that a message shows.
const SHOWN_CHARACTERS: usize = 300;

/// Why a request brought no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: LlmError,
    pub(crate) again: Again,
    /// What the provider may bill.
    pub(crate) usage: Usage,
    /// Whether it says something about the provider, and not about this request alone.
    pub(crate) blames_provider: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    After(Duration),
}

/// How long and how much one try may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) answer: ByteSize,
    /// What is said when a provider wants to be left alone and does not say how long.
    pub(crate) usual_wait: Duration,
}

impl Failure {
    /// Nothing was computed, so nothing is billed.
    fn unbilled(error: LlmError, again: Again) -> Self {
        Self { error, again, usage: Usage::NONE, blames_provider: true }
    }

    /// The model has worked, nobody knows how much.
    fn billed(error: LlmError, again: Again) -> Self {
        Self { usage: Usage::default(), ..Self::unbilled(error, again) }
    }

    fn of_request(error: LlmError) -> Self {
        Self { blames_provider: false, ..Self::unbilled(error, Again::Never) }
    }
}

/// Sends a request that is ready but for its headers. `shown` takes secrets out of what the provider says.
pub(crate) async fn send(
    provider: &Provider,
    request: RequestBuilder,
    bounds: Bounds,
    shown: impl Fn(&str) -> String,
) -> Result<Reply, Failure> {
    let mut request = request;
    for (name, value) in protocol::headers(provider.protocol, provider.key.as_ref().map(prunella_vault::Secret::reveal))
    {
        let Ok(mut value) = HeaderValue::from_str(&value) else {
            let reason = "it holds characters that no header can carry".to_owned();
            return Err(Failure::of_request(LlmError::Unauthorized { provider: provider.name.clone(), reason }));
        };
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let timeout = LlmError::Timeout { provider: provider.name.clone(), timeout: bounds.timeout };
    tokio::time::timeout(bounds.timeout, exchange(provider, request, bounds, shown))
        .await
        .unwrap_or_else(|_| Err(Failure::billed(timeout, Again::Soon)))
}

async fn exchange(
    provider: &Provider,
    request: RequestBuilder,
    bounds: Bounds,
    shown: impl Fn(&str) -> String,
) -> Result<Reply, Failure> {
    let name = || provider.name.clone();
    let mut response = request.send().await.map_err(|error| {
        let failure = LlmError::Unavailable { provider: name(), reason: shown(&reason_of(&error)) };
        if error.is_connect() { Failure::unbilled(failure, Again::Soon) } else { Failure::billed(failure, Again::Soon) }
    })?;
    if !response.status().is_success() {
        return Err(refusal(provider, response, bounds, shown).await);
    }
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            let reason = format!("the connection ended early: {}", shown(&reason_of(&error)));
            Failure::billed(LlmError::Truncated { provider: name(), reason }, Again::Soon)
        })?;
        let Some(chunk) = chunk else { break };
        body.extend_from_slice(&chunk);
        if body.len() > bounds.answer.as_usize() {
            let reason = format!("it is larger than {} (llm.max-answer-bytes)", bounds.answer);
            return Err(Failure::billed(LlmError::BadAnswer { provider: name(), reason }, Again::Never));
        }
    }
    let body: Value = serde_json::from_slice(&body).map_err(|error| {
        let reason = format!("it is not JSON ({error}): is url of the provider right?");
        Failure::billed(LlmError::BadAnswer { provider: name(), reason }, Again::Never)
    })?;
    Ok(protocol::read(provider.protocol, &body))
}

/// What an answer that is no success means.
async fn refusal(provider: &Provider, response: Response, bounds: Bounds, shown: impl Fn(&str) -> String) -> Failure {
    let status = response.status();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wish = header.and_then(|text| parse_retry_after(text, SystemTime::now()));
    let again = wish.map_or(Again::Soon, Again::After);
    let body = read_start(response).await;
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (message, word) = protocol::error_of(&parsed);
    let said: String = shown(message.unwrap_or_default()).chars().take(SHOWN_CHARACTERS).collect();
    let reason = if said.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {said}") };
    let provider = provider.name.clone();
    match status.as_u16() {
        401 | 403 => Failure::unbilled(LlmError::Unauthorized { provider, reason }, Again::Never),
        // Credit that is used up does not come back by waiting.
        429 if word == Some("insufficient_quota") => {
            Failure::unbilled(LlmError::Refused { provider, reason }, Again::Never)
        }
        429 => {
            let again_in = wish.unwrap_or(bounds.usual_wait);
            Failure::unbilled(LlmError::RateLimited { provider, again_in }, again)
        }
        408 | 500.. => Failure::unbilled(LlmError::Unavailable { provider, reason }, again),
        _ => Failure::of_request(LlmError::Refused { provider, reason }),
    }
}

async fn read_start(mut response: Response) -> Vec<u8> {
    let mut start = Vec::new();
    while start.len() < ERROR_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => start.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    start
}
