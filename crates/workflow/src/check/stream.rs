//! Streams: topics that are not each other, expressions that compile, formats that have what they need.

use prunella_model::Code;
use serde_json::Value;

use super::Checker;
use super::expression::Root;
use crate::avro;

impl Checker<'_, '_> {
    pub(super) fn stream(&mut self) {
        if let (Some(input), Some(output)) = (self.text("/input/topic"), self.text("/output/topic"))
            && input == output
        {
            let message = "the output topic is the input topic: the stream would feed itself";
            self.report(Code::WorkflowValue, "/output/topic", message);
        }
        self.mapping("/transform", Root::Record);
        self.schema("/schema");
        self.expression("/output/key", Root::Record);
        self.output_format();
    }

    fn output_format(&mut self) {
        const SCHEMA: &str = "/output/avro-schema";
        if self.text("/output/format") != Some("avro") {
            for pointer in [SCHEMA, "/output/subject"] {
                if self.document.get(pointer).is_some() {
                    let message = format!("`{}` belongs to `format: avro`", super::last(pointer));
                    self.report_key(Code::WorkflowShape, pointer, message);
                }
            }
            return;
        }
        if self.document.get(SCHEMA).is_none() {
            self.report_key(Code::WorkflowShape, "/output/format", "`format: avro` needs an `avro-schema` beside it");
        }
        self.avro_schema(SCHEMA);
    }

    fn avro_schema(&mut self, pointer: &str) {
        let Some((document, at)) = self.json_of(pointer) else {
            return;
        };
        let schema = document.get(&at).unwrap_or(&Value::Null);
        if let Err(message) = avro::parse(schema) {
            self.problems.push(document.at_value(Code::WorkflowSchema, &at, message));
        }
    }
}
