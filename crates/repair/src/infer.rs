//! A first mapping, from examples of input and output.

use jsonschema::Validator;

use crate::case::Case;
use crate::eval::Evaluator;
use crate::evidence::{Repair, Story, Trial, Verdict};
use crate::settings::Settings;

pub(crate) fn infer(case: &Case, _settings: &Settings, _validator: &Validator, _evaluator: &Evaluator) -> Repair {
    let story = Story {
        summary: "no".to_owned(),
        gone: Vec::new(),
        new: Vec::new(),
        fields: Vec::new(),
        trial: Trial::default(),
        jumps: Vec::new(),
        outages: Vec::new(),
        score: 0.0,
        reasons: Vec::new(),
        would_change: Vec::new(),
    };
    Repair { id: case.id.clone(), verdict: Verdict::Review, mapping: None, origin: "inferred", evidence: story }
}
