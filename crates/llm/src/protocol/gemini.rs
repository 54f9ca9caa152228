//! `POST /v1beta/models/<model>:generateContent` with `responseSchema`.

use serde_json::{Map, Value, json};

use super::{Ask, End, Reply, strange};
use crate::answer::Usage;

pub(super) fn request(ask: Ask<'_>) -> (Vec<String>, Value) {
    let mut generation = json!({
        "responseMimeType": "application/json",
        "responseSchema": schema(ask.schema),
        "maxOutputTokens": ask.max_output_tokens,
    });
    if let Some(temperature) = ask.temperature {
        generation["temperature"] = temperature.into();
    }
    let body = json!({
        "systemInstruction": {"parts": [{"text": ask.prompt.system}]},
        "contents": [{"role": "user", "parts": [{"text": ask.prompt.user}]}],
        "generationConfig": generation,
    });
    (vec!["v1beta".to_owned(), "models".to_owned(), format!("{}:generateContent", ask.model)], body)
}

/// Gemini knows a part of OpenAPI's schema: types in capitals, nothing about additional properties.
fn schema(value: &Value) -> Value {
    match value {
        Value::Object(words) => {
            let mut known = Map::new();
            for (word, value) in words.iter().filter(|(word, _)| *word != "additionalProperties") {
                let value = match value {
                    Value::String(name) if word == "type" => name.to_uppercase().into(),
                    value => schema(value),
                };
                known.insert(word.clone(), value);
            }
            Value::Object(known)
        }
        Value::Array(items) => items.iter().map(schema).collect(),
        other => other.clone(),
    }
}

pub(super) fn read(body: &Value) -> Reply {
    let candidate = &body["candidates"][0];
    let end = match (body["promptFeedback"]["blockReason"].as_str(), candidate["finishReason"].as_str()) {
        (Some(reason), _) => End::Declined(format!("the prompt was blocked ({reason})")),
        (None, Some("MAX_TOKENS")) => End::CutOff("it reached its limit of tokens (llm.max-output-tokens)".to_owned()),
        (None, None | Some("STOP")) => text(candidate),
        (None, Some(reason)) => End::Declined(format!("the answer was stopped ({reason})")),
    };
    Reply { end, usage: usage(&body["usageMetadata"]) }
}

fn text(candidate: &Value) -> End {
    let Some(parts) = candidate["content"]["parts"].as_array() else {
        return strange("candidates[0].content has no parts");
    };
    let is_thought = |part: &&Value| part["thought"] == true;
    End::Complete(parts.iter().filter(|part| !is_thought(part)).filter_map(|part| part["text"].as_str()).collect())
}

/// Thinking is billed as output.
fn usage(usage: &Value) -> Usage {
    let thoughts = usage["thoughtsTokenCount"].as_u64().unwrap_or(0);
    let output = usage["candidatesTokenCount"].as_u64().map(|output| output + thoughts);
    Usage { input: usage["promptTokenCount"].as_u64(), output }
}
