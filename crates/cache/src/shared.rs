use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prunella_telemetry::emit;
use prunella_vault::{Place, SecretRef, Vault};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, cmd};

use crate::envelope;
use crate::error::CacheError;
use crate::events::{Found, LeftAlone, LookedUp};
use crate::settings::RedisSettings;

/// What stands around a value at most: its digest, and what sealing adds.
const LONGEST_FRAME: usize = 256;

/// Values that processes share. Cheap look-ups in memory go before it.
pub struct SharedCache {
    client: Client,
    settings: RedisSettings,
    /// Of every key, so that installations can share a Redis.
    prefix: String,
    vault: Arc<Vault>,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    /// Redis is left alone until then.
    pause_until: Mutex<Option<Instant>>,
}

/// Why an operation came to nothing.
enum Failure {
    LeftAlone,
    /// What stands there is no text.
    OtherType,
    Failed,
}

impl SharedCache {
    /// A cache as configured; `None` without an address. Connects when it is first asked.
    ///
    /// # Errors
    /// [`CacheError`] for an address that cannot be read.
    pub fn new(settings: &RedisSettings, prefix: &str, vault: Arc<Vault>) -> Result<Option<Arc<Self>>, CacheError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let client = match url.parse::<SecretRef>() {
            Ok(reference) => Client::open(reference.read()?.reveal()),
            Err(_) => Client::open(url.as_str()),
        };
        let client = client.map_err(|error| CacheError::Url { reason: error.to_string() })?;
        Ok(Some(Arc::new(Self {
            client,
            settings: settings.clone(),
            prefix: prefix.to_owned(),
            vault,
            connection: tokio::sync::Mutex::default(),
            pause_until: Mutex::default(),
        })))
    }

    /// Whether Redis answers, within its timeout.
    pub async fn answers(&self) -> bool {
        self.asked::<String>(&cmd("PING")).await.is_ok()
    }

    /// What was put under this key of this store, if it is still there.
    pub async fn get(&self, store: &'static str, key: &str) -> Option<Vec<u8>> {
        let most = self.settings.max_value.as_usize() + LONGEST_FRAME;
        let name = self.name(store, key);
        // No more than may be there: junk of any size costs no memory.
        let mut command = cmd("GETRANGE");
        command.arg(name).arg(0).arg(most);
        let (found, value) = match self.asked::<Vec<u8>>(&command).await {
            Ok(stored) if stored.is_empty() => (Found::Miss, None),
            Ok(stored) => match self.opened(store, key, &stored) {
                Some(value) => (Found::Hit, Some(value)),
                None => (Found::Junk, None),
            },
            Err(Failure::OtherType) => (Found::Junk, None),
            Err(Failure::LeftAlone) => (Found::LeftAlone, None),
            Err(Failure::Failed) => (Found::Failed, None),
        };
        emit(LookedUp { store, found });
        value
    }

    /// Puts a value under a key of a store. One that is too large, or that Redis does not take, is not kept.
    pub async fn put(&self, store: &'static str, key: &str, value: &[u8]) {
        if value.len() > self.settings.max_value.as_usize() {
            return;
        }
        let sealed = self.vault.seal(Place { store, key: key.as_bytes() }, &envelope::close(store, key, value));
        let mut command = cmd("SET");
        command.arg(self.name(store, key)).arg(sealed).arg("EX").arg(self.settings.keep.duration().as_secs().max(1));
        // A value that is not kept is asked for again.
        let _ = self.asked::<()>(&command).await;
    }

    fn name(&self, store: &str, key: &str) -> String {
        format!("{}{store}:{key}", self.prefix)
    }

    fn opened(&self, store: &'static str, key: &str, stored: &[u8]) -> Option<Vec<u8>> {
        let opened = self.vault.open(Place { store, key: key.as_bytes() }, stored).ok()?;
        envelope::open(store, key, &opened.value).map(<[u8]>::to_vec)
    }

    async fn asked<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        if self.is_left_alone() {
            return Err(Failure::LeftAlone);
        }
        let asking = tokio::time::timeout(self.settings.timeout.duration(), self.ask(command)).await;
        let error = match asking {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if is_of_another_type(&error) => return Err(Failure::OtherType),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} (redis.timeout)", self.settings.timeout),
        };
        self.leave_alone(&error).await;
        Err(Failure::Failed)
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connected().await?;
        command.query_async(&mut connection).await
    }

    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let timeout = Some(self.settings.timeout.duration());
        let config = AsyncConnectionConfig::new().set_connection_timeout(timeout).set_response_timeout(timeout);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(held.insert(connection).clone())
    }

    fn is_left_alone(&self) -> bool {
        let mut until = self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| until <= Instant::now()) {
            *until = None;
        }
        until.is_some()
    }

    /// A connection that failed is not used again.
    async fn leave_alone(&self, reason: &str) {
        *self.connection.lock().await = None;
        let until = Instant::now() + self.settings.pause.duration();
        *self.pause_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        emit(LeftAlone { reason, pause: self.settings.pause.to_string() });
    }
}

/// What stands there is of another type: Redis itself is well.
fn is_of_another_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}
