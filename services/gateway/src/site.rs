use std::sync::Arc;

use axum::http::StatusCode;
use prunella_model::{Code, RunId};
use prunella_stream::OutRecord;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::GatewayConfig;
use crate::problem::Problem;
use crate::server::GatewayDeps;
use crate::token::Token;

/// Who the audit log names: everybody comes with the same token.
pub const ACTOR: &str = "http-api";

/// What every request works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site(Arc<SiteParts>);

pub(crate) struct SiteParts {
    pub(crate) config: GatewayConfig,
    pub(crate) deps: GatewayDeps,
    /// `None` only on loopback addresses.
    pub(crate) token: Option<Token>,
    pub(crate) open_metrics: bool,
    pub(crate) stop: CancellationToken,
    /// KiB of bodies that may still be held.
    pub(crate) room: Arc<Semaphore>,
}

impl std::ops::Deref for Site {
    type Target = SiteParts;
    fn deref(&self) -> &SiteParts {
        &self.0
    }
}

impl Site {
    pub(crate) fn new(parts: SiteParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Writes records and answers for them only once Kafka has confirmed them.
    pub(crate) async fn accept(&self, records: Vec<OutRecord>) -> Result<(), Problem> {
        let patience = self.config.accept_timeout;
        let Ok(delivered) = tokio::time::timeout(patience.duration(), self.deps.output.deliver(records)).await else {
            let detail = format!(
                "Kafka did not confirm the record within {patience} (gateway.accept-timeout); it may still be written: try again"
            );
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::RequestNotAccepted, detail));
        };
        Ok(delivered?)
    }

    /// A run that is not in the view: unknown, or not read yet.
    pub(crate) fn not_found(&self, run: &RunId) -> Problem {
        if self.deps.runs.health().caught_up {
            let detail =
                format!("there is no run {run} in this workspace; ended runs are forgotten after runs.retention");
            return Problem::new(StatusCode::NOT_FOUND, Code::RequestRunUnknown, detail);
        }
        let detail = format!(
            "run {run} is not in the view of runs, which is still being read from Kafka: ask again in a moment"
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::RunViewBehind, detail)
    }
}
