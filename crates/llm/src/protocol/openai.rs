//! Chat completions: `POST /chat/completions` with `response_format`.

use serde_json::{Value, json};

use super::{Ask, End, Reply, strange, usage};
use crate::settings::Protocol;

pub(super) fn request(protocol: Protocol, ask: Ask<'_>) -> (Vec<String>, Value) {
    let mut body = json!({
        "model": ask.model,
        "messages": [
            {"role": "system", "content": ask.prompt.system},
            {"role": "user", "content": ask.prompt.user},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "candidates", "strict": true, "schema": ask.schema},
        },
    });
    // OpenAI counts thinking into the one and refuses the other for models that think; others know the other only.
    let limit = if protocol == Protocol::OpenAi { "max_completion_tokens" } else { "max_tokens" };
    body[limit] = ask.max_output_tokens.into();
    if let Some(temperature) = ask.temperature {
        body["temperature"] = temperature.into();
    }
    (vec!["chat".to_owned(), "completions".to_owned()], body)
}

pub(super) fn read(body: &Value) -> Reply {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let end = match (choice["finish_reason"].as_str(), message["refusal"].as_str(), message["content"].as_str()) {
        (_, Some(refusal), _) if !refusal.is_empty() => End::Declined(refusal.to_owned()),
        (Some("content_filter"), _, _) => End::Declined("a content filter stopped it".to_owned()),
        (Some("length"), _, _) => End::CutOff("it reached its limit of tokens (llm.max-output-tokens)".to_owned()),
        (_, _, Some(text)) => End::Complete(text.to_owned()),
        (_, _, None) => strange("choices[0].message has no content"),
    };
    Reply { end, usage: usage(&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]) }
}
