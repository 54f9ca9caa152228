//! One repair from beginning to end.

use jsonschema::Validator;
use serde_json::Value;

use crate::candidate::Shown;
use crate::case::Case;
use crate::error::RepairError;
use crate::eval::Evaluator;
use crate::evidence::{Evidence, FieldChange, Repair, Story, Trial, Verdict};
use crate::examples::grouped;
use crate::guard::{Jump, JumpKind, jumps};
use crate::infer;
use crate::known::{recognise as recognise_rows, rows};
use crate::outage::{Outage, Usual, recognise};
use crate::places::descend;
use crate::profile::OutputProfile;
use crate::proof::{Run, regressed, run};
use crate::settings::Settings;
use crate::shape;
use crate::solve::{Solution, Solver};
use crate::syntax::Reading;
use crate::value::is_empty;
use crate::verdict::{Findings, decide};

/// Records looked at when a mapping is made; all of them are proven on.
const MOST_RECORDS: usize = 300;

/// Finds the mapping that serves the records as they come now, and says how sure that is.
pub fn repair(case: &Case, settings: &Settings) -> Result<Repair, RepairError> {
    let validator = case.validator()?;
    let evaluator = Evaluator::new(settings.limits.clone());
    match &case.mapping {
        Some(mapping) => Session { case, settings, validator, evaluator, mapping }.repair(),
        None => Ok(infer::infer(case, settings, &validator, &evaluator)),
    }
}

struct Session<'a> {
    case: &'a Case,
    settings: &'a Settings,
    validator: Validator,
    evaluator: Evaluator,
    mapping: &'a str,
}

/// The records, told apart.
struct Sorted<'a> {
    outages: Vec<Outage>,
    /// Records the mapping has to be made for.
    new: Vec<&'a Value>,
    /// Records that the old mapping still serves, beside new ones.
    old: Vec<&'a Value>,
    /// What tells new records from old ones, where both arrive.
    told_by: Option<String>,
    /// The old mapping gives valid output for every record.
    silent: bool,
}

impl Session<'_> {
    fn repair(&self) -> Result<Repair, RepairError> {
        let ast = jlens_core::parse(self.mapping)
            .map_err(|error| RepairError::Mapping { message: error.message().to_string() })?;
        let reading = Reading::of(&ast);
        let remembered: Vec<&Value> = self.case.remembered.iter().map(|sample| &sample.input).collect();
        let sorted = self.sort(&reading, &remembered);
        if sorted.new.is_empty() {
            return Ok(self.nothing_to_learn(sorted));
        }
        let old_side: Vec<&Value> = remembered.iter().take(MOST_RECORDS).copied().collect();
        let new_side: Vec<&Value> = sorted.new.iter().take(MOST_RECORDS).copied().collect();
        let solver = |new: Vec<&'_ Value>| -> (Solution, Vec<usize>) {
            let ingredients = self.settings.ingredients;
            let solver = Solver::new(&reading, &self.evaluator, ingredients, old_side.clone(), new, &self.case.schema);
            let joined =
                solver.levels.iter().flat_map(|level| level.pairs.iter().map(|pair| level.new.record[pair.new]));
            let joined = joined.collect();
            (solver.solve(), joined)
        };
        let (solution, joined) = solver(new_side.clone());
        let (held_back, stable) = self.hold_back(&new_side, &joined, &solution, &solver);
        Ok(self.conclude(&reading, &sorted, &remembered, solution, held_back, stable))
    }

    /// Makes the mapping again without some records that show no known entity; it has to come out the same.
    fn hold_back<'r>(
        &self,
        new_side: &[&'r Value],
        joined: &[usize],
        solution: &Solution,
        solve: &dyn Fn(Vec<&'r Value>) -> (Solution, Vec<usize>),
    ) -> (usize, bool) {
        let unknown: Vec<usize> = (0..new_side.len()).rev().filter(|index| !joined.contains(index)).collect();
        let held: Vec<usize> = unknown.into_iter().take(new_side.len() / 4).collect();
        if held.is_empty() || solution.mapping == self.mapping {
            return (held.len(), true);
        }
        let rest = new_side.iter().enumerate().filter(|(index, _)| !held.contains(index)).map(|(_, record)| *record);
        let (again, _) = solve(rest.collect());
        (held.len(), again.reads == solution.reads)
    }

    fn sort<'r>(&'r self, reading: &Reading<'_>, remembered: &[&Value]) -> Sorted<'r> {
        let paths = absolute_paths(reading);
        let usual = Usual::of(remembered.iter().copied());
        let alive_before: Vec<bool> = paths
            .iter()
            .map(|path| remembered.iter().filter(|record| has(record, path)).count() * 10 >= remembered.len() * 9)
            .collect();
        let expected: Vec<&Vec<String>> =
            paths.iter().zip(&alive_before).filter(|(_, alive)| **alive).map(|(path, _)| path).collect();
        let (mut outages, mut served, mut unserved) = (Vec::new(), Vec::new(), Vec::new());
        for record in &self.case.failing {
            let alive = expected.iter().filter(|path| has(record, path)).count();
            let share = alive as f64 / expected.len().max(1) as f64;
            if let Some(outage) = recognise(record, &usual, share) {
                outages.push(outage);
                continue;
            }
            let outcome = run(&self.evaluator, &self.validator, self.mapping, record);
            if outcome.valid && alive == expected.len() {
                served.push(record)
            } else {
                unserved.push((record, outcome.valid))
            }
        }
        let silent = unserved.iter().all(|(_, valid)| *valid);
        let unserved: Vec<&Value> = unserved.into_iter().map(|(record, _)| record).collect();
        if unserved.is_empty() || served.is_empty() || silent {
            let new = served.into_iter().chain(unserved).collect();
            return Sorted { outages, new, old: Vec::new(), told_by: None, silent };
        }
        let old: Vec<&Value> = served.iter().copied().chain(remembered.iter().copied()).collect();
        let both = shape::side_by_side(remembered, &served, &unserved);
        match shape::discriminator(&old, &unserved, self.mapping).filter(|_| both) {
            Some(field) => Sorted { outages, new: unserved, old: served, told_by: Some(field), silent },
            None => {
                let new =
                    self.case.failing.iter().filter(|record| unserved.contains(record) || served.contains(record));
                Sorted { outages, new: new.collect(), old: Vec::new(), told_by: None, silent }
            }
        }
    }

    fn nothing_to_learn(&self, sorted: Sorted<'_>) -> Repair {
        let mut kinds: Vec<&str> = sorted.outages.iter().map(|outage| outage.in_words()).collect();
        kinds.dedup();
        let summary = if sorted.outages.is_empty() {
            "there are no records to learn from".to_owned()
        } else {
            format!("the source is out: {}", kinds.join(", "))
        };
        let trial = Trial { records: self.case.failing.len(), outages: sorted.outages.len(), ..Trial::default() };
        let story = Story {
            reasons: vec![summary.clone()],
            summary,
            gone: Vec::new(),
            new: Vec::new(),
            fields: Vec::new(),
            trial,
            jumps: Vec::new(),
            outages: sorted.outages,
            score: 0.0,
            would_change: vec!["records that hold data".to_owned()],
        };
        Repair { id: self.case.id.clone(), verdict: Verdict::Refuse, mapping: None, origin: "none", evidence: story }
    }

    fn conclude(
        &self,
        reading: &Reading<'_>,
        sorted: &Sorted<'_>,
        remembered: &[&Value],
        solution: Solution,
        held_back: usize,
        stable: bool,
    ) -> Repair {
        let changed = solution.mapping != self.mapping;
        let mapping = match &sorted.told_by {
            Some(_) if !changed => solution.mapping.clone(),
            Some(field) => {
                let both: Vec<&Value> = sorted.old.iter().copied().chain(remembered.iter().copied()).collect();
                let field =
                    shape::discriminator(&both, &sorted.new, &solution.mapping).unwrap_or_else(|| field.clone());
                format!("$exists({field}) ? {} : {}", grouped(&solution.mapping), grouped(self.mapping))
            }
            None => solution.mapping.clone(),
        };
        let runs: Vec<_> = sorted
            .new
            .iter()
            .chain(&sorted.old)
            .map(|record| run(&self.evaluator, &self.validator, &mapping, record))
            .collect();
        let served_before = sorted.told_by.is_some();
        let regressed_samples = if served_before { &self.case.remembered[..] } else { &[] };
        let trial = Trial {
            records: sorted.new.len() + sorted.old.len(),
            old_shape: sorted.old.len(),
            outages: sorted.outages.len(),
            valid: runs.iter().filter(|run| run.valid).count(),
            held_back,
            known: solution.known,
            reproduced: solution.reproduced,
            remembered: regressed_samples.len(),
            regressed: regressed(&self.evaluator, &mapping, regressed_samples),
        };
        let fields = self.confirmed(field_changes(reading, &solution), &sorted.new, &runs);
        let jumps = if self.settings.ingredients.profile {
            let before = OutputProfile::of(self.case.remembered.iter().map(|sample| &sample.output));
            let now = OutputProfile::of(runs.iter().take(sorted.new.len()).filter_map(|run| run.output.as_ref()));
            let mut found = unexplained(jumps(&before, &now), &fields);
            found.extend(solution.jumps.iter().cloned());
            found
        } else {
            Vec::new()
        };
        let (gone, new) = shape::changes(remembered, &sorted.new);
        let findings = Findings {
            fields,
            trial,
            jumps,
            changed,
            silent: sorted.silent,
            stable,
            lost_rows: solution.lost_rows,
            new_records: sorted.new.len(),
            inferred: false,
        };
        let decision = decide(&findings);
        let mapping = match decision.verdict {
            Verdict::Refuse => None,
            Verdict::Unchanged => Some(self.mapping.to_owned()),
            _ => Some(mapping),
        };
        let story = Story {
            summary: decision.summary,
            gone,
            new,
            score: decision.score,
            fields: findings.fields,
            trial: findings.trial,
            jumps: findings.jumps,
            outages: sorted.outages.clone(),
            reasons: decision.reasons,
            would_change: decision.would_change,
        };
        let origin = if decision.verdict == Verdict::Unchanged { "author" } else { "repaired" };
        Repair { id: self.case.id.clone(), verdict: decision.verdict, mapping, origin, evidence: story }
    }
}

impl Session<'_> {
    /// What cannot be followed in the mapping may still be seen in its outputs: known entities show there what they showed.
    fn confirmed(&self, fields: Vec<FieldChange>, records: &[&Value], runs: &[Run]) -> Vec<FieldChange> {
        let opaque = |field: &FieldChange| field.evidence == Evidence::Opaque;
        if !self.settings.ingredients.overlap || !fields.iter().any(opaque) {
            return fields;
        }
        let made: Option<Vec<Value>> = runs.iter().take(records.len()).map(|run| run.output.clone()).collect();
        let Some(made) = made else { return fields };
        let (old, new) = (rows(self.case.remembered.iter().map(|sample| &sample.output)), rows(&made));
        let known = recognise_rows(&old, &new);
        let shown = Shown { old: &old, new: &new, known: &known, records };
        let seen = |field: FieldChange| match shown.evidence(&field.field) {
            evidence @ Evidence::Proven { .. } if opaque(&field) => {
                FieldChange { because: evidence.because(), evidence, ..field }
            }
            _ => field,
        };
        fields.into_iter().map(seen).collect()
    }
}

/// Jumps of fields whose values known entities confirm are no surprise.
fn unexplained(jumps: Vec<Jump>, fields: &[FieldChange]) -> Vec<Jump> {
    let confirmed = |jump: &Jump| {
        let name = jump.field.replace("[]", "");
        fields.iter().any(|field| {
            let same = name.trim_start_matches('.') == field.field;
            let optional = matches!(jump.what, JumpKind::Silent { usual } if usual < 0.9);
            let kept = optional && matches!(field.evidence, Evidence::Kept { .. });
            same && (kept || matches!(field.evidence, Evidence::Proven { .. } | Evidence::Kept { confirmed: 2.. }))
        })
    };
    jumps.into_iter().filter(|jump| !confirmed(jump)).collect()
}

fn field_changes(reading: &Reading<'_>, solution: &Solution) -> Vec<FieldChange> {
    reading
        .leaves
        .iter()
        .zip(&solution.outcomes)
        .filter(|(leaf, _)| !leaf.outer || !leaf.atoms.is_empty())
        .map(|(leaf, outcome)| FieldChange {
            field: if leaf.path.is_empty() { "the output".to_owned() } else { leaf.path.join(".") },
            old: reading.source.get(leaf.span.start..leaf.span.end).unwrap_or_default().to_owned(),
            new: outcome.text.clone(),
            because: outcome.evidence.because(),
            evidence: outcome.evidence.clone(),
        })
        .collect()
}

/// Names from the record to each value that the mapping reads, where they are plain.
fn absolute_paths(reading: &Reading<'_>) -> Vec<Vec<String>> {
    let keys_of = |context: usize| -> Option<Vec<String>> {
        let mut keys = Vec::new();
        let mut at = Some(context);
        while let Some(index) = at {
            let context = &reading.contexts[index];
            let own: Vec<String> = context.path.as_ref()?.keys().into_iter().map(str::to_owned).collect();
            keys.splice(0..0, own);
            at = context.parent;
        }
        Some(keys)
    };
    let absolute = |atom: &crate::syntax::Atom| -> Option<Vec<String>> {
        let mut keys = keys_of(atom.context)?;
        keys.extend(atom.path.as_ref()?.keys().into_iter().map(str::to_owned));
        Some(keys)
    };
    reading.atoms.iter().filter_map(absolute).filter(|path| !path.is_empty()).collect()
}

fn has(record: &Value, path: &[String]) -> bool {
    let Some((last, around)) = path.split_last() else { return true };
    let keys: Vec<&str> = around.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    descend(record, &keys, &mut found);
    found.iter().any(|value| !is_empty(value.get(last)) || value.get(last).is_some_and(|value| !value.is_null()))
}
