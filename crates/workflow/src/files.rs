//! The mapping and schema files beside a workflow file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use prunella_model::Code;

use crate::document::Source;
use crate::limits::Limits;

/// Why a file cannot be used; the caller knows the place that names it.
#[derive(Debug)]
pub(crate) struct FileError {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl FileError {
    fn new(message: String) -> Self {
        Self { code: Code::WorkflowFile, message, help: None }
    }

    fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

/// Reads files below one directory and remembers which.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    base: Option<&'a Path>,
    limits: &'a Limits,
    read: BTreeSet<PathBuf>,
}

impl<'a> Files<'a> {
    /// Without `base`, every file is refused.
    pub(crate) fn new(base: Option<&'a Path>, limits: &'a Limits) -> Self {
        Self { base, limits, read: BTreeSet::new() }
    }

    pub(crate) fn into_read(self) -> Vec<PathBuf> {
        self.read.into_iter().collect()
    }

    /// The file at `relative`, which must lie in the base directory, also when links are followed: a workflow may
    /// come from somebody else, and its definition is stored where others can read it.
    pub(crate) fn read(&mut self, relative: &str) -> Result<Source, FileError> {
        let Some(base) = self.base else {
            return Err(FileError::new(format!("{relative:?} cannot be read: this workflow has no directory"))
                .help("write the mapping or schema into the workflow"));
        };
        if relative.is_empty() {
            return Err(FileError::new("the name of the file is missing".to_owned()));
        }
        let outside = || {
            FileError::new(format!("{relative:?} is outside the directory of the workflow file"))
                .help("move the file beside the workflow file, or into a directory beside it")
        };
        if leaves(Path::new(relative)) {
            return Err(outside());
        }
        let path = base.join(relative);
        let failed = |error: std::io::Error| {
            FileError::new(match error.kind() {
                std::io::ErrorKind::NotFound => format!("there is no file {}", path.display()),
                _ => format!("{} cannot be read: {error}", path.display()),
            })
        };
        let real_base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        let real = path.canonicalize().map_err(failed)?;
        if !real.starts_with(real_base.canonicalize().map_err(failed)?) {
            return Err(outside());
        }
        let text = read_text(&real, self.limits).map_err(|mut error| {
            error.message = format!("{} {}", path.display(), error.message);
            error
        })?;
        let source = Source::new(&path.display().to_string(), &text);
        self.read.insert(path);
        Ok(source)
    }
}

fn leaves(path: &Path) -> bool {
    let mut depth = 0_i32;
    path.components().any(|component| {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return true,
        }
        depth < 0
    })
}

/// The text of a regular file within the limit, without a byte order mark.
pub(crate) fn read_text(path: &Path, limits: &Limits) -> Result<String, FileError> {
    let failed = |error: std::io::Error| FileError::new(format!("cannot be read: {error}"));
    // Asked before opening: to open a named pipe would wait for its writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(FileError::new("is not a regular file".to_owned()));
    }
    let most = limits.max_file.bytes();
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        let message = format!("is larger than {}, the limit for one file", limits.max_file);
        return Err(FileError { code: Code::WorkflowTooLarge, message, help: None });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("is not UTF-8 text: byte {valid}, in line {line}, is not part of any character");
        FileError { code: Code::WorkflowSyntax, message, help: Some("save the file as UTF-8".to_owned()) }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
