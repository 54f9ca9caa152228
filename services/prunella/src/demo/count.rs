//! Counting what became of the records of the demo, from the topics alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use prunella_catalog::{AUTHORS_VERSION, MappingHistory, mapping_of};
use prunella_model::{MappingKey, RunId, StepId, TextHash, WorkflowName, WorkspaceName};
use prunella_stream::{Tail, TailFrom, Tailed, TailedRecord};
use prunella_vault::Place;
use prunella_wire::records::{BatchResult, ParkedBatch, StageBatch};
use prunella_wire::{ControlRecord, names};

use crate::failure::Failure;
use crate::process::Process;

/// Who changes a mapping that nobody has decided about.
const HEALER: &str = "healer";

/// What became of items of the step whose records are the output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Items that left the extractor.
    pub extracted: usize,
    /// Distinct items on the output topic.
    pub validated: usize,
    /// Distinct items on the dead-letter topic.
    pub dead_lettered: usize,
    /// Items of batches whose result is not there yet, which are on neither.
    pub waiting: usize,
    /// What none of these explains.
    pub lost: usize,
    /// Validated items that had waited for a mapping which was proven and used without anybody.
    pub healed: usize,
    /// Items that had waited until a person decided, validated or dead-lettered.
    pub reviewed: usize,
}

impl std::ops::AddAssign<&Self> for Count {
    fn add_assign(&mut self, other: &Self) {
        self.extracted += other.extracted;
        self.validated += other.validated;
        self.dead_lettered += other.dead_lettered;
        self.waiting += other.waiting;
        self.lost += other.lost;
        self.healed += other.healed;
        self.reviewed += other.reviewed;
    }
}

type Figure = fn(&Count) -> usize;

/// Runs of one workflow whose records are counted together.
pub struct Part {
    pub name: &'static str,
    pub workflow: WorkflowName,
    pub step: StepId,
    pub runs: BTreeSet<RunId>,
}

impl Part {
    /// Whether an item or batch id is of these runs.
    fn has(&self, id: &str) -> bool {
        let mut parts = id.split('/');
        let run = parts.next().and_then(|run| run.parse::<RunId>().ok());
        run.is_some_and(|run| self.runs.contains(&run)) && parts.next() == Some(self.step.as_str())
    }
}

/// What became of all records of the demo, and of those of its parts.
pub struct Totals {
    pub all: Count,
    pub parts: Vec<(&'static str, Count)>,
    /// Versions of the mapping that were taken back after they had come into use.
    pub rolled_back: usize,
}

impl Totals {
    /// Every record has arrived somewhere, once.
    pub fn add_up(&self) -> bool {
        let adds_up = |count: &Count| {
            let Count { extracted, validated, dead_lettered, waiting, lost, .. } = count;
            (*waiting, *lost) == (0, 0) && validated + dead_lettered == *extracted
        };
        self.parts.iter().all(|(_, count)| adds_up(count))
    }

    /// The figures of all parts together, then those of each.
    pub fn as_json(&self) -> Value {
        let parts: Map<String, Value> = self.parts.iter().map(|(name, it)| ((*name).to_owned(), json!(it))).collect();
        let mut all = json!(self.all);
        all["rolled_back"] = self.rolled_back.into();
        all["parts"] = parts.into();
        all
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures: [(&str, Figure, &str); 7] = [
            ("extracted", |it| it.extracted, ""),
            ("validated", |it| it.validated, "on an output topic"),
            ("dead-lettered", |it| it.dead_lettered, "with what is wrong"),
            ("waiting", |it| it.waiting, ""),
            ("lost", |it| it.lost, ""),
            ("healed", |it| it.healed, "waited; nobody was asked"),
            ("reviewed", |it| it.reviewed, "waited for a decision"),
        ];
        writeln!(f, "counted by a consumer of the topics:")?;
        write!(f, "  {:<13}", "")?;
        for (name, _) in &self.parts {
            write!(f, "{name:>8}")?;
        }
        writeln!(f, "{:>8}", "all")?;
        for (name, figure, remark) in figures {
            write!(f, "  {name:<13}")?;
            for (_, count) in &self.parts {
                write!(f, "{:>8}", figure(count))?;
            }
            let line = format!("{:>8}   {remark}", figure(&self.all));
            writeln!(f, "{}", line.trim_end())?;
        }
        let before_all = self.parts.len() * 8;
        write!(f, "  {:<13}{:before_all$}{:>8}   version of the mapping", "rolled back", "", self.rolled_back)
    }
}

/// A batch as it left the extractor.
#[derive(Default)]
struct Batch {
    items: usize,
    is_done: bool,
}

/// All that the topics tell of the records of the demo.
struct Found {
    batches: BTreeMap<String, Batch>,
    /// Items on the output topics, and the version of the mapping that made them.
    outputs: HashMap<String, i32>,
    letters: HashSet<String>,
    parked: HashSet<String>,
    history: MappingHistory,
}

impl Found {
    fn count(&self, part: &Part) -> Count {
        let mut count = Count::default();
        let mut arrived: HashMap<&str, usize> = HashMap::new();
        let ids: HashSet<&str> = self.outputs.keys().chain(&self.letters).map(String::as_str).collect();
        for id in ids.into_iter().filter(|id| part.has(id)) {
            *arrived.entry(id.rsplit_once('/').map_or(id, |(batch, _)| batch)).or_default() += 1;
        }
        for (id, batch) in self.batches.iter().filter(|(id, _)| part.has(id)) {
            count.extracted += batch.items;
            let missing = batch.items.saturating_sub(arrived.get(id.as_str()).copied().unwrap_or(0));
            *if batch.is_done { &mut count.lost } else { &mut count.waiting } += missing;
        }
        for (id, version) in self.outputs.iter().filter(|(id, _)| part.has(id)) {
            count.validated += 1;
            if self.parked.contains(id) && *version != AUTHORS_VERSION {
                *if self.is_decided(*version) { &mut count.reviewed } else { &mut count.healed } += 1;
            }
        }
        let is_rejected = self.history.versions.values().any(|version| version.status == "rejected");
        for id in self.letters.iter().filter(|id| part.has(id)) {
            count.dead_lettered += 1;
            count.reviewed += usize::from(is_rejected && self.parked.contains(id));
        }
        count
    }

    /// Whether a person has put the version into use.
    fn is_decided(&self, version: i32) -> bool {
        self.history.versions.get(&version).is_some_and(|version| version.actor != HEALER)
    }

    fn rolled_back(&self) -> usize {
        let all = self.history.versions.values();
        all.filter(|version| {
            serde_json::from_str::<Value>(&version.evidence).is_ok_and(|it| it.get("rolled_back").is_some())
        })
        .count()
    }
}

/// Reads the topics.
pub struct Counter<'a> {
    pub process: &'a Process,
    pub workspace: &'a WorkspaceName,
    /// The mapping that is healed, and the author's text of it.
    pub mapping: &'a (MappingKey, TextHash),
}

impl Counter<'_> {
    pub async fn take(&self, parts: &[Part]) -> Result<Totals, Failure> {
        let workflows: BTreeSet<&WorkflowName> = parts.iter().map(|part| &part.workflow).collect();
        let arrived = futures::future::try_join_all(workflows.into_iter().map(|workflow| self.arrived(workflow)));
        let (batches, arrived, parked, history) =
            tokio::try_join!(self.batches(), arrived, self.parked(), self.versions())?;
        let (outputs, letters): (Vec<_>, Vec<_>) = arrived.into_iter().unzip();
        let (outputs, letters) = (outputs.into_iter().flatten().collect(), letters.into_iter().flatten().collect());
        let found = Found { batches, outputs, letters, parked, history };
        let parts: Vec<(&'static str, Count)> = parts.iter().map(|part| (part.name, found.count(part))).collect();
        let mut all = Count::default();
        parts.iter().for_each(|(_, count)| all += count);
        Ok(Totals { all, parts, rolled_back: found.rolled_back() })
    }

    /// Every record of a topic up to its end.
    async fn all(&self, topic: String) -> Result<Vec<TailedRecord>, Failure> {
        let mut tail = Tail::start(&self.process.config.kafka, &topic, TailFrom::Beginning).await?;
        let mut records = Vec::new();
        while let Some(Tailed::Record(record)) = tail.next().await {
            records.push(record);
        }
        Ok(records)
    }

    async fn batches(&self) -> Result<BTreeMap<String, Batch>, Failure> {
        let (topics, codec) = (&self.process.platform.topics, &self.process.platform.codec);
        let (work, results) = tokio::try_join!(self.all(topics.stage_transform()), self.all(topics.stage_progress()))?;
        let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
        for record in work {
            let batch: StageBatch = codec.decode(&record.value.unwrap_or_default()).await?;
            batches.entry(format!("{}/{}", batch.at, batch.batch)).or_default().items = batch.items.len();
        }
        // Batches that were worked on where they were extracted are on no topic: their results tell.
        for record in results {
            let value = record.value.unwrap_or_default();
            let opened = codec.open(&value).await?;
            if opened.name() != BatchResult::NAME {
                continue;
            }
            let result: BatchResult = opened.read()?;
            let items = usize::try_from(result.items).unwrap_or(0);
            let batch = batches.entry(format!("{}/{}", result.at, result.batch)).or_default();
            *batch = Batch { items: batch.items.max(items), is_done: true };
        }
        Ok(batches)
    }

    /// Items on the output topic of a workflow, with the version of their mapping, and on its dead-letter topic.
    async fn arrived(&self, workflow: &WorkflowName) -> Result<(HashMap<String, i32>, HashSet<String>), Failure> {
        let topics = &self.process.platform.topics;
        let outputs = self.all(topics.output(self.workspace, workflow));
        let letters = self.all(topics.deadletter(self.workspace, workflow));
        let (outputs, letters) = tokio::try_join!(outputs, letters)?;
        let item = |record: &TailedRecord| record.headers.text(names::ITEM).map(str::to_owned);
        let version = |record: &TailedRecord| {
            let version = record.headers.text(names::MAPPING_VERSION).and_then(|version| version.parse().ok());
            version.unwrap_or(AUTHORS_VERSION)
        };
        let outputs = outputs.iter().filter_map(|record| Some((item(record)?, version(record)))).collect();
        Ok((outputs, letters.iter().filter_map(item).collect()))
    }

    /// Items that waited for their mapping at some time.
    async fn parked(&self) -> Result<HashSet<String>, Failure> {
        let platform = &self.process.platform;
        let mut parked = HashSet::new();
        for record in self.all(platform.topics.state_parked()).await? {
            let (Some(key), Some(value)) = (record.key, record.value) else { continue };
            let opened = platform.vault.open(Place { store: "state.parked", key: &key }, &value);
            let opened = opened.map_err(|error| Failure::new(error.code(), error.to_string()))?;
            let batch: ParkedBatch = platform.codec.decode(&opened.value).await?;
            parked.extend(batch.work.items.iter().map(|item| batch.work.item_id(item.index).to_string()));
        }
        Ok(parked)
    }

    async fn versions(&self) -> Result<MappingHistory, Failure> {
        let platform = &self.process.platform;
        let (mapping, base) = self.mapping;
        let mut history = MappingHistory::default();
        for record in self.all(platform.topics.state_mappings()).await? {
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
            if mapping_of(key).as_ref() == Some(mapping) {
                history.apply(&platform.codec, key, record.value.as_deref()).await?;
            }
        }
        history.versions.retain(|_, version| version.base == *base);
        Ok(history)
    }
}
