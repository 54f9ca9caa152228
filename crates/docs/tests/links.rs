//! Relative links of the documents lead to files that exist.

use std::fs;
use std::path::PathBuf;

use prunella_docs::repository;

fn documents() -> Vec<PathBuf> {
    let root = repository();
    let mut files: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].iter().map(|name| root.join(name)).collect();
    for directory in ["docs", "docs/errors"] {
        let entries = fs::read_dir(root.join(directory)).expect("directory");
        let paths = entries.map(|entry| entry.expect("entry").path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    files
}

#[test]
fn relative_links_lead_somewhere() {
    let (mut followed, mut broken) = (0, Vec::new());
    for document in documents() {
        let text = fs::read_to_string(&document).expect("document");
        let directory = document.parent().expect("directory");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            followed += 1;
            if !directory.join(path).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(followed > 100, "only {followed} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
