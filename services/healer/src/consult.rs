//! A language model is asked, when structure alone could not settle what a mapping has become.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use prunella_llm::{BudgetLimits, CacheUse, FieldError, Llm, ModelName, RepairRequest, Sample as Pair, Subject, Tried};
use prunella_platform::{Platform, StepWork};
use prunella_repair::{Usual, Verdict, recognise};
use prunella_stream::homes::now_millis;
use prunella_stream::{StreamError, Tail, TailFrom, Tailed};
use prunella_wire::records::{ErrorInfo, LlmCall, ModelAnswer, TriedMapping};

use crate::attempt::{Attempt, Attempted};
use crate::service::Workshop;

/// The models of a process, and the calls that it has made itself.
pub(crate) struct Models {
    llm: Arc<Llm>,
    /// Calls of this process that have not come by on `log.llm` yet. They are in its budgets already.
    own: Mutex<HashSet<String>>,
}

/// What came of a question: what it cost, and what was answered.
pub(crate) struct Consulted {
    pub(crate) call: LlmCall,
    pub(crate) answer: ModelAnswer,
}

impl Models {
    pub(crate) fn new(llm: Arc<Llm>) -> Self {
        Self { llm, own: Mutex::default() }
    }

    /// Follows `log.llm`, so that the calls of others and of earlier processes are in the budgets: those of the last hour
    /// before this returns.
    pub(crate) async fn follow(
        self: &Arc<Self>,
        platform: &Platform,
        stop: CancellationToken,
    ) -> Result<(), StreamError> {
        const HOUR: i64 = 3_600_000;
        let from = TailFrom::Since(now_millis() - HOUR);
        let mut tail = Tail::start(&platform.kafka, &platform.topics.log_llm(), from).await?;
        let codec = platform.codec.clone();
        while let Some(Tailed::Record(record)) = tail.next().await {
            self.take(&codec, record.value.as_deref()).await;
        }
        let models = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    tailed = tail.next() => match tailed {
                        Some(Tailed::Record(record)) => models.take(&codec, record.value.as_deref()).await,
                        Some(Tailed::CaughtUp) => {}
                        None => return,
                    },
                    () = stop.cancelled() => return,
                }
            }
        });
        Ok(())
    }

    async fn take(&self, codec: &prunella_wire::Codec, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        match codec.decode::<LlmCall>(value).await {
            Ok(call) if self.own().remove(&call.id) => {}
            Ok(call) => self.llm.restore(&call),
            Err(error) => tracing::error!(%error, "a call on log.llm cannot be read; the budgets do not know of it"),
        }
    }

    fn own(&self) -> MutexGuard<'_, HashSet<String>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The question that `attempted` leaves, if it is worth one and may be asked.
    pub(crate) async fn question(
        &self,
        workshop: &Workshop,
        attempt: &Attempt,
        attempted: &Attempted,
    ) -> Option<RepairRequest> {
        let Attempted { case, ours } = attempted;
        // Without fields nothing was learned: what came is an outage.
        let is_open = matches!(ours.verdict, Verdict::Review | Verdict::Refuse) && !ours.evidence.fields.is_empty();
        if !is_open || !attempt.is_drift {
            return None;
        }
        let work = StepWork::find(workshop.deps.platform(), &attempt.at).await.ok()?;
        let planned = work.step().healing.as_ref()?;
        let healing = &planned.settings;
        let model: Option<ModelName> = healing.model.as_ref().and_then(|name| name.parse().ok());
        if model.is_none() && !self.llm.is_configured() {
            return None;
        }
        let most = healing.model_attempts.unwrap_or(workshop.deps.settings.model_attempts);
        let consultation = attempt.consultation.as_ref();
        let asked = consultation.map_or(0, |known| u32::try_from(known.asked).unwrap_or(0));
        let is_over = consultation.is_some_and(|known| known.is_over || known.again_at > Some(now_millis()));
        if is_over || asked >= most {
            return None;
        }
        let usual = Usual::of(case.remembered.iter().map(|sample| &sample.input));
        let failing = case.failing.iter().filter(|record| recognise(record, &usual, 0.0).is_none());
        let pair =
            |sample: &prunella_repair::Sample| Pair { input: sample.input.clone(), output: sample.output.clone() };
        let told = |tried: &TriedMapping| Tried { mapping: tried.text.clone(), because: tried.because.clone() };
        let error = |message: &String| FieldError { path: String::new(), message: message.clone() };
        Some(RepairRequest {
            subject: Subject {
                workspace: attempt.mapping.workspace.clone(),
                workflow: attempt.mapping.workflow.clone(),
                step: attempt.mapping.step.clone(),
                mapping: attempt.mapping.to_string(),
                run: Some(attempt.at.run.clone()),
            },
            schema: case.schema.clone(),
            mapping: case.mapping.clone(),
            errors: attempt.errors.iter().map(error).collect(),
            remembered: case.remembered.iter().map(pair).collect(),
            failing: failing.cloned().collect(),
            tried: consultation.map(|known| known.tried.iter().map(told).collect()).unwrap_or_default(),
            model,
            limits: BudgetLimits { calls_per_hour: healing.calls_per_hour, cost_per_hour: healing.cost_per_hour },
            redact: planned.redact.clone(),
            secrets: Vec::new(),
            cache: CacheUse::Use,
        })
    }

    pub(crate) async fn ask(&self, attempt: &Attempt, request: &RepairRequest) -> Consulted {
        let consultation = self.llm.repair(request).await;
        let (call, now) = (consultation.call, now_millis());
        self.own().insert(call.id.clone());
        let mut answer = ModelAnswer {
            mapping: attempt.mapping.clone(),
            base: attempt.base.clone(),
            parent: attempt.parent,
            call: call.id.clone(),
            model: format!("{}/{}", call.provider, call.model),
            proposed: Vec::new(),
            error: None,
            again_at: None,
            answered_at: now,
        };
        match consultation.result {
            Ok(found) => {
                let proposed = found.candidates.into_iter().map(|candidate| TriedMapping {
                    text: candidate.mapping,
                    reason: candidate.reason,
                    verdict: None,
                    because: String::new(),
                });
                answer.proposed = proposed.collect();
            }
            Err(error) => {
                let millis = error.again_in().map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
                answer.again_at = millis.map(|wait| now.saturating_add(wait));
                answer.error = Some(ErrorInfo::new(error.code(), error.to_string()));
            }
        }
        Consulted { call, answer }
    }
}
