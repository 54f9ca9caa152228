//! What can be observed of the HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prunella_runview::RunViewError;
use prunella_telemetry::{Event, metrics};

pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) token: bool,
}

impl Event for Listening {
    fn emit(self) {
        tracing::info!(address = %self.address, token = self.token, "http api listens");
    }
}

pub(crate) struct RequestDone<'a> {
    pub(crate) id: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    /// The pattern of the path, a bounded label.
    pub(crate) route: &'a str,
    pub(crate) status: StatusCode,
    /// Of the problem, if the request failed.
    pub(crate) problem: Option<(&'static str, &'a str)>,
    pub(crate) took: Duration,
}

impl Event for RequestDone<'_> {
    fn emit(self) {
        let method = match *self.method {
            Method::GET | Method::POST | Method::HEAD | Method::PUT | Method::PATCH | Method::DELETE => {
                self.method.as_str()
            }
            _ => "other",
        };
        metrics::GATEWAY_REQUESTS.with_label_values(&[method, self.route, self.status.as_str()]).inc();
        metrics::GATEWAY_SECONDS.with_label_values(&[method, self.route]).observe(self.took.as_secs_f64());
        let (request, path, status, milliseconds) =
            (self.id, self.path, self.status.as_u16(), self.took.as_millis() as u64);
        match self.problem {
            Some((code, error)) if self.status.is_server_error() => {
                tracing::error!(request, method, path, status, milliseconds, code, error, "request failed");
            }
            Some((code, error)) => {
                tracing::info!(request, method, path, status, milliseconds, code, error, "request refused")
            }
            None if matches!(self.route, "/healthz" | "/readyz" | "/metrics") => {
                tracing::debug!(request, method, path, status, milliseconds, "request");
            }
            None => tracing::info!(request, method, path, status, milliseconds, "request"),
        }
    }
}

pub(crate) struct RunAccepted<'a> {
    pub(crate) request: &'a str,
    pub(crate) workspace: &'a str,
    pub(crate) workflow: &'a str,
    pub(crate) run: &'a str,
    pub(crate) trace: &'a str,
    pub(crate) duplicate: bool,
}

impl Event for RunAccepted<'_> {
    fn emit(self) {
        tracing::info!(
            request = self.request,
            workspace = self.workspace,
            workflow = self.workflow,
            run = self.run,
            trace = self.trace,
            duplicate = self.duplicate,
            "run accepted"
        );
    }
}

pub(crate) struct NotLookedUp<'a> {
    pub(crate) run: &'a str,
    pub(crate) error: &'a RunViewError,
}

impl Event for NotLookedUp<'_> {
    fn emit(self) {
        let code = self.error.code().id();
        tracing::warn!(run = self.run, code, error = %self.error, "a trigger is written without a look for its run");
    }
}

pub(crate) struct ServingEnded<'a> {
    pub(crate) error: &'a str,
}

impl Event for ServingEnded<'_> {
    fn emit(self) {
        tracing::warn!(error = self.error, "http api stopped before all requests were answered");
    }
}
