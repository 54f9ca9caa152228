use std::process::ExitCode;

use serde_json::{Value, json};

use prunella_model::{Code, WorkflowName};
use prunella_operate::Offsets;
use prunella_operate::audit::{Account, audit};

use crate::commands::Context;
use crate::definitions;
use crate::desk::desk;
use crate::failure::{Exit, Failure};
use crate::print::Progress;

pub async fn run(context: &Context, name: &WorkflowName) -> Result<ExitCode, Failure> {
    let desk = desk(context).await?;
    if desk.catalog.workflow(&desk.workspace, name).is_none() {
        return Err(definitions::missing(&desk.workspace, name));
    }
    let offsets = Offsets::new(&desk.kafka)?;
    let progress = Progress::start(context.json, format!("counting the records of {name}"));
    let accounts = audit(&desk, &offsets, name).await?;
    drop(progress);
    let adds_up = accounts.iter().all(Account::adds_up);
    if context.json {
        let told: Vec<Value> = accounts.iter().map(as_json).collect();
        println!("{}", json!({ "name": name, "adds_up": adds_up, "accounts": told }));
    } else {
        accounts.iter().for_each(print);
    }
    if adds_up {
        return Ok(ExitCode::SUCCESS);
    }
    let missing: u64 = accounts.iter().map(|account| account.missing).sum();
    Err(Failure::new(Code::AuditFailed, format!("{missing} of what went into {name} is nowhere"))
        .exit(Exit::DoesNotAddUp))
}

fn as_json(account: &Account) -> Value {
    let mut value = json!(account);
    value["adds_up"] = json!(account.adds_up());
    value
}

fn print(account: &Account) {
    println!("{}", account.of);
    println!("  {:>12}  in", account.entered);
    for part in &account.parts {
        println!("  {:>12}  {:<14} {}", part.count, part.name, part.explanation);
    }
    if account.adds_up() {
        println!("  adds up");
    } else {
        println!("  {:>12}  missing", account.missing);
        for example in &account.examples {
            println!("                {example}");
        }
    }
    for note in &account.notes {
        println!("  {note}");
    }
    println!();
}
