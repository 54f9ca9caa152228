//! What can be observed of language models.

use std::time::Duration;

use tracing::{info, warn};

use prunella_telemetry::{Event, metrics};
use prunella_wire::records::LlmCall;

use crate::answer::Answer;
use crate::error::{LlmError, shown};

/// A consultation has ended.
pub(crate) struct Consulted<'a> {
    pub(crate) call: &'a LlmCall,
    pub(crate) result: &'a Result<Answer, LlmError>,
}

impl Event for Consulted<'_> {
    fn emit(self) {
        let Self { call, result } = self;
        let outcome = call.code.as_deref().unwrap_or(&call.outcome);
        metrics::LLM_CALLS.with_label_values(&[&call.provider, outcome]).inc();
        let known = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        metrics::LLM_REQUESTS.with_label_values(&[&call.provider]).inc_by(known(Some(call.tries.into())));
        metrics::LLM_TOKENS.with_label_values(&[call.provider.as_str(), "input"]).inc_by(known(call.input_tokens));
        metrics::LLM_TOKENS.with_label_values(&[call.provider.as_str(), "output"]).inc_by(known(call.output_tokens));
        metrics::LLM_COST.with_label_values(&[&call.provider, &call.currency]).inc_by(known(call.cost_micros));
        if call.cost_micros.is_none() {
            metrics::LLM_UNPRICED.with_label_values(&[&call.provider]).inc();
        }
        if call.tries > 0 {
            let seconds = Duration::from_millis(known(Some(call.duration_ms))).as_secs_f64();
            metrics::LLM_SECONDS.with_label_values(&[&call.provider]).observe(seconds);
        }
        let LlmCall { provider, model, mapping, tries, input_tokens, output_tokens, cost_micros, duration_ms, .. } =
            call;
        match result {
            Ok(answer) => info!(
                %provider, %model, %mapping, tries, ?input_tokens, ?output_tokens, ?cost_micros, duration_ms,
                candidates = answer.candidates.len(), from_cache = answer.from_cache, "a language model has proposed mappings"
            ),
            Err(error) => warn!(
                %provider, %model, %mapping, tries, ?cost_micros, duration_ms,
                code = %error.code(), %error, "no mapping from a language model"
            ),
        }
    }
}

/// A request has failed and is sent again.
pub(crate) struct TriedAgain<'a> {
    pub(crate) provider: &'a str,
    pub(crate) error: &'a LlmError,
    pub(crate) wait: Duration,
}

impl Event for TriedAgain<'_> {
    fn emit(self) {
        let Self { provider, error, wait } = self;
        info!(provider, code = %error.code(), %error, wait = shown(wait), "asking a language model again");
    }
}

/// A provider is left alone, or trusted again.
pub(crate) struct CircuitMoved<'a> {
    pub(crate) provider: &'a str,
    pub(crate) is_open: bool,
}

impl Event for CircuitMoved<'_> {
    fn emit(self) {
        let Self { provider, is_open } = self;
        metrics::LLM_CIRCUIT_OPEN.with_label_values(&[provider]).set(is_open.into());
        if is_open {
            warn!(provider, "a provider of language models has failed too often and is left alone");
        } else {
            info!(provider, "a provider of language models answers again");
        }
    }
}
