use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository and its text.
pub struct RepositoryFile {
    pub path: PathBuf,
    pub text: String,
}

/// The root of the checkout.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a file by its path from the root of the checkout; one that is not there is empty.
pub fn read_file(name: &str) -> RepositoryFile {
    let path = repository().join(name);
    let text = fs::read_to_string(&path).unwrap_or_default();
    RepositoryFile { path, text }
}
