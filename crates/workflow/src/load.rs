//! From a file to a definition that needs no other file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use prunella_model::stream::Stream;
use prunella_model::workflow::Workflow;
use prunella_model::{Code, Kind, WorkflowName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::check;
use crate::document::{Document, Source};
use crate::files::{FileError, Files, read_text};
use crate::limits::Limits;
use crate::problem::{Problem, Problems};
use crate::shape;

/// What a file declares.
#[derive(Debug, Clone, PartialEq)]
pub enum Declared {
    Workflow(Box<Workflow>),
    Stream(Box<Stream>),
}

impl Declared {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Workflow(_) => Kind::Workflow,
            Self::Stream(_) => Kind::Stream,
        }
    }

    pub fn name(&self) -> &WorkflowName {
        match self {
            Self::Workflow(workflow) => &workflow.workflow,
            Self::Stream(stream) => &stream.stream,
        }
    }

    pub fn as_workflow(&self) -> Option<&Workflow> {
        match self {
            Self::Workflow(workflow) => Some(workflow),
            Self::Stream(_) => None,
        }
    }

    pub fn as_stream(&self) -> Option<&Stream> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::Workflow(_) => None,
        }
    }
}

/// A workflow or stream without mistakes.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The definition, mapping texts and schemas inside, exactly as `canonical` says it.
    pub declared: Declared,
    /// The definition as JSON with sorted fields and without white space. Files that mean the same give the same text.
    pub canonical: String,
    /// SHA-256 of `canonical` in lower-case hex.
    pub digest: String,
    /// The files that were read: the workflow file first (when there is one), then mappings and schemas by name.
    pub files: Vec<PathBuf>,
}

/// Reads and checks one workflow or stream file. Mapping and schema files must lie in its directory.
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
    let kind = check::kind(&document)?;
    let mut files = Files::new(directory, limits);
    let mut problems = shape::check(&document, kind);
    let (found, resolved) = check::check(&document, kind, &mut files, limits);
    problems.extend(found);
    Problems::check(problems)?;

    let (declared, canonical) = match kind {
        Kind::Workflow => {
            let (workflow, text) = stored(&document, kind, &resolved, limits)?;
            (Declared::Workflow(workflow), text)
        }
        Kind::Stream => {
            let (stream, text) = stored(&document, kind, &resolved, limits)?;
            (Declared::Stream(stream), text)
        }
    };
    let digest = Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Loaded { declared, canonical, digest, files: files.into_read() })
}

/// The definition as it will be stored, and read back from there, so that this process and every later one use the very
/// same definition.
fn stored<T: Serialize + DeserializeOwned>(
    document: &Document,
    kind: Kind,
    resolved: &Value,
    limits: &Limits,
) -> Result<(Box<T>, String), Problems> {
    let written: T = shape::typed(document, resolved)?;
    let canonical = canonical(&written)
        .map_err(|error| document.at_value(Code::WorkflowShape, "", format!("the {kind} cannot be stored: {error}")))?;
    if canonical.len() as u64 > limits.max_definition.bytes() {
        let message = format!(
            "with its mappings and schemas the {kind} has {} bytes; the limit is {}",
            canonical.len(),
            limits.max_definition
        );
        return Err(document.at_key(Code::WorkflowTooLarge, &format!("/{kind}"), message).into());
    }
    let read_back = serde_json::from_str(&canonical).map_err(|error| {
        document.at_value(Code::WorkflowShape, "", format!("the stored form cannot be read: {error}"))
    })?;
    Ok((Box::new(read_back), canonical))
}

/// Reads all workflow files of a directory and the directories in it, by name; hidden ones and links to directories
/// are passed over. A workflow file is a `.yaml`, `.yml` or `.json` file with a field `workflow` or with `kind: stream`.
///
/// Errors: everything wrong with any of them, and `PRN-0110` for two of one name, `PRN-0107` when there is no workflow
/// file at all.
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
                let name = loaded.declared.name().to_string();
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
        let help = Some(
            "a workflow file is a .yaml, .yml or .json file with a field `workflow` or with `kind: stream`".to_owned(),
        );
        let error = FileError { code: Code::WorkflowFile, message, help };
        return Err(unreadable(&directory.display().to_string(), error).into());
    }
    Ok(workflows)
}

/// The canonical text of a definition: fields sorted, no white space, defaults written out so that a later release with
/// other defaults does not change what a stored definition means.
pub fn canonical<T: Serialize>(definition: &T) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(definition)?;
    value.sort_all_objects();
    serde_json::to_string(&value)
}

fn unreadable(name: &str, error: FileError) -> Problem {
    let mut problem = Source::new(name, "").problem(error.code, 0..0, "", error.message);
    problem.help = error.help;
    problem
}

fn duplicate(path: &Path, first: &Path, name: &str, limits: &Limits) -> Problem {
    let message = format!("`{name}` is declared in {} too", first.display());
    let file = path.display().to_string();
    let document = read_text(path, limits).ok().and_then(|text| Document::read(&file, &text, limits).ok());
    match document {
        Some(document) => {
            let field = if document.get("/workflow").is_some() { "/workflow" } else { "/stream" };
            document.at_value(Code::WorkflowDuplicate, field, message)
        }
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

/// A file that cannot be parsed counts when a line of it starts like the field `workflow` or says `kind: stream`: its
/// author would want to hear of the mistake.
fn looks_like_workflow(path: &Path, limits: &Limits) -> bool {
    let name = path.display().to_string();
    let Ok(text) = read_text(path, limits) else {
        return false;
    };
    match Document::read(&name, &text, limits) {
        Ok(document) => {
            let value = document.value();
            value.get("workflow").is_some_and(|name| !Value::is_null(name))
                || value.get("kind").is_some_and(|kind| kind == Kind::Stream.as_str())
        }
        Err(_) => text.lines().any(|line| {
            let mut words = line.split(['{', '"', '\'', ' ', '\t', ':', '\u{feff}']).filter(|word| !word.is_empty());
            match words.next() {
                Some("workflow") => line.contains(':'),
                Some("kind") => words.next() == Some(Kind::Stream.as_str()),
                _ => false,
            }
        }),
    }
}
