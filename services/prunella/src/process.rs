//! Putting a process together: clients, catalog, services.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use prunella_cache::SharedCache;
use prunella_catalog::{Catalog, MappingView, SchemaTopic};
use prunella_fused::FusedStages;
use prunella_llm::{Llm, TieredAnswers};
use prunella_mapping::MappingCache;
use prunella_model::Code;
use prunella_platform::{CancelledRuns, Guard, Placement, Platform};
use prunella_redact::RedactionKey;
use prunella_sources::HttpClient;
use prunella_stream::{MemoryBudget, Output, RefusedSizes, StreamError, Workbench};
use prunella_streams::WorkLimits;
use prunella_topology::{Catalogue, Cluster, TopicName, Topology};
use prunella_validator::Rememberer;
use prunella_vault::Vault;
use prunella_wire::{ClaimStore, Codec, RecordSchema, Registry, ValueSchemas};

use crate::config::Config;
use crate::failure::Failure;

/// The services one can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Service {
    Orchestrator,
    Extractor,
    Transformer,
    Validator,
    Healer,
    Streams,
    Gateway,
}

impl Service {
    pub const ALL: [Self; 7] = [
        Self::Orchestrator,
        Self::Extractor,
        Self::Transformer,
        Self::Validator,
        Self::Healer,
        Self::Streams,
        Self::Gateway,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Extractor => "extractor",
            Self::Transformer => "transformer",
            Self::Validator => "validator",
            Self::Healer => "healer",
            Self::Streams => "streams",
            Self::Gateway => "gateway",
        }
    }
}

/// A process that is connected and has checked its topics.
pub struct Process {
    pub config: Config,
    pub topology: Topology,
    pub platform: Platform,
    homes: i32,
    data_directory: PathBuf,
}

/// Connects to Kafka.
///
/// # Errors
/// [`Failure`] with the code of what is wrong: unreachable, credentials, TLS, permissions.
pub async fn connect(config: &Config) -> Result<Cluster, Failure> {
    Ok(Cluster::connect(&config.kafka.client_config()?, Config::connect_timeout()).await?)
}

/// The codec of this process: writes in the framing the configuration asks for, reads both.
pub async fn codec(config: &Config, topology: &Topology) -> Result<Arc<Codec>, Failure> {
    let registry = config.schema_registry.client()?.map(|client| Registry::new(&client)).transpose()?;
    let schemas = SchemaTopic::new(config.kafka.clone(), topology.topics());
    let codec = Codec::new(registry, Some(schemas));
    let by_name = prunella_wire::records::all();
    for (kind, declaration) in Catalogue::embedded()?.iter().filter(|(kind, _)| !kind.is_per_workflow()) {
        let topic = topology.topics().full_name(&TopicName::Shared(kind));
        let records: Vec<&'static RecordSchema> = by_name
            .iter()
            .copied()
            .filter(|record| declaration.value.iter().any(|value| record.name == format!("prunella.{value}")))
            .collect();
        codec.register(&topic, &records).await?;
    }
    Ok(Arc::new(codec))
}

impl Process {
    /// Connects, checks the topics and follows the catalog.
    pub async fn start(config: Config, data_directory: &Path, stop: &CancellationToken) -> Result<Self, Failure> {
        let vault = Vault::from_environment(|name| std::env::var(name).ok())
            .map_err(|error| Failure::new(error.code(), error.to_string()))?;
        let topology = Topology::new(config.topics.clone())?;
        let cluster = connect(&config).await?;
        cluster.check(&topology.shared_topics()).await?;
        let homes = homes_of(&cluster, &topology).await?;
        let output = Output::new(&config.kafka, "prunella")?;
        let codec = codec(&config, &topology).await?;
        SchemaTopic::new(config.kafka.clone(), topology.topics()).publish(&output).await?;
        let catalog = Catalog::start(&config.kafka, topology.topics(), codec.clone(), stop.clone()).await?;
        let mappings = MappingView::start(&config.kafka, topology.topics(), codec.clone(), stop.clone()).await?;
        let claims = ClaimStore::local(&config.claims_directory(data_directory), config.claims.threshold)?;
        let control = topology.topics().stage_control();
        let guard = Guard::new(config.guard.clone(), output.clone(), codec.clone(), control);
        let workbench = Workbench::for_computing()
            .map_err(|error| Failure::new(Code::Config, format!("no threads can be had to compute: {error}")))?;
        let platform = Platform {
            kafka: config.kafka.clone(),
            runtime: config.runtime.clone(),
            processing: config.processing.clone(),
            topics: topology.topics().clone(),
            codec,
            claims,
            output,
            refused: RefusedSizes::default(),
            memory: MemoryBudget::new(config.runtime.memory_budget),
            workbench,
            catalog,
            mappings,
            guard,
            vault: Arc::new(vault),
        };
        Ok(Self { config, topology, platform, homes, data_directory: data_directory.to_owned() })
    }

    /// Runs `services` until `stop` is cancelled. When one fails for good, the others are stopped.
    pub async fn serve(&self, services: &[Service], stop: CancellationToken) -> Result<(), Failure> {
        let control = self.platform.topics.stage_control();
        let cancelled = {
            let (codec, guard) = (self.platform.codec.clone(), self.platform.guard.clone());
            CancelledRuns::follow(&self.platform.kafka, &control, codec, guard, stop.clone()).await?
        };
        let deps = self.stage_deps(&cancelled, services)?;
        let mut running = JoinSet::new();
        for service in services {
            self.spawn(&mut running, *service, &deps, stop.clone());
        }
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            let ended =
                ended.unwrap_or_else(|error| Err(Failure::new(Code::Config, format!("a service panicked: {error}"))));
            if let Err(failure) = ended
                && result.is_ok()
            {
                result = Err(failure);
            }
            stop.cancel();
        }
        self.platform.output.drain(std::time::Duration::from_secs(5)).await;
        result
    }

    fn stage_deps(&self, cancelled: &Arc<CancelledRuns>, services: &[Service]) -> Result<StageDeps, Failure> {
        let config = &self.config;
        let max_context_bytes = config.limits.max_context_bytes;
        let extractor = prunella_extractor::Deps {
            platform: self.platform.clone(),
            cancelled: cancelled.clone(),
            client: HttpClient::new(&config.http)?,
            settings: config.extractor.clone(),
            limits: config.mapping.clone(),
            max_context_bytes,
            homes: self.homes,
        };
        let transformer = prunella_transformer::Deps {
            platform: self.platform.clone(),
            cancelled: cancelled.clone(),
            limits: config.mapping.clone(),
            mappings: Arc::new(MappingCache::new(config.limits.cached_mappings)),
            max_context_bytes,
            pace: Arc::default(),
        };
        let validator = prunella_validator::Deps {
            platform: self.platform.clone(),
            cancelled: cancelled.clone(),
            settings: config.validator.clone(),
            limits: config.mapping.clone(),
            remember: Arc::new(Rememberer::new(config.healing.remember_every.duration())),
        };
        let fused = match config.processing.placement {
            Placement::Staged => None,
            Placement::Fused => Some(FusedStages::new(&extractor, transformer.clone(), validator.clone())),
        };
        let registry = config.schema_registry.client()?.map(|client| Registry::new(&client)).transpose()?;
        let streams = prunella_streams::Deps {
            platform: self.platform.clone(),
            limits: WorkLimits { mapping: config.mapping.clone(), output: config.validator.clone() },
            schemas: Arc::new(ValueSchemas::new(registry)),
        };
        let healer = prunella_healer::Deps {
            transformer: transformer.clone(),
            validator: validator.clone(),
            settings: config.healing.clone(),
            // The keys of providers are where the healer runs, and nowhere else.
            llm: if services.contains(&Service::Healer) { self.models()? } else { None },
            homes: self.homes,
        };
        Ok(StageDeps { extractor, transformer, validator, healer, streams, fused })
    }

    /// The language models of the configuration; nobody is asked when there is no provider.
    fn models(&self) -> Result<Option<Arc<Llm>>, Failure> {
        let config = &self.config;
        if config.llm.providers.is_empty() && config.llm.model.is_none() {
            return Ok(None);
        }
        let vault = &self.platform.vault;
        let shared = SharedCache::new(&config.redis, self.platform.topics.prefix(), vault.clone())
            .map_err(|error| Failure::new(error.code(), error.to_string()))?;
        // Placeholders are part of a request: where processes share answers, they have to agree.
        let derived = shared.as_ref().and_then(|_| vault.derived("redaction"));
        let redaction = derived.map_or_else(RedactionKey::random, RedactionKey::from_bytes);
        let answers = Arc::new(TieredAnswers::new(config.llm.cached_answers, shared));
        let client = HttpClient::new(&config.http)?;
        let llm = Llm::new(config.llm.clone(), client, redaction, answers)
            .map_err(|error| Failure::new(error.code(), error.to_string()))?;
        Ok(Some(Arc::new(llm)))
    }

    fn spawn(
        &self,
        running: &mut JoinSet<Result<(), Failure>>,
        service: Service,
        deps: &StageDeps,
        stop: CancellationToken,
    ) {
        let ended = |result: Result<(), StreamError>| result.map_err(Failure::from);
        match service {
            Service::Orchestrator => {
                let deps = prunella_orchestrator::Deps {
                    platform: self.platform.clone(),
                    settings: self.config.runs.clone(),
                    homes: self.homes,
                    pure_steps: deps.fused.clone().map(|fused| fused as _),
                };
                running.spawn(async move { ended(prunella_orchestrator::run(deps, stop).await) });
            }
            Service::Extractor => {
                let in_place = deps.fused.clone().map(|fused| fused as _);
                let deps = deps.extractor.clone();
                running.spawn(async move { ended(prunella_extractor::run(deps, in_place, stop).await) });
            }
            Service::Transformer => {
                let deps = deps.transformer.clone();
                running.spawn(async move { ended(prunella_transformer::run(deps, stop).await) });
            }
            Service::Validator => {
                let deps = deps.validator.clone();
                running.spawn(async move { ended(prunella_validator::run(deps, stop).await) });
            }
            Service::Healer => {
                let deps = deps.healer.clone();
                running.spawn(async move { ended(prunella_healer::run(deps, stop).await) });
            }
            Service::Streams => {
                let deps = deps.streams.clone();
                running.spawn(async move { ended(prunella_streams::run(deps, stop).await) });
            }
            Service::Gateway => {
                let mut gateway = self.config.gateway.clone();
                gateway.view_directory = self.data_directory.join(&gateway.view_directory);
                let gateway = crate::gateway::serve(self.platform.clone(), gateway, self.config.mapping.clone(), stop);
                running.spawn(gateway);
            }
        }
    }
}

/// What the stages of a process work with; alone, or joined.
struct StageDeps {
    extractor: prunella_extractor::Deps,
    transformer: prunella_transformer::Deps,
    validator: prunella_validator::Deps,
    healer: prunella_healer::Deps,
    streams: prunella_streams::Deps,
    fused: Option<Arc<FusedStages>>,
}

/// Partitions of the home topic: the truth is the cluster, not the configuration.
async fn homes_of(cluster: &Cluster, topology: &Topology) -> Result<i32, Failure> {
    let topic = topology.topics().stage_progress();
    let shape = cluster.describe(std::slice::from_ref(&topic)).await?;
    let found = shape.topics.get(&topic).map(|existing| existing.partitions);
    found
        .ok_or_else(|| Failure::new(Code::TopicShape, format!("topic {topic} is missing; run `prunella topics apply`")))
}
