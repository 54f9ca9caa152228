//! An attempt to repair a mapping: what is known of it goes into a case, what comes out goes back to its home.

use std::collections::HashSet;

use prunella_model::{MappingKey, TextHash};
use prunella_platform::StepWork;
use prunella_repair::{Case, Sample, Settings, Verdict, repair};
use prunella_stream::StageError;
use prunella_stream::homes::now_millis;
use prunella_telemetry::emit;
use prunella_wire::Payload;
use prunella_wire::records::{HealOutcome, MappingSample, StepRef};

use crate::events::AttemptFailed;
use crate::service::Workshop;

/// Everything an attempt begins with.
pub(crate) struct Attempt {
    pub(crate) mapping: MappingKey,
    pub(crate) base: TextHash,
    /// The version that failed, and its text if it is not the author's.
    pub(crate) parent: i32,
    pub(crate) text: Option<String>,
    /// A step attempt whose definition has the author's text and the schema.
    pub(crate) at: StepRef,
    pub(crate) failing: Vec<Payload>,
    pub(crate) remembered: Vec<MappingSample>,
}

impl Attempt {
    /// An attempt that could not be made has an outcome too: its home has to know that it is over.
    pub(crate) async fn run(self, workshop: &Workshop) -> HealOutcome {
        let _turn = workshop.turn.acquire().await;
        let (mapping, base, parent) = (self.mapping.clone(), self.base.clone(), self.parent);
        let outcome = |verdict: &str, text, origin: &str, evidence: String| HealOutcome {
            mapping: mapping.clone(),
            base: base.clone(),
            parent,
            verdict: verdict.to_owned(),
            text,
            origin: origin.to_owned(),
            evidence,
            ended_at: now_millis(),
        };
        let case = match self.case(workshop).await {
            Ok(case) => case,
            Err(error) => {
                emit(AttemptFailed { mapping: &mapping, error: &error });
                return outcome("failed", None, "repaired", reason(&error.message));
            }
        };
        match tokio::task::spawn_blocking(move || repair(&case, &Settings::default())).await {
            Ok(Ok(repaired)) => {
                let evidence = serde_json::to_string(&repaired.evidence).unwrap_or_default();
                outcome(repaired.verdict.as_str(), repaired.mapping, repaired.origin, evidence)
            }
            Ok(Err(error)) => outcome(Verdict::Refuse.as_str(), None, "repaired", reason(&error.to_string())),
            Err(panicked) => outcome(Verdict::Refuse.as_str(), None, "repaired", reason(&panicked.to_string())),
        }
    }

    async fn case(self, workshop: &Workshop) -> Result<Case, StageError> {
        let platform = workshop.deps.platform();
        let work = StepWork::find(platform, &self.at).await?;
        let unknown = || StageError::new(prunella_model::Code::WorkflowUnknown, format!("{}: no healing", self.at));
        let healing = work.step().healing.as_ref().ok_or_else(unknown)?;
        // A source that is polled shows the same record again and again; twice the same proves no more than once, and
        // an entity that stands there twice cannot be told from another one.
        let mut seen = HashSet::new();
        let mut failing = Vec::with_capacity(self.failing.len());
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
        Ok(Case {
            id: self.mapping.to_string(),
            mapping: Some(self.text.unwrap_or_else(|| healing.text.to_string())),
            schema: healing.schema.clone(),
            remembered: remembered.filter_map(read).collect(),
            failing,
        })
    }
}

fn reason(text: &str) -> String {
    serde_json::json!({ "summary": text }).to_string()
}
