//! Whatever else becomes of the cases of `tests/drift`: none of them ends with a wrong mapping in use, neither by the
//! repair nor by what a language model might propose. `make bench-heal` grades them by more than that, with the
//! reference engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_repair::{Case, CaseFiles, Sample, Settings, Verdict, case_directories, prove, repair, same};
use serde::Deserialize;
use serde_json::Value;

/// What only the judge of a case reads.
#[derive(Deserialize)]
struct About {
    expect: String,
    /// A right mapping.
    #[serde(default)]
    gold: Option<String>,
    /// Wrong ones that the schema takes.
    #[serde(default)]
    lures: Vec<String>,
}

/// Every case of the project: where it is, what it is, and what is known of it.
fn cases() -> impl Iterator<Item = (PathBuf, Case, About)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let of = |name: &str| case_directories(&tests.join(name)).expect("cases");
    let directories: Vec<PathBuf> = of("drift").into_iter().chain(of("drift-unseen")).collect();
    assert!(directories.len() >= 150, "{} cases", directories.len());
    directories.into_iter().map(|directory| {
        let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case = CaseFiles::in_directory(&directory).load(&id).expect("a case");
        let about = std::fs::read_to_string(directory.join("case.yaml")).expect("case.yaml");
        let about = serde_saphyr::from_str(&about).unwrap_or_else(|error| panic!("{id}: {error}"));
        (directory, case, about)
    })
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
    let mut harm = Vec::new();
    for (directory, case, about) in cases() {
        let result = repair(&case, &Settings::default()).expect("a result");
        let changed = result.mapping.as_deref().map(str::trim) != case.mapping.as_deref().map(str::trim);
        let Some(mapping) = result.mapping.filter(|_| result.verdict == Verdict::Activate) else { continue };
        let must_hold = about.expect == "refuse" && changed;
        if must_hold || wrong(&directory, &mapping) > 0 {
            harm.push(case.id);
        }
    }
    assert_eq!(harm, Vec::<String>::new());
}

/// The value with every number in it seven times as large.
fn forged(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, |number| Value::from(number * 7.0)),
        Value::Array(items) => items.iter().map(forged).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), forged(field))).collect(),
        other => other.clone(),
    }
}

/// Somebody who can write what is remembered must not be able to have a wrong mapping used by it.
#[test]
fn no_sample_that_was_forged_brings_a_wrong_mapping_into_use() {
    let mut harm = Vec::new();
    for (directory, case, about) in cases() {
        let Some(mapping) = case.mapping.clone().filter(|_| case.remembered.len() > 2) else { continue };
        let (old, at) = (Expression::compile(&mapping).expect("it compiles"), case.remembered.len() / 2);
        let input = forged(&case.remembered[at].input);
        let output = old.evaluate(&input, &Bindings::new(), Moment::new(0, 0), &Limits::default());
        // One that the mapping maps to just that, and two that have changed their outputs.
        let mut agreeing = case.clone();
        agreeing.remembered[at] =
            Sample { output: output.ok().flatten().unwrap_or_else(|| forged(&case.remembered[at].output)), input };
        let mut exchanged = case.clone();
        exchanged.remembered[at].output = case.remembered[at - 1].output.clone();
        exchanged.remembered[at - 1].output = case.remembered[at].output.clone();
        for case in [agreeing, exchanged] {
            let result = repair(&case, &Settings::default()).expect("a result");
            let changed = result.mapping.as_deref().map(str::trim) != Some(mapping.trim());
            let Some(found) = result.mapping.filter(|_| result.verdict == Verdict::Activate && changed) else {
                continue;
            };
            if about.expect == "refuse" || wrong(&directory, &found) > 0 {
                harm.push(format!("{}: {found}", case.id));
            }
        }
    }
    assert_eq!(harm, Vec::<String>::new());
}

#[test]
fn no_proposal_of_a_model_that_is_wrong_is_used_and_hardly_a_right_one_is_thrown_away() {
    // A code that stands where the old one stood; words of the data in a table; an old shape that goes on.
    let known = ["llm-currency-numeric-codes", "llm-exchange-mic-codes", "intercom-conversation-coexist"];
    let (mut harm, mut thrown_away) = (Vec::new(), Vec::new());
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (directory, case, about) in cases() {
        let ours = repair(&case, &Settings::default()).expect("a result");
        // What structure settles, and what is an outage, nobody is asked about.
        if !matches!(ours.verdict, Verdict::Review | Verdict::Refuse) || ours.evidence.fields.is_empty() {
            continue;
        }
        // Each by itself: a wrong one has no right one beside it that would raise doubt.
        for text in about.gold.iter().chain(&about.lures) {
            let proof = prove(&case, text, &ours, &[], &Settings::default()).expect("a proof");
            let is_right = about.expect != "refuse" && wrong(&directory, text) == 0;
            *counts.entry((if is_right { "right" } else { "wrong" }, proof.verdict.as_str())).or_default() += 1;
            match proof.verdict {
                Verdict::Activate if !is_right => harm.push(format!("{}: {text}", case.id)),
                Verdict::Refuse if is_right && !known.contains(&case.id.as_str()) => {
                    thrown_away.push(format!("{}: {}", case.id, proof.evidence.reasons.join("; ")));
                }
                _ => {}
            }
        }
    }
    eprintln!("{counts:?}");
    assert_eq!(harm, Vec::<String>::new());
    assert_eq!(thrown_away, Vec::<String>::new());
}
