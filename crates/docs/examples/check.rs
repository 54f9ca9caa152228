//! Lists what is missing in `docs/`: pages of error codes and reasons of dependencies.

use std::process::ExitCode;

use prunella_docs::{explained_dependencies, found_pages, page_problems, read_file, third_party_dependencies};

fn main() -> std::io::Result<ExitCode> {
    let mut problems = page_problems(&found_pages()?);
    let rows = explained_dependencies(&read_file("docs/dependencies.md").text);
    for name in third_party_dependencies(&read_file("Cargo.toml").text) {
        if !rows.iter().any(|(explained, _)| *explained == name) {
            problems.push(format!("docs/dependencies.md gives no reason for {name}"));
        }
    }
    for problem in &problems {
        println!("{problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
