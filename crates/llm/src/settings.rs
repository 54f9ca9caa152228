use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use prunella_model::{ByteSize, Period};
use prunella_redact::RedactSettings;
use prunella_vault::SecretRef;

use crate::error::LlmError;
use crate::model_name::ModelName;

/// Language models that may propose mappings. Without a provider there are none, and no call is made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LlmSettings {
    /// The model that is asked unless a call names another: `provider/model`.
    pub model: Option<ModelName>,
    /// Providers by names of your choice.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Prices by `provider/model`. A model without one has unknown cost.
    pub prices: BTreeMap<ModelName, Price>,
    /// What prices and money budgets are counted in.
    pub currency: String,
    /// Mappings that a model is asked to propose.
    pub candidates: u32,
    /// Longest time for one try, from the request to the end of the answer.
    pub timeout: Period,
    /// Most requests of one call, the first included.
    pub tries: u32,
    /// Wait before the second try; doubles with each further try, with jitter. `Retry-After` goes before.
    pub retry_wait: Period,
    /// Longest wait that is spent between tries. When a provider asks for more, the call fails and says how long.
    pub longest_wait: Period,
    /// Most tokens of an answer, thinking included.
    pub max_output_tokens: u32,
    /// Largest prompt. Schema, mapping and field errors have to fit; samples fill the rest.
    pub max_prompt_bytes: ByteSize,
    /// Largest sample; a larger one is shortened, and the prompt says where.
    pub max_sample_bytes: ByteSize,
    /// Most samples of each sort: remembered pairs, failing inputs.
    pub max_samples: usize,
    /// Most field errors that are shown.
    pub max_errors: usize,
    /// Largest answer.
    pub max_answer_bytes: ByteSize,
    /// Answers that are kept in memory; the same request is answered from there.
    pub cached_answers: usize,
    /// Whether `log.llm` holds the redacted prompts. Digests, tokens and cost stand there in any case.
    pub log_requests: bool,
    /// What calls may cost in an hour.
    pub budget: BudgetSettings,
    /// When a provider that fails is left alone.
    pub breaker: BreakerSettings,
    /// What is redacted before a request leaves, besides what looks like a secret.
    pub redact: RedactSettings,
}

impl Default for LlmSettings {
    fn default() -> Self {
        Self {
            model: None,
            providers: BTreeMap::new(),
            prices: BTreeMap::new(),
            currency: "USD".to_owned(),
            candidates: 3,
            timeout: Period::from_secs(120),
            tries: 3,
            retry_wait: Period::from_secs(1),
            longest_wait: Period::from_secs(30),
            max_output_tokens: 8000,
            max_prompt_bytes: ByteSize::from_kib(64),
            max_sample_bytes: ByteSize::from_kib(4),
            max_samples: 5,
            max_errors: 30,
            max_answer_bytes: ByteSize::from_mib(1),
            cached_answers: 100,
            log_requests: true,
            budget: BudgetSettings::default(),
            breaker: BreakerSettings::default(),
            redact: RedactSettings::default(),
        }
    }
}

/// Where models are asked, and how.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProviderSettings {
    /// The language of its API: `openai`, `openai-compatible`, `anthropic`, `gemini` or `ollama`.
    pub protocol: Protocol,
    /// Its address. Default: that of the company, for `ollama` `http://localhost:11434`; `openai-compatible` has none.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub url: Option<Url>,
    /// Its key: `env:NAME` or `file:/path`.
    #[serde(default)]
    pub key: Option<SecretRef>,
    /// Most requests in a minute, over all calls of the process. Default: 60.
    #[serde(default = "sixty")]
    pub requests_per_minute: u32,
    /// Sent if given; some models refuse it.
    #[serde(default)]
    pub temperature: Option<f64>,
}

const fn sixty() -> u32 {
    60
}

/// The language of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Chat completions of OpenAI.
    #[serde(rename = "openai")]
    OpenAi,
    /// Chat completions as other servers speak them: vLLM, llama.cpp, LM Studio, many companies.
    #[serde(rename = "openai-compatible")]
    OpenAiCompatible,
    /// Messages of Anthropic.
    Anthropic,
    /// `generateContent` of Gemini.
    Gemini,
    /// The chat of Ollama.
    Ollama,
}

impl Protocol {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }
}

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Price {
    /// For a million tokens of the request, in `currency`.
    pub input: f64,
    /// For a million tokens of the answer, thinking included, in `currency`.
    pub output: f64,
}

impl Price {
    /// Millionths of the currency, rounded up.
    pub(crate) fn micros(self, input_tokens: u64, output_tokens: u64) -> u64 {
        let micros = self.input * input_tokens as f64 + self.output * output_tokens as f64;
        // Negative and infinite prices are refused when the settings are read.
        micros.ceil() as u64
    }
}

/// What calls may cost in an hour. Every request that is sent counts as a call.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BudgetSettings {
    /// For one mapping.
    pub mapping: BudgetLimits,
    /// For all mappings of a workflow.
    pub workflow: BudgetLimits,
    /// For all workflows of a workspace.
    pub workspace: BudgetLimits,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        let calls = |calls| BudgetLimits { calls_per_hour: Some(calls), cost_per_hour: None };
        Self { mapping: calls(10), workflow: calls(40), workspace: calls(200) }
    }
}

/// What calls may cost in an hour.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BudgetLimits {
    /// Most calls in an hour; nothing: no limit.
    pub calls_per_hour: Option<u32>,
    /// Most money in an hour, in `llm.currency`; nothing: no limit. Models without a price are refused when it is set.
    pub cost_per_hour: Option<f64>,
}

/// When a provider that fails is left alone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BreakerSettings {
    /// Failures one after the other that open the circuit.
    pub failures: u32,
    /// How long no call is made then. After that one is let through; if it succeeds, all are.
    pub pause: Period,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 5, pause: Period::from_secs(60) }
    }
}

impl LlmSettings {
    /// # Errors
    /// [`LlmError::Settings`] names the key that has a value it cannot have.
    pub(crate) fn check(&self) -> Result<(), LlmError> {
        let refused = |reason: String| Err(LlmError::Settings { reason });
        let is_amount = |amount: f64| amount.is_finite() && amount >= 0.0;
        if let Some(model) = self.model.as_ref().filter(|model| !self.providers.contains_key(&model.provider)) {
            return refused(format!(
                "model: {model} names the provider {:?}, which providers does not have",
                model.provider
            ));
        }
        for (model, price) in &self.prices {
            if !is_amount(price.input) || !is_amount(price.output) {
                return refused(format!("prices.{model}: a price is 0 or more"));
            }
        }
        for (name, limits) in self.budget.all() {
            if limits.cost_per_hour.is_some_and(|cost| !is_amount(cost)) {
                return refused(format!("budget.{name}.cost-per-hour: an amount is 0 or more"));
            }
        }
        let at_least_one = [
            ("candidates", self.candidates),
            ("tries", self.tries),
            ("max-output-tokens", self.max_output_tokens),
            ("breaker.failures", self.breaker.failures),
        ];
        match at_least_one.iter().find(|(_, number)| *number == 0) {
            Some((key, _)) => refused(format!("{key}: at least 1")),
            None => Ok(()),
        }
    }

    /// Whether any budget is about money.
    pub(crate) fn limits_money(&self) -> bool {
        self.budget.all().iter().any(|(_, limits)| limits.cost_per_hour.is_some())
    }
}

impl BudgetLimits {
    /// The stricter of both.
    pub(crate) fn at_most(self, other: Self) -> Self {
        let least = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let calls = [self.calls_per_hour, other.calls_per_hour].into_iter().flatten().min();
        Self { calls_per_hour: calls, cost_per_hour: least(self.cost_per_hour, other.cost_per_hour) }
    }
}

impl BudgetSettings {
    fn all(&self) -> [(&'static str, &BudgetLimits); 3] {
        [("mapping", &self.mapping), ("workflow", &self.workflow), ("workspace", &self.workspace)]
    }
}
