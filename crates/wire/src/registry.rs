//! Client of a Confluent-compatible schema registry.

use std::time::Duration;

use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id, post_schema};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use crate::error::WireError;
use crate::schema::RecordSchema;

/// Where the registry is and how to log in.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    pub url: String,
    pub username: Option<String>,
    pub password: Option<String>,
    pub timeout: Duration,
}

pub struct Registry {
    settings: SrSettings,
    url: String,
}

impl Registry {
    /// # Errors
    /// [`WireError::Registry`] when the settings cannot be used.
    pub fn new(config: &RegistryConfig) -> Result<Self, WireError> {
        let mut builder = SrSettings::new_builder(config.url.trim_end_matches('/').to_owned());
        builder.set_timeout(config.timeout);
        if let Some(username) = &config.username {
            builder.set_basic_authorization(username, config.password.as_deref());
        }
        let settings = builder.build().map_err(|error| registry_error(&config.url, &error))?;
        Ok(Self { settings, url: config.url.clone() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Registers a record for a topic (TopicRecordNameStrategy) and gives its id. Registering the
    /// same schema again gives the same id.
    pub async fn register(&self, topic: &str, record: &RecordSchema) -> Result<u32, WireError> {
        let subject = format!("{topic}-{}", record.name);
        let schema = SuppliedSchema::new(Some(record.name.to_owned()), SchemaType::Avro, record.text.to_owned());
        let registered =
            post_schema(&self.settings, subject, schema).await.map_err(|error| registry_error(&self.url, &error))?;
        Ok(registered.id)
    }

    /// Registers the Avro schema of users' values under `subject` and gives its id.
    pub async fn register_value(&self, subject: &str, schema: &str) -> Result<u32, WireError> {
        let schema = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let registered = post_schema(&self.settings, subject.to_owned(), schema).await;
        registered.map(|registered| registered.id).map_err(|error| registry_error(&self.url, &error))
    }

    /// The text of the schema with this id.
    pub async fn schema(&self, id: u32) -> Result<String, WireError> {
        let found = get_schema_by_id(id, &self.settings).await;
        found.map(|registered| registered.schema).map_err(|error| {
            if error.retriable {
                registry_error(&self.url, &error)
            } else {
                WireError::UnknownRegistryId { id, url: self.url.clone(), reason: describe(&error) }
            }
        })
    }
}

fn registry_error(url: &str, error: &SRCError) -> WireError {
    WireError::Registry { url: url.to_owned(), reason: describe(error) }
}

fn describe(error: &SRCError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
