//! The operator's part of the command line.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};

use prunella_model::{Period, RunId, StepId, WorkflowName, WorkflowVersion};
use prunella_operate::letters::{LetterPlace, State};

use super::parse_version;
use crate::when::When;

#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Count them by code and step, and list them, newest last.
    List {
        /// The workflow or stream; without it those that belong to none.
        name: Option<WorkflowName>,
        #[command(flatten)]
        filter: LetterFilter,
        /// open, redriven, discarded or any.
        #[arg(long, default_value = "open", value_parser = parse_state)]
        state: State,
        /// Most letters to list; all are counted.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Tell the whole story of one: what failed, why, where it came from, what it holds.
    Show {
        /// `name/partition/offset`, as `list` prints it.
        #[arg(value_parser = parse_letter)]
        letter: LetterPlace,
    },
    /// Send them back to where they came from. A letter that was redriven before is left alone.
    Redrive {
        #[command(flatten)]
        which: WhichLetters,
        /// Why, for the audit log.
        #[arg(long, default_value = "")]
        reason: String,
        /// Most letters a second.
        #[arg(long, default_value = "100")]
        rate: NonZeroU32,
        /// Only show what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Lay them aside for good, with a reason. They stay readable for as long as their topic keeps them.
    Discard {
        #[command(flatten)]
        which: WhichLetters,
        /// Why, for the audit log.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How long to watch the groups for whether they move.
    #[arg(long, default_value = "3s")]
    pub watch_for: Period,
}

#[derive(Debug, Args)]
pub struct TopArgs {
    /// Time between two looks.
    #[arg(long, default_value = "2s")]
    pub every: Period,
    /// Look once, and end.
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The workflow or stream.
    #[arg(required_unless_present = "resume")]
    pub name: Option<WorkflowName>,
    /// The batches that were extracted, instead of the triggers: their items are mapped and validated again.
    #[arg(long)]
    pub batches: bool,
    /// From this offset of a partition on, `partition:offset`; only partitions that are named are read. Repeatable.
    #[arg(long, value_name = "P:OFFSET", value_parser = parse_offset)]
    pub from_offset: Vec<(i32, i64)>,
    /// Up to this offset of a partition, which is not read any more. Repeatable.
    #[arg(long, value_name = "P:OFFSET", value_parser = parse_offset)]
    pub until_offset: Vec<(i32, i64)>,
    /// Records since a time such as 2026-11-21T10:00:00Z, or so long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Records before a time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// Only this run. Repeatable.
    #[arg(long, value_name = "RUN")]
    pub run: Vec<RunId>,
    /// Only runs of this version.
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    pub of_version: Option<WorkflowVersion>,
    /// Work with this version, a file of the workflow or stream, or a file with a mapping alone, instead of the live
    /// version.
    #[arg(long, value_name = "VERSION|FILE")]
    pub with_mapping: Option<String>,
    /// The step that a file with a mapping alone is for; a workflow with one mapping needs no name.
    #[arg(long, value_name = "STEP", requires = "with_mapping")]
    pub step: Option<StepId>,
    /// Show how outputs would differ from those of the live version; of a workflow, those of its batches. Nothing is
    /// written.
    #[arg(long)]
    pub diff: bool,
    /// Write to this topic, which has to exist, and leave the pipeline's own alone.
    #[arg(long, value_name = "TOPIC")]
    pub to: Option<String>,
    /// Do it. Without this, what would be done is shown.
    #[arg(long, conflicts_with = "diff")]
    pub execute: bool,
    /// Most records a second.
    #[arg(long, default_value = "1000")]
    pub rate: NonZeroU32,
    /// Go on with a replay that was cut off, by its id.
    #[arg(long, value_name = "ID", conflicts_with_all = [
        "name", "batches", "from_offset", "until_offset", "since", "until", "run", "of_version", "with_mapping", "diff", "to",
    ])]
    pub resume: Option<String>,
    /// Most differences to show; all are counted.
    #[arg(long, default_value_t = 20)]
    pub samples: u64,
}

fn parse_offset(text: &str) -> Result<(i32, i64), String> {
    let parsed =
        text.split_once(':').and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    parsed.ok_or_else(|| "expected partition:offset, such as 2:1700".to_owned())
}

/// What letters have in common.
#[derive(Debug, Args)]
pub struct LetterFilter {
    /// Those of this step.
    #[arg(long)]
    pub step: Option<String>,
    /// Those with this error code, such as PRN-0602.
    #[arg(long)]
    pub code: Option<String>,
    /// Those of this run.
    #[arg(long)]
    pub run: Option<RunId>,
    /// Those given up since: a time such as 2026-11-21T10:00:00Z, or so long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Those given up before.
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
}

/// Letters by name, or what they have in common.
#[derive(Debug, Args)]
pub struct WhichLetters {
    /// Single letters, as `list` prints them: `name/partition/offset`.
    #[arg(value_name = "LETTER", value_parser = parse_letter, conflicts_with = "all_of", required_unless_present = "all_of")]
    pub letters: Vec<LetterPlace>,
    /// All open letters of this workflow or stream that the filters take; `_system` for those that belong to none.
    #[arg(long, value_name = "NAME")]
    pub all_of: Option<String>,
    #[command(flatten)]
    pub filter: LetterFilter,
}

fn parse_letter(text: &str) -> Result<LetterPlace, &'static str> {
    text.parse()
}

fn parse_state(text: &str) -> Result<State, String> {
    [State::Open, State::Redriven, State::Discarded, State::Any]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| "expected open, redriven, discarded or any".to_owned())
}
