use std::net::SocketAddr;
use std::sync::Arc;

use prunella_operate::mappings::MappingDesk;
use prunella_runview::RunView;
use prunella_stream::Output;
use prunella_telemetry::emit;
use prunella_topology::Topics;
use prunella_wire::records::{AuditEvent, CancelRun, MappingCommand};
use prunella_wire::{Codec, ControlRecord};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::body::kibibytes;
use crate::config::GatewayConfig;
use crate::error::GatewayError;
use crate::events::{Listening, ServingEnded};
use crate::routes::router;
use crate::site::{Site, SiteParts};
use crate::token::Token;
use crate::workflows::Workflows;

/// What the gateway works with.
pub struct GatewayDeps {
    pub output: Output,
    pub codec: Arc<Codec>,
    pub topics: Topics,
    pub workflows: Arc<dyn Workflows>,
    pub runs: Arc<RunView>,
    pub mappings: MappingDesk,
}

/// A gateway that has its address and takes no requests yet.
pub struct Gateway {
    listener: TcpListener,
    site: Site,
}

/// Serves the HTTP API until `stop` is cancelled and the requests in flight are answered.
///
/// # Errors
/// [`GatewayError`] when it cannot start: an open address without a token, an address that is taken, a
/// schema registry that does not answer.
pub async fn serve(config: GatewayConfig, deps: GatewayDeps, stop: CancellationToken) -> Result<(), GatewayError> {
    Gateway::bind(config, deps, stop).await?.run().await
}

impl Gateway {
    /// Takes the address. See [`serve`].
    pub async fn bind(config: GatewayConfig, deps: GatewayDeps, stop: CancellationToken) -> Result<Self, GatewayError> {
        let addresses = resolve(&config.listen).await?;
        let is_loopback = addresses.iter().all(|address| address.ip().is_loopback());
        let token = config.token.as_deref().map(Token::resolve).transpose()?;
        if token.is_none() && !is_loopback {
            return Err(GatewayError::TokenMissing { listen: config.listen });
        }
        let listener = TcpListener::bind(addresses.as_slice()).await;
        let listener = listener
            .map_err(|error| GatewayError::Listen { listen: config.listen.clone(), reason: error.to_string() })?;
        deps.codec.register(&deps.topics.stage_progress(), &[CancelRun::schema()]).await?;
        deps.codec.register(&deps.topics.stage_heal(), &[MappingCommand::schema()]).await?;
        deps.codec.register(&deps.topics.log_audit(), &[AuditEvent::schema()]).await?;
        let site = Site::new(SiteParts {
            open_metrics: config.open_metrics.unwrap_or(is_loopback),
            room: Arc::new(Semaphore::new(room(&config))),
            token,
            config,
            deps,
            stop,
        });
        Ok(Self { listener, site })
    }

    /// The address, with the port that was chosen if the configuration says 0.
    ///
    /// # Errors
    /// [`GatewayError::Listen`] when the system does not tell.
    pub fn local_address(&self) -> Result<SocketAddr, GatewayError> {
        self.listener.local_addr().map_err(|error| self.failed(&error))
    }

    /// Serves until the stop given to [`Gateway::bind`] is cancelled and the requests in flight are answered,
    /// which they have `stop-timeout` for.
    pub async fn run(self) -> Result<(), GatewayError> {
        emit(Listening { address: self.local_address()?, token: self.site.token.is_some() });
        let stop = self.site.stop.clone();
        let patience = self.site.config.stop_timeout;
        let listen = self.site.config.listen.clone();
        let stopped = stop.clone();
        let served = axum::serve(self.listener, router(self.site)).with_graceful_shutdown(stopped.cancelled_owned());
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(patience.duration()).await;
        };
        tokio::select! {
            served = served => served.map_err(|error| GatewayError::Listen { listen, reason: error.to_string() }),
            () = overdue => {
                emit(ServingEnded { error: &format!("{patience} were over (gateway.stop-timeout)") });
                Ok(())
            }
        }
    }

    fn failed(&self, error: &std::io::Error) -> GatewayError {
        GatewayError::Listen { listen: self.site.config.listen.clone(), reason: error.to_string() }
    }
}

async fn resolve(listen: &str) -> Result<Vec<SocketAddr>, GatewayError> {
    let failed = |reason: String| GatewayError::Listen { listen: listen.to_owned(), reason };
    let found = tokio::net::lookup_host(listen).await.map_err(|error| failed(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() { Err(failed("the name has no address".to_owned())) } else { Ok(addresses) }
}

/// KiB for bodies; one body of the largest size always has room.
fn room(config: &GatewayConfig) -> usize {
    let kibibytes = kibibytes(config.max_held_bytes.bytes().max(config.max_body_bytes.bytes()));
    usize::try_from(kibibytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}
