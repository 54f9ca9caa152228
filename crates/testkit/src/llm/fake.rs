use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answers::FakeAnswer;
use super::protocols::{Ending, FakeProtocol, INPUT_TOKENS, OUTPUT_TOKENS};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct ReceivedCall {
    pub protocol: FakeProtocol,
    pub path: String,
    /// The key it carried.
    pub key: Option<String>,
    /// Names and values of all headers, a line each.
    pub headers: String,
    /// The body as it was sent.
    pub body: String,
}

impl ReceivedCall {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct Script {
    /// Answers to requests that contain a text; the first that fits.
    when: Vec<(String, FakeAnswer)>,
    /// Answers to other requests, one after the other; the last one stays.
    next: VecDeque<FakeAnswer>,
    key: Option<String>,
    received: Vec<ReceivedCall>,
}

/// The provider itself; see [`FakeLlm::start`].
pub struct FakeLlm;

/// A running provider. Closes when dropped.
pub struct FakeLlmHandle {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    stop: CancellationToken,
}

impl FakeLlm {
    /// Tokens of the request and of the answer, as each answer claims.
    pub const TOKENS: (u64, u64) = (INPUT_TOKENS, OUTPUT_TOKENS);

    /// Listens on a free port of the loopback interface. `answers` are given one after the other, in whatever protocol is
    /// asked for; the last one is given for ever.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(answers: impl IntoIterator<Item = FakeAnswer>) -> io::Result<FakeLlmHandle> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let script = Arc::new(Mutex::new(Script { next: answers.into_iter().collect(), ..Script::default() }));
        let router = Router::new().fallback(answer).with_state(script.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(async move { stopped.cancelled().await }).await
        });
        Ok(FakeLlmHandle { address, script, stop })
    }
}

impl FakeLlmHandle {
    /// `http://127.0.0.1:<port>`, the address of all protocols but OpenAI's, whose is `/v1` below it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on only requests with this key are answered.
    pub fn require_key(&self, key: &str) {
        self.script().key = Some(key.to_owned());
    }

    /// Requests that contain `text` are answered so, before all others.
    pub fn when(&self, text: &str, answer: FakeAnswer) {
        self.script().when.push((text.to_owned(), answer));
    }

    /// Gives these answers from now on, the last one for ever.
    pub fn then(&self, answers: impl IntoIterator<Item = FakeAnswer>) {
        self.script().next = answers.into_iter().collect();
    }

    /// Requests so far, refused ones included.
    pub fn calls(&self) -> usize {
        self.script().received.len()
    }

    pub fn received(&self) -> Vec<ReceivedCall> {
        self.script().received.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }
}

impl Drop for FakeLlmHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let Some(protocol) = FakeProtocol::of(uri.path()) else {
        return (StatusCode::NOT_FOUND, "no such path").into_response();
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let (required, given) = {
        let mut script = lock(&script);
        let lines =
            headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        script.received.push(ReceivedCall {
            protocol,
            path: uri.path().to_owned(),
            key: protocol.key(&headers),
            headers: lines.collect::<Vec<_>>().join("\n"),
            body: text.clone(),
        });
        (script.key.clone(), script.answer_to(&text))
    };
    if required.is_some() && required != protocol.key(&headers) {
        let said = format!("Incorrect API key provided: {}", protocol.key(&headers).unwrap_or_default());
        return json(StatusCode::UNAUTHORIZED, &protocol.error(401, &said, Some("invalid_api_key")));
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(complaint) = protocol.complaint(&headers, &asked) {
        return json(StatusCode::BAD_REQUEST, &protocol.error(400, &complaint, Some("invalid_request_error")));
    }
    let (delay, given) = match given {
        FakeAnswer::Late(delay, given) => (delay, *given),
        given => (Duration::ZERO, given),
    };
    tokio::time::sleep(delay).await;
    give(protocol, given)
}

impl Script {
    fn answer_to(&mut self, text: &str) -> FakeAnswer {
        if let Some((_, answer)) = self.when.iter().find(|(part, _)| text.contains(part.as_str())) {
            return answer.clone();
        }
        let next = if self.next.len() > 1 { self.next.pop_front() } else { self.next.front().cloned() };
        next.unwrap_or_else(|| FakeAnswer::status(500, "nobody said what to answer"))
    }
}

fn give(protocol: FakeProtocol, answer: FakeAnswer) -> Response {
    let ok = |text: &str, ending, with_usage| json(StatusCode::OK, &protocol.answer(text, ending, with_usage));
    match answer {
        FakeAnswer::Text(text) => ok(&text, Ending::Complete, true),
        FakeAnswer::WithoutUsage(text) => ok(&text, Ending::Complete, false),
        FakeAnswer::CutOff(text) => ok(&text, Ending::CutOff, true),
        FakeAnswer::Declines(text) => ok(&text, Ending::Declined, true),
        FakeAnswer::CutBody => cut(&protocol.answer("{\"candidates\": []}", Ending::Complete, true)),
        FakeAnswer::Html => {
            ([(header::CONTENT_TYPE, "text/html")], "<html>welcome to the proxy</html>").into_response()
        }
        FakeAnswer::Foreign => json(StatusCode::OK, &serde_json::json!({"hello": "world"})),
        FakeAnswer::Status { status, retry_after, message, code } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = json(status, &protocol.error(status.as_u16(), &message, code.as_deref()));
            if let Some(value) = retry_after.and_then(|wish| wish.try_into().ok()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        // Nothing is late twice.
        FakeAnswer::Late(_, answer) => give(protocol, *answer),
    }
}

fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Half of the body, and then the connection breaks.
fn cut(body: &Value) -> Response {
    let text = body.to_string();
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    // The half has to be on its way before the connection breaks, or nothing of it arrives.
    let broken = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let pieces = futures::stream::iter([Ok::<Bytes, io::Error>(half)]).chain(futures::stream::once(broken));
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_LENGTH, text.len().to_string())];
    (headers, Body::from_stream(pieces)).into_response()
}
