//! One file per command.

mod apply;
mod audit;
mod deadletters;
mod doctor;
mod mappings;
mod replay;
mod run;
mod runs;
mod serve;
mod top;
mod topics;
pub mod up;
pub mod validate;
mod workflows;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;

use prunella_model::WorkspaceName;
use prunella_telemetry::start_logging;

use crate::cli::{Cli, Command};
use crate::config::{Config, LogFormat, default_data_directory};
use crate::failure::Failure;

pub use apply::{actor, apply_paths};
pub use run::{Trigger, send_trigger};
pub use runs::{RunReader, print_report};

/// What every command gets.
pub struct Context {
    pub config: Config,
    pub workspace: WorkspaceName,
    pub data_directory: PathBuf,
    pub json: bool,
    /// Brokers were named on the command line, in the environment or in the configuration file.
    pub brokers_given: bool,
}

pub async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "prunella", &mut std::io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(cli.config.as_deref(), cli.brokers.as_deref())?;
    let file_names_brokers = cli.config.as_deref().map(Config::names_brokers).transpose()?.unwrap_or(false);
    let in_environment = std::env::var_os("PRUNELLA__KAFKA__BROKERS").is_some();
    let brokers_given = file_names_brokers || cli.brokers.is_some() || in_environment;
    let context = Context {
        data_directory: cli.data_dir.unwrap_or_else(default_data_directory),
        config,
        workspace: cli.workspace,
        json: cli.json,
        brokers_given,
    };
    start_logs(&context, &cli.command);
    match cli.command {
        Command::Demo(args) => crate::demo::run(&context, &args).await,
        Command::Up(args) => up::run(context, args).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Doctor(args) => doctor::run(&context, &args).await,
        Command::Topics(command) => topics::run(&context, command).await,
        Command::Validate(args) => validate::run(&context, &args.paths),
        Command::Apply(args) => apply::run(&context, &args.paths).await,
        Command::Workflows(command) => workflows::run(&context, command).await,
        Command::Mappings(command) => mappings::run(&context, command).await,
        Command::Run(args) => run::run(&context, args).await,
        Command::Runs(command) => runs::run(&context, command).await,
        Command::DeadLetters(command) => deadletters::run(&context, command).await,
        Command::Replay(args) => replay::run(&context, *args).await,
        Command::Audit { name } => audit::run(&context, &name).await,
        Command::Top(args) => top::run(&context, &args).await,
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// Services log as configured; commands for people log warnings only, so that their output stays readable.
fn start_logs(context: &Context, command: &Command) {
    let telemetry = &context.config.telemetry;
    let is_service = matches!(command, Command::Serve(_) | Command::Up(_));
    let configured = std::env::var("PRUNELLA_LOG").ok();
    let filter = match (&configured, is_service) {
        (Some(filter), _) => filter.as_str(),
        (None, true) => &telemetry.log_filter,
        (None, false) => "error,librdkafka=off",
    };
    let format = match telemetry.log_format {
        LogFormat::Human => prunella_telemetry::LogFormat::Human,
        LogFormat::Json => prunella_telemetry::LogFormat::Json,
    };
    start_logging(format, filter);
}
