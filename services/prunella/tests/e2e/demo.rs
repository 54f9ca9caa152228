//! The tour that everybody sees first.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::PRUNELLA;

/// Processes whose command line names `text`, other than ours.
fn processes_of(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let command_lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let shown = command_lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    shown.filter(|line| line.contains(text)).collect()
}

#[test]
fn the_demo_ends_by_itself_with_everything_accounted_for() {
    let directory = tempfile::tempdir().expect("a directory");
    // Whatever the demo leaves behind stands below this directory or names it.
    let temporary = directory.path().join("tmp");
    fs::create_dir(&temporary).expect("a directory");
    let mut command = Command::new(PRUNELLA);
    command.args(["demo", "--json", "--data-dir"]).arg(directory.path().join("data")).env("TMPDIR", &temporary);
    command.env_remove("PRUNELLA_CONFIG").env_remove("PRUNELLA_BROKERS").stdin(Stdio::null());
    let output = command.output().expect("prunella starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let counts: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let count = |name: &str| counts[name].as_u64().unwrap_or_else(|| panic!("{name}: {counts}"));
    assert_eq!(count("extracted"), count("validated") + count("dead_lettered"), "{counts}");
    assert_eq!((count("waiting"), count("lost")), (0, 0), "{counts}");
    assert!(count("validated") >= 1000 && count("dead_lettered") > 0, "{counts}");
    assert_eq!(processes_of(&directory.path().display().to_string()), Vec::<String>::new());
    let left: Vec<_> = fs::read_dir(&temporary).expect("a directory").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}
