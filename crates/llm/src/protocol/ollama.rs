//! `POST /api/chat` of Ollama with `format`.

use serde_json::{Value, json};

use super::{Ask, End, Reply, strange, usage};

/// JSON takes a token for two bytes or more.
const BYTES_PER_TOKEN: usize = 2;

pub(super) fn request(ask: Ask<'_>) -> (Vec<String>, Value) {
    // Without a size, Ollama cuts the beginning off prompts that are longer than a few thousand tokens, and says nothing.
    let prompt_tokens = (ask.prompt.system.len() + ask.prompt.user.len()) / BYTES_PER_TOKEN;
    let context = (prompt_tokens + ask.max_output_tokens as usize).next_multiple_of(1024);
    let mut body = json!({
        "model": ask.model,
        "messages": [
            {"role": "system", "content": ask.prompt.system},
            {"role": "user", "content": ask.prompt.user},
        ],
        "stream": false,
        "format": ask.schema,
        "options": {"num_predict": ask.max_output_tokens, "num_ctx": context},
    });
    if let Some(temperature) = ask.temperature {
        body["options"]["temperature"] = temperature.into();
    }
    (vec!["api".to_owned(), "chat".to_owned()], body)
}

pub(super) fn read(body: &Value) -> Reply {
    let end = match (body["done_reason"].as_str(), body["done"].as_bool(), body["message"]["content"].as_str()) {
        (Some("length"), _, _) => End::CutOff("it reached its limit of tokens (llm.max-output-tokens)".to_owned()),
        (_, Some(false), _) => End::CutOff("the answer is not done".to_owned()),
        (_, _, Some(text)) => End::Complete(text.to_owned()),
        (_, _, None) => strange("message has no content"),
    };
    Reply { end, usage: usage(&body["prompt_eval_count"], &body["eval_count"]) }
}
