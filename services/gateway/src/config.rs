use std::path::PathBuf;

use prunella_model::{ByteSize, Period};
use prunella_runview::RunViewConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The HTTP API.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct GatewayConfig {
    /// Address to listen on, `host:port`. Any address but loopback needs a `token`.
    pub listen: String,
    /// Token that requests carry as `Authorization: Bearer <token>`. A value `env:NAME` is read from the
    /// environment, `file:/path` from a file (without the newline at its end).
    pub token: Option<String>,
    /// Whether `/metrics` is open to requests without the token. By default it is on loopback addresses only.
    pub open_metrics: Option<bool>,
    /// Directory of the view of runs; a relative one is below the data directory. It belongs to this process alone, and may be deleted while it does not run.
    pub view_directory: PathBuf,
    /// Memory for the view of runs.
    pub view_cache: ByteSize,
    /// Age at which the view forgets events of runs.
    pub view_event_retention: Period,
    /// A view that was not fed for this long is rebuilt. Keep it under `delete.retention.ms` of the topic `state.runs`.
    pub view_rebuild_after: Period,
    /// Most runs that one page of a list looks at, whatever its filter lets through.
    pub view_scan_limit: u32,
    /// Largest body of a request. Triggers larger than `runs.max-trigger-bytes` end in the dead-letter topic.
    pub max_body_bytes: ByteSize,
    /// Most bytes of bodies that are held at a time, over all requests; more are asked to come again.
    pub max_held_bytes: ByteSize,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Period,
    /// How long Kafka may take to confirm a record before the request fails.
    pub accept_timeout: Period,
    /// How long `wait=true` waits when the request names no `timeout`.
    pub wait_timeout: Period,
    /// Longest `timeout` that a request may name.
    pub max_wait_timeout: Period,
    /// Entries of a page when the request names no `limit`.
    pub page_size: u32,
    /// Largest `limit` that a request may name.
    pub max_page_size: u32,
    /// Kafka counts as away, and `/readyz` fails, when it has not answered for this long.
    pub unreachable_after: Period,
    /// How long a shutdown waits for requests in flight.
    pub stop_timeout: Period,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        let view = RunViewConfig::new("run-view");
        Self {
            listen: "127.0.0.1:8787".to_owned(),
            token: None,
            open_metrics: None,
            view_directory: view.directory,
            view_cache: ByteSize::from_mib(32),
            view_event_retention: Period::from_secs(30 * 86_400),
            view_rebuild_after: Period::from_secs(6 * 86_400),
            view_scan_limit: 50_000,
            max_body_bytes: ByteSize::from_mib(16),
            max_held_bytes: ByteSize::from_mib(128),
            body_timeout: Period::from_secs(60),
            accept_timeout: Period::from_secs(10),
            wait_timeout: Period::from_secs(30),
            max_wait_timeout: Period::from_secs(300),
            page_size: 50,
            max_page_size: 500,
            unreachable_after: Period::from_secs(30),
            stop_timeout: Period::from_secs(5),
        }
    }
}

impl GatewayConfig {
    /// The view of runs that this gateway answers from.
    pub fn view(&self) -> RunViewConfig {
        RunViewConfig {
            directory: self.view_directory.clone(),
            cache_bytes: self.view_cache.as_usize(),
            event_retention: self.view_event_retention.duration(),
            rebuild_after: self.view_rebuild_after.duration(),
            scan_limit: usize::try_from(self.view_scan_limit).unwrap_or(usize::MAX).max(1),
        }
    }
}

/// The token may stand in the configuration itself: it is not for logs.
impl std::fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "(hidden)");
        f.debug_struct("GatewayConfig").field("listen", &self.listen).field("token", &token).finish_non_exhaustive()
    }
}
