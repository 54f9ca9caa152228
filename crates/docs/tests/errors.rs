//! `UPDATE=1 cargo test -p prunella-docs` writes the index anew.

use prunella_docs::{found_pages, index, page_problems, read_file};

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let problems = page_problems(&found_pages().expect("docs/errors"));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_index_lists_every_code() {
    let shown = read_file("docs/errors/README.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&shown.path, index()).expect("written");
        return;
    }
    assert_eq!(shown.text, index(), "run UPDATE=1 cargo test -p prunella-docs");
}
