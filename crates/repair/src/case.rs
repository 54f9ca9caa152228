use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::RepairError;

/// What came in and what went out when all was well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub input: Value,
    pub output: Value,
}

/// All that a repair is made of.
#[derive(Debug, Clone)]
pub struct Case {
    pub id: String,
    /// The mapping that was active; `None` to infer one.
    pub mapping: Option<String>,
    pub schema: Value,
    pub remembered: Vec<Sample>,
    /// Records as they come now.
    pub failing: Vec<Value>,
}

impl Case {
    /// The validator of the target schema, as the product builds it: formats are asserted, nothing is fetched.
    pub(crate) fn validator(&self) -> Result<Validator, RepairError> {
        jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .build(&self.schema)
            .map_err(|error| RepairError::Schema { message: error.to_string() })
    }
}
