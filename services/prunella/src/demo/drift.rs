//! The shop changes its API while runs read it: once so that the mapping heals by itself, once so that a person decides.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use prunella_catalog::{AUTHORS_VERSION, MappingHistory};
use prunella_model::{MappingKey, RunId, TextHash};
use prunella_stream::homes::now_millis;
use prunella_testkit::source::Release;
use prunella_wire::records::MappingVersion;

use crate::cli::Decision;
use crate::demo::stage::Stage;
use crate::demo::{ask, files, story};
use crate::failure::Failure;
use crate::print::took;

/// Time between two runs, of 20 records each.
const EVERY: Duration = Duration::from_millis(40);
/// Runs before the change, while the mapping heals, and after that.
const BEFORE: usize = 25;
const MEANWHILE: usize = 25;
const AFTER: usize = 25;
/// Runs that wait for a decision, and runs after it.
const UNDECIDED: usize = 20;
const DECIDED: usize = 5;

/// What the shop tells people who read.
const NOTES: &str = "what was created is now placed; paid is when the money came";

/// A mapping whose source changes.
pub struct Drift<'a> {
    stage: &'a Stage<'a>,
    mapping: MappingKey,
    base: TextHash,
    authors: String,
}

impl<'a> Drift<'a> {
    pub fn new(stage: &'a Stage<'a>) -> Result<Self, Failure> {
        let (mapping, base, authors) = stage.mapping()?;
        Ok(Self { stage, mapping, base, authors })
    }

    /// The mapping, and the author's text of it.
    pub fn mapping(&self) -> (MappingKey, TextHash) {
        (self.mapping.clone(), self.base.clone())
    }

    /// Other names, other places, other types: records wait, the mapping heals, records flow again.
    pub async fn heal(&self, runs: &mut BTreeSet<RunId>) -> Result<(), Failure> {
        let (stage, (workflow, _)) = (self.stage, files::sales());
        stage.say(format!("\nworkflow {workflow}: 25 runs a second read the 20 newest orders of the shop"));
        runs.extend(stage.start_many(&workflow, BEFORE, EVERY).await?);
        stage.succeeded(runs).await?;
        stage.say("the shop relaunches its API: other names, other places, other types");
        stage.shop.relaunch(Release::Second);
        let changed_at = now_millis();
        let progress = stage.progress("records wait, the mapping heals");
        runs.extend(stage.start_many(&workflow, MEANWHILE, EVERY).await?);
        let version = stage.shown(&self.mapping, "a healed mapping", |history| self.in_use(history, AUTHORS_VERSION));
        let version = version.await?;
        runs.extend(stage.start_many(&workflow, AFTER, EVERY).await?);
        stage.succeeded(runs).await?;
        drop(progress);
        let after = took(version.created_at - changed_at);
        stage.say(format!("healed {after} later, offline, with nobody asked; version {}:\n", version.version));
        self.tell(&self.authors, &version);
        Ok(())
    }

    /// Two fields where one was, which agree on every record: no record tells which is meant, so a person has to.
    pub async fn review(&self, given: Option<Decision>, runs: &mut BTreeSet<RunId>) -> Result<(), Failure> {
        let (stage, (workflow, _)) = (self.stage, files::sales());
        stage.say("\nthe shop changes again: placed and paid, always the same, where created was");
        let history = stage.process.platform.mappings.history(&self.mapping).unwrap_or_default();
        let (parent, before) = (history.active_version(&self.base), history.healed(&self.base).cloned());
        let before = before.map_or(self.authors.clone(), |version| version.text.clone());
        stage.shop.relaunch(Release::Third);
        let progress = stage.progress("records wait for a proposal");
        runs.extend(stage.start_many(&workflow, UNDECIDED, EVERY).await?);
        stage.parked(runs).await?;
        let proposal = stage.shown(&self.mapping, "a proposal", |history| self.proposed(history, parent)).await?;
        drop(progress);
        stage.say(format!("not proven, so it is not used; version {} is a proposal:\n", proposal.version));
        self.tell(&before, &proposal);
        self.mistake(&proposal).await?;
        self.decide(&proposal, given, runs).await
    }

    /// A wrong mapping that somebody puts into use is noticed before it writes a record.
    async fn mistake(&self, proposal: &MappingVersion) -> Result<(), Failure> {
        let stage = self.stage;
        let wrong = proposal.text.replace(" / 100", "");
        stage.ask(&self.mapping, ("edit", 0), Some(wrong.clone()), "in a hurry").await?;
        let undone = |history: &MappingHistory| {
            let mut found = history.versions.values().filter(|it| it.base == self.base && it.text == wrong);
            found.find(|it| it.status == "rolled-back").cloned()
        };
        let undone = stage.shown(&self.mapping, "a roll-back", undone).await?;
        let evidence: Value = serde_json::from_str(&undone.evidence).unwrap_or_default();
        let reason = evidence["rolled_back"]["reason"].as_str().unwrap_or_default();
        let after = took(undone.changed_at - undone.created_at);
        stage.say(format!("\nsomebody in a hurry puts their own into use, version {}:\n", undone.version));
        stage.say(story::changes(&proposal.text, &undone));
        stage.say(format!("\nrolled back by itself {after} later, before it wrote a record:"));
        reason.split("; ").for_each(|jump| stage.say(format!("    {jump}")));
        Ok(())
    }

    async fn decide(
        &self,
        proposal: &MappingVersion,
        given: Option<Decision>,
        runs: &mut BTreeSet<RunId>,
    ) -> Result<(), Failure> {
        let stage = self.stage;
        let number = proposal.version;
        stage.say(format!("\nthe shop's release notes:\n    {NOTES}"));
        let decision = match given {
            Some(given) => given,
            None if ask::is_possible(stage.context.json) => ask::whether(&format!("use version {number}?")).await,
            None => {
                stage.say("there is no terminal to ask at, so the demo goes by them");
                by_the_notes(proposal)
            }
        };
        let (verb, status) = match decision {
            Decision::Approve => ("approve", "active"),
            Decision::Reject => ("reject", "rejected"),
        };
        stage.ask(&self.mapping, (verb, number), None, NOTES).await?;
        let is_done = |history: &MappingHistory| {
            history.versions.get(&number).filter(|version| version.status == status).map(|_| ())
        };
        stage.shown(&self.mapping, "a decision", is_done).await?;
        let progress = stage.progress("what waits is driven again");
        if decision == Decision::Approve {
            runs.extend(stage.start_many(&files::sales().0, DECIDED, EVERY).await?);
        }
        stage.succeeded(runs).await?;
        drop(progress);
        stage.say(match decision {
            Decision::Approve => format!("version {number} is approved, and what waited comes through"),
            Decision::Reject => format!("version {number} is rejected, and what waited is dead letters"),
        });
        Ok(())
    }

    fn tell(&self, before: &str, version: &MappingVersion) {
        let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
        self.stage.say(story::difference(before, version));
        self.stage.say(format!("\n{}\n{}", story::fields(&evidence), story::trial(&evidence)));
    }

    /// The version that is used instead of `before`.
    fn in_use(&self, history: &MappingHistory, before: i32) -> Option<Arc<MappingVersion>> {
        history.healed(&self.base).filter(|version| version.version != before).cloned()
    }

    /// The version that is proposed instead of `parent`, once it gives something valid for all that it was tried on:
    /// a first proposal may be made of too few records.
    fn proposed(&self, history: &MappingHistory, parent: i32) -> Option<Arc<MappingVersion>> {
        let is_meant = |version: &&Arc<MappingVersion>| {
            let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
            let trial = &evidence["trial"];
            (&version.base, version.parent, version.status.as_str()) == (&self.base, parent, "candidate")
                && trial["records"] == trial["valid"]
        };
        history.versions.values().rev().find(is_meant).cloned()
    }
}

/// What somebody who has read the notes decides, when there is nobody to ask.
fn by_the_notes(proposal: &MappingVersion) -> Decision {
    if proposal.text.contains("placed") { Decision::Approve } else { Decision::Reject }
}
