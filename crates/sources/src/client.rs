use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use prunella_model::{ByteSize, Code, Period};

use crate::error::SourceError;

/// The HTTP client of sources.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HttpClientConfig {
    /// Longest time to connect, the TLS handshake included.
    pub connect_timeout: Period,
    /// Most redirects of one request.
    pub max_redirects: usize,
    /// Idle connections that are kept per host.
    pub idle_connections: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Period,
    /// Longest wait between two tries that is spent in the process. When a source asks for more, the step is put
    /// off and the wait survives a restart.
    pub longest_wait: Period,
    /// Deepest nesting of arrays and objects in an answer.
    pub max_nesting: usize,
    /// Longest cursor or address of a next page.
    pub max_cursor_bytes: ByteSize,
    /// Certificates (PEM) of authorities that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// What the client says it is.
    pub user_agent: String,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Period::from_secs(10),
            max_redirects: 5,
            idle_connections: 16,
            idle_timeout: Period::from_secs(60),
            longest_wait: Period::from_secs(30),
            max_nesting: 512,
            max_cursor_bytes: ByteSize::from_kib(16),
            ca_file: None,
            user_agent: concat!("prunella/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A pool of connections, shared by all extractions of a process. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    pub(crate) client: reqwest::Client,
    pub(crate) config: HttpClientConfig,
}

impl HttpClient {
    /// # Errors
    /// [`SourceError`] when TLS cannot be set up, `ca-file` cannot be read or the user agent is not a header value.
    pub fn new(config: &HttpClientConfig) -> Result<Self, SourceError> {
        let builder = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout.duration())
            // Redirects are followed by the exchange, which drops the request's headers on the way to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Every try is counted and shown; none happens in secret.
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(config.idle_connections)
            .pool_idle_timeout(config.idle_timeout.duration())
            .user_agent(&config.user_agent);
        let client = authorities(config)?
            .into_iter()
            .fold(builder, reqwest::ClientBuilder::add_root_certificate)
            .build()
            .map_err(|error| unusable(&format!("the HTTP client cannot be made: {error}")))?;
        Ok(Self { client, config: config.clone() })
    }

    /// The client itself, for other partners than sources. It follows no redirects and tries nothing twice.
    pub fn requests(&self) -> &reqwest::Client {
        &self.client
    }
}

fn authorities(config: &HttpClientConfig) -> Result<Vec<reqwest::Certificate>, SourceError> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| unusable(&format!("http.ca-file {shown}: {error}")))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|error| unusable(&format!("http.ca-file {shown}: {error}")))?;
    if found.is_empty() {
        return Err(unusable(&format!("http.ca-file {shown}: holds no certificate in PEM form")));
    }
    Ok(found)
}

fn unusable(message: &str) -> SourceError {
    SourceError::permanent(Code::Config, message)
}
