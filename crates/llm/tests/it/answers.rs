//! Right and wrong answers, in each protocol.

use std::time::{Duration, Instant};

use prunella_llm::Usage;
use prunella_testkit::llm::{FakeAnswer, FakeLlm};

use crate::common::{KEY, failure, fake, good, llm, request, settings};

const PROTOCOLS: [&str; 5] = ["openai", "openai-compatible", "anthropic", "gemini", "ollama"];

#[tokio::test]
async fn every_protocol_brings_candidates_tokens_and_cost() {
    for protocol in PROTOCOLS {
        let fake = fake([good()]).await;
        fake.require_key(KEY);
        let llm = llm(settings(&fake, protocol, "prices: { fake/small: { input: 2.5, output: 10 } }"));
        let done = llm.repair(&request()).await;
        let answer = done.result.unwrap_or_else(|error| panic!("{protocol}: {error}"));
        assert_eq!(answer.candidates.len(), 2, "{protocol}");
        assert_eq!(answer.candidates[0].mapping, "{\"id\": orderNumber}", "{protocol}");
        assert_eq!(answer.candidates[0].reason, "order_id is now orderNumber", "{protocol}");
        let (input, output) = FakeLlm::TOKENS;
        assert_eq!(answer.usage, Usage { input: Some(input), output: Some(output) }, "{protocol}");
        assert_eq!(done.call.cost_micros, Some(2500 + 2000), "{protocol}");
        assert_eq!(
            (done.call.outcome.as_str(), done.call.tries, done.call.candidates),
            ("answered", 1, 2),
            "{protocol}"
        );
        assert!(done.call.request.contains("orderNumber") && done.call.answer_digest.is_some(), "{protocol}");
        assert_eq!(fake.calls(), 1, "{protocol}");
    }
}

#[tokio::test]
async fn wrong_answers_are_coded_and_cost_what_they_cost() {
    for protocol in PROTOCOLS {
        for (answer, code, word) in [
            (FakeAnswer::Text("Sure! Try $map(orders)".to_owned()), "PRN-1106", "not JSON"),
            (FakeAnswer::wrong_shape(), "PRN-1106", "unknown field"),
            (FakeAnswer::candidates(&[]), "PRN-1106", "no mapping"),
            (FakeAnswer::Html, "PRN-1106", "not JSON"),
            (FakeAnswer::Foreign, "PRN-1106", "protocol"),
            (FakeAnswer::CutOff("{\"candidates\": [{\"mapp".to_owned()), "PRN-1107", "llm.max-output-tokens"),
            (FakeAnswer::CutBody, "PRN-1107", "ended early"),
            (FakeAnswer::Declines("I cannot help with that".to_owned()), "PRN-1103", "declined"),
            (FakeAnswer::status(400, "unknown parameter"), "PRN-1103", "HTTP 400 Bad Request: unknown parameter"),
            (FakeAnswer::status(404, "model not found"), "PRN-1103", "model not found"),
            (FakeAnswer::status(401, "bad key"), "PRN-1102", "llm.providers.fake.key"),
            (FakeAnswer::status(500, "oh no"), "PRN-1110", "oh no"),
        ] {
            // Ollama has no way to decline but prose.
            if protocol == "ollama" && matches!(answer, FakeAnswer::Declines(_)) {
                continue;
            }
            let fake = fake([answer.clone()]).await;
            let more = "tries: 1\nprices: { fake/small: { input: 1, output: 1 } }";
            let done = llm(settings(&fake, protocol, more)).repair(&request()).await;
            let (found, message) = failure(&done);
            assert_eq!(found, code, "{protocol} {answer:?}: {message}");
            assert!(message.contains(word), "{protocol} {answer:?}: {message}");
            let billed = matches!(answer, FakeAnswer::Text(_) | FakeAnswer::CutOff(_) | FakeAnswer::Declines(_));
            assert!(!billed || done.call.cost_micros == Some(1200), "{protocol} {answer:?}: {:?}", done.call);
            assert_eq!(fake.calls(), 1);
        }
    }
}

#[tokio::test]
async fn a_mapping_that_never_ends_is_handed_on_as_text() {
    let fake = fake([FakeAnswer::endless()]).await;
    let answer = llm(settings(&fake, "openai", "")).repair(&request()).await.result.expect("candidates");
    assert!(answer.candidates[0].mapping.contains("$f($x + 1)"));
}

#[tokio::test]
async fn a_bad_moment_is_survived() {
    for answer in [FakeAnswer::status(500, "oh no"), FakeAnswer::status(529, "overloaded"), FakeAnswer::CutBody] {
        let fake = fake([answer.clone(), good()]).await;
        let done = llm(settings(&fake, "anthropic", "")).repair(&request()).await;
        assert!(done.result.is_ok(), "{answer:?}: {:?}", done.result);
        assert_eq!((done.call.tries, fake.calls()), (2, 2));
    }
}

#[tokio::test]
async fn what_can_never_succeed_is_not_tried_again() {
    for (answer, code) in [
        (FakeAnswer::status(401, "bad key"), "PRN-1102"),
        (FakeAnswer::status(422, "no"), "PRN-1103"),
        (FakeAnswer::no_credit(), "PRN-1103"),
        (FakeAnswer::wrong_shape(), "PRN-1106"),
    ] {
        let fake = fake([answer]).await;
        let done = llm(settings(&fake, "openai", "")).repair(&request()).await;
        assert_eq!(failure(&done).0, code);
        assert_eq!(fake.calls(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_when_it_is_short_and_told_when_it_is_long() {
    let short = fake([FakeAnswer::busy("1"), good()]).await;
    let started = Instant::now();
    let done = llm(settings(&short, "openai", "")).repair(&request()).await;
    assert!(done.result.is_ok() && started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());

    let long = fake([FakeAnswer::busy("120"), good()]).await;
    let done = llm(settings(&long, "openai", "")).repair(&request()).await;
    assert_eq!(failure(&done).0, "PRN-1104");
    assert_eq!(done.result.expect_err("busy").again_in(), Some(Duration::from_secs(120)));
    assert_eq!(long.calls(), 1);
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout_and_counted_at_its_worst() {
    let fake = fake([good().late(Duration::from_secs(30))]).await;
    let more = "tries: 2\nmax-output-tokens: 500\nprices: { fake/small: { input: 0, output: 1 } }";
    let mut settings = settings(&fake, "gemini", more);
    settings.timeout = "150ms".parse().expect("period");
    let done = llm(settings).repair(&request()).await;
    let (code, message) = failure(&done);
    assert!(code == "PRN-1108" && message.contains("150ms"), "{message}");
    assert_eq!((done.call.tries, fake.calls()), (2, 2));
    assert_eq!((done.call.cost_micros, done.call.charged_micros), (None, 1000));
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let fake = fake([]).await;
    let settings = settings(&fake, "ollama", "tries: 2");
    drop(fake);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let done = llm(settings).repair(&request()).await;
    assert_eq!(failure(&done).0, "PRN-1110");
    assert_eq!(done.call.charged_micros, 0);
}
