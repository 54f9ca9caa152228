//! The command line. Nouns and verbs; `--json` everywhere.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use prunella_model::{IdError, MappingKey, Period, RunId, StepId, WorkflowName, WorkflowVersion, WorkspaceName};
use prunella_operate::letters::{LetterPlace, State};

use crate::process::Service;
use crate::when::When;

/// Self-healing integration pipeline on Kafka.
#[derive(Debug, Parser)]
#[command(name = "prunella", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file (YAML).
    #[arg(long, global = true, env = "PRUNELLA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Kafka brokers, `host:port` separated by commas; overrides the configuration.
    #[arg(long, global = true, env = "PRUNELLA_BROKERS", value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// Workspace (tenant).
    #[arg(long, short = 'w', global = true, env = "PRUNELLA_WORKSPACE", default_value = "default")]
    pub workspace: WorkspaceName,
    /// Directory for the local broker, views and claims of a single host.
    #[arg(long, global = true, env = "PRUNELLA_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// A bounded tour: local Kafka, a sample shop, a workflow, validated records; ends by itself.
    Demo(DemoArgs),
    /// Everything in one process, with Apache Kafka as a child process unless --brokers is given.
    Up(UpArgs),
    /// Run services against an existing Kafka.
    Serve(ServeArgs),
    /// Find out what is wrong and what to do about it.
    Doctor(DoctorArgs),
    /// Topics as code.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Check workflow and stream files, without Kafka.
    Validate(ValidateArgs),
    /// Make workflow and stream files the live versions, creating their topics.
    Apply(ApplyArgs),
    /// Workflows, streams and their versions.
    #[command(subcommand)]
    Workflows(WorkflowsCommand),
    /// Mappings: repaired when their source has changed.
    #[command(subcommand)]
    Mappings(MappingsCommand),
    /// Start a run by writing to the trigger topic.
    Run(RunArgs),
    /// Runs: their state and history.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Dead letters: read, sent back to where they came from, or laid aside.
    #[command(subcommand, name = "deadletters")]
    DeadLetters(DeadLettersCommand),
    /// Do work again: show what would be done, compare, or do it.
    Replay(Box<ReplayArgs>),
    /// Count: what went in is out, a dead letter, or on its way.
    Audit {
        /// The workflow or stream.
        name: WorkflowName,
    },
    /// Watch the installation work: what waits, what comes, what is done, what fails.
    Top(TopArgs),
    /// Print a completion script for a shell.
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Orders in the sample shop.
    #[arg(long, default_value_t = 1200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub orders: u32,
}

#[derive(Debug, Args)]
pub struct UpArgs {
    /// Port of the local broker; a free one is chosen and kept otherwise.
    #[arg(long)]
    pub kafka_port: Option<u16>,
    /// Workflow files or directories to apply at the start.
    #[arg(long, value_name = "PATH")]
    pub apply: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Services to run in this process.
    #[arg(required = true, value_enum)]
    pub services: Vec<Service>,
}

#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Show the difference between topics/*.yaml and the cluster.
    Plan,
    /// Create missing topics and settings. Refuses what loses data.
    Apply {
        /// Carry out changes that lose data, such as a shorter retention.
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Print the records of a topic, control records decoded.
    Tail {
        /// Full name, or the name without prefix such as `stage.progress`.
        topic: String,
        /// Start at the beginning and end at the end of the topic.
        #[arg(long)]
        from_beginning: bool,
    },
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Workflow file or directory of workflow files.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Workflow file or directory of workflow files.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum WorkflowsCommand {
    /// List workflows and streams.
    List,
    /// Show a workflow or stream and its versions.
    Show {
        workflow: WorkflowName,
        /// A version other than the live one.
        #[arg(long, value_parser = parse_version)]
        version: Option<WorkflowVersion>,
    },
    /// Let a step go on that is paused because too many of its items went to the dead letters.
    Resume {
        workflow: WorkflowName,
        step: StepId,
        /// A version other than the live one.
        #[arg(long, value_parser = parse_version)]
        version: Option<WorkflowVersion>,
    },
    /// Make an earlier version live again. Runs that have started keep theirs.
    Rollback {
        workflow: WorkflowName,
        #[arg(value_parser = parse_version)]
        version: WorkflowVersion,
    },
}

#[derive(Debug, Subcommand)]
pub enum MappingsCommand {
    /// Mappings that have versions besides their author's, and what waits for a decision.
    List,
    /// Versions of a mapping, what changed from one to the next, and why.
    Show {
        mapping: MappingName,
        /// Only this one, with its whole text.
        #[arg(long)]
        version: Option<i32>,
    },
    /// Use a proposed version; what waits for it is driven again.
    Approve(DecisionArgs),
    /// Turn a proposed version down; what waits for it goes to the dead letters.
    Reject(DecisionArgs),
    /// Go back to a version; 1 is the author's text.
    Rollback(DecisionArgs),
    /// Use another text; what waits is driven again.
    Edit {
        mapping: MappingName,
        /// File with the JSONata text.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Why, for the history.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Attempt to heal a mapping now, for what waits.
    Heal { mapping: MappingName },
    /// Find the mapping that serves changed records, prove it, or say that it cannot be known. Without Kafka or model.
    Repair(RepairArgs),
}

/// `workflow/step`, or the whole key of a mapping.
#[derive(Debug, Clone)]
pub enum MappingName {
    Step(WorkflowName, StepId),
    Key(MappingKey),
}

impl FromStr for MappingName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(key) = text.parse() {
            return Ok(Self::Key(key));
        }
        let (workflow, step) = text.split_once('/').ok_or("expected WORKFLOW/STEP")?;
        let workflow = workflow.parse().map_err(|error: IdError| error.to_string())?;
        Ok(Self::Step(workflow, step.parse().map_err(|error: IdError| error.to_string())?))
    }
}

#[derive(Debug, Args)]
pub struct DecisionArgs {
    pub mapping: MappingName,
    pub version: i32,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Directory with mapping.jsonata, schema.json, remembered.jsonl and failing.jsonl.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["cases", "schema"], required_unless_present_any = ["cases", "schema"])]
    pub case: Option<PathBuf>,
    /// Directory of such directories; a result file for each is written to --out.
    #[arg(long, value_name = "DIR", requires = "out", conflicts_with = "schema")]
    pub cases: Option<PathBuf>,
    /// Where the result files go.
    #[arg(long, value_name = "DIR", requires = "cases")]
    pub out: Option<PathBuf>,
    /// The mapping as it was; leave it out to infer one.
    #[arg(long, value_name = "FILE", requires = "schema")]
    pub mapping: Option<PathBuf>,
    /// The target JSON Schema.
    #[arg(long, value_name = "FILE", requires_all = ["remembered", "failing"])]
    pub schema: Option<PathBuf>,
    /// Good samples from before, one {"input","output"} a line.
    #[arg(long, value_name = "FILE", requires = "schema")]
    pub remembered: Option<PathBuf>,
    /// Records as they come now, one a line.
    #[arg(long, value_name = "FILE", requires = "schema")]
    pub failing: Option<PathBuf>,
    /// Leave out an ingredient, to see what it is worth: names, values, overlap, structure, conversions, ambiguity, profile.
    #[arg(long, value_name = "INGREDIENT")]
    pub without: Option<String>,
}

fn parse_version(text: &str) -> Result<WorkflowVersion, std::num::ParseIntError> {
    text.parse().map(WorkflowVersion)
}

#[derive(Debug, Args)]
pub struct RunArgs {
    pub workflow: WorkflowName,
    /// The trigger payload: a JSON file, or - for standard input. Default: {}.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Key of the trigger record.
    #[arg(long)]
    pub key: Option<String>,
    /// The same key starts the same run, however often it is sent.
    #[arg(long)]
    pub idempotency_key: Option<String>,
    /// Wait for the run to end; the exit code tells how it did.
    #[arg(long)]
    pub wait: bool,
    /// Longest time to wait.
    #[arg(long, default_value = "5m")]
    pub timeout: Period,
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, newest first.
    List {
        #[arg(long)]
        workflow: Option<WorkflowName>,
        /// running, succeeded, failed or cancelled.
        #[arg(long)]
        status: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show the steps, timing, batches, errors and where the records went.
    Show { run: RunId },
    /// Follow a run until it ends.
    Watch { run: RunId },
    /// End a run that has not ended.
    Cancel {
        run: RunId,
        #[arg(long, default_value = "")]
        reason: String,
    },
}

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
    /// Work with this version, a stream file, or a file with a mapping alone, instead of the live version.
    #[arg(long, value_name = "VERSION|FILE")]
    pub with_mapping: Option<String>,
    /// Show how outputs would differ from those of the live version. Nothing is written.
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        super::Cli::command().debug_assert();
    }
}
