//! Types that are written as texts: names, durations, sizes, paths.

use std::str::FromStr;
use std::sync::LazyLock;

use prunella_model::workflow::ItemsPath;
use prunella_model::{ByteSize, Code, KafkaTopic, Period, StepId, WorkflowName};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// A type that is written as a text.
pub(super) struct Noun {
    pub(super) pattern: String,
    pub(super) code: Code,
    pub(super) parse: fn(&str) -> Result<(), String>,
}

/// The pattern in the schema only approximates; the type's own parser decides and explains.
pub(super) static NOUNS: LazyLock<[Noun; 6]> = LazyLock::new(|| {
    [
        noun::<WorkflowName>(Code::WorkflowName),
        noun::<StepId>(Code::WorkflowName),
        noun::<KafkaTopic>(Code::WorkflowName),
        noun::<Period>(Code::WorkflowShape),
        noun::<ByteSize>(Code::WorkflowShape),
        noun::<ItemsPath>(Code::WorkflowValue),
    ]
});

fn noun<T>(code: Code) -> Noun
where
    T: JsonSchema + FromStr<Err: ToString>,
{
    let schema = T::json_schema(&mut SchemaGenerator::default());
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default().to_owned();
    Noun { pattern, code, parse: |text| text.parse::<T>().map(drop).map_err(|error| error.to_string()) }
}
