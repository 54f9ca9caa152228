//! The command line, and what every part is given of it.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use prunella_localkafka::Security;
use prunella_testkit::harness::Broker;

use crate::child::serve_relay;
use crate::error::{BenchError, Result};
use crate::parts;
use crate::results::Report;

/// Benchmarks of Prunella, each figure beside a baseline of the same run.
#[derive(Debug, Parser)]
#[command(name = "prunella-bench")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every part, one after another.
    All(Settings),
    /// Records through a stream.
    Stream(Settings),
    /// Runs from trigger to result.
    Runs(Settings),
    /// One, two, four processes; what their coming and going costs.
    Scale(Settings),
    /// A restarted orchestrator with many live runs.
    Restore(Settings),
    /// What more steps and larger batches cost.
    Growth(Settings),
    /// Instructions of the hot path, counted by callgrind.
    Instructions(Settings),
    /// A baseline in a process of its own; ends when its standard input is closed.
    #[command(hide = true)]
    Relay { relay: String },
    /// The hot path over the sample, for callgrind.
    #[command(hide = true)]
    HotPath { what: parts::HotPath, repeats: usize },
}

/// Sizes of a benchmark. The defaults are the ones that results are published with.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// The product; by default the `prunella` beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/results.json")]
    results: PathBuf,
    /// Rounds, in each of which every baseline and the product take their turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Documents of the stream benchmark.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) records: u64,
    /// Documents at a steady rate, for latencies of the stream.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) paced_records: u64,
    /// Their rate, in records a second.
    #[arg(long, default_value_t = 1000.0)]
    pub(crate) rate: f64,
    /// Only these ways to run the product, such as `fused/exactly-once`.
    #[arg(long, value_delimiter = ',')]
    pub(crate) modes: Vec<String>,
    /// Runs one after another, for latencies.
    #[arg(long, default_value_t = 300)]
    pub(crate) runs: u64,
    /// Seconds for which runs are kept in flight at each concurrency, for throughput. The first one does not count.
    #[arg(long, default_value_t = 5)]
    pub(crate) load_seconds: u64,
    #[arg(long, value_delimiter = ',', default_value = "16,64,256")]
    pub(crate) concurrency: Vec<usize>,
    /// Partitions of each topic in the benchmarks of runs.
    #[arg(long, default_value_t = 4)]
    pub(crate) partitions: i32,
    /// Processes, in steps.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
    pub(crate) processes: Vec<usize>,
    /// Seconds over which the throughput of each number of processes is measured.
    #[arg(long, default_value_t = 10)]
    pub(crate) window: u64,
    /// Live runs that are restored.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    pub(crate) live_runs: Vec<u64>,
    /// Steps of a run, for the growth of its cost.
    #[arg(long, value_delimiter = ',', default_value = "1,3,10,30")]
    pub(crate) steps: Vec<usize>,
    /// Items of a run, for the growth of its cost.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000")]
    pub(crate) items: Vec<usize>,
    /// Runs of each of these sizes.
    #[arg(long, default_value_t = 50)]
    pub(crate) growth_runs: u64,
}

impl Settings {
    /// Path of the product's binary.
    pub(crate) fn binary(&self) -> Result<String> {
        let path = match &self.binary {
            Some(path) => path.clone(),
            None => std::env::current_exe().map_err(BenchError::process("of this program"))?.with_file_name("prunella"),
        };
        match path.canonicalize() {
            Ok(path) => Ok(path.display().to_string()),
            Err(error) => Err(BenchError::file(path)(error)),
        }
    }
}

/// Adds to the report as it goes, so that what was measured before an error is kept.
type Part = fn(&Settings, &mut Report) -> Result<()>;

const STREAM: (&str, Part) = ("stream", parts::stream);
const RUNS: (&str, Part) = ("runs", parts::runs);
const SCALE: (&str, Part) = ("scale", parts::scale);
const RESTORE: (&str, Part) = ("restore", parts::restore);
const GROWTH: (&str, Part) = ("growth", parts::growth);
const INSTRUCTIONS: (&str, Part) = ("instructions", parts::instructions);

/// # Errors
/// The first [`BenchError`] of a part. The figures that were measured are written all the same, and the other parts are carried out.
pub fn run(cli: Cli) -> Result<()> {
    let (parts, settings): (&[(&str, Part)], Settings) = match cli.command {
        Command::All(settings) => (&[INSTRUCTIONS, STREAM, RUNS, GROWTH, SCALE, RESTORE], settings),
        Command::Stream(settings) => (&[STREAM], settings),
        Command::Runs(settings) => (&[RUNS], settings),
        Command::Scale(settings) => (&[SCALE], settings),
        Command::Restore(settings) => (&[RESTORE], settings),
        Command::Growth(settings) => (&[GROWTH], settings),
        Command::Instructions(settings) => (&[INSTRUCTIONS], settings),
        Command::Relay { relay } => return serve_relay(&relay),
        Command::HotPath { what, repeats } => return parts::hot_path(what, repeats),
    };
    let mut outcome = Ok(());
    for (name, part) in parts {
        let began = Instant::now();
        let mut report = Report::default();
        let carried_out = part(&settings, &mut report);
        if let Err(error) = &carried_out {
            report.notes.push(format!("{name} ended early: {error}"));
        }
        report.print(name);
        report.merge_into(&settings.results)?;
        eprintln!("{name} took {:.0} s; figures are in {}", began.elapsed().as_secs_f64(), settings.results.display());
        outcome = outcome.and(carried_out);
    }
    outcome
}

/// A broker for one part, so that no part pays for the records of another.
pub(crate) fn broker() -> Broker {
    Broker::start(Security::Plain)
}

/// Says what is being measured, for whoever waits.
pub(crate) fn step(round: u32, what: &str) {
    eprintln!("round {}: {what}", round + 1);
}
