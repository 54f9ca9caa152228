//! What the operator's commands work with, from the configuration.

use tokio_util::sync::CancellationToken;

use prunella_catalog::Catalog;
use prunella_operate::Desk;
use prunella_streams::WorkLimits;
use prunella_topology::Topology;
use prunella_wire::{ClaimStore, Registry, ValueSchemas};

use crate::commands::{Context, actor};
use crate::failure::Failure;
use crate::process::{codec, connect};

/// Connects, checks the shared topics and reads the catalog.
///
/// # Errors
/// [`Failure`] with the code of what is not there.
pub async fn desk(context: &Context) -> Result<Desk, Failure> {
    let config = &context.config;
    let topology = Topology::new(config.topics.clone())?;
    connect(config).await?.check(&topology.shared_topics()).await?;
    let codec = codec(config, &topology).await?;
    let stop = CancellationToken::new();
    let catalog = Catalog::start(&config.kafka, topology.topics(), codec.clone(), stop.clone()).await?;
    // The command sees the catalog as it was when it began.
    stop.cancel();
    let registry = config.schema_registry.client()?.map(|client| Registry::new(&client)).transpose()?;
    Ok(Desk {
        kafka: config.kafka.clone(),
        transactions: config.processing.transactions.clone(),
        topics: topology.topics().clone(),
        codec,
        claims: ClaimStore::local(&config.claims_directory(&context.data_directory), config.claims.threshold)?,
        catalog,
        schemas: std::sync::Arc::new(ValueSchemas::new(registry)),
        limits: WorkLimits { mapping: config.mapping.clone(), output: config.validator.clone() },
        workspace: context.workspace.clone(),
        actor: actor(),
    })
}
