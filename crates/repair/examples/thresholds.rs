//! What hangs on each threshold: every case with each threshold moved, and whether another value would have been chosen if
//! one source had been left out. `thresholds CASES…`

use std::path::Path;

use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_repair::{Case, CaseFiles, Ingredients, Settings, Thresholds, Verdict, case_directories, repair, same};
use serde_json::Value;

/// Bits that a threshold is moved by.
const MOVES: [f64; 5] = [-4.0, -2.0, 0.0, 2.0, 4.0];
const IN_USE: usize = 2;

/// A case and what is right for it.
struct Judged {
    case: Case,
    expect: String,
    held_back: Vec<(Value, Value)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Right,
    Held,
    Harm,
}

/// Of some cases: those that ended in harm, and those that ended right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    harmless: isize,
    right: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cases = Vec::new();
    for set in std::env::args().skip(1) {
        for directory in case_directories(Path::new(&set))? {
            cases.push(judged(&directory)?);
        }
    }
    println!("{} cases; each threshold moved by so many bits: right, harm", cases.len());
    let moves: Vec<String> = MOVES.iter().map(|bits| format!("{bits:>+9}")).collect();
    println!("{:<10}{}  left out", "", moves.concat());
    for name in Thresholds::NAMES {
        let mut outcomes: Vec<Vec<Outcome>> = Vec::new();
        for bits in MOVES {
            let thresholds = Thresholds::moved(name, bits).ok_or("no such threshold")?;
            let settings =
                Settings { ingredients: Ingredients { thresholds, ..Ingredients::default() }, ..Settings::default() };
            outcomes.push(cases.iter().map(|judged| outcome(judged, &settings)).collect());
        }
        let all: Vec<String> = outcomes.iter().map(|outcomes| score(outcomes, None)).map(in_words).collect();
        let cells: String = all.iter().map(|cell| format!("{cell:>9}")).collect();
        // A source that decides by itself which value is best would have been fitted to.
        let others = (0..cases.len()).filter(|left_out| {
            let scores: Vec<Score> = outcomes.iter().map(|outcomes| score(outcomes, Some(*left_out))).collect();
            scores.iter().any(|other| *other > scores[IN_USE])
        });
        println!("{name:<10}{cells}  another would be chosen in {} of {}", others.count(), cases.len());
    }
    Ok(())
}

fn judged(directory: &Path) -> Result<Judged, Box<dyn std::error::Error>> {
    let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let case = CaseFiles::in_directory(directory).load(&id)?;
    let about = std::fs::read_to_string(directory.join("case.yaml"))?;
    let expect = about.lines().find_map(|line| line.strip_prefix("expect:")).unwrap_or_default().trim().to_owned();
    let mut held_back = Vec::new();
    for line in std::fs::read_to_string(directory.join("heldback.jsonl"))?.lines().filter(|line| !line.is_empty()) {
        let mut record: Value = serde_json::from_str(line)?;
        held_back.push((record["input"].take(), record["expected"].take()));
    }
    Ok(Judged { case, expect, held_back })
}

fn outcome(judged: &Judged, settings: &Settings) -> Outcome {
    let Ok(result) = repair(&judged.case, settings) else { return Outcome::Held };
    let before = judged.case.mapping.as_deref().map(str::trim);
    let changed = result.mapping.as_deref().map(str::trim) != before;
    match (result.verdict, result.mapping) {
        (Verdict::Activate, Some(mapping)) => {
            let harm = judged.expect == "refuse" && changed || !is_right(&mapping, &judged.held_back);
            if harm { Outcome::Harm } else { Outcome::Right }
        }
        (Verdict::Unchanged, _) if judged.expect == "none" => Outcome::Right,
        (Verdict::Review | Verdict::Refuse, _) if judged.expect == "refuse" => Outcome::Right,
        _ => Outcome::Held,
    }
}

fn is_right(mapping: &str, held_back: &[(Value, Value)]) -> bool {
    let Ok(expression) = Expression::compile(mapping) else { return false };
    held_back.iter().all(|(input, expected)| {
        let got = expression.evaluate(input, &Bindings::new(), Moment::new(0, 0), &Limits::default());
        got.ok().flatten().is_some_and(|got| same(&got, expected))
    })
}

fn score(outcomes: &[Outcome], left_out: Option<usize>) -> Score {
    let rest = || outcomes.iter().enumerate().filter(|(at, _)| Some(*at) != left_out).map(|(_, outcome)| *outcome);
    let count = |kind: Outcome| rest().filter(|outcome| *outcome == kind).count();
    Score { harmless: -(count(Outcome::Harm).cast_signed()), right: count(Outcome::Right) }
}

fn in_words(score: Score) -> String {
    format!("{}, {}", score.right, -score.harmless)
}
