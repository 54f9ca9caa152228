use serde_json::{Map, Value};

use super::text::{Template, union};
use crate::{Bindings, CompileError, EvalError, Input, Limits, Moment, StepReads};

/// A JSON value whose strings are templates; the names of fields are not.
#[derive(Debug, Clone)]
pub struct TemplateValue {
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    /// A part without any expression.
    Static(Value),
    Text(Template),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl TemplateValue {
    /// The error's place is in the string that does not compile.
    pub fn parse(value: &Value) -> Result<Self, CompileError> {
        Ok(Self { node: Node::parse(value)? })
    }

    /// Whether the value holds no expression.
    pub fn is_static(&self) -> bool {
        matches!(self.node, Node::Static(_))
    }

    /// Which outputs of steps the templates may read.
    pub fn step_reads(&self) -> StepReads {
        let mut templates = Vec::new();
        self.node.templates(&mut templates);
        union(templates.into_iter().map(Template::step_reads))
    }

    pub fn evaluate(
        &self,
        input: &Input<'_>,
        bindings: &Bindings,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Value, EvalError> {
        self.node.evaluate(&|template| template.evaluate(input, bindings, moment, limits))
    }

    /// The JSON text of the value, over the JSON text of what it reads.
    pub fn evaluate_text(&self, text: &str, moment: Moment, limits: &Limits) -> Result<Vec<u8>, EvalError> {
        match &self.node {
            Node::Static(value) => Ok(value.to_string().into_bytes()),
            Node::Text(template) => template.evaluate_text(text, moment, limits),
            _ => {
                let value = self.evaluate(&Input::from_json(text)?, &Bindings::new(), moment, limits)?;
                Ok(value.to_string().into_bytes())
            }
        }
    }
}

impl Node {
    fn parse(value: &Value) -> Result<Self, CompileError> {
        let node = match value {
            Value::String(text) => match Template::parse(text)? {
                template if template.is_static() => Self::Static(value.clone()),
                template => Self::Text(template),
            },
            Value::Array(items) => {
                let nodes = items.iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
                match nodes.iter().all(Self::is_static) {
                    true => Self::Static(value.clone()),
                    false => Self::Array(nodes),
                }
            }
            Value::Object(fields) => {
                let parse = |(name, field): (&String, &Value)| Ok((name.clone(), Self::parse(field)?));
                let nodes = fields.iter().map(parse).collect::<Result<Vec<_>, CompileError>>()?;
                match nodes.iter().all(|(_, node)| node.is_static()) {
                    true => Self::Static(value.clone()),
                    false => Self::Object(nodes),
                }
            }
            other => Self::Static(other.clone()),
        };
        Ok(node)
    }

    fn is_static(&self) -> bool {
        matches!(self, Self::Static(_))
    }

    fn templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Static(_) => {}
            Self::Text(template) => found.push(template),
            Self::Array(nodes) => nodes.iter().for_each(|node| node.templates(found)),
            Self::Object(nodes) => nodes.iter().for_each(|(_, node)| node.templates(found)),
        }
    }

    fn evaluate(&self, evaluate: &impl Fn(&Template) -> Result<Value, EvalError>) -> Result<Value, EvalError> {
        match self {
            Self::Static(value) => Ok(value.clone()),
            Self::Text(template) => evaluate(template),
            Self::Array(nodes) => nodes.iter().map(|node| node.evaluate(evaluate)).collect(),
            Self::Object(nodes) => {
                let evaluate = |(name, node): &(String, Self)| Ok((name.clone(), node.evaluate(evaluate)?));
                nodes.iter().map(evaluate).collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }
}
