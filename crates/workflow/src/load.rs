//! From a file to a definition that needs no other file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use prunella_model::Code;
use prunella_model::workflow::Workflow;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::check;
use crate::document::{Document, Source};
use crate::files::{FileError, Files, read_text};
use crate::limits::Limits;
use crate::problem::{Problem, Problems};
use crate::shape;

/// A workflow without mistakes.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The definition, mapping texts and schemas inside, exactly as `canonical` says it.
    pub workflow: Workflow,
    /// The definition as JSON with sorted fields and without white space. Files that mean the same give the same text.
    pub canonical: String,
    /// SHA-256 of `canonical` in lower-case hex.
    pub digest: String,
    /// The files that were read: the workflow file first (when there is one), then mappings and schemas by name.
    pub files: Vec<PathBuf>,
}

/// Reads and checks one workflow file. Mapping and schema files must lie in its directory.
///
/// Errors: everything that is wrong with it, codes `PRN-0101` to `PRN-0109`.
pub fn load(path: &Path, limits: &Limits) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let text = read_text(path, limits).map_err(|mut error| {
        error.message = format!("the file {}", error.message);
        unreadable(&name, error)
    })?;
    let mut loaded = load_str(&name, &text, path.parent(), limits)?;
    loaded.files.insert(0, path.to_owned());
    Ok(loaded)
}

/// Checks the text of a workflow file that messages call `name`. Without `directory` it can name no other files.
pub fn load_str(name: &str, text: &str, directory: Option<&Path>, limits: &Limits) -> Result<Loaded, Problems> {
    if text.len() as u64 > limits.max_file.bytes() {
        let message = format!("the file is larger than {}, the limit for one file", limits.max_file);
        return Err(Source::new(name, text).problem(Code::WorkflowTooLarge, 0..0, "", message).into());
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document::read(name, text, limits)?;
    let mut files = Files::new(directory, limits);
    let mut problems = shape::check(&document);
    let (found, resolved) = check::check(&document, &mut files, limits);
    problems.extend(found);
    Problems::check(problems)?;

    let written = shape::typed(&document, &resolved)?;
    let canonical = canonical(&written).map_err(|error| {
        document.at_value(Code::WorkflowShape, "", format!("the workflow cannot be stored: {error}"))
    })?;
    if canonical.len() as u64 > limits.max_definition.bytes() {
        let message = format!(
            "with its mappings and schemas the workflow has {} bytes; the limit is {}",
            canonical.len(),
            limits.max_definition
        );
        return Err(document.at_key(Code::WorkflowTooLarge, "/workflow", message).into());
    }
    // Read back from the stored form, so that this process and every later one use the very same definition.
    let workflow = serde_json::from_str(&canonical).map_err(|error| {
        document.at_value(Code::WorkflowShape, "", format!("the stored form cannot be read: {error}"))
    })?;
    let digest = Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Loaded { workflow, canonical, digest, files: files.into_read() })
}

/// Reads all workflow files of a directory and the directories in it, by name; hidden ones and links to directories
/// are passed over. A workflow file is a `.yaml`, `.yml` or `.json` file with a field `workflow`.
///
/// Errors: everything wrong with any of them, and `PRN-0110` for two workflows of one name, `PRN-0107` when there is no
/// workflow file at all.
pub fn load_dir(directory: &Path, limits: &Limits) -> Result<Vec<Loaded>, Problems> {
    let mut paths = Vec::new();
    candidates(directory, &mut paths).map_err(|(path, error)| {
        let message = format!("the directory cannot be read: {error}");
        unreadable(&path.display().to_string(), FileError { code: Code::WorkflowFile, message, help: None })
    })?;
    let mut problems = Vec::new();
    let mut workflows: Vec<Loaded> = Vec::new();
    let mut by_name: HashMap<String, PathBuf> = HashMap::new();
    for path in paths {
        if !looks_like_workflow(&path, limits) {
            continue;
        }
        match load(&path, limits) {
            Ok(loaded) => {
                let name = loaded.workflow.workflow.to_string();
                if let Some(first) = by_name.get(&name) {
                    problems.push(duplicate(&path, first, &name, limits));
                } else {
                    by_name.insert(name, path);
                }
                workflows.push(loaded);
            }
            Err(found) => problems.extend(found.into_vec()),
        }
    }
    Problems::check(problems)?;
    if workflows.is_empty() {
        let message = "there is no workflow file in this directory".to_owned();
        let help = Some("a workflow file is a .yaml, .yml or .json file with a field `workflow`".to_owned());
        let error = FileError { code: Code::WorkflowFile, message, help };
        return Err(unreadable(&directory.display().to_string(), error).into());
    }
    Ok(workflows)
}

/// The canonical text of a workflow: fields sorted, no white space, defaults written out so that a later release with
/// other defaults does not change what a stored definition means.
pub fn canonical(workflow: &Workflow) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(workflow)?;
    value.sort_all_objects();
    serde_json::to_string(&value)
}

fn unreadable(name: &str, error: FileError) -> Problem {
    let mut problem = Source::new(name, "").problem(error.code, 0..0, "", error.message);
    problem.help = error.help;
    problem
}

fn duplicate(path: &Path, first: &Path, name: &str, limits: &Limits) -> Problem {
    let message = format!("the workflow `{name}` is declared in {} too", first.display());
    let file = path.display().to_string();
    let document = read_text(path, limits).ok().and_then(|text| Document::read(&file, &text, limits).ok());
    match document {
        Some(document) => document.at_value(Code::WorkflowDuplicate, "/workflow", message),
        None => Source::new(&file, "").problem(Code::WorkflowDuplicate, 0..0, "", message),
    }
}

fn candidates(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |error| (directory.to_owned(), error);
    let mut entries = fs::read_dir(directory).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            candidates(&path, found)?;
        } else if path.is_file()
            && path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// A file that cannot be parsed counts when a line of it starts like the field `workflow`: its author would want to
/// hear of the mistake.
fn looks_like_workflow(path: &Path, limits: &Limits) -> bool {
    let name = path.display().to_string();
    let Ok(text) = read_text(path, limits) else {
        return false;
    };
    match Document::read(&name, &text, limits) {
        Ok(document) => document.value().get("workflow").is_some_and(|name| !Value::is_null(name)),
        Err(_) => text.lines().any(|line| {
            let line = line.trim_start_matches(['{', '"', '\'', ' ', '\t', '\u{feff}']);
            line.strip_prefix("workflow").is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
        }),
    }
}
