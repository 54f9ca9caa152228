//! The configuration of a process: a YAML file, overridden by the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use prunella_cache::RedisSettings;
use prunella_extractor::ExtractorSettings;
use prunella_gateway::GatewayConfig;
use prunella_healer::HealingSettings;
use prunella_llm::LlmSettings;
use prunella_mapping::Limits;
use prunella_model::{ByteSize, Code, Period};
use prunella_orchestrator::RunSettings;
use prunella_platform::{GuardSettings, Processing, ValidatorSettings};
use prunella_sources::HttpClientConfig;
use prunella_stream::{KafkaSettings, RuntimeSettings};
use prunella_topology::TopicsConfig;
use prunella_wire::RegistryConfig;

use crate::failure::Failure;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// How to reach Kafka.
    pub kafka: KafkaSettings,
    /// Names and shapes of topics.
    pub topics: TopicsConfig,
    /// A Confluent-compatible schema registry. Without a url, control records carry their schema's fingerprint.
    pub schema_registry: SchemaRegistry,
    /// Where payloads stand that are too large for Kafka.
    pub claims: Claims,
    /// How much each stage does at a time.
    pub runtime: RuntimeSettings,
    /// What services promise, and how they are put together.
    pub processing: Processing,
    /// When a step is paused whose items go to the dead letters.
    pub guard: GuardSettings,
    /// Limits of runs.
    pub runs: RunSettings,
    /// How the extractor works.
    pub extractor: ExtractorSettings,
    /// The HTTP client of sources.
    pub http: HttpClientConfig,
    /// Limits of every evaluation of a mapping or expression.
    pub mapping: Limits,
    /// Limits of the validator.
    pub validator: ValidatorSettings,
    /// How mappings are healed.
    pub healing: HealingSettings,
    /// Language models, asked about mappings that structure alone cannot repair.
    pub llm: LlmSettings,
    /// A Redis that processes share, a cache and nothing more.
    pub redis: RedisSettings,
    /// Limits that several stages share.
    pub limits: SharedLimits,
    /// The HTTP API.
    pub gateway: GatewayConfig,
    /// Logs and metrics.
    pub telemetry: Telemetry,
}

/// A Confluent-compatible schema registry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SchemaRegistry {
    /// Its address, such as `http://registry:8080/apis/ccompat/v7`.
    pub url: Option<String>,
    /// For basic authentication.
    pub username: Option<String>,
    /// For basic authentication; `env:NAME` and `file:/path` are read from there.
    pub password: Option<String>,
    /// Longest time for one request.
    pub timeout: Period,
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self { url: None, username: None, password: None, timeout: Period::from_secs(10) }
    }
}

impl SchemaRegistry {
    pub fn client(&self) -> Result<Option<RegistryConfig>, Failure> {
        let Some(url) = self.url.clone() else { return Ok(None) };
        let password = match &self.password {
            Some(password) => Some(prunella_stream::secret("schema-registry.password", password)?),
            None => None,
        };
        Ok(Some(RegistryConfig { url, username: self.username.clone(), password, timeout: self.timeout.duration() }))
    }
}

/// Where payloads stand that are too large for Kafka.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Claims {
    /// A directory that every service of the installation sees. Default: `claims` in the data directory.
    pub directory: Option<PathBuf>,
    /// Payloads over this size are stored there instead of in records.
    pub threshold: ByteSize,
}

impl Default for Claims {
    fn default() -> Self {
        Self { directory: None, threshold: ByteSize::from_kib(512) }
    }
}

/// Limits that several stages share.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct SharedLimits {
    /// Largest context of a step: the trigger and the outputs of earlier steps that its expressions read.
    pub max_context_bytes: ByteSize,
    /// Compiled mappings that are kept; the least recently used ones are compiled again when they are needed.
    pub cached_mappings: usize,
}

impl Default for SharedLimits {
    fn default() -> Self {
        Self { max_context_bytes: ByteSize::from_mib(64), cached_mappings: 1000 }
    }
}

/// Logs and metrics.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Telemetry {
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged: `target=level`, separated by commas.
    pub log_filter: String,
    /// Where `serve` answers `/metrics`, `/healthz` and `/readyz`.
    pub listen: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log_format: LogFormat::Human, log_filter: "info".to_owned(), listen: "127.0.0.1:9464".to_owned() }
    }
}

impl Config {
    /// Whether `file` says which brokers to use.
    pub fn names_brokers(file: &Path) -> Result<bool, Failure> {
        Ok(read(file)?.pointer("/kafka/brokers").is_some())
    }

    /// Reads `file` if there is one, then `PRUNELLA__…` of the environment, then `brokers`.
    pub fn load(file: Option<&Path>, brokers: Option<&str>) -> Result<Self, Failure> {
        let mut value = match file {
            Some(path) => read(path)?,
            None => Value::Object(Map::new()),
        };
        for (name, text) in std::env::vars() {
            if let Some(path) = name.strip_prefix("PRUNELLA__") {
                override_with(&mut value, path, &text);
            }
        }
        if let Some(brokers) = brokers {
            override_with(&mut value, "KAFKA__BROKERS", brokers);
        }
        let shown = file.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
        let config: Self = serde_json::from_value(value).map_err(|error| invalid(&shown, &error.to_string()))?;
        let topics = config.topics.clone().with_environment(|name| std::env::var(name).ok())?;
        Ok(Self { topics, ..config })
    }

    pub fn claims_directory(&self, data_directory: &Path) -> PathBuf {
        self.claims.directory.clone().unwrap_or_else(|| data_directory.join("claims"))
    }

    pub const fn connect_timeout() -> Duration {
        Duration::from_secs(10)
    }
}

/// Where Prunella keeps what it may lose: the local broker's data, views, claims of a single host.
pub fn default_data_directory() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("prunella")
}

fn read(path: &Path) -> Result<Value, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| invalid(&shown, &error.to_string()))?;
    let value: Value = serde_saphyr::from_str(&text).map_err(|error| invalid(&shown, &error.to_string()))?;
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        _ => Err(invalid(&shown, "expected a mapping of settings")),
    }
}

fn invalid(place: &str, reason: &str) -> Failure {
    Failure::new(Code::Config, format!("{place}: {reason}; docs/configuration.md lists every key"))
}

/// Sets `KAFKA__BROKERS` as `kafka.brokers`. Text that reads as JSON is that: a text of digits is given as `"123"`,
/// with its quotes.
fn override_with(value: &mut Value, path: &str, text: &str) {
    let keys: Vec<String> = path.split("__").map(|key| key.to_ascii_lowercase().replace('_', "-")).collect();
    let mut place = value;
    for key in &keys {
        // librdkafka's own keys have dots: KAFKA__LIBRDKAFKA__SASL_USERNAME would be `sasl-username`.
        let key = if keys.get(1).is_some_and(|second| second == "librdkafka") && key != "kafka" && key != "librdkafka" {
            key.replace('-', ".")
        } else {
            key.clone()
        };
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(key).or_insert(Value::Null);
    }
    let is_librdkafka = path.starts_with("KAFKA__LIBRDKAFKA__");
    *place = match serde_json::from_str(text) {
        Ok(parsed) if !is_librdkafka => parsed,
        _ => Value::String(text.to_owned()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_reaches_every_depth() {
        let mut value = Value::Object(Map::new());
        override_with(&mut value, "KAFKA__BROKERS", "a:1,b:2");
        override_with(&mut value, "RUNTIME__COMMIT_INTERVAL", "1s");
        override_with(&mut value, "EXTRACTOR__CONCURRENCY", "4");
        override_with(&mut value, "KAFKA__LIBRDKAFKA__SASL_USERNAME", "42");
        override_with(&mut value, "GATEWAY__TOKEN", "\"12345\"");
        let config: Config = serde_json::from_value(value).expect("valid");
        assert_eq!(config.kafka.brokers, "a:1,b:2");
        assert_eq!(config.runtime.commit_interval, Period::from_secs(1));
        assert_eq!(config.extractor.concurrency, 4);
        assert_eq!(config.kafka.librdkafka["sasl.username"], "42");
        assert_eq!(config.gateway.token.as_deref(), Some("12345"));
    }

    #[test]
    fn unknown_keys_are_errors_that_name_them() {
        let mut value = Value::Object(Map::new());
        override_with(&mut value, "KAFKA__BROKRES", "a:1");
        let error = serde_json::from_value::<Config>(value).expect_err("unknown");
        assert!(error.to_string().contains("brokres"), "{error}");
    }
}
