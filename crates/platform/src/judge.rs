use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use prunella_mapping::{Bindings, Limits, Moment};
use prunella_model::{Code, RunId};

use crate::refusal::{Refusal, output_key};
use crate::validator_settings::ValidatorSettings;
use crate::work::StepWork;

/// The limits of what a step puts out.
#[derive(Clone, Copy)]
pub struct OutputLimits<'a> {
    pub settings: &'a ValidatorSettings,
    pub mapping: &'a Limits,
}

impl StepWork {
    /// Whether `output` may go on, and the key of the record that it becomes if the items of this step are the output of
    /// the workflow.
    ///
    /// # Errors
    /// [`Refusal`] when it may not.
    pub fn judge(
        &self,
        output: &Bytes,
        run: &RunId,
        moment: Moment,
        limits: OutputLimits<'_>,
    ) -> Result<Option<Bytes>, Refusal> {
        let not_json =
            |error: serde_json::Error| Refusal::new(Code::ItemNotJson, format!("the item is not JSON: {error}"));
        let key_expression = self.plan().output().key.as_ref().filter(|_| self.is_output());
        let parsed: Option<Value> = match (&self.step().schema, key_expression) {
            (None, None) => {
                serde_json::from_slice::<&RawValue>(output).map_err(not_json)?;
                None
            }
            _ => Some(serde_json::from_slice(output).map_err(not_json)?),
        };
        if let (Some(schema), Some(value)) = (&self.step().schema, &parsed)
            && !schema.is_valid(value)
        {
            return Err(Refusal::invalid(schema, value, limits.settings.max_field_errors));
        }
        if !self.is_output() {
            return Ok(None);
        }
        let key = match (key_expression, &parsed) {
            (Some(expression), Some(value)) => output_key(expression, value, &Bindings::new(), moment, limits.mapping)?,
            _ => Bytes::from(run.to_string()),
        };
        let limit = limits.settings.max_output_bytes;
        if (output.len() + key.len()) as u64 > limit.bytes() {
            let message =
                format!("the item has {} bytes, the limit is {limit} (validator.max-output-bytes)", output.len());
            return Err(Refusal::new(Code::OutputTooLarge, message));
        }
        Ok(Some(key))
    }
}
