//! Mappings that a language model might propose: right ones that can be known to be right, right ones that cannot, and
//! wrong ones.

use prunella_repair::{Case, Repair, Sample, Settings, Verdict, prove, prove_all, repair};
use serde_json::{Value, json};

/// A pump as it was, in bar, and as it is now, in psi, with a code for its state that only its maker understands.
fn was(pump: u64) -> Value {
    let state = ["running", "idle", "fault"][(pump % 3) as usize];
    json!({ "id": serial(pump), "pressure_bar": bar(pump), "state": state })
}

fn is_now(pump: u64) -> Value {
    let (psi, state) = ((bar(pump) * 14.5038 * 1000.0).round() / 1000.0, ["R", "I", "F"][(pump % 3) as usize]);
    json!({ "unit": { "serial": serial(pump) }, "p": psi, "st": state, "cycle": 100 + pump * 3 })
}

fn serial(pump: u64) -> String {
    format!("P-{:05}-{:04}", pump * 7919 % 100_000, pump * 613 % 10_000)
}

fn bar(pump: u64) -> f64 {
    100.0 + (pump * 37 % 900) as f64 / 10.0
}

const OLD: &str = r#"{ "pump": id, "bar": pressure_bar, "state": state }"#;
const RIGHT: &str = r#"{ "pump": unit.serial, "bar": $round(p / 14.5038, 1), "state": $lookup({"R": "running", "I": "idle", "F": "fault"}, st) }"#;

fn output(pump: u64) -> Value {
    json!({ "pump": serial(pump), "bar": bar(pump), "state": was(pump)["state"] })
}

fn case(remembered: std::ops::Range<u64>, failing: std::ops::Range<u64>) -> Case {
    Case {
        id: "pumps".to_owned(),
        mapping: Some(OLD.to_owned()),
        schema: json!({
            "type": "object", "required": ["pump", "bar", "state"],
            "properties": { "pump": { "type": "string" }, "bar": { "type": "number" }, "state": { "enum": ["running", "idle", "fault"] } },
        }),
        remembered: remembered.map(|pump| Sample { input: was(pump), output: output(pump) }).collect(),
        failing: failing.map(is_now).collect(),
    }
}

fn proven(case: &Case, text: &str) -> Repair {
    proven_with(case, text, &[])
}

fn proven_with(case: &Case, text: &str, golden: &[Sample]) -> Repair {
    let ours = repair(case, &Settings::default()).expect("a repair");
    assert_ne!(ours.verdict, Verdict::Activate, "structure alone is enough: {:#?}", ours.evidence);
    prove(case, text, &ours, golden, &Settings::default()).expect("a proof")
}

fn reasons(repair: &Repair) -> String {
    repair.evidence.reasons.join("; ")
}

#[test]
fn what_known_entities_confirm_is_proven() {
    let proof = proven(&case(0..24, 12..40), RIGHT);
    assert_eq!(proof.verdict, Verdict::Activate, "{:#?}", proof.evidence);
    assert_eq!((proof.origin, proof.mapping.as_deref()), ("llm", Some(RIGHT)));
    assert_eq!((proof.evidence.trial.known, proof.evidence.trial.reproduced), (12, 12));
}

#[test]
fn what_nobody_can_confirm_waits_for_a_person() {
    let proof = proven(&case(0..24, 24..60), RIGHT);
    assert_eq!(proof.verdict, Verdict::Review, "{:#?}", proof.evidence);
    assert!(reasons(&proof).contains("bar: nothing but the proposal speaks for it"), "{}", reasons(&proof));
}

#[test]
fn what_known_entities_contradict_is_refused_and_says_why() {
    for (text, word) in [
        (RIGHT.replace("$round(p / 14.5038, 1)", "p"), "bar: a known entity showed "),
        (RIGHT.replace("$round(p / 14.5038, 1)", "$round(p / 14, 1)"), "bar: a known entity showed "),
        (RIGHT.replace("\"idle\", \"F\": \"fault\"", "\"fault\", \"F\": \"idle\""), "state: "),
        (RIGHT.replace("$round(p / 14.5038, 1)", "cycle"), "bar: a known entity showed "),
    ] {
        let proof = proven(&case(0..24, 12..40), &text);
        assert_eq!(proof.verdict, Verdict::Refuse, "{text}: {:#?}", proof.evidence);
        assert!(reasons(&proof).contains(word), "{text}: {}", reasons(&proof));
        assert_eq!(proof.mapping, None);
    }
}

#[test]
fn what_fails_or_gives_invalid_outputs_is_refused_and_says_why() {
    let mut case = case(0..24, 12..200);
    let long = "https://pumps.example/by-serial/P-58380-2260";
    case.failing[3]["href"] = json!(long);
    for (text, word) in [
        ("{ \"pump\": unit.serial".to_owned(), "does not compile"),
        (RIGHT.replace("unit.serial", "$eval(\"unit.serial\")"), "$eval"),
        (RIGHT.replace("unit.serial", "unit.serial & $join([1..100000000].$string())"), "array"),
        ("($f := function($x) { $f($x + 1) }; $f(0))".to_owned(), "the evaluation"),
        (RIGHT.replace("\"F\": \"fault\"", "\"F\": \"broken\""), "\"broken\" is not one of"),
        (r#"{ "pump": id, "bar": p, "state": "idle" }"#.to_owned(), "required"),
        (RIGHT.replace("unit.serial", &format!("(st = \"R\" ? \"{long}\" : unit.serial)")), "a value of the data"),
        ("nothing.at.all".to_owned(), "gives no value"),
    ] {
        let started = std::time::Instant::now();
        let proof = proven(&case, &text);
        assert_eq!(proof.verdict, Verdict::Refuse, "{text}: {:#?}", proof.evidence);
        assert!(reasons(&proof).contains(word), "{text}: {}", reasons(&proof));
        assert!(started.elapsed().as_secs() < 60, "{text} took {:?}", started.elapsed());
    }
}

#[test]
fn what_only_some_known_entities_confirm_is_not_proven() {
    for (text, word) in [
        // Right for two thirds of the pumps, and the others are not recognised any more.
        (
            RIGHT.replace("unit.serial", "(st = \"R\" ? \"P-1\" : unit.serial)"),
            "known values that stand in the records",
        ),
        (
            RIGHT.replace("unit.serial", "(cycle > 150 ? unit.serial : \"P-1\")"),
            "known values that stand in the records",
        ),
        (
            RIGHT.replace("$round(p / 14.5038, 1)", "(st = \"R\" ? $round(p / 14.6, 1) : $round(p / 14.5038, 1))"),
            "bar: ",
        ),
    ] {
        let proof = proven(&case(0..24, 12..40), &text);
        assert_eq!(proof.verdict, Verdict::Review, "{text}: {:#?}", proof.evidence);
        assert!(reasons(&proof).contains(word), "{text}: {}", reasons(&proof));
    }
    // Right for all known pumps: what it does beyond, nobody has seen.
    let backdoor = RIGHT.replace("$round(p / 14.5038, 1)", "(cycle > 190 ? 0 : $round(p / 14.5038, 1))");
    let proof = proven(&case(0..24, 12..60), &backdoor);
    assert_eq!(proof.verdict, Verdict::Review, "{:#?}", proof.evidence);
    assert!(reasons(&proof).contains("both ways of cycle > 190"), "{}", reasons(&proof));
    let mut unseen = case(0..24, 12..40);
    unseen.remembered.retain(|sample| sample.output["state"] != "fault");
    let proof = proven(&unseen, RIGHT);
    assert_eq!(proof.verdict, Verdict::Review, "no known pump tells what F is: {:#?}", proof.evidence);
    assert!(reasons(&proof).contains("state: "), "{}", reasons(&proof));
}

#[test]
fn another_field_that_fits_the_known_entities_leaves_it_undecided() {
    let mut case = case(0..24, 12..40);
    for (at, record) in case.failing.iter_mut().enumerate() {
        // Equal for the twelve that are known, and not for the others.
        let p = record["p"].as_f64().expect("a number");
        record["bar_setpoint"] = json!(if at < 12 { (p / 14.5038 * 10.0).round() / 10.0 } else { 55.5 });
        record["bar_peak"] = json!(if at < 12 { (p / 14.5038 * 10.0).round() / 10.0 } else { 310.0 + at as f64 });
    }
    let proof = proven(&case, &RIGHT.replace("$round(p / 14.5038, 1)", "bar_setpoint"));
    assert_eq!(proof.verdict, Verdict::Review, "{:#?}", proof.evidence);
    assert!(reasons(&proof).contains("bar: cannot be told from bar_peak"), "{}", reasons(&proof));
}

#[test]
fn the_authors_examples_have_to_come_out_right() {
    let example = Sample { input: is_now(99), output: output(99) };
    let golden = [example.clone()];
    assert_eq!(proven_with(&case(0..24, 12..40), RIGHT, &golden).verdict, Verdict::Activate);
    let other = Sample { output: json!({ "pump": "other" }), ..example };
    let proof = proven_with(&case(0..24, 12..40), RIGHT, &[other]);
    assert_eq!(proof.verdict, Verdict::Refuse);
    assert!(reasons(&proof).contains("example 1 wants"), "{}", reasons(&proof));
}

#[test]
fn of_two_proposals_that_cannot_both_be_right_none_is_used() {
    let case = case(0..24, 12..40);
    let ours = repair(&case, &Settings::default()).expect("a repair");
    // Right for every known pump, and not for the others.
    let other = RIGHT.replace("$round(p / 14.5038, 1)", "$round(p / 14.5038, 1 - $floor(cycle / 175))");
    let both = prove_all(&case, &[RIGHT, &other], &ours, &[], &Settings::default()).expect("proofs");
    let verdicts: Vec<Verdict> = both.iter().map(|proof| proof.verdict).collect();
    assert_eq!(verdicts, [Verdict::Review, Verdict::Review], "{:#?}", both[1].evidence.reasons);
    let twice = prove_all(&case, &[RIGHT, RIGHT], &ours, &[], &Settings::default()).expect("proofs");
    assert!(twice.iter().all(|proof| proof.verdict == Verdict::Activate));
}

#[test]
fn outages_among_the_records_prove_nothing() {
    let mut case = case(0..24, 12..40);
    case.failing.push(json!("<html><body>Please log in</body></html>"));
    let proof = proven(&case, RIGHT);
    assert_eq!((proof.verdict, proof.evidence.trial.outages), (Verdict::Activate, 1), "{:#?}", proof.evidence);
}
