//! An attempt to repair a mapping: what is known of it goes into a case, what comes out goes back to its home.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use prunella_mapping::{Bindings, Expression, Moment};
use prunella_model::workflow::MappingTest;
use prunella_model::{MappingKey, TextHash};
use prunella_platform::StepWork;
use prunella_repair::{
    Case, Repair, RepairError, Sample, Settings, Verdict, prove_all, repair, same, with_examples, with_former,
};
use prunella_stream::StageError;
use prunella_stream::chaos::{self, Point};
use prunella_stream::homes::now_millis;
use prunella_telemetry::emit;
use prunella_wire::Payload;
use prunella_wire::records::{HealOutcome, MappingConsultation, MappingSample, StepRef, TriedMapping};

use crate::events::{AttemptFailed, ModelMissing};
use crate::service::{SERVICE, Workshop};

/// Items that still arrive which a mapping is tried on; more of them show the same shapes.
const MOST_STILL: usize = 20;
/// Shapes of a source that a repair is attempted for one by one.
const MOST_SHAPES: usize = 3;

/// Everything an attempt begins with.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) mapping: MappingKey,
    pub(crate) base: TextHash,
    /// The version that failed, and its text if it is not the author's.
    pub(crate) parent: i32,
    pub(crate) text: Option<String>,
    /// A step attempt whose definition has the author's text and the schema.
    pub(crate) at: StepRef,
    pub(crate) failing: Vec<Payload>,
    /// What was wrong with some of them.
    pub(crate) errors: Vec<String>,
    pub(crate) remembered: Vec<MappingSample>,
    /// Items that this version has mapped well while others failed: what replaces it has to go on doing so.
    pub(crate) still: Vec<MappingSample>,
    /// What models were asked about this version.
    pub(crate) consultation: Option<MappingConsultation>,
    /// What fails looks like a source that changed: worth a question.
    pub(crate) is_drift: bool,
}

/// What an attempt has come to, with all that a question to a model needs.
pub(crate) struct Attempted {
    pub(crate) case: Case,
    pub(crate) ours: Repair,
}

impl Attempt {
    /// Repairs the mapping by structure alone. An attempt that could not be made has an outcome too: its home has to
    /// know that it is over.
    pub(crate) async fn run(&self, workshop: &Workshop) -> (HealOutcome, Option<Attempted>) {
        let _turn = workshop.turn.acquire().await;
        let known = match self.known(workshop).await {
            Ok(known) => known,
            Err(error) => return (self.failed(&error), None),
        };
        let settings = self.settings(workshop);
        let repaired = tokio::task::spawn_blocking(move || known.repaired(&settings)).await;
        match repaired.map_err(|panicked| panicked.to_string()).and_then(|done| done.map_err(|error| error.to_string()))
        {
            Ok((case, ours)) => {
                let evidence = serde_json::to_string(&ours.evidence).unwrap_or_default();
                let outcome = self.outcome(ours.verdict, ours.mapping.clone(), ours.origin, evidence);
                (outcome, Some(Attempted { case, ours }))
            }
            Err(error) => (self.outcome(Verdict::Refuse, None, "repaired", reason(&error)), None),
        }
    }

    /// Tries what a model has proposed, as everything else is tried; and again with more records, if there were too few.
    pub(crate) async fn prove(&self, workshop: &Workshop) -> HealOutcome {
        let Some(consultation) = &self.consultation else {
            return self.outcome(Verdict::Refuse, None, "llm", reason(""));
        };
        let _turn = workshop.turn.acquire().await;
        let known = match self.known(workshop).await {
            Ok(known) => known,
            Err(error) => return self.failed(&error),
        };
        let mut tried = consultation.tried.clone();
        let open: Vec<String> = tried.iter().filter(|it| is_open(it)).map(|proposed| proposed.text.clone()).collect();
        let settings = self.settings(workshop);
        let proven = tokio::task::spawn_blocking(move || -> Result<(Repair, Vec<Repair>), RepairError> {
            let (case, ours) = known.repaired(&settings)?;
            let texts: Vec<&str> = open.iter().map(String::as_str).collect();
            let proven = prove_all(&case, &texts, &ours, &known.examples, &settings)?;
            Ok((ours, proven))
        });
        let proven =
            proven.await.map_err(|error| error.to_string()).and_then(|done| done.map_err(|error| error.to_string()));
        let (ours, proven) = match proven {
            Ok(proven) => proven,
            Err(error) => {
                judge(&mut tried, |_| (Verdict::Refuse, error.clone()));
                return HealOutcome { tried, ..self.outcome(Verdict::Refuse, None, "llm", reason(&error)) };
            }
        };
        judge(&mut tried, |at| (proven[at].verdict, proven[at].evidence.reasons.join("; ")));
        let settled = Some(&ours).filter(|ours| matches!(ours.verdict, Verdict::Activate | Verdict::Unchanged));
        let of_verdict = |verdict| proven.iter().find(|repair| repair.verdict == verdict);
        let best = settled.or_else(|| of_verdict(Verdict::Activate)).or_else(|| of_verdict(Verdict::Review));
        let Some(best) = best else {
            return HealOutcome {
                tried,
                ..self.outcome(Verdict::Refuse, None, "llm", reason("no proposal is proven"))
            };
        };
        let evidence = serde_json::to_string(&best.evidence).unwrap_or_default();
        HealOutcome { tried, ..self.outcome(best.verdict, best.mapping.clone(), best.origin, evidence) }
    }

    pub(crate) fn settings(&self, workshop: &Workshop) -> Settings {
        Settings { limits: workshop.deps.transformer.limits.clone(), ..Settings::default() }
    }

    fn failed(&self, error: &StageError) -> HealOutcome {
        emit(AttemptFailed { mapping: &self.mapping, error });
        let outcome = self.outcome(Verdict::Refuse, None, "repaired", reason(&error.message));
        HealOutcome { verdict: "failed".to_owned(), ..outcome }
    }

    pub(crate) fn outcome(
        &self,
        verdict: Verdict,
        text: Option<String>,
        origin: &str,
        evidence: String,
    ) -> HealOutcome {
        HealOutcome {
            mapping: self.mapping.clone(),
            base: self.base.clone(),
            parent: self.parent,
            verdict: verdict.as_str().to_owned(),
            text,
            origin: origin.to_owned(),
            evidence,
            tried: Vec::new(),
            moved: None,
            asks_model: false,
            ended_at: now_millis(),
        }
    }

    /// Says that the step names a model, when this process can ask none.
    pub(crate) async fn tell_missing_model(&self, workshop: &Workshop) {
        let Ok(work) = StepWork::find(workshop.deps.platform(), &self.at).await else { return };
        if let Some(model) = work.step().healing.as_ref().and_then(|healing| healing.settings.model.as_deref()) {
            emit(ModelMissing { mapping: &self.mapping, model });
        }
    }

    async fn known(&self, workshop: &Workshop) -> Result<Known, StageError> {
        let platform = workshop.deps.platform();
        let work = StepWork::find(platform, &self.at).await?;
        let unknown = || StageError::new(prunella_model::Code::WorkflowUnknown, format!("{}: no healing", self.at));
        let healing = work.step().healing.as_ref().ok_or_else(unknown)?;
        // A source that is polled shows the same record again and again; twice the same proves no more than once, and
        // an entity that stands there twice cannot be told from another one.
        let mut seen = HashSet::new();
        let mut failing: Vec<Value> = Vec::with_capacity(self.failing.len());
        for payload in &self.failing {
            let bytes = platform.claims.fetch(payload, u64::MAX, "").await?;
            if seen.insert(bytes.clone()) {
                failing.extend(serde_json::from_slice(&bytes).ok());
            }
        }
        let mut inputs = HashSet::new();
        let remembered = self.remembered.iter().filter(|sample| inputs.insert(sample.input.as_str()));
        let read = |sample: &MappingSample| {
            let input = serde_json::from_str(&sample.input).ok()?;
            Some(Sample { input, output: serde_json::from_str(&sample.output).ok()? })
        };
        let example = |test: &MappingTest| Sample { input: test.input.clone(), output: test.output.clone() };
        let mut inputs = HashSet::new();
        let still = self.still.iter().filter(|sample| inputs.insert(sample.input.as_str())).take(MOST_STILL);
        let examples = healing.tests.iter().map(example).chain(still.filter_map(read)).collect();
        let case = Case {
            id: self.mapping.to_string(),
            mapping: Some(self.text.clone().unwrap_or_else(|| healing.text.to_string())),
            schema: healing.schema.clone(),
            remembered: remembered.filter_map(read).collect(),
            failing,
        };
        Ok(Known { case, examples, former: self.text.is_some().then(|| healing.text.to_string()) })
    }
}

/// What a repair begins with.
struct Known {
    case: Case,
    /// Of the author, and of what still comes: any mapping has to get them right.
    examples: Vec<Sample>,
    /// The mapping of the author, when another one is used.
    former: Option<String>,
}

impl Known {
    /// The case as it was tried, and what came of it.
    fn repaired(&self, settings: &Settings) -> Result<(Case, Repair), RepairError> {
        let case = of_its_shape(self.case.clone(), settings);
        let ours = repaired_by_shape(&case, &self.examples, settings)?;
        let is_open = matches!(ours.verdict, Verdict::Review | Verdict::Refuse);
        let back = match &self.former {
            Some(former) if is_open => with_former(&self.case, former, &self.examples, settings)?,
            _ => None,
        };
        Ok((case, back.unwrap_or(ours)))
    }
}

/// The case with the samples that its mapping maps to what they gave. Others are of a shape that an earlier version was
/// for: beside them everything would look moved that is where it was. When none is left, all are better than none.
fn of_its_shape(case: Case, settings: &Settings) -> Case {
    let Some(Ok(mapping)) = case.mapping.as_deref().map(Expression::compile) else { return case };
    let is_its = |sample: &&Sample| {
        let found = mapping.evaluate(&sample.input, &Bindings::new(), Moment::new(0, 0), &settings.limits);
        matches!(found, Ok(Some(output)) if same(&output, &sample.output))
    };
    let its: Vec<Sample> = case.remembered.iter().filter(is_its).cloned().collect();
    if its.is_empty() { case } else { Case { remembered: its, ..case } }
}

/// A mapping that serves several shapes changes for what comes as one of them did, and the samples of the others only
/// blur that: if the whole proves nothing, each shape is asked by itself. What it finds has to get the others right.
fn repaired_by_shape(case: &Case, examples: &[Sample], settings: &Settings) -> Result<Repair, RepairError> {
    let found = repair(case, settings)?;
    chaos::at(SERVICE, Point::CandidateMade);
    let whole = with_examples(case, found, examples, settings)?;
    let shapes = shapes(&case.remembered);
    if !matches!(whole.verdict, Verdict::Refuse | Verdict::Review) || shapes.len() < 2 {
        return Ok(whole);
    }
    for shape in shapes.into_iter().take(MOST_SHAPES) {
        let others = case.remembered.iter().filter(|sample| !shape.contains(sample)).chain(examples).cloned();
        let others: Vec<Sample> = others.collect();
        let case = Case { remembered: shape, ..case.clone() };
        let found = with_examples(&case, repair(&case, settings)?, &others, settings)?;
        if found.verdict == Verdict::Activate {
            return Ok(found);
        }
    }
    Ok(whole)
}

/// The samples by the names that stand in their inputs, the most frequent first.
fn shapes(samples: &[Sample]) -> Vec<Vec<Sample>> {
    let mut shapes: BTreeMap<Vec<&str>, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        let names = sample.input.as_object().into_iter().flat_map(|object| object.keys().map(String::as_str));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        shapes.entry(names).or_default().push(sample.clone());
    }
    let mut shapes: Vec<Vec<Sample>> = shapes.into_values().collect();
    shapes.sort_by_key(|shape| std::cmp::Reverse(shape.len()));
    shapes
}

/// Whether a proposal may still turn out to be right.
pub(crate) fn is_open(proposed: &TriedMapping) -> bool {
    proposed.verdict.as_deref() != Some(Verdict::Refuse.as_str())
}

/// Writes what became of each open proposal, in their order.
fn judge(tried: &mut [TriedMapping], verdict: impl Fn(usize) -> (Verdict, String)) {
    for (at, proposed) in tried.iter_mut().filter(|proposed| is_open(proposed)).enumerate() {
        let (verdict, because) = verdict(at);
        proposed.verdict = Some(verdict.as_str().to_owned());
        proposed.because = because;
    }
}

fn reason(text: &str) -> String {
    serde_json::json!({ "summary": text }).to_string()
}
