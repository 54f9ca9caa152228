use std::path::PathBuf;
use std::process::ExitCode;

use prunella_workflow::{Declared, Limits, Loaded, Problem, load, load_dir};

use crate::commands::Context;
use crate::failure::{Exit, Failure};

/// Loads files and directories; all problems of all of them together.
pub fn load_paths(paths: &[PathBuf]) -> Result<Vec<Loaded>, Vec<Problem>> {
    let limits = Limits::default();
    let (mut loaded, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let found = if path.is_dir() { load_dir(path, &limits) } else { load(path, &limits).map(|one| vec![one]) };
        match found {
            Ok(found) => loaded.extend(found),
            Err(found) => problems.extend(found.into_vec()),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

/// Prints problems and gives the failure that follows from them.
pub fn refuse(problems: &[Problem], json: bool) -> Failure {
    if json {
        println!("{}", serde_json::json!({ "problems": problems }));
    } else {
        for problem in problems {
            eprintln!("{problem}\n");
        }
    }
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    Failure::plain(Exit::Invalid, format!("{} {noun} found", problems.len()))
}

pub fn run(context: &Context, paths: &[PathBuf]) -> Result<ExitCode, Failure> {
    let loaded = load_paths(paths).map_err(|problems| refuse(&problems, context.json))?;
    if context.json {
        let workflows: Vec<_> = loaded
            .iter()
            .map(|loaded| {
                let kind = loaded.declared.kind().as_str();
                serde_json::json!({ "kind": kind, kind: loaded.declared.name(), "digest": loaded.digest })
            })
            .collect();
        println!("{}", serde_json::json!({ "valid": workflows }));
    } else {
        for loaded in &loaded {
            match &loaded.declared {
                Declared::Workflow(workflow) => {
                    let steps = workflow.steps.len();
                    let noun = if steps == 1 { "step" } else { "steps" };
                    println!("{}: valid, {steps} {noun}", workflow.workflow);
                }
                Declared::Stream(stream) => println!("{}: valid, a stream of {}", stream.stream, stream.input.topic),
            }
        }
        if loaded.is_empty() {
            println!("no workflow files found");
        }
    }
    Ok(ExitCode::SUCCESS)
}
