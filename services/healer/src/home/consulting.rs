//! What language models are asked about a mapping, as its home keeps it.
//!
//! Invariants: an answer is journaled before any of it is tried, so a kill costs at most the one call that was under way;
//! about one version of a mapping a model is asked at most as often as the step allows, whatever is killed in between.

use prunella_catalog::MappingHistory;
use prunella_model::{Code, MappingKey, TextHash};
use prunella_repair::Verdict;
use prunella_stream::chaos::{self, Point};
use prunella_stream::{OutRecord, StageError};
use prunella_wire::records::{ErrorInfo, MappingConsultation, ModelAnswer, TriedMapping};

use super::MappingHome;
use crate::attempt::{Attempt, is_open};
use crate::service::SERVICE;

/// What a failure says of asking again.
enum Again {
    /// The question was at fault, or the answer: the next one may be better.
    Counted,
    /// The provider was: the same question is asked later.
    Later,
    Never,
}

/// The consultation about the version that is used, if there was one.
pub(super) fn current(history: &MappingHistory, base: &TextHash) -> Option<MappingConsultation> {
    let known = history.consultations.get(base)?;
    (known.parent == history.active_version(base)).then(|| known.clone())
}

/// Whether something was proposed that may still turn out to be right.
fn has_proposals(consultation: Option<&MappingConsultation>) -> bool {
    consultation.is_some_and(|known| known.tried.iter().any(is_open))
}

impl MappingHome {
    /// Keeps an answer, and tries what it proposes.
    pub(super) fn answered(&mut self, answer: ModelAnswer, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let workshop = self.workshop.clone();
        let settings = &workshop.deps.settings;
        let kept = self.kept(&answer.mapping);
        kept.waiting.attempt_ended(now, settings);
        if kept.history.active_version(&answer.base) != answer.parent {
            return Ok(Vec::new());
        }
        let later = kept.waiting.next_attempt();
        let mut consultation = current(&kept.history, &answer.base).unwrap_or_else(|| nothing_asked(&answer));
        let again = match &answer.error {
            None => Again::Counted,
            Some(error) => again(error, answer.again_at),
        };
        consultation.message = answer.error.map(|error| error.message).unwrap_or_default();
        consultation.again_at = None;
        match again {
            Again::Counted => consultation.asked += 1,
            Again::Later => consultation.again_at = Some(answer.again_at.unwrap_or(later)),
            Again::Never => consultation.is_over = true,
        }
        consultation.tried.extend(answer.proposed);
        if !consultation.is_over {
            kept.waiting.try_at(consultation.again_at.unwrap_or(now));
        }
        self.keep(consultation, now)
    }

    /// Writes a consultation as it stands now.
    pub(super) fn keep(&mut self, consultation: MappingConsultation, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let consultation = MappingConsultation { changed_at: now, ..consultation };
        let record = self.writer.consultation(&consultation)?;
        let history = &mut self.kept(&consultation.mapping).history;
        history.consultations.insert(consultation.base.clone(), consultation);
        Ok(vec![record])
    }

    /// Forgets what was asked about a mapping, because somebody wants it asked again.
    pub(super) fn ask_anew(&mut self, mapping: &MappingKey, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let known: Vec<MappingConsultation> = self.kept(mapping).history.consultations.values().cloned().collect();
        let mut records = Vec::new();
        for consultation in known {
            let tried = consultation
                .tried
                .into_iter()
                .map(|proposed| TriedMapping { verdict: Some(Verdict::Refuse.as_str().to_owned()), ..proposed });
            let tried = tried.collect();
            let anew = MappingConsultation { asked: 0, is_over: false, again_at: None, tried, ..consultation };
            records.extend(self.keep(anew, now)?);
        }
        Ok(records)
    }

    /// Works on `attempt` in the background: what was proposed is tried; otherwise structure is, and then, if that settles
    /// nothing, a model is asked.
    pub(super) fn work_on(&self, attempt: Attempt) {
        let (site, workshop, writer) = (self.site.clone(), self.workshop.clone(), self.writer.clone());
        self.site.spawn(async move {
            let work = async {
                if has_proposals(attempt.consultation.as_ref()) {
                    let outcome = attempt.prove(&workshop).await;
                    chaos::at(SERVICE, Point::Proven);
                    drop(site.emit(vec![writer.outcome(&outcome)?]).await);
                    return Ok(());
                }
                let (mut outcome, attempted) = attempt.run(&workshop).await;
                let question = match (&workshop.models, &attempted) {
                    (Some(models), Some(attempted)) => models.question(&workshop, &attempt, attempted).await,
                    _ => None,
                };
                if workshop.models.is_none() && attempted.is_some() {
                    attempt.tell_missing_model(&workshop).await;
                }
                outcome.asks_model = question.is_some();
                chaos::at(SERVICE, Point::Proven);
                // A home that was revoked restores what waits, and its next owner attempts it.
                if site.emit(vec![writer.outcome(&outcome)?]).await.is_err() {
                    return Ok(());
                }
                if let (Some(models), Some(question)) = (&workshop.models, question) {
                    let consulted = models.ask(&attempt, &question).await;
                    let records = vec![writer.llm_call(&consulted.call)?, writer.answer(&consulted.answer)?];
                    drop(site.emit(records).await);
                }
                Ok::<(), StageError>(())
            };
            tokio::select! {
                done = work => if let Err(error) = done {
                    tracing::error!(error = %error.message, "the outcome of an attempt could not be written");
                },
                () = site.revoked.cancelled() => {}
            }
        });
    }
}

fn nothing_asked(answer: &ModelAnswer) -> MappingConsultation {
    MappingConsultation {
        mapping: answer.mapping.clone(),
        base: answer.base.clone(),
        parent: answer.parent,
        asked: 0,
        tried: Vec::new(),
        is_over: false,
        again_at: None,
        message: String::new(),
        changed_at: answer.answered_at,
    }
}

fn again(error: &ErrorInfo, again_at: Option<i64>) -> Again {
    match Code::from_id(&error.code) {
        Some(Code::LlmBadAnswer | Code::LlmTruncated | Code::LlmRefused) => Again::Counted,
        // One call alone costs more than an hour may.
        Some(Code::LlmBudget) if again_at.is_none() => Again::Never,
        Some(
            Code::LlmBudget | Code::LlmRateLimited | Code::LlmCircuitOpen | Code::LlmTimeout | Code::LlmUnavailable,
        ) => Again::Later,
        _ => Again::Never,
    }
}
