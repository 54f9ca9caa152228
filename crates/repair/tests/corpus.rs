//! Whatever else the repair does with the cases of `tests/drift`: none of them ends with a wrong mapping in use.
//! `make bench-heal` grades them by more than that, with the reference engine.

use std::path::Path;

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_repair::{CaseFiles, Settings, Verdict, case_directories, repair, same};
use serde_json::Value;

/// What a case expects, which only the judge reads.
fn expectation(directory: &Path) -> String {
    let about = std::fs::read_to_string(directory.join("case.yaml")).expect("case.yaml");
    let line = about.lines().find_map(|line| line.strip_prefix("expect:")).expect("an expectation");
    line.trim().to_owned()
}

/// Held-back records that the mapping gets wrong.
fn wrong(directory: &Path, mapping: &str) -> usize {
    let expression = Expression::compile(mapping).expect("it compiles");
    let text = std::fs::read_to_string(directory.join("heldback.jsonl")).expect("heldback.jsonl");
    let records = text.lines().filter(|line| !line.trim().is_empty());
    let is_wrong = |line: &&str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let got = expression.evaluate(&record["input"], &Bindings::new(), Moment::new(0, 0), &Limits::default());
        !got.ok().flatten().is_some_and(|got| same(&got, &record["expected"]))
    };
    records.filter(is_wrong).count()
}

#[test]
fn no_case_ends_with_a_wrong_mapping_in_use() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let of = |name: &str| case_directories(&tests.join(name)).expect("cases");
    let directories: Vec<_> = of("drift").into_iter().chain(of("drift-unseen")).collect();
    assert!(directories.len() >= 150, "{} cases", directories.len());
    let mut harm = Vec::new();
    for directory in directories {
        let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case = CaseFiles::in_directory(&directory).load(&id).expect("a case");
        let result = repair(&case, &Settings::default()).expect("a result");
        let changed = result.mapping.as_deref().map(str::trim) != case.mapping.as_deref().map(str::trim);
        let Some(mapping) = result.mapping.filter(|_| result.verdict == Verdict::Activate) else { continue };
        let must_hold = expectation(&directory) == "refuse" && changed;
        if must_hold || wrong(&directory, &mapping) > 0 {
            harm.push(id);
        }
    }
    assert_eq!(harm, Vec::<String>::new());
}
