//! `examples/workflow-errors`: one mistake per file, and beside each file what is said about it.

use std::fs;
use std::path::{Path, PathBuf};

use prunella_workflow::{Limits, load, load_str};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workflow-errors")
}

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory())
        .expect("the examples are there")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|end| end != "expected"))
        .collect();
    files.sort();
    files
}

/// `line:column code message`, with the file in front when it is not the workflow file.
fn reported(path: &Path) -> String {
    let Err(problems) = load(path, &Limits::default()) else {
        return "no problem\n".to_owned();
    };
    let directory = format!("{}/", directory().display());
    let mut lines = String::new();
    for problem in &problems {
        let place = match Path::new(&problem.file) == path {
            true => String::new(),
            false => format!("{}:", problem.file.replace(&directory, "")),
        };
        let message = problem.message.replace(&directory, "");
        lines += &format!("{place}{}:{} {} {message}\n", problem.line, problem.column, problem.code);
    }
    lines
}

#[test]
fn every_mistake_is_reported_as_written_beside_it() {
    let examples = examples();
    assert!(examples.len() >= 30, "{}", examples.len());
    let mut wrong = String::new();
    for path in examples {
        let found = reported(&path);
        let beside = path.with_extension("expected");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &found).expect("the expectation is written");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if found != expected || found == "no problem\n" {
            wrong += &format!("{}\n  expected: {expected}  found:    {found}", path.display());
        }
    }
    assert!(wrong.is_empty(), "UPDATE=1 rewrites the expectations\n{wrong}");
}

#[test]
fn many_mistakes_in_one_file_are_all_reported() {
    let text = r#"workflow: Orders
triger: {}
deadline: 30
steps:
  - id: fetch
    needs: [report]
    extract:
      http:
        url: ftp://shop.example
        method: get
        headers: { "x shop": 1 }
        retry: { attempts: 0, backof: 1s }
        pagination: { page: { param: page }, link: {} }
    transform: "{ a: "
    on-invalid: ignore
  - id: report
    needs: [fetch, nobody]
    when: $count(steps.other) > 0
    extract: { inline: "{{ trigger.", trigger: {} }
    schema: { type: strin, $ref: "https://schemas.example/a" }
    ordered: yes
  - extract: {}
output:
  from: nowhere
  key: $steps.fetch &
"#;
    let problems = load_str("w.yaml", text, None, &Limits::default()).expect_err("many mistakes");
    let lines: std::collections::BTreeSet<_> = problems.iter().map(|problem| problem.line).collect();
    let expected = [1, 2, 3, 6, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 24, 25];
    assert_eq!(lines, expected.into_iter().collect(), "{problems}");
    assert!(problems.iter().count() >= 24, "{}\n{problems}", problems.iter().count());
}
