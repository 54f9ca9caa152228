//! The healer as a member of its group: parked batches, outcomes and commands in; versions and outputs out.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use prunella_llm::Llm;
use prunella_model::{Code, MappingKey};
use prunella_platform::Platform;
use prunella_stream::homes::{self, Addressed, HomeSite, Homes, HomesConfig};
use prunella_stream::{Member, OutRecord, Record, StageError, StreamError, supervise};
use prunella_vault::{Place, Vault, VaultError};
use prunella_wire::records::{HealOutcome, MappingCommand, MappingSample, ModelAnswer, MovedItems, ParkedBatch};
use prunella_wire::{ControlRecord, WireError};

use crate::consult::Models;
use crate::home::{Command, MappingHome};
use crate::settings::HealingSettings;

pub(crate) const SERVICE: &str = "healer";

/// What the healer needs.
#[derive(Clone)]
pub struct Deps {
    pub transformer: prunella_transformer::Deps,
    pub validator: prunella_validator::Deps,
    pub settings: HealingSettings,
    /// Asked when structure is not enough; without one nobody is.
    pub llm: Option<Arc<Llm>>,
    /// Partitions of `stage.heal`: every mapping's home is one of them.
    pub homes: i32,
}

impl Deps {
    pub(crate) fn platform(&self) -> &Platform {
        &self.validator.platform
    }
}

/// What the homes of a process share.
pub(crate) struct Workshop {
    pub(crate) deps: Deps,
    pub(crate) group: String,
    /// A repair keeps a processor busy: one at a time.
    pub(crate) turn: Arc<Semaphore>,
    pub(crate) models: Option<Arc<Models>>,
}

/// Places of the changelogs in the order in which a restore reads them.
pub(crate) const MAPPINGS: usize = 0;
pub(crate) const SAMPLES: usize = 1;
pub(crate) const PARKED: usize = 2;

/// Runs the healer until `stop` is cancelled.
///
/// # Errors
/// [`StreamError`] that no restart can mend.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), StreamError> {
    let models = deps.llm.clone().map(|llm| Arc::new(Models::new(llm)));
    if let Some(models) = &models {
        models.follow(deps.platform(), stop.clone()).await?;
    }
    supervise(SERVICE, &stop, || run_once(deps.clone(), models.clone(), stop.clone())).await
}

async fn run_once(deps: Deps, models: Option<Arc<Models>>, stop: CancellationToken) -> Result<(), StreamError> {
    let platform = deps.platform().clone();
    let home_topic = platform.topics.stage_heal();
    let topics = vec![home_topic.clone()];
    let member = Member::join(platform.member(SERVICE, platform.processing.guarantee.healer, topics.clone(), topics))?;
    let state = [platform.topics.state_mappings(), platform.topics.state_samples(), platform.topics.state_parked()];
    let config = HomesConfig {
        kafka: platform.kafka.clone(),
        home_topic: home_topic.into(),
        state_topics: state.into_iter().map(Into::into).collect(),
        system_dead_letters: platform.system_dead_letters(),
    };
    let group = member.handle().group().to_owned();
    let workshop = Workshop { deps, group, turn: Arc::new(Semaphore::new(1)), models };
    homes::run(member, Healer { workshop: Arc::new(workshop) }, config, stop).await
}

struct Healer {
    workshop: Arc<Workshop>,
}

impl Healer {
    async fn read(&self, record: &Record) -> Result<Command, StageError> {
        let Some(value) = &record.value else {
            return Err(StageError::new(Code::RecordMalformed, format!("{} has no value", record.place())));
        };
        let platform = self.workshop.deps.platform();
        let place = Place { store: "stage.heal", key: record.key.as_deref().unwrap_or_default() };
        let locked = |error: VaultError| StageError::new(error.code(), error.to_string());
        let unsealed = match Vault::is_sealed(value) {
            true => Some(platform.vault.open(place, value).map_err(locked)?),
            false => None,
        };
        let opened = platform.codec.open(unsealed.as_ref().map_or(value, |opened| &opened.value)).await?;
        if unsealed.is_none() && matches!(opened.name(), ParkedBatch::NAME | MappingSample::NAME | MovedItems::NAME) {
            // Whether it may stand there in plain, the vault decides.
            platform.vault.open(place, value).map_err(locked)?;
        }
        Ok(match opened.name() {
            ParkedBatch::NAME => Command::Park(Box::new(opened.read()?)),
            HealOutcome::NAME => Command::Outcome(opened.read()?),
            ModelAnswer::NAME => Command::Answered(opened.read()?),
            MappingCommand::NAME => Command::Asked(opened.read()?),
            MappingSample::NAME => Command::Remember(opened.read()?),
            MovedItems::NAME => Command::Moved(opened.read()?),
            other => {
                let error =
                    WireError::UnexpectedRecord { found: other.to_owned(), expected: "a command for a mapping" };
                return Err(error.into());
            }
        })
    }
}

impl Homes for Healer {
    type Command = Command;
    type Home = MappingHome;

    fn open(&mut self, site: HomeSite) -> MappingHome {
        MappingHome::new(site, self.workshop.clone())
    }

    async fn address(&mut self, record: &Record) -> Result<Option<Addressed<Command>>, StageError> {
        let command = self.read(record).await?;
        let mapping: &MappingKey = command.mapping();
        Ok(Some(Addressed { home: mapping.home(self.workshop.deps.homes), command }))
    }

    fn forward(&mut self, addressed: &Addressed<Command>, record: &Record) -> Result<OutRecord, StageError> {
        let value = record.value.clone().unwrap_or_default();
        let forwarded = OutRecord::new(record.source.topic.clone(), addressed.command.mapping().to_string(), value);
        Ok(forwarded.to_partition(addressed.home).with_headers(record.headers.clone()))
    }

    async fn given_up(&mut self, _record: &Record, _error: &StageError) -> Vec<OutRecord> {
        Vec::new()
    }
}
