//! The extractor as a member of its group: requests in, batches out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use prunella_mapping::Limits;
use prunella_model::ByteSize;
use prunella_platform::{CancelledRuns, Platform, step_failed};
use prunella_sources::HttpClient;
use prunella_stream::homes::{self, Addressed, HomeSite, Homes, HomesConfig};
use prunella_stream::{Member, OutRecord, Record, StageError, StreamError, supervise};
use prunella_wire::records::{ErrorInfo, ExtractRequest};

use crate::home::ExtractionHome;
use crate::settings::ExtractorSettings;
use crate::workshop::{BatchWork, Workshop};

const SERVICE: &str = "extractor";

/// What the extractor needs.
#[derive(Clone)]
pub struct Deps {
    pub platform: Platform,
    pub cancelled: Arc<CancelledRuns>,
    pub client: HttpClient,
    pub settings: ExtractorSettings,
    pub limits: Limits,
    pub max_context_bytes: ByteSize,
    /// Partitions of `stage.extract`, as many as runs have homes.
    pub homes: i32,
}

/// Runs the extractor until `stop` is cancelled. Batches go to the transformer, or are worked on `in_place`.
///
/// # Errors
/// [`StreamError`] that no restart can mend.
pub async fn run(deps: Deps, in_place: Option<Arc<dyn BatchWork>>, stop: CancellationToken) -> Result<(), StreamError> {
    supervise(SERVICE, &stop, || run_once(deps.clone(), in_place.clone(), stop.clone())).await
}

async fn run_once(
    deps: Deps,
    in_place: Option<Arc<dyn BatchWork>>,
    stop: CancellationToken,
) -> Result<(), StreamError> {
    let platform = deps.platform.clone();
    let home_topic = platform.topics.stage_extract();
    let guarantee = platform.processing.guarantee.extractor;
    let topics = vec![home_topic.clone()];
    let member = Member::join(platform.member(SERVICE, guarantee, topics.clone(), topics))?;
    let config = HomesConfig {
        kafka: platform.kafka.clone(),
        home_topic: home_topic.into(),
        state_topics: vec![platform.topics.state_extractions().into()],
        system_dead_letters: platform.system_dead_letters(),
    };
    let workshop = Workshop::new(&deps, in_place);
    let extractor = Extractor { workshop: Arc::new(workshop), homes: deps.homes };
    homes::run(member, extractor, config, stop).await
}

struct Extractor {
    workshop: Arc<Workshop>,
    homes: i32,
}

impl Homes for Extractor {
    type Command = ExtractRequest;
    type Home = ExtractionHome;

    fn open(&mut self, site: HomeSite) -> ExtractionHome {
        ExtractionHome::new(site, self.workshop.clone())
    }

    fn room(&self) -> usize {
        self.workshop.settings.most_accepted.max(1).saturating_sub(self.workshop.accepted.load(Ordering::Relaxed))
    }

    async fn address(&mut self, record: &Record) -> Result<Option<Addressed<ExtractRequest>>, StageError> {
        let request: ExtractRequest = self.workshop.platform.decode(record).await?;
        Ok(Some(Addressed { home: request.at.run.home(self.homes), command: request }))
    }

    fn forward(&mut self, addressed: &Addressed<ExtractRequest>, record: &Record) -> Result<OutRecord, StageError> {
        let value = record.value.clone().unwrap_or_default();
        let key = addressed.command.at.run.to_string();
        let forwarded = OutRecord::new(record.source.topic.clone(), key, value);
        Ok(forwarded.to_partition(addressed.home).with_headers(record.headers.clone()))
    }

    async fn given_up(&mut self, record: &Record, error: &StageError) -> Vec<OutRecord> {
        let Ok(request) = self.workshop.platform.decode::<ExtractRequest>(record).await else { return Vec::new() };
        let info = ErrorInfo::new(error.code, error.message.clone());
        step_failed(&self.workshop.platform, &request.at, None, info, None).into_iter().collect()
    }
}
