//! Steps of a path that can be followed: names, places, selectors with literals.

use jlens_core::ast::{BinaryOp, LambdaDef, Node, NodeKind, Span, Stage};

use crate::convert::Conversion;
use crate::path::{FieldPath, Literal, Step};

/// Functions that a value may go through before anything looks at it.
pub(super) fn lens_of(procedure: &Node) -> Option<Conversion> {
    let NodeKind::Variable { name } = &procedure.kind else { return None };
    Some(match name.as_str() {
        "lowercase" => Conversion::Lower,
        "uppercase" => Conversion::Upper,
        "trim" => Conversion::Trim,
        "number" => Conversion::ToNumber,
        "string" => Conversion::ToText,
        _ => return None,
    })
}

/// A name, or the row itself, with nothing but literal filters.
pub(super) fn is_simple(step: &Node) -> bool {
    let named = match &step.kind {
        NodeKind::Name { .. } | NodeKind::Wildcard => true,
        NodeKind::Function { .. } => looked_up(step).is_some(),
        NodeKind::Variable { name } => name.is_empty() && !step.attrs.stages.is_empty(),
        _ => false,
    };
    named
        && step.attrs.group.is_none()
        && step.attrs.focus.is_none()
        && step.attrs.index.is_none()
        && step.attrs.stages.iter().all(|stage| matches!(stage, Stage::Filter { .. }))
}

/// The name in `$lookup($, "name")`, which reads what `name` reads.
pub(super) fn looked_up(step: &Node) -> Option<&str> {
    let NodeKind::Function { procedure, args } = &step.kind else { return None };
    let lookup = matches!(&procedure.kind, NodeKind::Variable { name } if name == "lookup");
    match args.as_slice() {
        [Node { kind: NodeKind::Variable { name }, .. }, Node { kind: NodeKind::String { value }, .. }]
            if lookup && name.is_empty() =>
        {
            Some(value)
        }
        _ => None,
    }
}

pub(super) fn field_path(steps: &[Node]) -> Option<FieldPath> {
    path_with(steps, &|_| None)
}

/// What a function of the author's reads when it is called with these literals, if its body is nothing but a path.
pub(super) fn path_of_call(function: &LambdaDef, args: &[Node]) -> Option<FieldPath> {
    let literals: Option<Vec<Literal>> = args.iter().map(literal).collect();
    let literals = literals.filter(|literals| literals.len() == function.params.len())?;
    let argument = |name: &str| {
        let at = function.params.iter().position(|param| param == name)?;
        literals.get(at).cloned()
    };
    match &function.body.kind {
        NodeKind::Path { steps, .. } => {
            let itself = |step: &Node| matches!(&step.kind, NodeKind::Variable { name } if name.is_empty());
            let bare = steps.first().is_some_and(|step| itself(step) && step.attrs.stages.is_empty());
            let steps = &steps[usize::from(bare)..];
            let path = if steps.iter().all(is_simple) { path_with(steps, &argument) } else { None };
            path.filter(|path| path.literal().is_some_and(|(_, literal)| literals.contains(literal)))
        }
        _ => None,
    }
}

/// `variable` gives the literal that a variable stands for.
fn path_with(steps: &[Node], variable: &dyn Fn(&str) -> Option<Literal>) -> Option<FieldPath> {
    let mut path = FieldPath::default();
    for step in steps {
        match &step.kind {
            NodeKind::Name { name } => path.steps.push(Step::Key(name.clone())),
            NodeKind::Function { .. } => path.steps.push(Step::Key(looked_up(step)?.to_owned())),
            NodeKind::Wildcard => path.steps.push(Step::Any),
            // Behind other steps it would be each item by itself.
            NodeKind::Variable { name }
                if name.is_empty() && path.steps.is_empty() && !step.attrs.stages.is_empty() => {}
            _ => return None,
        }
        for stage in &step.attrs.stages {
            let Stage::Filter { expr, .. } = stage else { return None };
            path.steps.push(selector(expr, variable)?);
        }
    }
    Some(path)
}

/// The path of rows, and the predicates of its last step where they are more than selectors.
pub(super) fn rows_and_filter(steps: &[Node], text: impl Fn(Span) -> String) -> (Option<FieldPath>, Vec<String>) {
    let whole = field_path(steps);
    let Some((Node { kind: NodeKind::Name { name }, attrs, .. }, around)) = steps.split_last() else {
        return (whole, Vec::new());
    };
    if whole.is_some() {
        return (whole, Vec::new());
    }
    let predicate = |stage: &Stage| match stage {
        Stage::Filter { span, .. } => {
            let text = text(*span);
            Some(text.trim().strip_prefix('[')?.strip_suffix(']')?.to_owned())
        }
        _ => None,
    };
    let predicates: Option<Vec<String>> = attrs.stages.iter().map(predicate).collect();
    match (field_path(around), predicates) {
        (Some(around), Some(predicates)) => (Some(around.joined(&FieldPath::of_keys([name.as_str()]))), predicates),
        _ => (None, Vec::new()),
    }
}

fn literal(node: &Node) -> Option<Literal> {
    match &node.kind {
        NodeKind::String { value } => Some(Literal::Text(value.clone())),
        NodeKind::Bool { value } => Some(Literal::Flag(*value)),
        NodeKind::Number { value } if value.fract() == 0.0 && value.abs() < 9.0e15 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
            Some(Literal::Number(*value as i64))
        }
        _ => None,
    }
}

fn selector(expr: &Node, variable: &dyn Fn(&str) -> Option<Literal>) -> Option<Step> {
    match &expr.kind {
        NodeKind::Number { value } if *value == 0.0 => Some(Step::At(0)),
        NodeKind::Negate { expr } if matches!(expr.kind, NodeKind::Number { value } if value == 1.0) => {
            Some(Step::At(-1))
        }
        NodeKind::Number { value } if *value == -1.0 => Some(Step::At(-1)),
        NodeKind::Path { .. } => Some(Step::Where(names(expr)?, Literal::Flag(true))),
        NodeKind::Binary { op: BinaryOp::Eq, lhs, rhs } => {
            let literal = match &rhs.kind {
                NodeKind::Variable { name } => variable(name)?,
                _ => literal(rhs)?,
            };
            Some(Step::Where(names(lhs)?, literal))
        }
        _ => None,
    }
}

fn names(node: &Node) -> Option<Vec<String>> {
    let NodeKind::Path { steps, .. } = &node.kind else { return None };
    let name = |step: &Node| match &step.kind {
        NodeKind::Name { name } if step.attrs.stages.is_empty() => Some(name.clone()),
        _ => None,
    };
    steps.iter().map(name).collect()
}
