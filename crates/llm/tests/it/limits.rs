//! What stops calls: budgets, circuits, the cache, missing settings.

use std::sync::Arc;
use std::time::Duration;

use prunella_llm::{CacheUse, Llm, LlmSettings, MemoryCache, Scope};
use prunella_model::WorkspaceName;
use prunella_redact::RedactionKey;
use prunella_sources::{HttpClient, HttpClientConfig};
use prunella_testkit::llm::{FakeAnswer, FakeLlm};
use serde_json::json;

use crate::common::{failure, fake, good, llm, request, settings};

#[tokio::test]
async fn an_equal_request_is_answered_from_the_cache() {
    let fake = fake([good()]).await;
    let llm = llm(settings(&fake, "anthropic", "prices: { fake/small: { input: 1, output: 1 } }"));
    let first = llm.repair(&request()).await;
    let second = llm.repair(&request()).await;
    assert_eq!(fake.calls(), 1);
    let (first_answer, second_answer) = (first.result.expect("answer"), second.result.expect("answer"));
    assert_eq!(first_answer.candidates, second_answer.candidates);
    assert!(!first_answer.from_cache && second_answer.from_cache);
    assert_eq!((second.call.outcome.as_str(), second.call.tries, second.call.cost_micros), ("cached", 0, Some(0)));
    assert_eq!(first.call.request_digest, second.call.request_digest);

    let mut other = request();
    other.failing = vec![json!({"orderNumber": "A-3"})];
    assert!(!llm.repair(&other).await.result.expect("answer").from_cache);
    other.cache = CacheUse::Renew;
    assert!(!llm.repair(&other).await.result.expect("answer").from_cache);
    assert_eq!(fake.calls(), 3);
}

#[tokio::test]
async fn a_bad_answer_is_not_kept() {
    let fake = fake([FakeAnswer::wrong_shape(), good()]).await;
    let llm = llm(settings(&fake, "openai", ""));
    assert!(llm.repair(&request()).await.result.is_err());
    assert!(llm.repair(&request()).await.result.is_ok());
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn calls_stop_at_the_budget_and_other_mappings_go_on() {
    let fake = fake([good()]).await;
    let llm = llm(settings(&fake, "openai", "budget: { mapping: { calls-per-hour: 2 } }"));
    let mut again = request();
    again.cache = CacheUse::Renew;
    for _ in 0..2 {
        assert!(llm.repair(&again).await.result.is_ok());
    }
    let stopped = llm.repair(&again).await;
    let (code, message) = failure(&stopped);
    assert!(code == "PRN-1105" && message.contains("llm.budget.mapping.calls-per-hour"), "{message}");
    let again_in = stopped.result.expect_err("stopped").again_in().expect("known");
    assert!(again_in > Duration::from_secs(3500) && again_in <= Duration::from_secs(3600), "{again_in:?}");
    assert_eq!(stopped.call.tries, 0);
    again.subject.mapping = "default/orders/other".to_owned();
    assert!(llm.repair(&again).await.result.is_ok());
    assert_eq!(fake.calls(), 3);
}

#[tokio::test]
async fn money_stops_before_it_could_be_exceeded_and_survives_a_restart() {
    let fake = fake([good()]).await;
    // 200 tokens of an answer cost 2,000 micros, the worst case of 500 tokens 5,000.
    let more = "max-output-tokens: 500\nprices: { fake/small: { input: 0, output: 10 } }\nbudget: { workflow: { cost-per-hour: 0.0085 } }";
    let first = llm(settings(&fake, "openai", more));
    let mut again = request();
    again.cache = CacheUse::Renew;
    let one = first.repair(&again).await;
    let two = first.repair(&again).await;
    assert_eq!((one.call.charged_micros, two.call.cost_micros), (2000, Some(2000)));
    let (code, message) = failure(&first.repair(&again).await);
    assert!(code == "PRN-1105" && message.contains("spent 0.004000 USD"), "{message}");
    let workflow = Scope::Workflow(WorkspaceName::default_workspace(), "orders".parse().expect("name"));
    let spent = first.spent(&workflow);
    assert_eq!((spent.requests, spent.cost_micros, spent.output_tokens), (2, 4000, 400));

    let restarted = llm(settings(&fake, "openai", more));
    restarted.restore(&one.call);
    restarted.restore(&two.call);
    assert_eq!(failure(&restarted.repair(&again).await).0, "PRN-1105");
    assert_eq!(restarted.spent(&workflow), spent);
    assert_eq!(fake.calls(), 2);
}

#[tokio::test]
async fn an_unknown_price_is_said_and_refused_where_money_is_limited() {
    let fake = fake([good()]).await;
    let done = llm(settings(&fake, "openai", "")).repair(&request()).await;
    assert_eq!((done.call.cost_micros, done.call.input_tokens), (None, Some(FakeLlm::TOKENS.0 as i64)));
    let done = llm(settings(&fake, "openai", "budget: { workspace: { cost-per-hour: 1 } }")).repair(&request()).await;
    let (code, message) = failure(&done);
    assert!(code == "PRN-1101" && message.contains("llm.prices has no fake/small"), "{message}");
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn tokens_that_are_not_told_are_charged_at_their_worst() {
    let text = json!({"candidates": [{"mapping": "a", "reason": "b"}]}).to_string();
    let fake = fake([FakeAnswer::WithoutUsage(text)]).await;
    let more = "max-output-tokens: 500\nprices: { fake/small: { input: 0, output: 10 } }";
    let done = llm(settings(&fake, "ollama", more)).repair(&request()).await;
    assert!(done.result.is_ok());
    assert_eq!((done.call.cost_micros, done.call.charged_micros, done.call.output_tokens), (None, 5000, None));
}

#[tokio::test]
async fn a_failing_provider_is_left_alone_and_trusted_again() {
    let fake = fake([FakeAnswer::status(503, "down")]).await;
    let llm = llm(settings(&fake, "openai", "tries: 1\nbreaker: { failures: 3, pause: 300ms }"));
    for _ in 0..3 {
        assert_eq!(failure(&llm.repair(&request()).await).0, "PRN-1110");
    }
    let left_alone = llm.repair(&request()).await;
    assert_eq!(failure(&left_alone).0, "PRN-1109");
    assert!(left_alone.result.expect_err("open").again_in().is_some_and(|wait| wait <= Duration::from_millis(300)));
    assert_eq!(fake.calls(), 3);
    fake.then([good()]);
    tokio::time::sleep(Duration::from_millis(320)).await;
    assert!(llm.repair(&request()).await.result.is_ok());
    assert_eq!(fake.calls(), 4);
}

#[tokio::test]
async fn an_abandoned_call_is_counted_and_blocks_nobody() {
    let fake = fake([good().late(Duration::from_secs(30))]).await;
    let more = "max-output-tokens: 500\nprices: { fake/small: { input: 0, output: 10 } }\nbudget: { mapping: { cost-per-hour: 0.009 } }";
    let llm = llm(settings(&fake, "openai", more));
    let abandoned = tokio::time::timeout(Duration::from_millis(300), llm.repair(&request())).await;
    assert!(abandoned.is_err() && fake.calls() == 1);
    assert_eq!(failure(&llm.repair(&request()).await).0, "PRN-1105");
}

#[tokio::test]
async fn without_a_model_no_call_is_made() {
    let none = llm(LlmSettings::default());
    assert!(!none.is_configured());
    let (code, message) = failure(&none.repair(&request()).await);
    assert!(code == "PRN-1101" && message.contains("llm.model"), "{message}");
    let mut named = request();
    named.model = Some("nowhere/x".parse().expect("model"));
    assert_eq!(failure(&none.repair(&named).await).0, "PRN-1101");
}

#[tokio::test]
async fn a_call_may_name_its_model() {
    let fake = fake([good()]).await;
    let mut named = request();
    named.model = Some("fake/large".parse().expect("model"));
    let done = llm(settings(&fake, "gemini", "")).repair(&named).await;
    assert_eq!(done.result.expect("answer").model.to_string(), "fake/large");
    assert_eq!(fake.received()[0].path, "/v1beta/models/large:generateContent");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let http = HttpClient::new(&HttpClientConfig::default()).expect("client");
    for (text, code, word) in [
        ("model: a/b", "PRN-0201", "providers does not have"),
        ("providers: { a: { protocol: openai } }", "PRN-0201", "providers.a.key"),
        ("providers: { a: { protocol: openai-compatible } }", "PRN-0201", "providers.a.url"),
        ("providers: { a: { protocol: ollama, url: \"ftp://x\" } }", "PRN-0201", "http or https"),
        ("providers: { a: { protocol: ollama, url: \"http://u:p@x\" } }", "PRN-0201", "user or password"),
        ("providers: { a: { protocol: openai, key: \"env:PRUNELLA_NO_SUCH\" } }", "PRN-1007", "PRUNELLA_NO_SUCH"),
        ("prices: { a/b: { input: -1, output: 0 } }", "PRN-0201", "prices.a/b"),
        ("budget: { mapping: { cost-per-hour: -1 } }", "PRN-0201", "budget.mapping"),
        ("tries: 0", "PRN-0201", "tries"),
    ] {
        let settings: LlmSettings = serde_saphyr::from_str(text).expect(text);
        let made = Llm::new(settings, http.clone(), RedactionKey::random(), Arc::new(MemoryCache::new(1)));
        let error = made.err().unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(error.code().id(), code, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
    let error = serde_saphyr::from_str::<LlmSettings>("providers: { a: { protocol: openai, key: sk-123 } }");
    let shown = error.expect_err("a key in plain sight").to_string();
    assert!(shown.contains("env:NAME"), "{shown}");
}
