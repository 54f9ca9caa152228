//! The proof of a mapping that somebody else proposes, such as a language model.
//!
//! Invariants:
//! - it is activated only when each field of its outputs carries by [`Evidence`]: known entities show there what they
//!   showed before, or our own repair has proven the field and the proposal gives the same on every record;
//! - it is refused when anything contradicts it, and the reasons can be told to whoever proposed it;
//! - what our own repair could not tell apart, a proposal does not tell apart either.

mod leaves;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use jlens_core::ast::{BinaryOp, Node, NodeKind};
use jsonschema::Validator;
use prunella_mapping::Expression;
use serde_json::Value;

use crate::case::{Case, Sample};
use crate::error::RepairError;
use crate::eval::Evaluator;
use crate::evidence::{Evidence, FieldChange, Repair, Story, Trial, Verdict};
use crate::examples::{failures, guarded};
use crate::guard::{Jump, jumps};
use crate::known::{Known, Row, recognise, rows};
use crate::outage::{self, Usual};
use crate::profile::OutputProfile;
use crate::settings::Settings;
use crate::syntax::Reading;
use crate::value::bits;
use leaves::values_at;
pub(crate) use shown::Shown;
use shown::lost;

/// Errors of outputs that are told; more say no more.
const MOST_ERRORS: usize = 5;
/// Literals of a mapping that say as much as an identifier and stand in the data were learned by heart.
const BITS_OF_LITERAL: f64 = 20.0;

/// Proves `text` on the records of the case. `ours` is what [`crate::repair`] made of the same case; `golden` are
/// examples of the author that any mapping has to get right.
///
/// # Errors
/// [`RepairError`] when the schema of the case cannot be used.
pub fn prove(
    case: &Case,
    text: &str,
    ours: &Repair,
    golden: &[Sample],
    settings: &Settings,
) -> Result<Repair, RepairError> {
    let validator = case.validator()?;
    let evaluator = Evaluator::new(settings.limits.clone());
    let proof = Proof { case, text, ours, validator, evaluator };
    Ok(proof.repair(golden))
}

/// Proves each of several proposals. Two that would be activated and give different outputs cannot both be right: a person
/// decides then.
///
/// # Errors
/// As [`prove`].
pub fn prove_all(
    case: &Case,
    texts: &[&str],
    ours: &Repair,
    golden: &[Sample],
    settings: &Settings,
) -> Result<Vec<Repair>, RepairError> {
    let proven = texts.iter().map(|text| prove(case, text, ours, golden, settings));
    let mut proven = proven.collect::<Result<Vec<Repair>, RepairError>>()?;
    let evaluator = Evaluator::new(settings.limits.clone());
    let sure: Vec<usize> = (0..texts.len()).filter(|at| proven[*at].verdict == Verdict::Activate).collect();
    let gives = |at: usize, record: &Value| evaluator.map(texts[at], record).ok();
    let differ =
        |one: usize, other: usize| case.failing.iter().any(|record| gives(one, record) != gives(other, record));
    let doubtful: Vec<usize> =
        sure.iter().copied().filter(|one| sure.iter().any(|other| one != other && differ(*one, *other))).collect();
    for at in doubtful {
        let reason = "another proposal is proven as well, and gives something else".to_owned();
        proven[at].verdict = Verdict::Review;
        proven[at].evidence.summary = format!("not proven: {reason}");
        proven[at].evidence.reasons.push(reason);
    }
    Ok(proven)
}

struct Proof<'a> {
    case: &'a Case,
    text: &'a str,
    ours: &'a Repair,
    validator: Validator,
    evaluator: Evaluator,
}

/// What the proposal makes of the records that hold data.
#[derive(Default)]
struct Outputs<'a> {
    records: Vec<&'a Value>,
    outputs: Vec<Value>,
    outages: usize,
    failures: Vec<String>,
    tried: usize,
}

impl Proof<'_> {
    fn repair(&self, golden: &[Sample]) -> Repair {
        if let Some(reason) = self.unusable() {
            return self.refused(Trial::default(), vec![reason]);
        }
        let made = self.run();
        let trial = Trial {
            records: made.tried,
            outages: made.outages,
            valid: made.outputs.len(),
            remembered: golden.len(),
            ..Trial::default()
        };
        if !made.failures.is_empty() {
            return self.refused(trial, made.failures);
        }
        if made.outputs.is_empty() {
            return self.refused(trial, vec!["there are no records that hold data".to_owned()]);
        }
        let wrong = failures(&self.evaluator, self.text, golden);
        let trial = Trial { regressed: golden.len() - wrong.len(), ..trial };
        let beside = || guarded(self.case, self.text, golden, &self.evaluator).ok().flatten();
        let passing = if wrong.is_empty() { Some(self.text.to_owned()) } else { beside() };
        let Some(mapping) = passing else { return self.refused(trial, wrong) };
        let repair = self.weigh(&made, trial);
        Repair { mapping: repair.mapping.and(Some(mapping)), ..repair }
    }

    /// Why the text is not even tried.
    fn unusable(&self) -> Option<String> {
        if let Err(error) = Expression::compile(self.text) {
            return Some(format!("it does not compile: {error}"));
        }
        if self.text.contains("$eval") {
            return Some("it calls $eval, which is denied".to_owned());
        }
        let learned = self.learned_by_heart()?;
        Some(format!("it holds {learned}, a value of the data: a mapping reads values, it does not know them"))
    }

    /// A literal that says as much as an identifier, stands in the data, and was not in the author's mapping.
    fn learned_by_heart(&self) -> Option<String> {
        let before = self.case.mapping.as_deref().unwrap_or_default();
        let mut values = BTreeSet::new();
        let remembered = self.case.remembered.iter().flat_map(|sample| [&sample.input, &sample.output]);
        remembered.chain(&self.case.failing).for_each(|value| note_values(value, &mut values));
        let literal = |value: &String| self.text.contains(value.as_str()) && !before.contains(value.as_str());
        values.into_iter().find(literal)
    }

    fn run(&self) -> Outputs<'_> {
        let usual = Usual::of(self.case.remembered.iter().map(|sample| &sample.input));
        let mut made = Outputs::default();
        for record in &self.case.failing {
            let outcome = self.evaluator.map(self.text, record);
            if let Ok(output) = &outcome
                && self.validator.is_valid(output)
            {
                made.tried += 1;
                made.records.push(record);
                made.outputs.extend(outcome);
                continue;
            }
            if outage::recognise(record, &usual, 0.0).is_some() {
                made.outages += 1;
                continue;
            }
            made.tried += 1;
            match outcome {
                Ok(output) => {
                    let errors = self.validator.iter_errors(&output).take(MOST_ERRORS);
                    made.failures.extend(errors.map(|error| format!("{}: {error}", error.instance_path())));
                }
                Err(error) => made.failures.push(error),
            }
            // A mapping that runs into its limits takes as long again on each further record.
            if made.failures.len() >= MOST_ERRORS {
                break;
            }
        }
        made.failures.dedup();
        made.failures.truncate(MOST_ERRORS);
        made
    }

    fn weigh(&self, made: &Outputs<'_>, trial: Trial) -> Repair {
        let old = rows(self.case.remembered.iter().map(|sample| &sample.output));
        let new = rows(&made.outputs);
        let known = recognise(&old, &new);
        let shown = Shown { old: &old, new: &new, known: &known, records: &made.records };
        let carried = self.carried(made);
        let names: BTreeSet<&String> = old.iter().chain(&new).flat_map(|row| row.fields.keys()).collect();
        let mut refuted = Vec::new();
        let fields: Vec<FieldChange> = names
            .into_iter()
            .map(|name| {
                let evidence = match (shown.evidence(name), carried.get(name.as_str())) {
                    (Evidence::Refuted { example }, _) => {
                        refuted.push(format!("{name}: {example}"));
                        Evidence::Refuted { example }
                    }
                    (_, Some(Carried::Contradicted(reason))) => {
                        refuted.push(format!("{name}: {reason}"));
                        Evidence::Refuted { example: reason.clone() }
                    }
                    (own, Some(Carried::Agrees(evidence))) if !own.carries() => evidence.clone(),
                    (_, Some(Carried::Tied(evidence))) => evidence.clone(),
                    (own, _) => own,
                };
                self.field(name, evidence)
            })
            .collect();
        let trial = Trial {
            known: known.len(),
            reproduced: known.iter().filter(|pair| shown.same_fields(pair)).count(),
            ..trial
        };
        if !refuted.is_empty() {
            refuted.truncate(MOST_ERRORS);
            return Repair { evidence: Story { fields, ..self.story(trial, refuted, Vec::new()) }, ..self.nothing() };
        }
        let before = OutputProfile::of(self.case.remembered.iter().map(|sample| &sample.output));
        let now = OutputProfile::of(&made.outputs);
        let is_proven = |jump: &Jump| {
            let name = plain(&jump.field);
            fields.iter().any(|field| field.field == name && matches!(field.evidence, Evidence::Proven { .. }))
        };
        let jumps: Vec<Jump> = jumps(&before, &now).into_iter().filter(|jump| !is_proven(jump)).collect();
        let mut reasons: Vec<String> = fields
            .iter()
            .filter(|field| !field.evidence.carries())
            .map(|field| format!("{}: {}", field.field, field.because))
            .collect();
        reasons.extend(jumps.iter().map(Jump::in_words));
        reasons.extend(lost(&old, &new, &made.records));
        reasons.extend(self.untested_decisions(&known, &new, made));
        let verdict = if reasons.is_empty() { Verdict::Activate } else { Verdict::Review };
        let lowest = fields.iter().map(|field| field.evidence.weight()).fold(1.0, f64::min);
        let story = Story { fields, score: lowest, ..self.story(trial, reasons, jumps) };
        Repair { verdict, mapping: Some(self.text.to_owned()), evidence: story, ..self.nothing() }
    }

    /// Comparisons that the author did not write, and that known entities do not show both ways: what the other way leads
    /// to, nobody has seen.
    fn untested_decisions(&self, known: &[Known], new: &[Row<'_>], made: &Outputs<'_>) -> Vec<String> {
        let before = self.case.mapping.as_deref().unwrap_or_default();
        let Ok(ast) = jlens_core::parse(self.text) else { return Vec::new() };
        let mut decisions = BTreeSet::new();
        ast.root.walk(&mut |node| {
            let decision = deciding(node).and_then(|node| self.text.get(node.span.start..node.span.end));
            decisions.extend(decision);
        });
        let records: BTreeSet<usize> = known.iter().map(|pair| new[pair.new].output).collect();
        let shows = |decision: &&str| {
            let test = format!("$boolean({decision})");
            let is_true = |at: &usize| self.evaluator.map(&test, made.records[*at]).is_ok_and(|value| value == true);
            let times = records.iter().filter(|at| is_true(at)).count();
            times > 0 && times < records.len()
        };
        let untested = decisions.into_iter().filter(|decision| !before.contains(decision) && !shows(decision));
        untested.take(MOST_ERRORS).map(|decision| format!("no known entities show both ways of {decision}")).collect()
    }

    /// What our own repair says of the fields of the output, where it is of use.
    fn carried(&self, made: &Outputs<'_>) -> BTreeMap<&str, Carried> {
        let ours: Option<Vec<Option<Value>>> = self
            .ours
            .mapping
            .as_ref()
            .map(|mapping| made.records.iter().map(|record| self.evaluator.map(mapping, record).ok()).collect());
        let mut carried = BTreeMap::new();
        for field in &self.ours.evidence.fields {
            if matches!(field.evidence, Evidence::Tied { .. }) {
                carried.insert(field.field.as_str(), Carried::Tied(field.evidence.clone()));
            }
            let Some(ours) = ours.as_ref().filter(|_| field.evidence.carries()) else { continue };
            let differs = made.outputs.iter().zip(ours).find_map(|(output, ours)| {
                let (theirs, ours) = (values_at(output, &field.field), values_at(ours.as_ref()?, &field.field));
                (theirs != ours)
                    .then(|| format!("it gives {}, and {} is {}", brief(&theirs), brief(&ours), field.because))
            });
            let found = differs.map_or_else(|| Carried::Agrees(field.evidence.clone()), Carried::Contradicted);
            carried.insert(field.field.as_str(), found);
        }
        carried
    }

    fn field(&self, name: &str, evidence: Evidence) -> FieldChange {
        let text = |mapping: &str| -> String {
            let Ok(ast) = jlens_core::parse(mapping) else { return String::new() };
            let reading = Reading::of(&ast);
            let leaf = reading.leaves.iter().find(|leaf| leaf.path.join(".") == name);
            leaf.and_then(|leaf| mapping.get(leaf.span.start..leaf.span.end)).unwrap_or_default().to_owned()
        };
        let old = self.case.mapping.as_deref().map(text).unwrap_or_default();
        FieldChange { field: name.to_owned(), old, new: text(self.text), because: evidence.because(), evidence }
    }

    fn refused(&self, trial: Trial, reasons: Vec<String>) -> Repair {
        Repair { evidence: self.story(trial, reasons, Vec::new()), ..self.nothing() }
    }

    fn nothing(&self) -> Repair {
        let evidence = self.story(Trial::default(), Vec::new(), Vec::new());
        Repair { id: self.case.id.clone(), verdict: Verdict::Refuse, mapping: None, origin: "llm", evidence }
    }

    fn story(&self, trial: Trial, reasons: Vec<String>, jumps: Vec<Jump>) -> Story {
        let summary = match reasons.first() {
            None => "proven: every field is confirmed".to_owned(),
            Some(first) => format!("not proven: {first}"),
        };
        Story {
            summary,
            gone: self.ours.evidence.gone.clone(),
            new: self.ours.evidence.new.clone(),
            fields: Vec::new(),
            trial,
            jumps,
            outages: Vec::new(),
            score: 0.0,
            would_change: Vec::new(),
            reasons,
        }
    }
}

/// The part of the node that decides what becomes of something else.
fn deciding(node: &Node) -> Option<&Node> {
    let compares = |op: &BinaryOp| {
        use BinaryOp::{Eq, Ge, Gt, In, Le, Lt, Ne};
        matches!(op, Eq | Ne | Lt | Le | Gt | Ge | In)
    };
    match &node.kind {
        NodeKind::Binary { op, .. } if compares(op) => Some(node),
        NodeKind::Condition { condition, .. } => Some(condition),
        _ => None,
    }
}

/// What our own repair says of a field.
enum Carried {
    Agrees(Evidence),
    Contradicted(String),
    Tied(Evidence),
}

fn note_values(value: &Value, values: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| note_values(value, values)),
        Value::Array(items) => items.iter().for_each(|item| note_values(item, values)),
        Value::String(text) if bits(value) >= BITS_OF_LITERAL => drop(values.insert(text.clone())),
        Value::Number(number) if bits(value) >= BITS_OF_LITERAL => drop(values.insert(number.to_string())),
        _ => {}
    }
}

fn brief(values: &[Value]) -> String {
    let text = match values {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        several => Value::from(several.to_vec()).to_string(),
    };
    text.chars().take(80).collect()
}

/// The path of a profile without marks of lists.
fn plain(path: &str) -> String {
    path.replace("[]", "").trim_start_matches('.').to_owned()
}
