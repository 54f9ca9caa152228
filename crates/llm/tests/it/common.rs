//! What the tests ask.

use std::sync::{Arc, LazyLock};

use prunella_llm::{
    BudgetLimits, CacheUse, Consultation, FieldError, Llm, LlmSettings, MemoryCache, RepairRequest, Sample, Subject,
};
use prunella_model::WorkspaceName;
use prunella_redact::RedactionKey;
use prunella_sources::{HttpClient, HttpClientConfig};
use prunella_testkit::llm::{FakeAnswer, FakeLlm, FakeLlmHandle};
use serde_json::json;

/// What stands in `provider.key`.
pub(crate) const KEY: &str = "provider-key-7f3a";

/// Reading the certificates of the system takes longer than a test.
pub(crate) static HTTP: LazyLock<HttpClient> =
    LazyLock::new(|| HttpClient::new(&HttpClientConfig::default()).expect("client"));

pub(crate) fn good() -> FakeAnswer {
    FakeAnswer::candidates(&[
        ("{\"id\": orderNumber}", "order_id is now orderNumber"),
        ("{\"id\": $string(no)}", "or no"),
    ])
}

pub(crate) async fn fake(answers: impl IntoIterator<Item = FakeAnswer>) -> FakeLlmHandle {
    FakeLlm::start(answers).await.expect("a free port")
}

/// A provider `fake` that speaks `protocol`, quick to retry, and what `more` adds in YAML.
pub(crate) fn settings(fake: &FakeLlmHandle, protocol: &str, more: &str) -> LlmSettings {
    let below = if protocol.starts_with("openai") { "/v1" } else { "" };
    let base = fake.base_url();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/provider.key");
    let text = format!(
        "model: fake/small\nproviders:\n  fake: {{ protocol: {protocol}, url: \"{base}{below}\", key: \"file:{key}\", \
         requests-per-minute: 6000 }}\nretry-wait: 10ms\nlongest-wait: 3s\ntimeout: 5s\n{more}\n"
    );
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn llm(settings: LlmSettings) -> Llm {
    let cache = Arc::new(MemoryCache::new(settings.cached_answers));
    Llm::new(settings, HTTP.clone(), RedactionKey::from_bytes([5; 32]), cache).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn request() -> RepairRequest {
    RepairRequest {
        subject: Subject {
            workspace: WorkspaceName::default_workspace(),
            workflow: "orders".parse().expect("name"),
            step: "fetch".parse().expect("step"),
            mapping: "default/orders/fetch".to_owned(),
            run: None,
        },
        schema: json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}),
        mapping: Some("{\"id\": order_id}".to_owned()),
        errors: vec![FieldError { path: "/id".to_owned(), message: "is required".to_owned() }],
        remembered: vec![Sample { input: json!({"order_id": "A-1"}), output: json!({"id": "A-1"}) }],
        failing: vec![json!({"orderNumber": "A-2"})],
        tried: Vec::new(),
        model: None,
        limits: BudgetLimits::default(),
        redact: Vec::new(),
        secrets: Vec::new(),
        cache: CacheUse::Use,
    }
}

/// The code of a failure, and its message.
pub(crate) fn failure(consultation: &Consultation) -> (String, String) {
    let error = consultation.result.as_ref().expect_err("a failure");
    assert_eq!(consultation.call.outcome, "failed");
    assert_eq!(consultation.call.code.as_deref(), Some(error.code().id()));
    assert_eq!(consultation.call.message, error.to_string());
    (error.code().id().to_owned(), error.to_string())
}
