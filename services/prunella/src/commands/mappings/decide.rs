use std::path::Path;
use std::time::Duration;

use prunella_model::Code;
use prunella_operate::mappings::{Asked, Decided, Decision};
use prunella_stream::homes::now_millis;
use serde_json::json;

use super::Desk;
use crate::cli::{DecisionArgs, MappingName};
use crate::failure::Failure;

/// How long a command waits for the healer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn decide(
    desk: &Desk<'_>,
    args: DecisionArgs,
    decision: impl Fn(i32) -> Decision,
) -> Result<(), Failure> {
    carry_out(desk, &args.mapping, decision(args.version), args.reason, args.in_use).await
}

pub(super) async fn edit(
    desk: &Desk<'_>,
    name: &MappingName,
    file: &Path,
    reason: String,
    in_use: Option<i32>,
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file)?;
    carry_out(desk, name, Decision::Edit(text), reason, in_use).await
}

pub(super) async fn carry_out(
    desk: &Desk<'_>,
    name: &MappingName,
    decision: Decision,
    reason: String,
    in_use: Option<i32>,
) -> Result<(), Failure> {
    let known = desk.find(name)?;
    let mapping = &known.key;
    let is_heal = decision == Decision::Heal;
    let id = format!("cli-{}-{}", now_millis(), std::process::id());
    let Decided::Done { version, status } =
        desk.mappings.decide(&known, Asked { decision, reason, in_use, id }, PATIENCE).await?
    else {
        let message = "the healer has not taken the command yet; it does when it runs: prunella serve healer";
        return Err(Failure::new(Code::RequestNotAccepted, message));
    };
    if desk.context.json {
        println!("{}", json!({ "mapping": mapping, "version": version, "status": status }));
    } else if is_heal {
        println!("the healer looks at {mapping} again");
    } else {
        println!("version {version} of {mapping} is {status}");
    }
    Ok(())
}
