//! One request and its answer, redirects followed.

use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    TE, TRANSFER_ENCODING, UPGRADE,
};
use reqwest::{Method, Response};
use url::Url;

use prunella_model::workflow::HttpMethod;
use prunella_model::{ByteSize, Code, Period};

use crate::answer::{self, Answer};
use crate::client::HttpClient;
use crate::error::SourceError;
use crate::redact::Redactor;
use crate::request::HttpRequest;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Everything about a request that is the same for all pages.
pub(crate) struct Exchange {
    client: HttpClient,
    method: Method,
    /// Where the workflow points: the only host that sees the workflow's headers and body.
    home: url::Origin,
    headers: HeaderMap,
    body: Option<Bytes>,
    timeout: Period,
    max_page_bytes: ByteSize,
    redactor: Redactor,
}

impl Exchange {
    /// # Errors
    /// `PRN-0414` when the address or a header cannot be sent.
    pub(crate) fn new(client: &HttpClient, request: &HttpRequest) -> Result<Self, SourceError> {
        let redactor = Redactor::new(request);
        if !matches!(request.url.scheme(), "http" | "https") || request.url.host().is_none() {
            let message = format!("{}: expected an http or https address", redactor.address(&request.url));
            return Err(SourceError::permanent(Code::SourceUrl, message));
        }
        let mut headers = headers(&request.headers)?;
        headers.entry(ACCEPT).or_insert(JSON);
        let body = request.body.as_ref().map(|body| Bytes::from(body.to_string()));
        if body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
        }
        let method = match request.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        Ok(Self {
            client: client.clone(),
            method,
            home: request.url.origin(),
            headers,
            body,
            timeout: request.timeout,
            max_page_bytes: request.max_page_bytes,
            redactor,
        })
    }

    /// Asks `url` once, within the time and size limits of the request. Gives the answer and the address it came from.
    pub(crate) async fn ask(&self, url: &Url, received: &AtomicU64) -> Result<(Answer, Url), SourceError> {
        let exchange = async {
            let response = self.send(url).await?;
            let answered_by = response.url().clone();
            Ok((answer::read(response, self.max_page_bytes, received).await?, answered_by))
        };
        tokio::time::timeout(self.timeout.duration(), exchange).await.unwrap_or_else(|_| {
            let message = format!("no complete answer within {} (timeout of the step)", self.timeout);
            Err(SourceError::transient(Code::SourceTimeout, message))
        })
    }

    async fn send(&self, url: &Url) -> Result<Response, SourceError> {
        let (mut url, mut method, mut body) = (url.clone(), self.method.clone(), self.body.as_ref());
        let mut visited = Vec::new();
        // A host that answers a redirect from elsewhere gets no credentials, even if it is home: the way there
        // was chosen by somebody else.
        let mut is_trusted = true;
        loop {
            is_trusted &= url.origin() == self.home;
            let response = self.send_once(&url, &method, is_trusted, body).await?;
            let status = response.status().as_u16();
            let Some(next) = self.redirection(&response)? else { return Ok(response) };
            if !matches!(status, 307 | 308) {
                // As every browser does: the answer to a POST is fetched, not posted again.
                (method, body) = (Method::GET, None);
            } else if body.is_some() && next.origin() != self.home {
                let message = format!("redirects the request's body to {}", next.origin().ascii_serialization());
                return Err(SourceError::permanent(Code::SourceForeignHost, message));
            }
            visited.push((method.clone(), url));
            if visited.iter().any(|(asked, place)| *asked == method && *place == next) {
                let message = format!("redirects in a circle, back to {}", self.redactor.address(&next));
                return Err(SourceError::doubtful(Code::SourceRedirectLoop, message));
            }
            if visited.len() > self.client.config.max_redirects {
                let message = format!("redirects more than {} times (http.max-redirects)", visited.len() - 1);
                return Err(SourceError::doubtful(Code::SourceRedirects, message));
            }
            url = next;
        }
    }

    async fn send_once(
        &self,
        url: &Url,
        method: &Method,
        is_trusted: bool,
        body: Option<&Bytes>,
    ) -> Result<Response, SourceError> {
        let mut builder = self.client.client.request(method.clone(), url.clone());
        builder = if is_trusted { builder.headers(self.headers.clone()) } else { builder.header(ACCEPT, JSON) };
        if let Some(body) = body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(|error| send_error(&error, url.scheme() == "https"))
    }

    /// Where a redirect leads; `None` for every other answer.
    fn redirection(&self, response: &Response) -> Result<Option<Url>, SourceError> {
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
        let target = String::from_utf8_lossy(location.as_bytes());
        let mut next = response.url().join(&target).map_err(|error| {
            SourceError::permanent(Code::SourceRefused, format!("redirects to what is no address: {error}"))
        })?;
        next.set_fragment(None);
        let is_downgrade = response.url().scheme() == "https" && next.scheme() != "https";
        if is_downgrade || !matches!(next.scheme(), "http" | "https") {
            let message = format!("redirects from {} to {}", response.url().scheme(), self.redactor.address(&next));
            return Err(SourceError::permanent(Code::SourceForeignHost, message));
        }
        Ok(Some(next))
    }
}

fn headers(written: &[(String, String)]) -> Result<HeaderMap, SourceError> {
    let refused = |message: String| SourceError::permanent(Code::SourceUrl, message);
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let name: HeaderName = name.parse().map_err(|_| refused(format!("{name:?} is not the name of a header")))?;
        if [ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE].contains(&name) {
            return Err(refused(format!("the header {name} is set by the client itself: leave it out")));
        }
        let mut value = HeaderValue::from_str(value)
            .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
            .map_err(|_| refused(format!("the value of header {name} holds a line break or a control character")))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// The causes of an error from the outside inwards, without its address, which may hold secrets.
pub fn reason_of(error: &reqwest::Error) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let reason = cause.to_string();
        // Many wrappers repeat what they wrap.
        if !reasons.iter().any(|known| known.contains(&reason)) {
            reasons.push(reason);
        }
        source = cause.source();
    }
    if reasons.is_empty() { "the request failed".to_owned() } else { reasons.join(": ") }
}

fn send_error(error: &reqwest::Error, is_tls: bool) -> SourceError {
    let reason = reason_of(error);
    if error.is_builder() {
        return SourceError::permanent(Code::SourceUrl, format!("the request cannot be sent: {reason}"));
    }
    if error.is_dns() {
        return SourceError::transient(Code::SourceUnreachable, format!("the name of the host is not found: {reason}"));
    }
    if error.is_timeout() {
        let message = format!("no connection in time (http.connect-timeout): {reason}");
        return SourceError::transient(Code::SourceTimeout, message);
    }
    if !error.is_connect() {
        return SourceError::transient(Code::SourceUnreachable, format!("no answer: {reason}"));
    }
    if !is_tls || reason.contains("tcp connect error") {
        return SourceError::transient(Code::SourceUnreachable, format!("no connection: {reason}"));
    }
    let message = format!("no TLS connection: {reason}");
    let lower = reason.to_ascii_lowercase();
    if ["ssl", "tls", "certificate"].iter().any(|word| lower.contains(word)) {
        return SourceError::doubtful(Code::SourceTls, message);
    }
    // The other side hung up, which a server that restarts does too.
    SourceError::transient(Code::SourceTls, message)
}
