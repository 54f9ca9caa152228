//! The tour that everybody sees first.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
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

/// The demo. Whatever it leaves behind stands below `directory` or names it.
fn demo(directory: &Path, arguments: &[&str]) -> Command {
    let temporary = directory.join("tmp");
    fs::create_dir(&temporary).expect("a directory");
    let mut command = Command::new(PRUNELLA);
    command.arg("demo").args(arguments).arg("--data-dir").arg(directory.join("data")).env("TMPDIR", &temporary);
    command.env_remove("PRUNELLA_CONFIG").env_remove("PRUNELLA_BROKERS").stdin(Stdio::null());
    command
}

fn assert_nothing_is_left(directory: &Path) {
    assert_eq!(processes_of(&directory.display().to_string()), Vec::<String>::new());
    let left = fs::read_dir(directory.join("tmp")).expect("a directory").flatten();
    assert_eq!(left.map(|entry| entry.path()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

/// What the demo has counted; it must have ended well.
fn counted(arguments: &[&str]) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let output = demo(directory.path(), &[arguments, &["--json"]].concat()).output().expect("prunella starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}{errors}", String::from_utf8_lossy(&output.stdout));
    assert_nothing_is_left(directory.path());
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

fn figure(counts: &Value, name: &str) -> u64 {
    counts[name].as_u64().unwrap_or_else(|| panic!("{name}: {counts}"))
}

fn assert_all_arrived(counts: &Value) {
    let count = |name| figure(counts, name);
    assert_eq!(count("extracted"), count("validated") + count("dead_lettered"), "{counts}");
    assert_eq!((count("waiting"), count("lost")), (0, 0), "{counts}");
}

#[test]
fn the_demo_ends_by_itself_with_everything_accounted_for() {
    let counts = counted(&[]);
    assert_all_arrived(&counts);
    let parts = ["orders", "drift", "review"].map(|name| &counts["parts"][name]);
    parts.iter().for_each(|part| assert_all_arrived(part));
    for name in ["extracted", "validated", "dead_lettered", "healed", "reviewed"] {
        let of_parts: u64 = parts.iter().map(|part| figure(part, name)).sum();
        assert_eq!(figure(&counts, name), of_parts, "{name}: {counts}");
    }
    let [orders, drift, review] = parts;
    assert!(figure(orders, "validated") >= 1000 && figure(orders, "dead_lettered") > 0, "{counts}");
    assert!(figure(drift, "healed") > 0, "records waited and came through: {counts}");
    assert!(figure(drift, "healed") < figure(drift, "validated"), "others did not have to wait: {counts}");
    assert_eq!(figure(review, "reviewed"), 400, "{counts}");
    assert_eq!(figure(&counts, "dead_lettered"), figure(orders, "dead_lettered"), "{counts}");
    assert_eq!(figure(&counts, "rolled_back"), 1, "{counts}");
}

#[test]
fn what_waits_for_a_proposal_that_is_rejected_becomes_dead_letters() {
    let counts = counted(&["--orders", "40", "--decide", "reject"]);
    assert_all_arrived(&counts);
    let review = &counts["parts"]["review"];
    assert_eq!([figure(review, "dead_lettered"), figure(review, "reviewed")], [400, 400], "{counts}");
    assert_eq!(figure(review, "validated"), 0, "nothing of the version that was rolled back either: {counts}");
}

#[test]
fn a_demo_that_is_interrupted_in_the_middle_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = demo(directory.path(), &["--orders", "40"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("prunella starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    // To the end, so that it never writes into a pipe that nobody reads.
    for line in lines {
        if line.contains("relaunches") {
            let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            assert!(interrupted.expect("kill runs").success());
        }
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    assert_nothing_is_left(directory.path());
}
