//! Mappings: what the healer made of them, and what a person decides.

mod author;
mod decide;
mod repair;
mod show;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use prunella_catalog::{Catalog, MappingView};
use prunella_operate::OperateError;
use prunella_operate::mappings::{Decision, KnownMapping, MappingAddress, MappingDesk};
use prunella_stream::Output;
use prunella_topology::Topology;

use crate::cli::{MappingName, MappingsCommand};
use crate::commands::{Context, actor};
use crate::failure::Failure;
use crate::process::{codec, connect};

pub async fn run(context: &Context, command: MappingsCommand) -> Result<ExitCode, Failure> {
    if let MappingsCommand::Repair(args) = &command {
        return repair::repair_files(context, args);
    }
    if let MappingsCommand::Test { paths } = &command {
        return author::test(context, paths);
    }
    let stop = CancellationToken::new();
    let desk = Desk { context, mappings: mapping_desk(context, &stop).await? };
    let done = match command {
        MappingsCommand::List => {
            show::list(&desk);
            Ok(())
        }
        MappingsCommand::Show { mapping, version } => show::show(&desk, &mapping, version),
        MappingsCommand::Approve(args) => decide::decide(&desk, args, Decision::Approve).await,
        MappingsCommand::Reject(args) => decide::decide(&desk, args, Decision::Reject).await,
        MappingsCommand::Rollback(args) => decide::decide(&desk, args, Decision::Rollback).await,
        MappingsCommand::Edit { mapping, file, reason, in_use } => {
            decide::edit(&desk, &mapping, &file, reason, in_use).await
        }
        MappingsCommand::Heal { mapping } => {
            decide::carry_out(&desk, &mapping, Decision::Heal, String::new(), None).await
        }
        MappingsCommand::Accept { mapping, reason } => {
            decide::carry_out(&desk, &mapping, Decision::Accept, reason, None).await
        }
        MappingsCommand::History { mapping } => show::history(&desk, &mapping),
        MappingsCommand::Diff { mapping, from, to } => author::diff(&desk, &mapping, from, to),
        MappingsCommand::Eval { mapping, version, input } => author::eval(&desk, &mapping, version, &input),
        MappingsCommand::Pull { mapping, file } => author::pull(&desk, &mapping, &file),
        MappingsCommand::Repair(_) | MappingsCommand::Test { .. } => Ok(()),
    };
    stop.cancel();
    done.map(|()| ExitCode::SUCCESS)
}

/// Connects, checks the shared topics, and reads the workflows and mappings of the installation.
async fn mapping_desk(context: &Context, stop: &CancellationToken) -> Result<MappingDesk, Failure> {
    let config = &context.config;
    let topology = Topology::new(config.topics.clone())?;
    connect(config).await?.check(&topology.shared_topics()).await?;
    let codec = codec(config, &topology).await?;
    let topics = topology.topics();
    Ok(MappingDesk {
        topics: topics.clone(),
        catalog: Catalog::start(&config.kafka, topics, codec.clone(), stop.clone()).await?,
        view: MappingView::start(&config.kafka, topics, codec.clone(), stop.clone()).await?,
        codec,
        output: Output::new(&config.kafka, "prunella-cli")?,
        limits: config.mapping.clone(),
        actor: actor(),
    })
}

/// What the commands work with.
struct Desk<'a> {
    context: &'a Context,
    mappings: MappingDesk,
}

impl Desk<'_> {
    fn find(&self, name: &MappingName) -> Result<KnownMapping, OperateError> {
        let address = match name.clone() {
            MappingName::Key(key) => key.into(),
            MappingName::Step(workflow, step) => {
                MappingAddress { workspace: self.context.workspace.clone(), workflow, step, schema: None }
            }
        };
        self.mappings.find(&address)
    }
}
