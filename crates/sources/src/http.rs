//! JSON over HTTP, one page at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::HeaderMap;

use prunella_model::Code;

use crate::answer;
use crate::client::HttpClient;
use crate::cursor::Cursor;
use crate::document::Document;
use crate::error::{Effort, SourceError};
use crate::exchange::Exchange;
use crate::items::items_of;
use crate::pager::{Pager, Turned};
use crate::redact::Redactor;
use crate::request::HttpRequest;

/// Answers over this size are decoded where they hold up nothing else.
const DECODED_AT_ONCE: usize = 256 << 10;

/// One page of a source.
#[derive(Debug, Clone)]
pub struct Page {
    /// Raw JSON text of each item, byte for byte: slices of one answer, which live as long as any of them.
    pub items: Vec<Bytes>,
    /// Position of the page after this one; `None` at the end.
    pub next: Option<Cursor>,
    /// What it cost.
    pub effort: Effort,
}

/// A source that is read over HTTP. Dropping a pending page cancels its request.
pub struct HttpSource {
    client: HttpClient,
    request: HttpRequest,
    exchange: Exchange,
    pager: Pager,
    redactor: Redactor,
}

impl HttpSource {
    /// # Errors
    /// `PRN-0414` when the address, a header or the pagination cannot be used.
    pub fn new(client: &HttpClient, request: HttpRequest) -> Result<Self, SourceError> {
        Ok(Self {
            exchange: Exchange::new(client, &request)?,
            pager: Pager::new(&request, client.config.max_cursor_bytes.as_usize())?,
            redactor: Redactor::new(&request),
            client: client.clone(),
            request,
        })
    }

    /// The page at `cursor`, the first one without. Tries again by itself as the request's retry settings
    /// allow, while waits are short.
    ///
    /// # Errors
    /// [`SourceError`] with its class: a transient one is worth asking the same page again, not before
    /// [`SourceError::retry_after`].
    pub async fn page(&self, cursor: Option<&Cursor>) -> Result<Page, SourceError> {
        let cursor = cursor.cloned().unwrap_or_else(Cursor::first);
        let url = self.pager.address(&self.request, &cursor.at)?;
        let (started, received) = (Instant::now(), AtomicU64::new(0));
        let mut tries = 0;
        let ended = loop {
            tries += 1;
            let error = match self.attempt(&cursor, &url, &received).await {
                Ok(page) => break Ok(page),
                Err(error) => error,
            };
            let Some(wait) = self.wait_after(&error, tries) else { break Err(error) };
            let wait_milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(code = %error.code(), error = %self.redactor.text(&error.to_string()), tries, wait_milliseconds, "page is tried again");
            tokio::time::sleep(wait).await;
        };
        let effort = Effort { tries, bytes: received.load(Ordering::Relaxed), took: started.elapsed() };
        match ended {
            Ok((items, next)) => Ok(Page { items, next, effort }),
            Err(error) if error.code() == Code::SourceRefused && self.pager.is_probe(&cursor) => {
                tracing::debug!(error = %self.redactor.text(&error.to_string()), "the source has no page after its last one");
                Ok(Page { items: Vec::new(), next: None, effort })
            }
            Err(error) => {
                let error = error.settled(cursor.pages > 0).masked(&self.redactor);
                Err(error.about(&self.redactor.request(&url), effort))
            }
        }
    }

    /// How long to wait before the next try; `None` when there is none in this process.
    fn wait_after(&self, error: &SourceError, tries: u32) -> Option<Duration> {
        if !error.may_be_tried_again() || tries >= self.request.retry.attempts.max(1) {
            return None;
        }
        let wait = error.retry_after().unwrap_or_default().max(self.backoff(tries));
        (wait <= self.client.config.longest_wait.duration()).then_some(wait)
    }

    fn backoff(&self, failures: u32) -> Duration {
        let retry = &self.request.retry;
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let doubled = retry.backoff.duration().saturating_mul(factor).min(retry.max_backoff.duration());
        doubled.mul_f64(rand::random_range(0.5..=1.0))
    }

    async fn attempt(
        &self,
        cursor: &Cursor,
        url: &url::Url,
        received: &AtomicU64,
    ) -> Result<(Vec<Bytes>, Option<Cursor>), SourceError> {
        let (answer, answered_by) = self.exchange.ask(url, received).await?;
        let headers = Arc::new(answer.headers);
        let (document, items) = match answer.body {
            Some(body) => {
                let (document, items) = self.decode(body, headers.clone()).await?;
                (Some(document), items)
            }
            None => (None, Vec::new()),
        };
        let page = Turned { url: &answered_by, headers: &headers, document: document.as_ref(), items: &items };
        let next = self.pager.next(&self.request, cursor, &page)?;
        Ok((items, next))
    }

    async fn decode(&self, body: Bytes, headers: Arc<HeaderMap>) -> Result<(Document, Vec<Bytes>), SourceError> {
        let (path, max_nesting, size) = (self.request.items.clone(), self.client.config.max_nesting, body.len());
        let decode = move || {
            let document = answer::decode(body, &headers, max_nesting)?;
            let items = items_of(&document, path.as_ref())?;
            Ok((document, items))
        };
        if size <= DECODED_AT_ONCE {
            return decode();
        }
        match tokio::task::spawn_blocking(decode).await {
            Ok(decoded) => decoded,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(SourceError::transient(Code::SourceCut, "the process is stopping")),
            },
        }
    }
}
