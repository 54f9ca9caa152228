use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use prunella_repair::{Case, CaseFiles, Ingredients, Repair, RepairError, Settings, case_directories, repair, report};
use serde_json::Value;

use crate::cli::RepairArgs;
use crate::commands::Context;
use crate::failure::{Exit, Failure};

pub(super) fn repair_files(context: &Context, args: &RepairArgs) -> Result<ExitCode, Failure> {
    let ingredients = match &args.without {
        None => Ingredients::default(),
        Some(name) => Ingredients::without(name).ok_or_else(|| {
            let known = Ingredients::NAMES.join(", ");
            Failure::plain(Exit::Failed, format!("there is no ingredient {name}; there are {known}"))
        })?,
    };
    let settings = Settings { ingredients, ..Settings::default() };
    if let (Some(cases), Some(out)) = (&args.cases, &args.out) {
        return repair_all(context, cases, out, &settings);
    }
    let (id, files) = one_case(args)?;
    let case = files.load(&id)?;
    let (repaired, result) = timed(&case, &settings)?;
    if context.json {
        println!("{result}");
    } else {
        print!("{}", report(&repaired, case.mapping.as_deref()));
    }
    Ok(ExitCode::SUCCESS)
}

fn one_case(args: &RepairArgs) -> Result<(String, CaseFiles), Failure> {
    if let Some(directory) = &args.case {
        return Ok((name_of(directory), CaseFiles::in_directory(directory)));
    }
    match (&args.schema, &args.remembered, &args.failing) {
        (Some(schema), Some(remembered), Some(failing)) => {
            let files = CaseFiles {
                mapping: args.mapping.clone(),
                schema: schema.clone(),
                remembered: remembered.clone(),
                failing: failing.clone(),
            };
            Ok((args.mapping.as_deref().map_or_else(|| "mapping".to_owned(), name_of), files))
        }
        _ => Err(Failure::plain(Exit::Failed, "give --case, --cases, or --schema with --remembered and --failing")),
    }
}

/// A result file for each case, and a line for each on standard output.
fn repair_all(context: &Context, cases: &Path, out: &Path, settings: &Settings) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(out)?;
    for directory in case_directories(cases)? {
        let id = name_of(&directory);
        let case = CaseFiles::in_directory(&directory).load(&id)?;
        let (repaired, result) = timed(&case, settings)?;
        std::fs::write(out.join(format!("{id}.json")), format!("{result:#}\n"))?;
        if context.json {
            println!("{result}");
        } else {
            println!("{:10} {id}: {}", repaired.verdict.as_str(), repaired.evidence.summary);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn timed(case: &Case, settings: &Settings) -> Result<(Repair, Value), RepairError> {
    let started = Instant::now();
    let repaired = repair(case, settings)?;
    let millis = (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let mut result = serde_json::json!(repaired);
    result["ms"] = millis.into();
    Ok((repaired, result))
}

fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
