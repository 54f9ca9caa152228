//! Answers that processes share through Redis.

use std::sync::Arc;

use prunella_cache::{RedisSettings, SharedCache};
use prunella_llm::{Llm, LlmSettings, TieredAnswers};
use prunella_model::Period;
use prunella_redact::RedactionKey;
use prunella_testkit::harness::Redis;
use prunella_vault::Vault;

use crate::common::{HTTP, fake, good, request, settings};

/// A process of its own: nothing in memory.
fn process(settings: &LlmSettings, redis: &Redis, key: RedactionKey) -> Llm {
    let redis = RedisSettings { url: Some(redis.url()), timeout: Period::from_millis(300), ..RedisSettings::default() };
    let shared = SharedCache::new(&redis, "t.", Arc::new(Vault::plain())).expect("an address");
    let answers = Arc::new(TieredAnswers::new(settings.cached_answers, shared));
    Llm::new(settings.clone(), HTTP.clone(), key, answers).unwrap_or_else(|error| panic!("{error}"))
}

fn same_key() -> RedactionKey {
    RedactionKey::from_bytes([5; 32])
}

#[tokio::test]
async fn a_question_that_another_process_asked_costs_nothing() {
    let (provider, redis) = (fake([good()]).await, Redis::start());
    let settings = settings(&provider, "openai", "");
    let first = process(&settings, &redis, same_key()).repair(&request()).await.result.expect("an answer");
    assert!(!first.from_cache);
    let other = process(&settings, &redis, same_key());
    for _ in 0..2 {
        let answer = other.repair(&request()).await.result.expect("an answer");
        assert!(answer.from_cache);
        assert_eq!(answer.candidates, first.candidates);
    }
    assert_eq!(provider.calls(), 1);
    redis.ask(&[b"FLUSHALL"]);
    assert!(other.repair(&request()).await.result.expect("an answer").from_cache, "it is in memory by now");
    assert!(!process(&settings, &redis, same_key()).repair(&request()).await.result.expect("an answer").from_cache);
    assert_eq!(provider.calls(), 2, "wiped");
}

#[tokio::test]
async fn whatever_becomes_of_redis_the_model_is_asked() {
    let (provider, mut redis) = (fake([good()]).await, Redis::start());
    let settings = settings(&provider, "openai", "");
    let ask = async |redis: &Redis| process(&settings, redis, same_key()).repair(&request()).await.result;
    ask(&redis).await.expect("an answer");
    let keys = String::from_utf8(redis.ask(&[b"RANDOMKEY"])).expect("a key");
    assert!(keys.starts_with("t.llm-answers:"), "{keys}");
    redis.ask(&[b"SET", keys.as_bytes(), br#"{"candidates":[{"mapping":"$","reason":"trust me"}]}"#]);
    let answer = ask(&redis).await.expect("an answer");
    assert!(!answer.from_cache && answer.candidates.iter().all(|it| it.mapping != "$"), "{answer:?}");
    redis.freeze();
    assert!(!ask(&redis).await.expect("an answer").from_cache, "frozen");
    redis.thaw();
    redis.kill();
    assert!(!ask(&redis).await.expect("an answer").from_cache, "gone");
    assert_eq!(provider.calls(), 4);
}
