//! An author's text with some of its parts replaced, so that the engine evaluates it as we need it.

use std::collections::BTreeSet;

use jlens_core::ast::{Ast, BinaryOp, Node, NodeKind};

use super::survey::Survey;
use crate::exact;

/// Above this many items, `$distinct` is done by hashing.
const DISTINCT_BY_COMPARING: usize = 256;

/// What a program is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Purpose {
    /// Integers beyond ±(2^53 − 1) come as marked strings.
    pub(super) exact: bool,
    /// Not for the result, but for whether it holds a function or a number that is not finite.
    pub(super) check: bool,
}

/// A change of the text: `removed` bytes at `at` give way to `text`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edit {
    at: usize,
    /// Of edits at one place, what closes comes before what opens.
    opens: bool,
    removed: usize,
    text: String,
}

/// Text for the engine, and the way back from its positions to the author's.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Of each edit: where it ends in the new text, and the author's position there.
    anchors: Vec<(usize, usize)>,
}

impl Rewritten {
    pub(super) fn position(&self, rewritten: usize) -> usize {
        match self.anchors.iter().rev().find(|(new, _)| *new <= rewritten) {
            Some((new, old)) => old + (rewritten - new),
            None => 0,
        }
    }
}

/// The text of `ast` for `purpose`; `None` when the author's text serves as it is.
pub(super) fn rewrite(ast: &Ast, survey: &Survey, purpose: Purpose) -> Option<Rewritten> {
    let guards_distinct = survey.is_builtin("distinct");
    if !guards_distinct && !purpose.exact && !purpose.check {
        return None;
    }
    let source = ast.source.as_str();
    let mut edits = Vec::new();
    let mut callees = BTreeSet::new();
    ast.root.walk(&mut |node| collect(node, source, survey, purpose, &mut callees, &mut edits));
    edits.sort();

    let mut prelude = String::from("(");
    if guards_distinct {
        prelude.push_str(&distinct());
    }
    if purpose.exact {
        prelude.push_str(EXACT_PRELUDE);
    }
    if purpose.check {
        prelude.push_str("$prunella_result := ");
    }
    prelude.push('(');

    let mut text = prelude;
    let mut anchors = vec![(text.len(), 0)];
    let mut copied = 0;
    for edit in edits {
        text.push_str(&source[copied..edit.at]);
        text.push_str(&edit.text);
        copied = edit.at + edit.removed;
        anchors.push((text.len(), copied));
    }
    text.push_str(&source[copied..]);
    text.push(')');
    if purpose.check {
        text.push_str(CHECK);
    }
    text.push(')');
    Some(Rewritten { text, anchors })
}

fn distinct() -> String {
    format!(
        "$prunella_distinct := function($items)<x:x>{{ $count($items) <= {DISTINCT_BY_COMPARING} ? $distinct($items) : \
         ($unique := $prunella_unique($items); $count($unique) > 1 ? $unique : $distinct($items)) }};"
    )
}

/// `…_call` stands where the author calls the function, `…_value` where he passes it on: the engine passes as many
/// arguments as a function declares, and the built-in ones declare one.
const EXACT_PRELUDE: &str = "\
    $prunella_string_call := function($value, $pretty)<x-b?:s>{ $prunella_restore($string($value, $pretty)) };\
    $prunella_string_value := function($value)<x-:s>{ $prunella_restore($string($value)) };\
    $prunella_text := function($value){ $prunella_restore($string($value)) };\
    $prunella_type_call := function($value)<x:s>{ $prunella_marked($value) ? 'number' : $type($value) };\
    $prunella_type_value := $prunella_type_call;\
    $prunella_number_call := function($value)<(nsb)-:n>{ $prunella_integer($value) ?? $number($value) };\
    $prunella_number_value := $prunella_number_call;";

/// Nothing but a number that is none differs from itself.
const CHECK: &str = ";\
    $prunella_all := $append([$prunella_result], $prunella_result.**);\
    $exists($prunella_all[$type($) = 'function']) ? 'function' : \
    $exists($prunella_all[$ != $]) ? 'number' : 'none'";

fn collect(
    node: &Node,
    source: &str,
    survey: &Survey,
    purpose: Purpose,
    callees: &mut BTreeSet<usize>,
    edits: &mut Vec<Edit>,
) {
    let mut replace = |at: usize, removed: usize, text: String| {
        edits.push(Edit { at, opens: true, removed, text });
    };
    match &node.kind {
        NodeKind::Function { procedure, .. } | NodeKind::Partial { procedure, .. } => {
            callees.insert(procedure.span.start);
        }
        NodeKind::Variable { name } if survey.is_builtin(name) => {
            let form = if callees.contains(&node.span.start) { "call" } else { "value" };
            let replacement = match name.as_str() {
                "distinct" => "$prunella_distinct".to_owned(),
                "string" | "type" | "number" if purpose.exact => format!("$prunella_{name}_{form}"),
                _ => return,
            };
            replace(node.span.start, name.len() + 1, replacement);
        }
        NodeKind::Binary { op: BinaryOp::Concat, lhs, rhs } if purpose.exact => {
            for operand in [lhs, rhs] {
                if matches!(operand.kind, NodeKind::Binary { op: BinaryOp::Concat, .. } | NodeKind::String { .. }) {
                    continue;
                }
                edits.push(Edit {
                    at: operand.span.start,
                    opens: true,
                    removed: 0,
                    text: "$prunella_text(".to_owned(),
                });
                edits.push(Edit { at: operand.span.end, opens: false, removed: 0, text: ")".to_owned() });
            }
        }
        NodeKind::Number { .. } | NodeKind::Negate { .. } if purpose.exact => {
            if let Some(literal) = long_integer(node, source) {
                let mut mark = String::new();
                if exact::push_mark(&mut mark, &literal).is_ok() {
                    replace(node.span.start, node.span.end - node.span.start, format!("\"{mark}\""));
                }
            }
        }
        _ => {}
    }
}

/// The digits of a literal that is an integer beyond ±(2^53 − 1), with its sign.
pub(super) fn long_integer(node: &Node, source: &str) -> Option<String> {
    let is_number = |node: &Node| matches!(node.kind, NodeKind::Number { .. });
    let is_literal = match &node.kind {
        NodeKind::Negate { expr } => is_number(expr),
        _ => is_number(node),
    };
    if !is_literal {
        return None;
    }
    let text: String = source.get(node.span.start..node.span.end)?.split_whitespace().collect();
    exact::needs_mark(text.as_bytes()).then_some(text)
}
