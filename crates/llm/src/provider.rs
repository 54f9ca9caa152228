//! A provider and how it has been doing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use prunella_vault::Secret;

use crate::breaker::Breaker;
use crate::error::LlmError;
use crate::pace::Pace;
use crate::protocol;
use crate::settings::{BreakerSettings, Protocol, ProviderSettings};

pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) base: Url,
    pub(crate) key: Option<Secret>,
    pub(crate) temperature: Option<f64>,
    breaker: Mutex<Breaker>,
    pace: Mutex<Pace>,
}

impl Provider {
    /// Reads the key, and checks the rest.
    ///
    /// # Errors
    /// [`LlmError::Settings`] and [`LlmError::Secret`].
    pub(crate) fn new(name: &str, settings: &ProviderSettings, breaker: BreakerSettings) -> Result<Self, LlmError> {
        let refused =
            |key: &str, reason: &str| Err(LlmError::Settings { reason: format!("providers.{name}.{key}: {reason}") });
        let protocol = settings.protocol;
        let base = match (&settings.url, protocol::home(protocol).map(str::parse::<Url>)) {
            (Some(url), _) => url.clone(),
            (None, Some(Ok(home))) => home,
            (None, _) => return refused("url", "this protocol is spoken by many, write the address"),
        };
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() || base.query().is_some() {
            return refused("url", "expected an http or https address without a query");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return refused("url", "holds a user or password: a secret goes into key");
        }
        if name.is_empty() || name.contains('/') {
            return refused("", "the name of a provider is not empty and has no slash");
        }
        if settings.requests_per_minute == 0 {
            return refused("requests-per-minute", "at least 1");
        }
        let is_of_company = settings.url.is_none() && protocol != Protocol::Ollama;
        if is_of_company && settings.key.is_none() {
            return refused("key", "missing: write env:NAME or file:/path");
        }
        Ok(Self {
            name: name.to_owned(),
            protocol,
            base,
            key: settings.key.as_ref().map(prunella_vault::SecretRef::read).transpose()?,
            temperature: settings.temperature,
            breaker: Mutex::new(Breaker::new(breaker)),
            pace: Mutex::new(Pace::new(settings.requests_per_minute)),
        })
    }

    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
