//! The languages of providers: what a request looks like, and what an answer says. One file each.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

use serde_json::Value;
use url::Url;

use crate::answer::Usage;
use crate::prompt::Prompt;
use crate::settings::Protocol;

/// What is asked, in no language yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    pub(crate) prompt: &'a Prompt,
    pub(crate) schema: &'a Value,
    pub(crate) max_output_tokens: u32,
    pub(crate) temperature: Option<f64>,
}

/// What an answer says, in no language any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) end: End,
    pub(crate) usage: Usage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The text, which should be JSON.
    Complete(String),
    /// The model reached its limit of tokens.
    CutOff(String),
    /// The model, or a filter, declined.
    Declined(String),
    /// The answer is not as the protocol has it.
    Strange(String),
}

/// Where the API of the company is; `None` where there is no such place.
pub(crate) const fn home(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::OpenAi => Some("https://api.openai.com/v1"),
        Protocol::OpenAiCompatible => None,
        Protocol::Anthropic => Some("https://api.anthropic.com"),
        Protocol::Gemini => Some("https://generativelanguage.googleapis.com"),
        Protocol::Ollama => Some("http://localhost:11434"),
    }
}

/// Address and body of a request.
pub(crate) fn request(protocol: Protocol, base: &Url, ask: Ask<'_>) -> (Url, Value) {
    let (path, body) = match protocol {
        Protocol::OpenAi | Protocol::OpenAiCompatible => openai::request(protocol, ask),
        Protocol::Anthropic => anthropic::request(ask),
        Protocol::Gemini => gemini::request(ask),
        Protocol::Ollama => ollama::request(ask),
    };
    let mut url = base.clone();
    // Addresses that cannot have a path are refused when the settings are read.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    (url, body)
}

/// The headers of a request: names and values, the key among them.
pub(crate) fn headers(protocol: Protocol, key: Option<&str>) -> Vec<(&'static str, String)> {
    let key = key.map(|key| match protocol {
        Protocol::OpenAi | Protocol::OpenAiCompatible | Protocol::Ollama => ("authorization", format!("Bearer {key}")),
        Protocol::Anthropic => ("x-api-key", key.to_owned()),
        Protocol::Gemini => ("x-goog-api-key", key.to_owned()),
    });
    let version = (protocol == Protocol::Anthropic).then(|| ("anthropic-version", "2023-06-01".to_owned()));
    key.into_iter().chain(version).collect()
}

pub(crate) fn read(protocol: Protocol, body: &Value) -> Reply {
    match protocol {
        Protocol::OpenAi | Protocol::OpenAiCompatible => openai::read(body),
        Protocol::Anthropic => anthropic::read(body),
        Protocol::Gemini => gemini::read(body),
        Protocol::Ollama => ollama::read(body),
    }
}

/// What went wrong, and a word for machines, in the body of an answer that is no success.
pub(crate) fn error_of(body: &Value) -> (Option<&str>, Option<&str>) {
    let error = &body["error"];
    let message = error.as_str().or_else(|| error["message"].as_str());
    let word = [&error["code"], &error["type"], &error["status"]].into_iter().find_map(Value::as_str);
    (message, word)
}

fn usage(input: &Value, output: &Value) -> Usage {
    Usage { input: input.as_u64(), output: output.as_u64() }
}

fn strange(what: &str) -> End {
    End::Strange(format!("{what}, which the protocol does not allow: is `protocol` of the provider right?"))
}
