use std::fs;
use std::io;

use prunella_model::{Code, Route};

use crate::repository::repository;

/// A file `docs/errors/PRN-….md`.
pub struct FoundPage {
    /// Its name without `.md`.
    pub id: String,
    pub text: String,
}

/// Every page of an error, in the order of their ids.
///
/// # Errors
/// When the directory or a page cannot be read.
pub fn found_pages() -> io::Result<Vec<FoundPage>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(repository().join("docs/errors"))? {
        let path = entry?.path();
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "README") else {
            continue;
        };
        pages.push(FoundPage { id: id.to_owned(), text: fs::read_to_string(&path)? });
    }
    pages.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(pages)
}

/// What is wrong with the pages, one line each: missing ones, those of no code, and those that do not
/// say what they have to.
pub fn page_problems(pages: &[FoundPage]) -> Vec<String> {
    let mut problems = Vec::new();
    for code in Code::ALL {
        if !pages.iter().any(|page| page.id == code.id()) {
            problems.push(format!("docs/errors/{code}.md is missing: {}", code.summary()));
        }
    }
    for page in pages {
        let id = &page.id;
        let Some(code) = Code::from_id(id) else {
            problems.push(format!("docs/errors/{id}.md is the page of no code"));
            continue;
        };
        let title = format!("# {code}: {}", code.summary());
        if page.text.lines().next() != Some(title.as_str()) {
            problems.push(format!("docs/errors/{id}.md does not begin with \"{title}\""));
        }
        for heading in ["\n## What happened\n", "\n## What to do\n"] {
            if !page.text.contains(heading) {
                problems.push(format!("docs/errors/{id}.md has no \"{}\"", heading.trim()));
            }
        }
    }
    problems
}

/// The text of `docs/errors/README.md`.
pub fn index() -> String {
    let mut text = String::from(INTRODUCTION);
    let mut group = "";
    for code in Code::ALL {
        let found = group_of(code.id());
        if found != group {
            group = found;
            text.push_str(&format!(
                "\n## {group}\n\n| code | what is wrong | what becomes of the record |\n|---|---|---|\n"
            ));
        }
        let outcome = outcome_of(*code);
        text.push_str(&format!("| [{code}]({code}.md) | {} | {outcome} |\n", code.summary()));
    }
    text
}

const INTRODUCTION: &str = "\
# Error codes

Every error has a stable code. It is printed by commands, written in logs, answered by the HTTP API as `code`, kept in the state
of a run, and put in the header `prunella-dead-code` of a dead letter. Numbers are never reused. A page says what happened and what to do.

The last column says what becomes of a Kafka record whose processing ends with the code; it is empty for codes that are not about records.

| | |
|---|---|
| retried | Tried again with backoff, then dead-lettered: records at most `runtime.attempts` times, requests to sources as `retry` of the step says. |
| waits | Tried again for as long as it takes; the lag of the consumer group shows it. |
| dead letter | It cannot succeed as it is: dead-lettered at once. |
| stops | Not a matter of one record: the command, the start or the stage ends. A stage is built anew and the record is taken again. |

This file is generated: `UPDATE=1 cargo test -p prunella-docs`.
";

fn group_of(id: &str) -> &'static str {
    match id.get(4..6) {
        Some("01") => "Workflow files",
        Some("02") => "Configuration, Kafka clusters, topics, the local Kafka",
        Some("03") => "Records, encoding, the stage runtime",
        Some("04") => "Sources",
        Some("05") => "Mappings, expressions, templates",
        Some("06") => "Validation and output",
        Some("07") => "Runs",
        Some("08") => "HTTP API",
        Some("09") => "The operator's tools",
        Some("10") => "Encryption at rest, secrets",
        Some("11") => "Language models",
        _ => "Others",
    }
}

/// Codes of files, installations and requests are not about records, whatever their route.
fn outcome_of(code: Code) -> &'static str {
    let is_about_no_record =
        ["PRN-01", "PRN-02", "PRN-08", "PRN-09", "PRN-10", "PRN-11"].iter().any(|range| code.id().starts_with(range));
    match code.route() {
        _ if is_about_no_record => "",
        Route::Retry => "retried",
        Route::Wait => "waits",
        Route::DeadLetter => "dead letter",
        Route::Fatal => "stops",
    }
}
