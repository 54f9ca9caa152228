//! What the expressions of a step read: `{trigger, steps, run}`.

use std::sync::OnceLock;

use bytes::Bytes;

use prunella_mapping::{Bindings, EvalError, Input, Moment};
use prunella_model::ItemId;
use prunella_wire::records::{RunContext, StepRef};
use prunella_wire::{ClaimStore, WireError};

/// The context as JSON text, each part byte for byte as it was written.
pub struct ContextDocument {
    trigger: Bytes,
    steps: String,
    run: String,
    text: OnceLock<String>,
    input: OnceLock<Input<'static>>,
}

impl ContextDocument {
    /// Fetches what is stored outside the record, at most `limit` bytes of it in all.
    pub async fn load(claims: &ClaimStore, at: &StepRef, context: &RunContext, limit: u64) -> Result<Self, WireError> {
        const KEY: &str = "limits.max-context-bytes";
        let trigger = claims.fetch(&context.trigger, limit, KEY).await?;
        text_of(&trigger)?;
        let mut left = limit.saturating_sub(trigger.len() as u64);
        let mut steps = String::from("{");
        for outputs in &context.steps {
            if steps.len() > 1 {
                steps.push(',');
            }
            // A name is never in need of an escape.
            steps.extend(["\"", outputs.step.as_str(), "\":["]);
            let start = steps.len();
            for payload in &outputs.outputs {
                let array = claims.fetch(payload, left, KEY).await?;
                left = left.saturating_sub(array.len() as u64);
                let array = text_of(&array)?.trim();
                let items = array.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
                if !items.trim().is_empty() {
                    if steps.len() > start {
                        steps.push(',');
                    }
                    steps.push_str(items);
                }
            }
            steps.push(']');
        }
        steps.push('}');
        let StepRef { run, workflow, version, workspace, .. } = at;
        let run = format!(r#"{{"id":"{run}","workflow":"{workflow}","version":{version},"workspace":"{workspace}"}}"#);
        Ok(Self::of(trigger, steps, run))
    }

    /// For what reads nothing of it.
    pub fn empty() -> Self {
        Self::of(Bytes::from_static(b"null"), "{}".to_owned(), "{}".to_owned())
    }

    fn of(trigger: Bytes, steps: String, run: String) -> Self {
        Self { trigger, steps, run, text: OnceLock::new(), input: OnceLock::new() }
    }

    /// The document as one JSON text, the root of templates and conditions.
    pub fn text(&self) -> &str {
        self.text
            .get_or_init(|| format!(r#"{{"trigger":{},"steps":{},"run":{}}}"#, self.trigger(), self.steps, self.run))
    }

    pub fn into_text(self) -> String {
        self.text();
        self.text.into_inner().unwrap_or_default()
    }

    fn trigger(&self) -> &str {
        // It was looked at when it came.
        text_of(&self.trigger).unwrap_or("null")
    }

    /// The document ready to be read by several expressions.
    pub fn input(&self) -> Result<&Input<'static>, EvalError> {
        if let Some(input) = self.input.get() {
            return Ok(input);
        }
        let input = Input::from_json(self.text())?;
        Ok(self.input.get_or_init(|| input))
    }

    /// The same as `$trigger`, `$steps` and `$run`, for mappings.
    pub fn bindings(&self) -> Result<Bindings, EvalError> {
        Ok(Bindings::new()
            .with("trigger", Input::from_json(self.trigger())?)
            .with("steps", Input::from_json(&self.steps)?)
            .with("run", Input::from_json(&self.run)?))
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|error| WireError::Decode {
        writer: "payload".to_owned(),
        reader: "JSON text",
        reason: error.to_string(),
    })
}

/// Clock and seed of one item: the same whenever the same record is processed again.
pub fn moment_of(item: &ItemId, record_timestamp: i64) -> Moment {
    Moment::new(record_timestamp, item.seed())
}
