//! Messages: `POST /v1/messages`, with a tool whose input is the answer.

use serde_json::{Value, json};

use super::{Ask, End, Reply, strange};
use crate::answer::Usage;

const TOOL: &str = "propose";

pub(super) fn request(ask: Ask<'_>) -> (Vec<String>, Value) {
    let mut body = json!({
        "model": ask.model,
        "max_tokens": ask.max_output_tokens,
        "system": ask.prompt.system,
        "messages": [{"role": "user", "content": ask.prompt.user}],
        "tools": [{"name": TOOL, "description": "Takes the proposed mappings.", "input_schema": ask.schema}],
        "tool_choice": {"type": "tool", "name": TOOL, "disable_parallel_tool_use": true},
    });
    if let Some(temperature) = ask.temperature {
        body["temperature"] = temperature.into();
    }
    (vec!["v1".to_owned(), "messages".to_owned()], body)
}

pub(super) fn read(body: &Value) -> Reply {
    let content = body["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_type = |wanted: &'static str| content.iter().find(move |block| block["type"] == wanted);
    let end = match body["stop_reason"].as_str() {
        Some("max_tokens" | "model_context_window_exceeded") => {
            End::CutOff("it reached its limit of tokens (llm.max-output-tokens)".to_owned())
        }
        Some("refusal") => {
            let text = of_type("text").and_then(|block| block["text"].as_str());
            End::Declined(text.unwrap_or("the model declined").to_owned())
        }
        _ => match (of_type("tool_use"), of_type("text")) {
            (Some(tool), _) => End::Complete(tool["input"].to_string()),
            (None, Some(text)) => End::Complete(text["text"].as_str().unwrap_or_default().to_owned()),
            (None, None) => strange("content holds neither a tool_use nor a text"),
        },
    };
    Reply { end, usage: usage(&body["usage"]) }
}

/// What is read from and written to the prompt cache is input too.
fn usage(usage: &Value) -> Usage {
    let cached =
        ["cache_creation_input_tokens", "cache_read_input_tokens"].iter().filter_map(|name| usage[name].as_u64());
    let cached: u64 = cached.sum();
    Usage { input: usage["input_tokens"].as_u64().map(|input| input + cached), output: usage["output_tokens"].as_u64() }
}
