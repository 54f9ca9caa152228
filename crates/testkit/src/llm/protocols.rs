//! How each protocol asks, answers and fails.

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// Tokens that every answer claims to have taken.
pub(crate) const INPUT_TOKENS: u64 = 1000;
pub(crate) const OUTPUT_TOKENS: u64 = 200;

/// The protocol that a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FakeProtocol {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Complete,
    CutOff,
    Declined,
}

impl FakeProtocol {
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::OpenAi),
            "/v1/messages" => Some(Self::Anthropic),
            "/api/chat" => Some(Self::Ollama),
            path if path.starts_with("/v1beta/models/") && path.ends_with(":generateContent") => Some(Self::Gemini),
            _ => None,
        }
    }

    /// The key in the header where the protocol has it.
    pub(crate) fn key(self, headers: &HeaderMap) -> Option<String> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match self {
            Self::OpenAi | Self::Ollama => header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
            Self::Anthropic => header("x-api-key"),
            Self::Gemini => header("x-goog-api-key"),
        }
        .map(str::to_owned)
    }

    /// What a real provider would not take.
    pub(crate) fn complaint(self, headers: &HeaderMap, body: &Value) -> Option<String> {
        let texts: &[&str] = match self {
            Self::OpenAi => {
                &["/model", "/messages/0/content", "/messages/1/content", "/response_format/json_schema/name"]
            }
            Self::Anthropic => &["/model", "/system", "/messages/0/content", "/tools/0/name", "/tool_choice/name"],
            Self::Gemini => {
                &["/systemInstruction/parts/0/text", "/contents/0/parts/0/text", "/generationConfig/responseMimeType"]
            }
            Self::Ollama => &["/model", "/messages/0/content", "/messages/1/content"],
        };
        let missing = texts.iter().find(|path| body.pointer(path).and_then(Value::as_str).is_none());
        if let Some(path) = missing {
            return Some(format!("{path} is required"));
        }
        let schema = match self {
            Self::OpenAi => &body["response_format"]["json_schema"]["schema"],
            Self::Anthropic => &body["tools"][0]["input_schema"],
            Self::Gemini => &body["generationConfig"]["responseSchema"],
            Self::Ollama => &body["format"],
        };
        let object = if self == Self::Gemini { "OBJECT" } else { "object" };
        if schema["type"] != object {
            return Some("the schema of the answer is no object".to_owned());
        }
        let is_strict = schema["additionalProperties"] == false;
        match self {
            Self::OpenAi if !is_strict => Some("additionalProperties is required to be false".to_owned()),
            Self::OpenAi if body.get("max_tokens").is_some() == body.get("max_completion_tokens").is_some() => {
                Some("one limit of tokens is required".to_owned())
            }
            Self::Anthropic if !body["max_tokens"].is_u64() => Some("max_tokens is required".to_owned()),
            Self::Anthropic if !headers.contains_key("anthropic-version") => {
                Some("anthropic-version is required".to_owned())
            }
            Self::Gemini if schema.to_string().contains("additionalProperties") => {
                Some("Unknown name \"additionalProperties\"".to_owned())
            }
            Self::Ollama if body["stream"] != false => Some("this model does not stream".to_owned()),
            _ => None,
        }
    }

    /// The body of an answer.
    pub(crate) fn answer(self, text: &str, ending: Ending, with_usage: bool) -> Value {
        let mut body = match self {
            Self::OpenAi => openai(text, ending),
            Self::Anthropic => anthropic(text, ending),
            Self::Gemini => gemini(text, ending),
            Self::Ollama => ollama(text, ending),
        };
        if !with_usage && let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| {
                !matches!(name.as_str(), "usage" | "usageMetadata" | "prompt_eval_count" | "eval_count")
            });
        }
        body
    }

    /// The body of an error.
    pub(crate) fn error(self, status: u16, message: &str, code: Option<&str>) -> Value {
        match self {
            Self::OpenAi => json!({"error": {"message": message, "type": "error", "param": null, "code": code}}),
            Self::Anthropic => {
                json!({"type": "error", "error": {"type": code.unwrap_or("api_error"), "message": message}})
            }
            Self::Gemini => {
                json!({"error": {"code": status, "message": message, "status": code.unwrap_or("INTERNAL")}})
            }
            Self::Ollama => json!({ "error": message }),
        }
    }
}

fn openai(text: &str, ending: Ending) -> Value {
    let (content, refusal, reason) = match ending {
        Ending::Complete => (json!(text), Value::Null, "stop"),
        Ending::CutOff => (json!(text), Value::Null, "length"),
        Ending::Declined => (Value::Null, json!(text), "stop"),
    };
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake",
        "choices": [{
            "index": 0, "logprobs": null, "finish_reason": reason,
            "message": {"role": "assistant", "content": content, "refusal": refusal},
        }],
        "usage": {
            "prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    })
}

fn anthropic(text: &str, ending: Ending) -> Value {
    let tool = |input: Value| json!({"type": "tool_use", "id": "toolu_1", "name": "propose", "input": input});
    let said = json!({"type": "text", "text": text});
    let (content, reason) = match (ending, serde_json::from_str(text)) {
        (Ending::Complete, Ok(input)) => (tool(input), "tool_use"),
        (Ending::Complete, Err(_)) => (said, "end_turn"),
        // What was parsed of half an input is all that is there.
        (Ending::CutOff, _) => (tool(json!({})), "max_tokens"),
        (Ending::Declined, _) => (said, "refusal"),
    };
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "fake", "content": [content],
        "stop_reason": reason, "stop_sequence": null,
        "usage": {
            "input_tokens": INPUT_TOKENS - 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 100,
            "output_tokens": OUTPUT_TOKENS,
        },
    })
}

fn gemini(text: &str, ending: Ending) -> Value {
    let usage = json!({
        "promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS - 50, "thoughtsTokenCount": 50,
        "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
    });
    let reason = match ending {
        Ending::Complete => "STOP",
        Ending::CutOff => "MAX_TOKENS",
        Ending::Declined => "SAFETY",
    };
    let mut candidate = json!({"finishReason": reason, "index": 0});
    if ending != Ending::Declined {
        let parts = json!([{"text": "thinking", "thought": true}, {"text": text}]);
        candidate["content"] = json!({"role": "model", "parts": parts});
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "fake"})
}

/// Ollama has no word for declining: the model says so in prose.
fn ollama(text: &str, ending: Ending) -> Value {
    let reason = if ending == Ending::CutOff { "length" } else { "stop" };
    json!({
        "model": "fake", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": text},
        "done": true, "done_reason": reason, "prompt_eval_count": INPUT_TOKENS, "eval_count": OUTPUT_TOKENS,
    })
}
