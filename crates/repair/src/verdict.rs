//! The verdict, from the evidence and nothing else.
//!
//! Invariants:
//! - a mapping is activated only when every field carries ([`Evidence::carries`]), every new record gives valid output,
//!   the guard saw no jump, making it from fewer records gives the same, and old records beside new ones are served as
//!   before;
//! - a mapping that gives valid output as it is changes only on proof by known entities;
//! - what is refused has no mapping.

use crate::evidence::{Evidence, FieldChange, Trial, Verdict};
use crate::guard::Jump;

pub(crate) struct Findings {
    pub(crate) fields: Vec<FieldChange>,
    pub(crate) trial: Trial,
    pub(crate) jumps: Vec<Jump>,
    pub(crate) changed: bool,
    pub(crate) silent: bool,
    pub(crate) stable: bool,
    pub(crate) lost_rows: bool,
    pub(crate) new_records: usize,
    pub(crate) inferred: bool,
}

pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) summary: String,
    pub(crate) score: f64,
    pub(crate) reasons: Vec<String>,
    pub(crate) would_change: Vec<String>,
}

/// New records that names may be believed on; fewer need known entities.
const FEWEST_BY_NAME: usize = 3;

pub(crate) fn decide(findings: &Findings) -> Decision {
    let trial = &findings.trial;
    let all_valid = trial.valid == trial.records;
    let mut reasons = Vec::new();
    let mut would_change = Vec::new();
    let weak: Vec<&FieldChange> = findings.fields.iter().filter(|field| !field.evidence.carries()).collect();
    let lowest = findings.fields.iter().map(|field| field.evidence.weight()).fold(1.0, f64::min);
    let share = trial.valid as f64 / trial.records.max(1) as f64;
    let score = (lowest * share * 100.0).round() / 100.0;

    let quiet = |field: &&FieldChange| matches!(field.evidence, Evidence::Quiet | Evidence::Opaque);
    let right_as_it_is = !findings.changed && findings.silent && findings.jumps.is_empty() && weak.iter().all(quiet);
    if right_as_it_is && !findings.inferred {
        return Decision {
            verdict: Verdict::Unchanged,
            summary: "the mapping is right as it is".to_owned(),
            score,
            reasons: vec![format!("all {} records give valid output, and nothing contradicts it", trial.records)],
            would_change,
        };
    }
    for field in &weak {
        reasons.push(format!("{}: {}", field.field, field.because));
        would_change.push(match &field.evidence {
            Evidence::Tied { .. } => format!("a known entity for which the candidates of {} differ", field.field),
            Evidence::Gone | Evidence::Quiet => format!("a record that has {}", field.field),
            _ => format!("a record of an entity whose {} is known", field.field),
        });
    }
    if !all_valid {
        reasons.push(format!("{} of {} records give no valid output", trial.records - trial.valid, trial.records));
    }
    reasons.extend(findings.jumps.iter().map(Jump::in_words));
    if !findings.jumps.is_empty() {
        would_change.push("known entities that show whether the jump is real".to_owned());
    }
    if !findings.stable {
        reasons.push("made from fewer records, it comes out differently".to_owned());
        would_change.push("more records".to_owned());
    }
    if trial.regressed < trial.remembered {
        reasons.push(format!(
            "{} of {} remembered samples of the old shape come out differently",
            trial.remembered - trial.regressed,
            trial.remembered
        ));
    }
    let by_name_only = findings.new_records < FEWEST_BY_NAME
        && findings.fields.iter().any(|field| {
            matches!(
                field.evidence,
                Evidence::SameName | Evidence::SamePattern | Evidence::Systematic { .. } | Evidence::Recast { .. }
            )
        });
    if by_name_only {
        reasons.push(format!("only {} records to believe names on", findings.new_records));
        would_change.push("more records".to_owned());
    }
    let unproven = |field: &&FieldChange| {
        field.old != field.new && !matches!(field.evidence, Evidence::Proven { .. } | Evidence::Kept { confirmed: 1.. })
    };
    if findings.silent && !findings.inferred && findings.fields.iter().any(|field| unproven(&field)) {
        reasons.push("the output is valid as it is, and no known entity proves the change".to_owned());
    }
    if !findings.changed && all_valid && reasons.is_empty() {
        reasons.push("nothing was found to change".to_owned());
    }
    let gone = weak.iter().filter(|field| matches!(field.evidence, Evidence::Gone | Evidence::Refuted { .. })).count();
    let hopeless = findings.lost_rows || gone * 10 > findings.fields.len() * 6;
    let (verdict, summary) = if reasons.is_empty() {
        let proven = findings.fields.iter().filter(|field| field.old != field.new).count();
        (Verdict::Activate, format!("proven: {proven} of {} fields are read in another way now", findings.fields.len()))
    } else if hopeless {
        (Verdict::Refuse, "too much of what the mapping reads is gone".to_owned())
    } else {
        (Verdict::Review, format!("not proven: {}", reasons.first().cloned().unwrap_or_default()))
    };
    Decision { verdict, summary, score, reasons, would_change }
}
