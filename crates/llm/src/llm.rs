use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::Rng;
use serde_json::Value;

use prunella_redact::{RedactionKey, Redactor};
use prunella_sources::HttpClient;
use prunella_telemetry::emit;
use prunella_wire::records::LlmCall;

use crate::answer::{self, Answer, Usage};
use crate::budget::{Ledger, Reservation, Scope, Spent};
use crate::cache::{AnswerCache, CachedAnswer, RequestDigest, hex};
use crate::error::LlmError;
use crate::events::{CircuitMoved, Consulted, TriedAgain};
use crate::exchange::{self, Again, Bounds};
use crate::model_name::ModelName;
use crate::prompt::{self, Prompt};
use crate::protocol::{self, Ask, End, Reply};
use crate::provider::Provider;
use crate::request::{CacheUse, RepairRequest};
use crate::settings::{LlmSettings, Price};

/// The models that can be asked, with what they may cost and how they have been doing. One for a process.
pub struct Llm {
    settings: LlmSettings,
    http: HttpClient,
    redactor: Redactor,
    cache: Arc<dyn AnswerCache>,
    providers: BTreeMap<String, Provider>,
    ledger: Mutex<Ledger>,
    answer_schema: Value,
}

/// What came of asking.
#[derive(Debug, Clone)]
pub struct Consultation {
    pub result: Result<Answer, LlmError>,
    /// For `log.llm`, in any case.
    pub call: LlmCall,
}

/// What a consultation has found out so far.
struct Notes {
    call: LlmCall,
    usage: Usage,
    charged: u64,
    price: Option<Price>,
}

impl Llm {
    /// Checks the settings and reads the keys.
    ///
    /// # Errors
    /// [`LlmError::Settings`] names the key that cannot be used, [`LlmError::Secret`] the secret.
    pub fn new(
        settings: LlmSettings,
        http: HttpClient,
        key: RedactionKey,
        cache: Arc<dyn AnswerCache>,
    ) -> Result<Self, LlmError> {
        settings.check()?;
        let mut providers = BTreeMap::new();
        for (name, provider) in &settings.providers {
            providers.insert(name.clone(), Provider::new(name, provider, settings.breaker)?);
        }
        let keys = providers.values().filter_map(|provider| provider.key.as_ref()).map(prunella_vault::Secret::reveal);
        let redactor = Redactor::new(settings.redact.clone(), key).with_secrets(keys);
        let ledger = Mutex::new(Ledger::new(settings.budget.clone(), settings.currency.clone()));
        Ok(Self { settings, http, redactor, cache, providers, ledger, answer_schema: prompt::answer_schema() })
    }

    /// Whether there is a model to ask unless a call names one.
    pub fn is_configured(&self) -> bool {
        self.settings.model.is_some()
    }

    /// Counts a consultation of an earlier process: those of the last hour take room in the budgets.
    pub fn restore(&self, call: &LlmCall) {
        self.ledger().restore(call, now());
    }

    /// What was spent since the process began, restored records included.
    pub fn spent(&self, scope: &Scope) -> Spent {
        self.ledger().spent(scope)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for candidates of a mapping. Takes at most `tries` times `timeout` and `longest-wait`. When the future is
    /// dropped, what is on its way is counted at its worst case, and there is no record.
    pub async fn repair(&self, request: &RepairRequest) -> Consultation {
        let started = Instant::now();
        let mut notes = Notes::new(request, &self.settings);
        let result = self.consult(request, &mut notes).await;
        let cost = notes.cost();
        self.ledger().account(&request.subject, u64::try_from(notes.call.tries).unwrap_or(0), notes.usage, cost);
        let call = notes.closed(&result, cost, started.elapsed());
        emit(Consulted { call: &call, result: &result });
        Consultation { result, call }
    }

    async fn consult(&self, request: &RepairRequest, notes: &mut Notes) -> Result<Answer, LlmError> {
        let model = request.model.as_ref().or(self.settings.model.as_ref()).ok_or_else(|| LlmError::NotConfigured {
            reason: "llm.model is not set, and the call names none".to_owned(),
        })?;
        notes.call.provider.clone_from(&model.provider);
        notes.call.model.clone_from(&model.model);
        let provider = self.providers.get(&model.provider).ok_or_else(|| LlmError::NotConfigured {
            reason: format!("llm.providers has no {:?}, which the model {model} needs", model.provider),
        })?;
        notes.price = self.settings.prices.get(model).copied();
        if notes.price.is_none() && (self.settings.limits_money() || request.limits.cost_per_hour.is_some()) {
            let reason = format!(
                "llm.prices has no {model}, so nobody can say whether a call fits the cost-per-hour of llm.budget or of the step"
            );
            return Err(LlmError::NotConfigured { reason });
        }
        let prompt = prompt::repair(request, &self.settings, &self.redactor)?;
        let ask = Ask {
            model: &model.model,
            prompt: &prompt,
            schema: &self.answer_schema,
            max_output_tokens: self.settings.max_output_tokens,
            temperature: provider.temperature,
        };
        let (url, body) = protocol::request(provider.protocol, &provider.base, ask);
        let body = body.to_string();
        let digest = RequestDigest::of(&[&provider.name, provider.protocol.as_str(), url.as_str(), &body]);
        notes.asks(&prompt, &digest, self.settings.log_requests);
        if let Some(kept) = self.kept(&digest, request.cache).await {
            notes.call.answer_digest = Some(kept.digest);
            return Ok(Answer {
                candidates: kept.candidates,
                model: model.clone(),
                usage: kept.usage,
                from_cache: true,
            });
        }
        let build = || {
            let request = self.http.requests().post(url.clone());
            request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone())
        };
        let reply = self.ask(request, provider, &build, body.len(), notes).await?;
        let (text, usage) = (self.complete(provider, &reply)?, reply.usage);
        let digest_of_answer = hex(&<sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()));
        notes.call.answer_digest = Some(digest_of_answer.clone());
        let longest = self.settings.max_prompt_bytes.as_usize();
        let candidates = answer::read(text, prompt.wanted as usize, longest)
            .map_err(|reason| LlmError::BadAnswer { provider: provider.name.clone(), reason })?;
        let kept = CachedAnswer { candidates: candidates.clone(), usage, digest: digest_of_answer };
        self.cache.put(&digest, kept).await;
        Ok(Answer { candidates, model: model.clone(), usage, from_cache: false })
    }

    async fn kept(&self, digest: &RequestDigest, cache: CacheUse) -> Option<CachedAnswer> {
        match cache {
            CacheUse::Use => self.cache.get(digest).await,
            CacheUse::Renew => None,
        }
    }

    /// Sends the request until there is an answer, or no use in going on.
    async fn ask(
        &self,
        request: &RepairRequest,
        provider: &Provider,
        build: &(dyn Fn() -> reqwest::RequestBuilder + Sync),
        bytes: usize,
        notes: &mut Notes,
    ) -> Result<Reply, LlmError> {
        let longest = self.settings.longest_wait.duration();
        let bounds = Bounds {
            timeout: self.settings.timeout.duration(),
            answer: self.settings.max_answer_bytes,
            usual_wait: longest,
        };
        // A token takes a byte at least.
        let worst =
            notes.price.map_or(0, |price| price.micros(bytes as u64, u64::from(self.settings.max_output_tokens)));
        let mut earlier: Option<LlmError> = None;
        loop {
            if let Err(again_in) = provider.breaker().admit(Instant::now()) {
                // What opened the circuit says more than that it is open.
                return Err(earlier.unwrap_or(LlmError::CircuitOpen { provider: provider.name.clone(), again_in }));
            }
            let mut flight = Flight { llm: self, provider, reservation: None };
            let place = provider.pace().take(Instant::now(), longest);
            let wait = place.map_err(|again_in| LlmError::RateLimited { provider: provider.name.clone(), again_in })?;
            tokio::time::sleep(wait).await;
            flight.reservation = Some(self.ledger().reserve(&request.subject, request.limits, worst, now())?);
            notes.call.tries += 1;
            let outcome = exchange::send(provider, build(), bounds, |text| self.redactor.text(text)).await;
            let (usage, is_healthy) = match &outcome {
                Ok(reply) => (reply.usage, true),
                Err(failure) => (failure.usage, !failure.blames_provider),
            };
            notes.charged += flight.land(notes.charge(usage, worst), is_healthy);
            notes.usage = notes.usage.plus(usage);
            let failure = match outcome {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let tries = u32::try_from(notes.call.tries).unwrap_or(u32::MAX);
            let wait = match failure.again {
                Again::Soon => self.pause(tries),
                Again::After(wait) if wait <= longest => wait,
                Again::After(_) | Again::Never => return Err(failure.error),
            };
            if tries >= self.settings.tries {
                return Err(failure.error);
            }
            emit(TriedAgain { provider: &provider.name, error: &failure.error, wait });
            earlier = Some(failure.error);
            tokio::time::sleep(wait).await;
        }
    }

    /// Doubles with each try, with jitter.
    fn pause(&self, tries: u32) -> Duration {
        let doubled = self.settings.retry_wait.duration().saturating_mul(1 << (tries - 1).min(16));
        let jitter = rand::rng().random_range(0.5..=1.0);
        doubled.min(self.settings.longest_wait.duration()).mul_f64(jitter)
    }

    fn complete<'r>(&self, provider: &Provider, reply: &'r Reply) -> Result<&'r str, LlmError> {
        let provider = provider.name.clone();
        match &reply.end {
            End::Complete(text) => Ok(text),
            End::CutOff(reason) => Err(LlmError::Truncated { provider, reason: reason.clone() }),
            End::Declined(reason) => {
                let said: String = self.redactor.text(reason).chars().take(300).collect();
                Err(LlmError::Refused { provider, reason: format!("the model declined: {said}") })
            }
            End::Strange(reason) => Err(LlmError::BadAnswer { provider, reason: reason.clone() }),
        }
    }
}

/// A call on its way. If nobody waits for it any more, the next may try the circuit, and its worst case stays in the budget.
struct Flight<'l> {
    llm: &'l Llm,
    provider: &'l Provider,
    reservation: Option<Reservation>,
}

impl Flight<'_> {
    /// Reports what has come of it; gives back what was charged.
    fn land(mut self, charged: u64, is_healthy: bool) -> u64 {
        if let Some(reservation) = self.reservation.take() {
            self.llm.ledger().settle(reservation, charged);
        }
        let mut breaker = self.provider.breaker();
        let was_open = breaker.is_open();
        if is_healthy {
            breaker.succeeded()
        } else {
            breaker.failed(Instant::now())
        }
        let is_open = breaker.is_open();
        drop(breaker);
        if was_open != is_open {
            emit(CircuitMoved { provider: &self.provider.name, is_open });
        }
        charged
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.provider.breaker().abandoned(Instant::now());
    }
}

impl Notes {
    fn new(request: &RepairRequest, settings: &LlmSettings) -> Self {
        let subject = &request.subject;
        let unnamed = || ModelName { provider: String::new(), model: String::new() };
        let model = request.model.clone().or_else(|| settings.model.clone()).unwrap_or_else(unnamed);
        let call = LlmCall {
            id: uuid::Uuid::now_v7().to_string(),
            at: now(),
            workspace: subject.workspace.clone(),
            workflow: subject.workflow.clone(),
            step: subject.step.clone(),
            mapping: subject.mapping.clone(),
            run: subject.run.clone(),
            purpose: "repair-mapping".to_owned(),
            provider: model.provider,
            model: model.model,
            outcome: String::new(),
            code: None,
            message: String::new(),
            request: String::new(),
            request_digest: String::new(),
            answer_digest: None,
            candidates: 0,
            redacted: 0,
            tries: 0,
            input_tokens: None,
            output_tokens: None,
            cost_micros: None,
            charged_micros: 0,
            currency: settings.currency.clone(),
            duration_ms: 0,
        };
        Self { call, usage: Usage::NONE, charged: 0, price: None }
    }

    fn asks(&mut self, prompt: &Prompt, digest: &RequestDigest, is_logged: bool) {
        self.call.request_digest = digest.to_string();
        self.call.redacted = i64::try_from(prompt.redacted).unwrap_or(i64::MAX);
        if is_logged {
            self.call.request = format!("{}\n\n{}", prompt.system, prompt.user);
        }
    }

    /// What a request takes from the budgets.
    fn charge(&self, usage: Usage, worst: u64) -> u64 {
        match (self.price, usage.input, usage.output) {
            (Some(price), Some(input), Some(output)) => price.micros(input, output),
            _ => worst,
        }
    }

    /// Known if the price and all tokens are; nothing costs nothing.
    fn cost(&self) -> Option<u64> {
        if self.call.tries == 0 {
            return Some(0);
        }
        Some(self.price?.micros(self.usage.input?, self.usage.output?))
    }

    fn closed(self, result: &Result<Answer, LlmError>, cost: Option<u64>, took: Duration) -> LlmCall {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (outcome, candidates) = match result {
            Ok(answer) if answer.from_cache => ("cached", answer.candidates.len()),
            Ok(answer) => ("answered", answer.candidates.len()),
            Err(_) => ("failed", 0),
        };
        let error = result.as_ref().err();
        LlmCall {
            outcome: outcome.to_owned(),
            code: error.map(|error| error.code().id().to_owned()),
            message: error.map(ToString::to_string).unwrap_or_default(),
            candidates: i32::try_from(candidates).unwrap_or(i32::MAX),
            input_tokens: self.usage.input.map(whole),
            output_tokens: self.usage.output.map(whole),
            cost_micros: cost.map(whole),
            charged_micros: whole(self.charged),
            duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            ..self.call
        }
    }
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
