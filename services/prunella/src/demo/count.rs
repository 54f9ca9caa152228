//! Counting what became of the items of a run, from the topics alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use prunella_model::{RunId, StepId, WorkspaceName};
use prunella_stream::{Tail, TailFrom, Tailed, TailedRecord};
use prunella_wire::ControlRecord;
use prunella_wire::names;
use prunella_wire::records::{BatchResult, StageBatch};

use crate::config::Config;
use crate::demo::files;
use crate::failure::Failure;
use crate::process::Process;

/// What became of the items of the step whose records are the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Items that left the extractor.
    pub extracted: usize,
    /// Distinct items on the output topic.
    pub validated: usize,
    /// Distinct items on the dead-letter topic.
    pub dead_lettered: usize,
    /// Items of batches whose result is not there yet.
    pub waiting: usize,
    /// What none of these explains.
    pub lost: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { extracted, validated, dead_lettered, waiting, lost } = self;
        writeln!(f, "counted by a consumer of the topics:")?;
        writeln!(f, "  extracted     {extracted:>8}")?;
        writeln!(f, "  validated     {validated:>8}   on the output topic")?;
        writeln!(f, "  dead-lettered {dead_lettered:>8}   with the field errors in their headers")?;
        writeln!(f, "  waiting       {waiting:>8}")?;
        write!(f, "  lost          {lost:>8}")
    }
}

/// Every record of a topic up to its end.
async fn read_all(config: &Config, topic: &str) -> Result<Vec<TailedRecord>, Failure> {
    let mut tail = Tail::start(&config.kafka, topic, TailFrom::Beginning).await?;
    let mut records = Vec::new();
    while let Some(Tailed::Record(record)) = tail.next().await {
        records.push(record);
    }
    Ok(records)
}

/// Ids of the items of `step` of `run` on a topic of users, by header.
fn items_of(records: &[TailedRecord], run: &RunId, step: &StepId) -> BTreeSet<String> {
    let start = format!("{run}/{step}/");
    let ids = records.iter().filter_map(|record| record.headers.text(names::ITEM));
    ids.filter(|id| id.starts_with(&start)).map(str::to_owned).collect()
}

impl Count {
    pub async fn take(
        config: &Config,
        process: &Process,
        workspace: &WorkspaceName,
        run: &RunId,
    ) -> Result<Self, Failure> {
        let (topics, codec) = (&process.platform.topics, &process.platform.codec);
        let workflow = files::workflow();
        let step: StepId = workflow
            .as_str()
            .parse()
            .map_err(|error| Failure::plain(crate::failure::Exit::Failed, format!("{error}")))?;
        let mut extracted: BTreeMap<i64, usize> = BTreeMap::new();
        for record in read_all(config, &topics.stage_transform()).await? {
            let batch: StageBatch = codec.decode(&record.value.unwrap_or_default()).await?;
            if batch.at.run == *run && batch.at.step == step {
                extracted.insert(batch.batch.0, batch.items.len());
            }
        }
        let mut waiting = extracted.clone();
        // Batches that were worked on where they were extracted are on no topic: their results tell.
        for record in read_all(config, &topics.stage_progress()).await? {
            let value = record.value.unwrap_or_default();
            let opened = codec.open(&value).await?;
            if opened.name() != BatchResult::NAME {
                continue;
            }
            let result: BatchResult = opened.read()?;
            if result.at.run == *run && result.at.step == step {
                waiting.remove(&result.batch.0);
                extracted.entry(result.batch.0).or_insert(usize::try_from(result.items).unwrap_or(0));
            }
        }
        let outputs = read_all(config, &topics.output(workspace, &workflow)).await?;
        let letters = read_all(config, &topics.deadletter(workspace, &workflow)).await?;
        let (extracted, waiting) = (extracted.values().sum::<usize>(), waiting.values().sum::<usize>());
        let (validated, dead_lettered) = (items_of(&outputs, run, &step).len(), items_of(&letters, run, &step).len());
        let lost = extracted.saturating_sub(validated + dead_lettered + waiting);
        Ok(Self { extracted, validated, dead_lettered, waiting, lost })
    }
}
