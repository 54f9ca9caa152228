//! What can be told of an expression from its tree, once, when it is compiled.

use std::collections::BTreeSet;

use jlens_core::ast::{Ast, BinaryOp, Node, NodeKind, Stage};
use jlens_core::function_catalog;

use super::rewrite::long_integer;

/// Built-in functions that call a function they are given, and give no function back.
const CALLERS: &[&str] =
    &["map", "filter", "single", "reduce", "sift", "each", "sort", "match", "contains", "replace", "split"];

/// Built-in functions that may give a number that is none.
const NOT_ALWAYS_NUMBERS: &[&str] = &["power", "sqrt", "parseInteger", "toMillis"];

pub(super) struct Survey {
    /// Names of built-in functions that stand in the text and are bound nowhere in it.
    builtins: BTreeSet<String>,
    /// Whether a literal is an integer beyond ±(2^53 − 1).
    pub(super) long_integers: bool,
    /// Whether the result may hold a function, or a number that is not finite, which JSON shows as `null`.
    pub(super) may_hide: bool,
}

impl Survey {
    pub(super) fn of(ast: &Ast) -> Self {
        let mut names = Names::default();
        let mut long_integers = false;
        let mut no_numbers = false;
        ast.root.walk(&mut |node| {
            names.note(node);
            long_integers |= long_integer(node, &ast.source).is_some();
            no_numbers |= may_give_no_number(node);
        });
        let builtins = function_catalog()
            .into_iter()
            .map(|function| function.name.to_owned())
            .filter(|name| names.read.contains(name.as_str()) && !names.bound.contains(name.as_str()))
            .collect();
        let survey = Self { builtins, long_integers, may_hide: false };
        let may_hide = no_numbers || survey.function_may_escape(&ast.root, &names.functions, true);
        Self { may_hide, ..survey }
    }

    /// Whether `$name` is the built-in function wherever it stands in the text.
    pub(super) fn is_builtin(&self, name: &str) -> bool {
        self.builtins.contains(name)
    }

    /// Whether a function may stand where its value goes on, rather than being called. `goes_on`: the value of this
    /// node does. Says yes when in doubt.
    fn function_may_escape(&self, node: &Node, functions: &BTreeSet<&str>, goes_on: bool) -> bool {
        let escapes = |child: &Node, goes_on: bool| self.function_may_escape(child, functions, goes_on);
        let here = match &node.kind {
            NodeKind::Lambda(definition) if definition.thunk => goes_on && escapes(&definition.body, true),
            NodeKind::Lambda(definition) => goes_on || escapes(&definition.body, true),
            NodeKind::Partial { args, .. } => goes_on || args.iter().any(|arg| escapes(arg, true)),
            NodeKind::Transform(_) | NodeKind::Regex { .. } => goes_on,
            NodeKind::Variable { name } => goes_on && (self.is_builtin(name) || functions.contains(name.as_str())),
            NodeKind::Function { procedure, args } => {
                let calls = matches!(&procedure.kind, NodeKind::Variable { name } if self.is_builtin(name) && CALLERS.contains(&name.as_str()));
                escapes(procedure, false) || args.iter().any(|arg| escapes(arg, !calls))
            }
            NodeKind::Apply { lhs, rhs } => escapes(lhs, true) || escapes(rhs, false),
            NodeKind::Bind { lhs: _, rhs } => escapes(rhs, goes_on),
            NodeKind::Block { exprs, .. } => {
                let last = exprs.len().saturating_sub(1);
                exprs.iter().enumerate().any(|(index, expr)| escapes(expr, goes_on && index == last))
            }
            _ => {
                let mut any = false;
                node.for_each_child(|child| any = any || escapes(child, true));
                return any;
            }
        };
        here || attributes(node).into_iter().any(|child| escapes(child, true))
    }
}

/// The children a node has whatever its kind: filters and the pairs of a grouping.
fn attributes(node: &Node) -> Vec<&Node> {
    let filters = node.attrs.stages.iter().chain(&node.attrs.predicate).filter_map(|stage| match stage {
        Stage::Filter { expr, .. } => Some(&**expr),
        Stage::Index { .. } => None,
    });
    let pairs = node.attrs.group.iter().flat_map(|group| group.pairs.iter().flat_map(|(key, value)| [key, value]));
    filters.chain(pairs).collect()
}

fn may_give_no_number(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Binary { op: BinaryOp::Div | BinaryOp::Mod, rhs, .. } => {
            !matches!(rhs.kind, NodeKind::Number { value } if value != 0.0)
        }
        NodeKind::Variable { name } => NOT_ALWAYS_NUMBERS.contains(&name.as_str()),
        _ => false,
    }
}

#[derive(Default)]
struct Names<'a> {
    read: BTreeSet<&'a str>,
    bound: BTreeSet<&'a str>,
    /// Those of `bound` that may stand for a function.
    functions: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn note(&mut self, node: &'a Node) {
        match &node.kind {
            NodeKind::Variable { name } => {
                self.read.insert(name);
            }
            NodeKind::Bind { lhs, rhs } => {
                if let NodeKind::Variable { name } = &lhs.kind {
                    self.bound.insert(name);
                    if may_be_function(rhs) {
                        self.functions.insert(name);
                    }
                }
            }
            NodeKind::Lambda(definition) => self.bound.extend(definition.params.iter().map(String::as_str)),
            _ => {}
        }
        let attributes = &node.attrs;
        self.bound.extend([&attributes.focus, &attributes.index].into_iter().flatten().map(String::as_str));
        for stage in &attributes.stages {
            if let Stage::Index { var, .. } = stage {
                self.bound.insert(var);
            }
        }
    }
}

/// Whether the value may be a function; values read from the input never are.
fn may_be_function(node: &Node) -> bool {
    !matches!(
        node.kind,
        NodeKind::String { .. }
            | NodeKind::Number { .. }
            | NodeKind::Bool { .. }
            | NodeKind::Null
            | NodeKind::Object { .. }
            | NodeKind::Array { .. }
            | NodeKind::Binary { .. }
            | NodeKind::Path { .. }
    )
}
