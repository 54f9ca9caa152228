use std::path::Path;
use std::time::Duration;

use prunella_catalog::{AUTHORS_VERSION, MappingHistory};
use prunella_mapping::Expression;
use prunella_model::{Code, MappingKey};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, Output};
use prunella_wire::records::MappingCommand;
use serde_json::json;

use super::{Desk, show};
use crate::cli::{DecisionArgs, MappingName};
use crate::commands::actor;
use crate::failure::{Exit, Failure};

/// How long a command waits for the healer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn approve(desk: &Desk<'_>, args: &DecisionArgs) -> Result<(), Failure> {
    let mapping = candidate(desk, args, &["candidate", "rolled-back"])?;
    send(desk, command(&mapping, "approve", args.version, &args.reason, None)).await?;
    active(desk, &mapping, args.version).await
}

pub(super) async fn reject(desk: &Desk<'_>, args: &DecisionArgs) -> Result<(), Failure> {
    let mapping = candidate(desk, args, &["candidate"])?;
    send(desk, command(&mapping, "reject", args.version, &args.reason, None)).await?;
    let is_rejected = |history: &MappingHistory| {
        history.versions.get(&args.version).filter(|version| version.status == "rejected").map(|_| args.version)
    };
    told(desk, &mapping, "rejected", is_rejected).await
}

pub(super) async fn rollback(desk: &Desk<'_>, args: &DecisionArgs) -> Result<(), Failure> {
    let (mapping, history) = desk.find(&args.mapping)?;
    if args.version != AUTHORS_VERSION && !history.versions.contains_key(&args.version) {
        return Err(show::unknown(&mapping, args.version));
    }
    send(desk, command(&mapping, "rollback", args.version, &args.reason, None)).await?;
    active(desk, &mapping, args.version).await
}

pub(super) async fn edit(desk: &Desk<'_>, name: &MappingName, file: &Path, reason: &str) -> Result<(), Failure> {
    let (mapping, _) = desk.find(name)?;
    let text = std::fs::read_to_string(file)?;
    Expression::compile(&text).map_err(|error| {
        Failure::new(Code::WorkflowExpression, format!("{}: {error}", file.display())).exit(Exit::Invalid)
    })?;
    let command = command(&mapping, "edit", 0, reason, Some(text));
    let id = command.id.clone();
    send(desk, command).await?;
    let version_of = |history: &MappingHistory| {
        history.active.values().find(|active| active.command.as_deref() == Some(id.as_str())).map(|it| it.version)
    };
    told(desk, &mapping, "active", version_of).await
}

pub(super) async fn heal(desk: &Desk<'_>, name: &MappingName) -> Result<(), Failure> {
    let mapping = match name {
        MappingName::Key(key) => key.clone(),
        MappingName::Step(..) => desk.find(name)?.0,
    };
    send(desk, command(&mapping, "heal", 0, "", None)).await?;
    if desk.context.json {
        println!("{}", json!({ "mapping": mapping, "heal": "requested" }));
    } else {
        println!("the healer looks at {mapping} again");
    }
    Ok(())
}

/// The mapping, if its version waits for a decision: its status is one of these.
fn candidate(desk: &Desk<'_>, args: &DecisionArgs, open: &[&str]) -> Result<MappingKey, Failure> {
    let (mapping, history) = desk.find(&args.mapping)?;
    let version = history.versions.get(&args.version).ok_or_else(|| show::unknown(&mapping, args.version))?;
    if !open.contains(&version.status.as_str()) {
        let message = format!("version {} of {mapping} waits for no decision: it is {}", args.version, version.status);
        return Err(Failure::new(Code::MappingUnknown, message).exit(Exit::Invalid));
    }
    Ok(mapping)
}

fn command(mapping: &MappingKey, command: &str, version: i32, reason: &str, text: Option<String>) -> MappingCommand {
    let now = now_millis();
    MappingCommand {
        mapping: mapping.clone(),
        id: format!("{command}-{now}-{}", std::process::id()),
        command: command.to_owned(),
        version,
        text,
        actor: actor(),
        reason: reason.to_owned(),
        asked_at: now,
    }
}

async fn send(desk: &Desk<'_>, command: MappingCommand) -> Result<(), Failure> {
    let topic = desk.topology.topics().stage_heal();
    let value = desk.codec.encode(&topic, &command)?;
    let record = OutRecord::new(topic, command.mapping.to_string(), value);
    Output::new(&desk.context.config.kafka, "prunella-cli")?.deliver(vec![record]).await?;
    Ok(())
}

async fn active(desk: &Desk<'_>, mapping: &MappingKey, version: i32) -> Result<(), Failure> {
    let is_active =
        |history: &MappingHistory| history.active.values().any(|active| active.version == version).then_some(version);
    told(desk, mapping, "active", is_active).await
}

/// Waits until the healer has done what was asked.
async fn told(
    desk: &Desk<'_>,
    mapping: &MappingKey,
    state: &str,
    wanted: impl Fn(&MappingHistory) -> Option<i32>,
) -> Result<(), Failure> {
    let Some(version) = desk.view.wait_for(mapping, PATIENCE, wanted).await else {
        let message = "the healer has not taken the command yet; it does when it runs: prunella serve healer";
        return Err(Failure::new(Code::RequestNotAccepted, message));
    };
    if desk.context.json {
        println!("{}", json!({ "mapping": mapping, "version": version, "status": state }));
    } else {
        println!("version {version} of {mapping} is {state}");
    }
    Ok(())
}
