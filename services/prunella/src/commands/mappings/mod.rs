//! Mappings: what the healer made of them, and what a person decides.

mod author;
mod decide;
mod repair;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use prunella_catalog::{MappingHistory, MappingView};
use prunella_model::{Code, MappingKey};
use prunella_topology::Topology;
use prunella_wire::Codec;

use crate::cli::{MappingName, MappingsCommand};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::process::{codec, connect};

pub async fn run(context: &Context, command: MappingsCommand) -> Result<ExitCode, Failure> {
    if let MappingsCommand::Repair(args) = &command {
        return repair::repair_files(context, args);
    }
    if let MappingsCommand::Test { paths } = &command {
        return author::test(context, paths);
    }
    let topology = Topology::new(context.config.topics.clone())?;
    let cluster = connect(&context.config).await?;
    cluster.check(&topology.shared_topics()).await?;
    let codec = codec(&context.config, &topology).await?;
    let stop = CancellationToken::new();
    let view = MappingView::start(&context.config.kafka, topology.topics(), codec.clone(), stop.clone()).await?;
    let desk = Desk { context, topology, codec, view, stop: stop.clone() };
    let done = match command {
        MappingsCommand::List => show::list(&desk),
        MappingsCommand::Show { mapping, version } => show::show(&desk, &mapping, version),
        MappingsCommand::Approve(args) => decide::approve(&desk, &args).await,
        MappingsCommand::Reject(args) => decide::reject(&desk, &args).await,
        MappingsCommand::Rollback(args) => decide::rollback(&desk, &args).await,
        MappingsCommand::Edit { mapping, file, reason } => decide::edit(&desk, &mapping, &file, &reason).await,
        MappingsCommand::Heal { mapping } => decide::heal(&desk, &mapping).await,
        MappingsCommand::History { mapping } => show::history(&desk, &mapping),
        MappingsCommand::Diff { mapping, from, to } => author::diff(&desk, &mapping, from, to).await,
        MappingsCommand::Eval { mapping, version, input } => author::eval(&desk, &mapping, version, &input).await,
        MappingsCommand::Pull { mapping, file } => author::pull(&desk, &mapping, &file).await,
        MappingsCommand::Repair(_) | MappingsCommand::Test { .. } => Ok(()),
    };
    stop.cancel();
    done.map(|()| ExitCode::SUCCESS)
}

/// What the commands work with.
struct Desk<'a> {
    context: &'a Context,
    topology: Topology,
    codec: Arc<Codec>,
    view: Arc<MappingView>,
    stop: CancellationToken,
}

impl Desk<'_> {
    /// The mapping of that name; of a step that had several schemas, the one that changed last.
    fn find(&self, name: &MappingName) -> Result<(MappingKey, MappingHistory), Failure> {
        let is_meant = |key: &MappingKey| match name {
            MappingName::Key(wanted) => key == wanted,
            MappingName::Step(workflow, step) => {
                key.workspace == self.context.workspace && key.workflow == *workflow && key.step == *step
            }
        };
        let changed = |history: &MappingHistory| history.versions.values().map(|version| version.changed_at).max();
        let meant = self.view.all().into_iter().filter(|(key, _)| is_meant(key));
        meant.max_by_key(|(_, history)| changed(history)).ok_or_else(|| {
            let message = "this mapping has no version besides its author's: nothing was healed or proposed";
            Failure::new(Code::MappingUnknown, message).exit(Exit::NotFound)
        })
    }
}
