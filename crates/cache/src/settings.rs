use prunella_model::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Redis that processes share. It is a cache: without it everything works, and nothing is lost with it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RedisSettings {
    /// Its address, `redis://[user:password@]host:port/database` or `rediss://…` for TLS. `env:NAME` and `file:/path` are read
    /// from there. Without it there is none.
    pub url: Option<String>,
    /// Longest time for one look-up or write, connecting included.
    pub timeout: Period,
    /// How long Redis is left alone after it has failed or was too slow.
    pub pause: Period,
    /// How long Redis keeps a value.
    pub keep: Period,
    /// Largest value that is put there or taken from there.
    pub max_value: ByteSize,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: None,
            timeout: Period::from_millis(100),
            pause: Period::from_secs(5),
            keep: Period::from_secs(7 * 86_400),
            max_value: ByteSize::from_mib(1),
        }
    }
}

/// The address may hold a password.
impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.as_ref().map(|_| "(hidden)");
        let Self { timeout, pause, keep, max_value, .. } = self;
        write!(
            f,
            "RedisSettings {{ url: {url:?}, timeout: {timeout}, pause: {pause}, keep: {keep}, max_value: {max_value} }}"
        )
    }
}
