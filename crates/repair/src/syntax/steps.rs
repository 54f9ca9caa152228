//! Steps of a path that can be followed: names, places, selectors with literals.

use jlens_core::ast::{BinaryOp, Node, NodeKind, Stage};

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
        NodeKind::Name { .. } => true,
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
    let mut path = FieldPath::default();
    for step in steps {
        match &step.kind {
            NodeKind::Name { name } => path.steps.push(Step::Key(name.clone())),
            NodeKind::Function { .. } => path.steps.push(Step::Key(looked_up(step)?.to_owned())),
            _ => return None,
        }
        for stage in &step.attrs.stages {
            let Stage::Filter { expr, .. } = stage else { return None };
            path.steps.push(selector(expr)?);
        }
    }
    Some(path)
}

fn selector(expr: &Node) -> Option<Step> {
    match &expr.kind {
        NodeKind::Number { value } if *value == 0.0 => Some(Step::At(0)),
        NodeKind::Negate { expr } if matches!(expr.kind, NodeKind::Number { value } if value == 1.0) => {
            Some(Step::At(-1))
        }
        NodeKind::Number { value } if *value == -1.0 => Some(Step::At(-1)),
        NodeKind::Path { .. } => Some(Step::Where(names(expr)?, Literal::Flag(true))),
        NodeKind::Binary { op: BinaryOp::Eq, lhs, rhs } => {
            let literal = match &rhs.kind {
                NodeKind::String { value } => Literal::Text(value.clone()),
                NodeKind::Bool { value } => Literal::Flag(*value),
                NodeKind::Number { value } if value.fract() == 0.0 && value.abs() < 9.0e15 =>
                {
                    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
                    Literal::Number(*value as i64)
                }
                _ => return None,
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
