//! Cases as files: `mapping.jsonata`, `schema.json`, `remembered.jsonl`, `failing.jsonl`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::case::{Case, Sample};
use crate::error::RepairError;

/// Where the parts of a case are.
#[derive(Debug, Clone)]
pub struct CaseFiles {
    pub mapping: Option<PathBuf>,
    pub schema: PathBuf,
    pub remembered: PathBuf,
    pub failing: PathBuf,
}

impl CaseFiles {
    /// The parts in one directory; there is no mapping if its file is missing.
    pub fn in_directory(directory: &Path) -> Self {
        let mapping = directory.join("mapping.jsonata");
        Self {
            mapping: mapping.exists().then_some(mapping),
            schema: directory.join("schema.json"),
            remembered: directory.join("remembered.jsonl"),
            failing: directory.join("failing.jsonl"),
        }
    }

    pub fn load(&self, id: &str) -> Result<Case, RepairError> {
        let schema = read(&self.schema)?;
        Ok(Case {
            id: id.to_owned(),
            mapping: self.mapping.as_deref().map(read).transpose()?,
            schema: serde_json::from_str(&schema).map_err(|error| wrong(&self.schema, &error.to_string()))?,
            remembered: samples(&self.remembered)?,
            failing: records(&self.failing)?,
        })
    }
}

/// The directories below `directory` that hold a case, by name.
pub fn case_directories(directory: &Path) -> Result<Vec<PathBuf>, RepairError> {
    let entries = fs::read_dir(directory).map_err(|error| wrong(directory, &error.to_string()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("failing.jsonl").exists())
        .collect();
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, RepairError> {
    fs::read_to_string(path).map_err(|error| wrong(path, &error.to_string()))
}

fn wrong(path: &Path, reason: &str) -> RepairError {
    RepairError::File { path: path.to_owned(), reason: reason.to_owned() }
}

fn samples(path: &Path) -> Result<Vec<Sample>, RepairError> {
    let parse = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| wrong(path, &format!("line {}: {error}", index + 1)))
    };
    read(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

/// A line that is no JSON is what came instead of it, as text.
fn records(path: &Path) -> Result<Vec<Value>, RepairError> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
    Ok(read(path)?.lines().filter(|line| !line.trim().is_empty()).map(parse).collect())
}
