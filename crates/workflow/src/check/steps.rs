//! Step ids, what each step needs, and whether it reads only what has been computed before it.

use std::collections::HashMap;

use prunella_model::{Code, StepId};
use prunella_redact::FieldPattern;
use serde_json::Value;

use super::Checker;
use super::expression::{Read, Root};
use crate::document::join;
use crate::graph::Graph;
use crate::reads::mention;
use crate::suggest;

/// The steps of a file as far as they can be told apart.
pub(super) struct Steps<'a> {
    /// False when the list itself is missing, so that every name in the file would be unknown.
    given: bool,
    ids: Vec<Option<&'a str>>,
    index: HashMap<&'a str, usize>,
    graph: Graph,
}

impl<'a> Steps<'a> {
    pub(super) fn exists(&self, id: &str) -> bool {
        !self.given || self.index.contains_key(id)
    }

    pub(super) fn help_for_unknown(&self, id: &str) -> String {
        let names = self.ids.iter().copied().flatten();
        match suggest::nearest(id, names.clone()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the steps are {}", suggest::list(names)),
        }
    }

    fn name(&self, step: usize) -> &'a str {
        self.ids[step].unwrap_or("?")
    }
}

impl<'a> Checker<'a, '_> {
    pub(super) fn steps(&mut self) -> Steps<'a> {
        let given = self.document.get("/steps").and_then(Value::as_array);
        let list = given.map_or(&[][..], Vec::as_slice);
        if list.len() > self.limits.max_steps {
            let message = format!("the workflow has {} steps; the limit is {}", list.len(), self.limits.max_steps);
            self.report_key(Code::WorkflowTooLarge, "/steps", message);
        }
        let ids: Vec<_> = list.iter().map(|step| step.get("id").and_then(Value::as_str)).collect();
        let index = self.index(&ids);
        let needs = (0..list.len()).map(|step| self.needs(step, &ids, &index)).collect();
        let steps = Steps { given: given.is_some(), ids, index, graph: Graph::new(needs) };
        self.cycles(&steps);
        for step in 0..list.len() {
            self.step(step, &steps);
        }
        steps
    }

    fn index(&mut self, ids: &[Option<&'a str>]) -> HashMap<&'a str, usize> {
        let mut index: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
        for (step, id) in ids.iter().enumerate() {
            let Some(id) = *id else { continue };
            let pointer = format!("/steps/{step}/id");
            if id == StepId::output().as_str() {
                let message = "the id `output` is taken by the step that `output.transform` makes";
                self.report(Code::WorkflowName, &pointer, message);
            }
            if let Some(first) = index.get(id) {
                let line = self.document.at_value(Code::WorkflowGraph, &format!("/steps/{first}/id"), "").line;
                let message = format!("there already is a step `{id}`, in line {line}");
                self.report(Code::WorkflowGraph, &pointer, message);
            } else {
                index.insert(id, step);
            }
        }
        index
    }

    fn needs(&mut self, step: usize, ids: &[Option<&'a str>], index: &HashMap<&'a str, usize>) -> Vec<usize> {
        let pointer = format!("/steps/{step}/needs");
        let list = self.document.get(&pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut found = Vec::with_capacity(list.len());
        for (entry, id) in list.iter().enumerate() {
            let Some(id) = id.as_str() else { continue };
            let at = join(&pointer, &entry.to_string());
            match index.get(id) {
                _ if ids[step] == Some(id) => {
                    self.report(Code::WorkflowGraph, &at, format!("step `{id}` needs itself"));
                }
                Some(need) if found.contains(need) => {
                    self.report(Code::WorkflowGraph, &at, format!("`{id}` is listed twice"));
                }
                Some(need) => found.push(*need),
                None => {
                    let problem = self.document.at_value(Code::WorkflowGraph, &at, format!("there is no step `{id}`"));
                    let names = ids.iter().copied().flatten();
                    let help = suggest::nearest(id, names.clone()).map_or_else(
                        || format!("the steps are {}", suggest::list(names)),
                        |meant| format!("did you mean `{meant}`?"),
                    );
                    self.problems.push(problem.help(help));
                }
            }
        }
        found
    }

    fn cycles(&mut self, steps: &Steps<'a>) {
        for cycle in steps.graph.cycles() {
            let Some(first) = cycle.first() else { continue };
            let path = cycle.iter().chain([first]).map(|step| steps.name(*step)).collect::<Vec<_>>().join(" → ");
            let message = format!("these steps wait for each other: {path} (each needs the next)");
            self.report_key(Code::WorkflowGraph, &format!("/steps/{first}/needs"), message);
        }
    }

    fn step(&mut self, step: usize, steps: &Steps<'a>) {
        let pointer = format!("/steps/{step}");
        if !self.is_object(&pointer) {
            return;
        }
        let mut reads = self.extract(&join(&pointer, "extract"));
        reads.extend(self.expression(&join(&pointer, "when"), Root::Context));
        reads.extend(self.mapping(&join(&pointer, "transform"), Root::Item));
        self.reads_only(reads, steps, Some(step));
        self.schema(&join(&pointer, "schema"));
        if self.document.get(&join(&pointer, "tests")).is_some()
            && self.document.get(&join(&pointer, "transform")).is_none()
        {
            self.report_key(Code::WorkflowShape, &join(&pointer, "tests"), "`tests` are examples of a `transform`");
        }
        self.healing(&pointer);
    }

    /// A mapping is healed towards its schema: without one of the two there is nothing to heal.
    fn healing(&mut self, step: &str) {
        let at = join(step, "heal");
        let policy = self.document.get(&at).and_then(Value::as_str);
        let details = join(step, "healing");
        if policy.is_none_or(|policy| policy == "off") {
            if self.document.get(&details).is_some() {
                self.report_key(
                    Code::WorkflowShape,
                    &details,
                    "`healing` needs `heal: auto` or `heal: review`".to_owned(),
                );
            }
            return;
        }
        let fields = join(&details, "redact");
        for at in 0..self.document.get(&fields).and_then(Value::as_array).map_or(0, Vec::len) {
            let field = join(&fields, &at.to_string());
            let path = self.document.get(&field).and_then(Value::as_str);
            if let Some(Err(error)) = path.map(str::parse::<FieldPattern>) {
                self.report(Code::WorkflowValue, &field, error.to_string());
            }
        }
        let silent = join(&details, "silent-drift");
        let is_said = |at: &str, word: &str| self.document.get(at).and_then(Value::as_str) == Some(word);
        if is_said(&join(&details, "remember"), "off") && (is_said(&silent, "warn") || is_said(&silent, "park")) {
            let message =
                "whether outputs look as they used to is told by what is remembered of them: `remember` is off";
            self.report(Code::WorkflowValue, &silent, message);
        }
        let model = join(&details, "model");
        let is_model = |name: &str| {
            name.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && !model.is_empty())
        };
        if self.document.get(&model).and_then(Value::as_str).is_some_and(|name| !is_model(name)) {
            let message = "a model is written as provider/model, with the name of the provider in the configuration";
            self.report(Code::WorkflowValue, &model, message);
        }
        let ordered = join(step, "ordered");
        if self.document.get(&ordered).and_then(Value::as_bool) == Some(true) {
            let message =
                "`ordered` cannot be kept with `heal`: an item that waits for its mapping comes after later ones";
            self.report(Code::WorkflowValue, &ordered, message);
        }
        for part in ["transform", "schema"] {
            if self.document.get(&join(step, part)).is_none() {
                let message =
                    format!("`heal` needs a `{part}`: a mapping is healed until its outputs satisfy the schema");
                self.report(Code::WorkflowShape, &at, message);
            }
        }
    }

    /// Reports what is read of steps that do not exist or, with `reader`, that have not ended when it starts.
    pub(super) fn reads_only(
        &mut self,
        reads: impl IntoIterator<Item = Read>,
        steps: &Steps<'a>,
        reader: Option<usize>,
    ) {
        let before = reader.map(|step| (step, steps.graph.ancestors(step)));
        for Read { pointer, root, reads } in reads {
            for id in &reads.steps {
                let (message, help) = match (steps.index.get(id.as_str()), &before) {
                    (None, _) if steps.given => {
                        let message = format!("the output of step `{id}` is read, but there is no such step");
                        (message, steps.help_for_unknown(id))
                    }
                    (Some(step), Some((reader, before))) if !before.contains(step) => {
                        let message = format!("the output of step `{id}` is read by a step that does not need it");
                        let help = match step == reader {
                            true => "a step cannot read its own output".to_owned(),
                            false => format!("add `needs: [{id}]` to the step"),
                        };
                        (message, help)
                    }
                    _ => continue,
                };
                let problem = match self.text(&pointer).and_then(|text| mention(text, root.steps(), id)) {
                    Some(offset) => self.document.in_text(Code::WorkflowGraph, &pointer, offset, message),
                    None => self.document.at_value(Code::WorkflowGraph, &pointer, message),
                };
                self.problems.push(problem.help(help));
            }
        }
    }
}
