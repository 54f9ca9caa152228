//! From a definition to its plan.

use std::collections::HashMap;
use std::sync::Arc;

use prunella_mapping::{CompileError, Expression};
use prunella_model::workflow::{Mapping, OnInvalid, Output, SchemaSource, Step, Workflow};
use prunella_model::{Code, Kind, StepId, TextHash, WorkflowName};
use serde::Serialize;
use serde_json::Value;

use super::{Plan, PlannedExtract, PlannedHealing, PlannedOutput, PlannedStep};
use crate::check;
use crate::document::Document;
use crate::files::Files;
use crate::graph::Graph;
use crate::json_schema;
use crate::limits::Limits;
use crate::problem::Problems;
use crate::reads::{Reads, reads_context};
use crate::shape;
use crate::tree::TreeJson;

impl Plan {
    /// Compiles a definition that has its mappings and schemas inside.
    ///
    /// Errors: everything that [`crate::load`] would report, with places in the definition printed as JSON: a definition
    /// may have been stored by a release that allowed more.
    pub fn compile(workflow: &Workflow, limits: &Limits) -> Result<Self, Problems> {
        let document = printed(Kind::Workflow, &workflow.workflow, workflow, limits)?;
        Compiler { parts: Parts { document: &document }, workflow }.plan()
    }
}

/// A definition printed as JSON, without problems.
pub(super) fn printed(
    kind: Kind,
    name: &WorkflowName,
    definition: &impl Serialize,
    limits: &Limits,
) -> Result<Document, Problems> {
    let text = serde_json::to_string_pretty(definition).unwrap_or_default();
    // JSON may hold these as they are, YAML only escaped.
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    let document = Document::read(&format!("{kind} {name}"), &escaped, limits)?;
    let mut problems = shape::check(&document, kind);
    let (found, _) = check::check(&document, kind, &mut Files::new(None, limits), limits);
    problems.extend(found);
    Problems::check(problems)?;
    Ok(document)
}

struct Compiler<'a> {
    parts: Parts<'a>,
    workflow: &'a Workflow,
}

impl Compiler<'_> {
    fn plan(&self) -> Result<Plan, Problems> {
        let steps = &self.workflow.steps;
        let file_index: HashMap<_, _> = steps.iter().enumerate().map(|(at, step)| (&step.id, at)).collect();
        let needs = |step: &Step| step.needs.iter().filter_map(|id| file_index.get(id).copied()).collect();
        let order = Graph::new(steps.iter().map(needs).collect()).order();
        let index: HashMap<_, _> = order.iter().enumerate().map(|(at, step)| (steps[*step].id.clone(), at)).collect();
        let sorted_needs: Vec<Vec<usize>> = order
            .iter()
            .map(|step| steps[*step].needs.iter().filter_map(|id| index.get(id).copied()).collect())
            .collect();
        let graph = Graph::new(sorted_needs.clone());

        let mut planned = Vec::with_capacity(steps.len() + 1);
        let mut reads = Vec::with_capacity(steps.len() + 1);
        for (at, (step, needs)) in order.iter().zip(sorted_needs).enumerate() {
            let (step, step_reads) = self.step(*step, at, needs, graph.ancestors(at).into_iter().collect())?;
            planned.push(step);
            reads.push(step_reads);
        }
        let mut by_id = index;
        let output = &self.workflow.output;
        let key = output.key.as_ref().map(|text| self.parts.expression(text, "/output/key")).transpose()?.map(Arc::new);
        let from = match (&output.from, &output.transform) {
            (Some(from), None) => by_id.get(from).copied(),
            (None, Some(transform)) => {
                let (step, step_reads) = self.output_step(output, transform, planned.len())?;
                by_id.insert(step.id.clone(), step.index);
                planned.push(step);
                reads.push(step_reads);
                Some(planned.len() - 1)
            }
            _ => None,
        };
        let from = from.ok_or_else(|| self.parts.broken("/output", "the source of the output"))?;
        for later in 0..planned.len() {
            for ancestor in planned[later].ancestors.clone() {
                let wanted = reads[later].contains(planned[ancestor].id.as_str());
                planned[ancestor].output_wanted |= wanted;
            }
        }
        Ok(Plan { workflow: self.workflow.clone(), steps: planned, by_id, output: PlannedOutput { from, key } })
    }

    fn step(
        &self,
        position: usize,
        index: usize,
        needs: Vec<usize>,
        ancestors: Vec<usize>,
    ) -> Result<(PlannedStep, Reads), Problems> {
        let step = &self.workflow.steps[position];
        let at = |field: &str| format!("/steps/{position}/{field}");
        let when = step.when.as_ref().map(|text| self.parts.expression(text, &at("when"))).transpose()?;
        let extract = PlannedExtract::compile(&step.extract)
            .map_err(|error| self.parts.uncompilable(&at("extract"), &error))?
            .ok_or_else(|| self.parts.broken(&at("extract"), "the source of the step"))?;
        let transform =
            step.transform.as_ref().map(|mapping| self.parts.mapping(mapping, &at("transform"))).transpose()?;
        let schema = step.schema.as_ref().map(|schema| self.parts.schema(schema, &at("schema"))).transpose()?;
        let mut reads = extract.step_reads();
        if let Some(when) = &when {
            reads.add(Reads::of_context(when));
        }
        if let Some(mapping) = &transform {
            reads.add(Reads::of_mapping(mapping));
        }
        let context_wanted =
            extract.reads_context() || transform.as_ref().is_some_and(|mapping| reads_context(mapping));
        let planned = PlannedStep {
            index,
            id: step.id.clone(),
            needs,
            ancestors,
            when,
            extract,
            items: step.extract.items.clone(),
            transform,
            schema,
            on_invalid: step.on_invalid,
            healing: self.healing(step, &at("schema"))?,
            ordered: step.ordered,
            output_wanted: false,
            context_wanted,
        };
        Ok((planned, reads))
    }

    fn healing(&self, step: &Step, schema_at: &str) -> Result<Option<PlannedHealing>, Problems> {
        let (Some(Mapping::Inline(text)), Some(schema)) = (&step.transform, &step.schema) else { return Ok(None) };
        if step.heal.is_off() {
            return Ok(None);
        }
        let schema = self.parts.inline_schema(schema, schema_at)?;
        let settings = step.healing.clone().unwrap_or_default();
        Ok(Some(PlannedHealing {
            policy: step.heal,
            base: TextHash::of(text),
            text: text.as_str().into(),
            schema_hash: TextHash::of(&schema.to_string()),
            schema,
            redact: settings.redact.iter().filter_map(|path| path.parse().ok()).collect(),
            settings,
            tests: step.tests.clone(),
        }))
    }

    /// The step that `output.transform` stands for. What it makes is one record, so nothing is left to pass on when it
    /// is not valid, and the run fails.
    fn output_step(
        &self,
        output: &Output,
        transform: &Mapping,
        index: usize,
    ) -> Result<(PlannedStep, Reads), Problems> {
        let transform = self.parts.mapping(transform, "/output/transform")?;
        let reads = Reads::of_context(&transform);
        let schema = output.schema.as_ref().map(|schema| self.parts.schema(schema, "/output/schema")).transpose()?;
        let planned = PlannedStep {
            index,
            id: StepId::output(),
            needs: (0..index).collect(),
            ancestors: (0..index).collect(),
            when: None,
            extract: PlannedExtract::Context,
            items: None,
            transform: Some(transform),
            schema,
            on_invalid: OnInvalid::Fail,
            healing: None,
            ordered: false,
            output_wanted: false,
            context_wanted: true,
        };
        Ok((planned, reads))
    }
}

/// Compiles the parts of a definition; problems are told with their place in the printed form.
pub(super) struct Parts<'a> {
    pub(super) document: &'a Document,
}

impl Parts<'_> {
    pub(super) fn mapping(&self, mapping: &Mapping, pointer: &str) -> Result<Arc<Expression>, Problems> {
        match mapping {
            Mapping::Inline(text) => self.expression(text, pointer).map(Arc::new),
            Mapping::File(_) => Err(self.broken(pointer, "the text of the mapping")),
        }
    }

    pub(super) fn schema(&self, schema: &SchemaSource, pointer: &str) -> Result<Arc<jsonschema::Validator>, Problems> {
        let schema = self.inline_schema(schema, pointer)?;
        json_schema::compile(&schema).map(Arc::new).map_err(|error| self.unusable_schema(pointer, &error))
    }

    pub(super) fn tree_schema(
        &self,
        schema: &SchemaSource,
        pointer: &str,
    ) -> Result<Arc<jsonschema::Validator<TreeJson>>, Problems> {
        let schema = self.inline_schema(schema, pointer)?;
        json_schema::compile_for_trees(&schema).map(Arc::new).map_err(|error| self.unusable_schema(pointer, &error))
    }

    fn inline_schema(&self, schema: &SchemaSource, pointer: &str) -> Result<Value, Problems> {
        match schema {
            SchemaSource::Inline(schema) => Ok(schema.clone().into()),
            SchemaSource::File(_) => Err(self.broken(pointer, "the schema itself")),
        }
    }

    fn unusable_schema(&self, pointer: &str, error: &jsonschema::ValidationError<'_>) -> Problems {
        self.document.at_value(Code::WorkflowSchema, pointer, error.to_string()).into()
    }

    pub(super) fn expression(&self, text: &str, pointer: &str) -> Result<Expression, Problems> {
        Expression::compile(text).map_err(|error| self.uncompilable(pointer, &error))
    }

    pub(super) fn uncompilable(&self, pointer: &str, error: &CompileError) -> Problems {
        let message = error.to_string();
        self.document.at_value(Code::WorkflowExpression, pointer, message).into()
    }

    pub(super) fn broken(&self, pointer: &str, what: &str) -> Problems {
        let message = format!("{what} is missing from the definition");
        self.document.at_value(Code::WorkflowShape, pointer, message).into()
    }
}
