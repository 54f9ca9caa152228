use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use prunella_catalog::{Compiled, Definition};
use prunella_model::stream::Stream;
use prunella_model::workflow::{Mapping, Workflow};
use prunella_model::{Kind, StepId, WorkflowVersion};
use prunella_operate::replay::{Difference, FieldChange, Job, Outcome, Purpose, Source, Spec, Summary};
use prunella_operate::{Desk, Ledger, Offsets, Pace};
use prunella_wire::records::ReplayProgress;
use prunella_workflow::{Declared, Limits, load};

use crate::cli::ReplayArgs;
use crate::commands::Context;
use crate::commands::validate::refuse;
use crate::definitions;
use crate::desk::desk;
use crate::failure::{Exit, Failure};
use crate::print::{Progress, table, time, took};
use crate::signals::stop_on_signal;

pub async fn run(context: &Context, args: ReplayArgs) -> Result<ExitCode, Failure> {
    let desk = desk(context).await?;
    let offsets = Offsets::new(&desk.kafka)?;
    let refused = |failure: Failure| failure.exit(Exit::Refused);
    if let Some(id) = &args.resume {
        let spec = known_spec(&desk, id).await?;
        let job = Job::prepare(&desk, &offsets, spec, Purpose::Do).await.map_err(|error| refused(error.into()))?;
        return execute(context, &job, id, &args).await;
    }
    let spec = spec(context, &desk, &args)?;
    let purpose = if args.diff { Purpose::Compare } else { Purpose::Do };
    let job = Job::prepare(&desk, &offsets, spec, purpose).await.map_err(|error| refused(error.into()))?;
    if args.diff {
        return diff(context, &job, args.samples).await;
    }
    if args.execute {
        let id = uuid::Uuid::now_v7().simple().to_string();
        return execute(context, &job, &id, &args).await;
    }
    preview(context, &job, &args).await
}

async fn known_spec(desk: &Desk, id: &str) -> Result<Spec, Failure> {
    let known = Ledger::read(desk).await?.replays.remove(id);
    let unknown = || Failure::plain(Exit::NotFound, format!("there is no replay {id}"));
    let progress = known.ok_or_else(unknown)?;
    serde_json::from_str(&progress.spec)
        .map_err(|error| Failure::plain(Exit::Failed, format!("replay {id} was begun by another release: {error}")))
}

fn spec(context: &Context, desk: &Desk, args: &ReplayArgs) -> Result<Spec, Failure> {
    let Some(name) = args.name.clone() else { return Err(Failure::plain(Exit::Refused, "no name was given")) };
    let live = desk.catalog.live(&desk.workspace, &name).ok_or_else(|| definitions::missing(&desk.workspace, &name))?;
    // What is extracted by new runs is not known before.
    let source = match (live.is(Kind::Stream), args.batches || args.diff) {
        (true, _) if !args.batches => Source::Stream,
        (true, _) => return Err(Failure::plain(Exit::Refused, format!("{name} is a stream: it has no batches"))),
        (false, true) => Source::Batches,
        (false, false) => Source::Triggers,
    };
    let (with, with_text) = match &args.with_mapping {
        None => (None, None),
        Some(given) => match given.parse::<i32>() {
            Ok(version) => (Some(WorkflowVersion(version)), None),
            Err(_) => (None, Some(given_text(context, &live, Path::new(given), args.step.as_ref())?)),
        },
    };
    Ok(Spec {
        name,
        source,
        from_offsets: args.from_offset.iter().copied().collect(),
        until_offsets: args.until_offset.iter().copied().collect(),
        since: args.since.map(|when| when.0),
        until: args.until.map(|when| when.0),
        runs: args.run.clone(),
        of_version: args.of_version,
        to: args.to.clone(),
        with,
        with_text,
    })
}

/// A file with a definition as it is, or the live definition with the mapping that the file holds.
fn given_text(context: &Context, live: &Definition, path: &Path, step: Option<&StepId>) -> Result<String, Failure> {
    let is_definition = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
    if is_definition {
        let loaded = load(path, &Limits::default()).map_err(|problems| refuse(&problems.into_vec(), context.json))?;
        let kind = match loaded.declared {
            Declared::Stream(_) => Kind::Stream,
            Declared::Workflow(_) => Kind::Workflow,
        };
        if live.is(kind) {
            return Ok(loaded.canonical);
        }
        return Err(Failure::plain(Exit::Refused, format!("{} is a {}", path.display(), kind.as_str())));
    }
    let mapping = std::fs::read_to_string(path)
        .map_err(|error| Failure::plain(Exit::Failed, format!("{}: {error}", path.display())))?;
    let refused = |reason: String| Failure::plain(Exit::Refused, reason);
    let printed = match live.compiled().map_err(refused)? {
        Compiled::Stream(plan) => {
            let transform = Some(Mapping::Inline(mapping));
            serde_json::to_string(&Stream { transform, ..plan.stream().clone() })
        }
        Compiled::Workflow(plan) => serde_json::to_string(&with_mapping(plan.workflow(), step, mapping)?),
    };
    printed.map_err(|error| Failure::plain(Exit::Failed, error.to_string()))
}

/// The workflow with another mapping of `step`, or of the only step that has one.
fn with_mapping(workflow: &Workflow, step: Option<&StepId>, mapping: String) -> Result<Workflow, Failure> {
    let mut workflow = workflow.clone();
    let mut mapped: Vec<_> = workflow
        .steps
        .iter_mut()
        .filter(|one| step.map_or(one.transform.is_some(), |wanted| one.id == *wanted))
        .collect();
    let [one] = mapped.as_mut_slice() else {
        let reason = match step {
            Some(step) => format!("{} has no step {step}", workflow.workflow),
            None => format!("{} has {} mappings: say which with --step", workflow.workflow, mapped.len()),
        };
        return Err(Failure::plain(Exit::Refused, reason));
    };
    one.transform = Some(Mapping::Inline(mapping));
    Ok(workflow)
}

async fn preview(context: &Context, job: &Job<'_>, args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let progress = Progress::start(context.json, "reading what would be done again");
    let preview = job.preview().await?;
    drop(progress);
    let seconds = preview.records / u64::from(args.rate.get());
    if context.json {
        println!("{}", json!({ "dry_run": true, "preview": preview, "seconds": seconds }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} records, {} bytes", preview.records, preview.bytes);
    println!("  from  {}", preview.source);
    println!("  to    {}", preview.target);
    if let (Some(first), Some(last)) = (preview.first_at, preview.last_at) {
        println!("  time  {} to {}", time(first), time(last));
    }
    println!("  takes about {} at {} a second", took(i64::try_from(seconds).unwrap_or(i64::MAX) * 1000), args.rate);
    let mut rows = table(&["partition", "from", "until", "records"]);
    for one in &preview.partitions {
        rows.add_row([one.partition.to_string(), one.from.to_string(), one.until.to_string(), one.records.to_string()]);
    }
    println!("{rows}\nnothing was done; --execute does it");
    Ok(ExitCode::SUCCESS)
}

async fn diff(context: &Context, job: &Job<'_>, samples: u64) -> Result<ExitCode, Failure> {
    let progress = Progress::start(context.json, "comparing");
    let mut shown = 0;
    let tell = |difference: &Difference| {
        shown += 1;
        if shown > samples {
            return;
        }
        if context.json {
            println!("{}", json!({ "difference": difference }));
        } else {
            print_difference(difference);
        }
    };
    let summary = job.diff(tell).await?;
    drop(progress);
    if context.json {
        println!("{}", json!({ "summary": summary }));
    } else {
        print_summary(&summary);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_difference(difference: &Difference) {
    let named = difference.item.as_deref().or(difference.key.as_deref()).unwrap_or("");
    println!("[{}]@{} {named}", difference.partition, difference.offset);
    match &difference.outcome {
        Outcome::Changed { fields, other_key } => {
            if *other_key {
                println!("    another key");
            }
            for field in fields {
                match field {
                    FieldChange::Added { pointer, after } => println!("  + {pointer}: {after}"),
                    FieldChange::Removed { pointer, before } => println!("  - {pointer}: {before}"),
                    FieldChange::Changed { pointer, before, after } => println!("  ~ {pointer}: {before} -> {after}"),
                }
            }
        }
        Outcome::NowRefused { code, message } => println!("  ! would be refused: {code} {message}"),
        Outcome::NowTaken => println!("  + would be put out, and is refused now"),
        Outcome::Same | Outcome::StillRefused => {}
    }
}

fn print_summary(summary: &Summary) {
    println!("{} compared", summary.records);
    println!("  the same       {}", summary.same);
    println!("  changed        {}", summary.changed);
    println!("  would fail     {}", summary.now_refused);
    println!("  would pass     {}", summary.now_taken);
    println!("  fail either way {}", summary.still_refused);
    if summary.keys > 0 {
        println!("  another key    {}", summary.keys);
    }
    for (field, records) in &summary.fields {
        println!("    {field}  in {records}");
    }
}

async fn execute(context: &Context, job: &Job<'_>, id: &str, args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let json = context.json;
    let progress = Progress::start(json, format!("replay {id}"));
    let tell = |done: &ReplayProgress| {
        if json {
            println!("{}", progress_json(done));
        } else {
            progress.say(format!("replay {id}: {} written, {} refused", done.written, done.refused));
        }
    };
    let stop = stop_on_signal()?;
    let mut pace = Pace::new(args.rate);
    let ended = tokio::select! {
        ended = job.run(id, &mut pace, tell) => ended?,
        () = stop.cancelled() => {
            let message = format!("replay {id} was stopped: `prunella replay --resume {id}` goes on with it");
            return Err(Failure::plain(Exit::Failed, message));
        }
    };
    drop(progress);
    if !json {
        println!(
            "replay {id} is done: {} records read, {} written, {} refused",
            ended.read, ended.written, ended.refused
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn progress_json(progress: &ReplayProgress) -> serde_json::Value {
    json!({ "replay": progress.id, "read": progress.read, "written": progress.written, "refused": progress.refused,
            "ended_at": progress.ended_at, "target": progress.target })
}
