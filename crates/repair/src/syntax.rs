//! What a mapping reads, taken from its syntax tree: in which iteration, at which places of the text, for which output.

use jlens_core::ast::{Ast, BinaryOp, Node, NodeKind, Span, Stage};

use serde_json::Value;

use crate::convert::Conversion;
use crate::path::{FieldPath, Literal, Step};

/// Rows that a part of the mapping is evaluated for. The first is the record itself.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) parent: Option<usize>,
    /// JSONata of the rows, evaluated on a row of the parent.
    pub(crate) text: String,
    pub(crate) path: Option<FieldPath>,
    /// The places in the mapping where the rows are named.
    pub(crate) spans: Vec<(Span, String)>,
    /// The rows are what a variable holds: they move with what the variable is made of.
    pub(crate) computed: bool,
}

/// A variable that holds more than rows, such as one of two parts.
#[derive(Debug, Clone)]
struct Computed {
    name: String,
    /// What it is made of: whoever reads the variable reads these.
    atoms: Vec<usize>,
    context: usize,
    /// The rows that it holds, once something is read of them.
    rows: Option<usize>,
}

/// A value that the mapping reads of a row.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    pub(crate) context: usize,
    pub(crate) text: String,
    /// `None` when it is more than names, places and selectors.
    pub(crate) path: Option<FieldPath>,
    /// Where it stands, and what stands for the row there.
    pub(crate) sites: Vec<(Span, String)>,
    /// What the mapping does to the value at all of these places, such as `$lowercase`: only what is left matters.
    pub(crate) lens: Option<Conversion>,
}

impl Atom {
    pub(crate) fn seen_through_lens(&self, value: Option<Value>) -> Option<Value> {
        match &self.lens {
            Some(lens) => value.map(|value| lens.apply(&value).unwrap_or(value)),
            None => value,
        }
    }
}

/// One field of the output.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Names of the output, such as `members.email`.
    pub(crate) path: Vec<String>,
    pub(crate) context: usize,
    pub(crate) span: Span,
    pub(crate) atoms: Vec<usize>,
    /// Holds other fields, which stand for themselves.
    pub(crate) outer: bool,
    /// Reads something that cannot be told apart: wildcards, computed names.
    pub(crate) opaque: bool,
    /// A condition of the leaf tests whether something is there.
    pub(crate) conditional: bool,
}

pub(crate) struct Reading<'a> {
    pub(crate) source: &'a str,
    pub(crate) contexts: Vec<Context>,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) leaves: Vec<Leaf>,
    /// Functions that the mapping defines for itself, as text to be put before parts of it.
    pub(crate) prelude: String,
    /// Variables that are set for the rows of a context, in order.
    pub(crate) bindings: Vec<(usize, Span)>,
    pub(crate) opaque: bool,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(ast: &'a Ast) -> Self {
        let root = Context {
            parent: None,
            text: "$".into(),
            path: Some(FieldPath::default()),
            spans: Vec::new(),
            computed: false,
        };
        let mut reading = Self {
            source: &ast.source,
            contexts: vec![root],
            atoms: Vec::new(),
            leaves: Vec::new(),
            prelude: String::new(),
            bindings: Vec::new(),
            opaque: false,
        };
        let mut walk = Walk {
            reading: &mut reading,
            names: Vec::new(),
            computed: Vec::new(),
            binding: Vec::new(),
            open: Vec::new(),
            lens: None,
        };
        walk.node(&ast.root, &Scope { context: 0, prefix: String::new() });
        if reading.leaves.is_empty() {
            let atoms = (0..reading.atoms.len()).collect();
            reading.leaves.push(Leaf {
                path: Vec::new(),
                context: 0,
                span: Span::new(0, ast.source.len()),
                atoms,
                outer: false,
                opaque: reading.opaque,
                conditional: false,
            });
        }
        reading
    }
}

impl Reading<'_> {
    /// The way from the record to the rows of a context, if it is plain.
    pub(crate) fn path_of(&self, context: usize) -> Option<FieldPath> {
        let context = &self.contexts[context];
        let own = context.path.clone()?;
        match context.parent {
            Some(parent) => Some(self.path_of(parent)?.joined(&own)),
            None => Some(own),
        }
    }
}

/// The row that names are read of, and how it is written.
#[derive(Debug, Clone)]
struct Scope {
    context: usize,
    prefix: String,
}

struct Walk<'r, 'a> {
    reading: &'r mut Reading<'a>,
    /// Variables that stand for rows.
    names: Vec<(String, usize)>,
    computed: Vec<Computed>,
    /// What the variables that are being set are made of, outermost first.
    binding: Vec<Vec<usize>>,
    /// Leaves that are being read, outermost first.
    open: Vec<usize>,
    /// What is done to the value that is read next.
    lens: Option<Conversion>,
}

impl<'a> Walk<'_, 'a> {
    fn text(&self, span: Span) -> &'a str {
        self.reading.source.get(span.start..span.end).unwrap_or_default()
    }

    fn mark_opaque(&mut self) {
        self.reading.opaque = true;
        if let Some(leaf) = self.open.last() {
            self.reading.leaves[*leaf].opaque = true;
        }
    }

    fn node(&mut self, node: &'a Node, scope: &Scope) {
        match &node.kind {
            NodeKind::Path { steps, .. } => self.path(node, steps, scope),
            NodeKind::Name { .. } => self.path(node, std::slice::from_ref(node), scope),
            NodeKind::Variable { name } => match self.scope_of(name, scope) {
                Some((_, inner)) if name.is_empty() || name == "$" || self.names.iter().any(|(n, _)| n == name) => {
                    self.atom(inner.context, "$".to_owned(), Some(FieldPath::default()), node.span, inner.prefix);
                }
                _ => self.variable(name, scope),
            },
            NodeKind::Object { pairs } => {
                for (key, value) in pairs {
                    self.pair(key, value, scope);
                }
            }
            NodeKind::Function { .. } if looked_up(node).is_some() => {
                self.path(node, std::slice::from_ref(node), scope)
            }
            NodeKind::Function { procedure, args } => self.call(procedure, args, scope),
            NodeKind::Bind { lhs, rhs } => self.bind(node, lhs, rhs, scope),
            NodeKind::Wildcard | NodeKind::Descendant | NodeKind::Parent { .. } | NodeKind::Transform(_) => {
                self.mark_opaque();
            }
            NodeKind::Condition { .. } => {
                if let Some(leaf) = self.open.last() {
                    self.reading.leaves[*leaf].conditional = true;
                }
                node.for_each_child(|child| self.node(child, scope));
            }
            _ => node.for_each_child(|child| self.node(child, scope)),
        }
        if !matches!(node.kind, NodeKind::Path { .. }) && node.attrs.group.is_some() {
            self.mark_opaque();
        }
    }

    fn pair(&mut self, key: &'a Node, value: &'a Node, scope: &Scope) {
        let NodeKind::String { value: name } = &key.kind else {
            self.mark_opaque();
            self.node(key, scope);
            self.node(value, scope);
            return;
        };
        let mut path = self.open.last().map(|leaf| self.reading.leaves[*leaf].path.clone()).unwrap_or_default();
        path.push(name.clone());
        let index = self.reading.leaves.len();
        self.reading.leaves.push(Leaf {
            path,
            context: scope.context,
            span: value.span,
            atoms: Vec::new(),
            outer: false,
            opaque: false,
            conditional: false,
        });
        if let Some(outer) = self.open.last() {
            self.reading.leaves[*outer].outer = true;
        }
        self.open.push(index);
        self.node(value, scope);
        self.open.pop();
    }

    /// The rows behind a variable, and how many steps it takes from the path: none for those that are not rows.
    fn scope_of(&self, name: &str, scope: &Scope) -> Option<(bool, Scope)> {
        match name {
            "" => Some((true, scope.clone())),
            "$" => Some((true, Scope { context: 0, prefix: "$$".to_owned() })),
            _ => {
                let (_, context) = self.names.iter().rev().find(|(known, _)| known == name)?;
                Some((true, Scope { context: *context, prefix: format!("${name}") }))
            }
        }
    }

    /// Notes what is read by reading a variable.
    fn variable(&mut self, name: &str, scope: &Scope) {
        let Some(computed) = self.computed.iter().rev().find(|known| known.name == name).cloned() else { return };
        computed.atoms.iter().for_each(|atom| self.note(*atom));
        if computed.context != scope.context {
            self.mark_opaque();
        }
    }

    /// The rows that a variable holds.
    fn rows_of_variable(&mut self, name: &str) -> Option<Scope> {
        let index = self.computed.iter().rposition(|known| known.name == name)?;
        let context = self.computed[index].context;
        let rows = match self.computed[index].rows {
            Some(rows) => rows,
            None => {
                let set = self.reading.bindings.iter().filter(|(known, _)| *known == context);
                let set: String = set.map(|(_, span)| format!("{}; ", self.text(*span))).collect();
                let text = format!("({}{set}${name})", self.reading.prelude);
                let rows = Context { parent: Some(context), text, path: None, spans: Vec::new(), computed: true };
                self.reading.contexts.push(rows);
                self.reading.contexts.len() - 1
            }
        };
        self.computed[index].rows = Some(rows);
        Some(Scope { context: rows, prefix: format!("${name}") })
    }

    /// Notes that what is being read reads the atom.
    fn note(&mut self, atom: usize) {
        let open = self.open.last().map(|leaf| &mut self.reading.leaves[*leaf].atoms);
        for atoms in open.into_iter().chain(&mut self.binding) {
            if !atoms.contains(&atom) {
                atoms.push(atom);
            }
        }
    }

    fn path(&mut self, node: &'a Node, steps: &'a [Node], scope: &Scope) {
        let (mut base, mut taken) = (scope.clone(), 0);
        if let Some(Node { kind: NodeKind::Variable { name }, attrs, .. }) = steps.first() {
            match self.scope_of(name, scope) {
                Some((_, inner)) if attrs.stages.is_empty() || name.is_empty() => {
                    base = inner;
                    taken = usize::from(attrs.stages.is_empty());
                }
                _ if steps.len() > 1
                    && steps[1..].iter().all(is_simple)
                    && attrs.stages.is_empty()
                    && self.computed.iter().any(|known| known.name == *name) =>
                {
                    self.variable(name, scope);
                    if let Some(rows) = self.rows_of_variable(name) {
                        (base, taken) = (rows, 1);
                    }
                }
                _ => {
                    self.variable(name, scope);
                    // A value that was computed before, or a function's parameter: what it reads is read there.
                    steps.iter().skip(1).filter(|step| !is_simple(step)).for_each(|step| self.node(step, scope));
                    return;
                }
            }
        }
        let first = taken;
        while taken < steps.len() && is_simple(&steps[taken]) {
            taken += 1;
        }
        let run = &steps[first..taken];
        if run.is_empty() && taken == steps.len() {
            let prefix = base.prefix;
            self.atom(base.context, "$".to_owned(), Some(FieldPath::default()), node.span, prefix);
            return;
        }
        let start = steps[0].span.start;
        let end = steps[taken.max(1) - 1].span.end;
        let span = Span::new(start, end);
        let text = match (run.first(), run.last()) {
            (Some(head), Some(last)) => self.text(Span::new(head.span.start, last.span.end)).to_owned(),
            _ => "$".to_owned(),
        };
        let path = field_path(run);
        if node.attrs.group.is_some() {
            self.mark_opaque();
        }
        if taken == steps.len() && node.attrs.group.is_none() {
            self.atom(base.context, text, path, span, base.prefix);
            return;
        }
        let iterates =
            !run.is_empty() || (first == 1 && matches!(&steps[0].kind, NodeKind::Variable { name } if name.is_empty()));
        let inner = if iterates { self.context(base.context, text, path, span, base.prefix) } else { base.context };
        let rest = &steps[taken..];
        let scope = Scope { context: inner, prefix: String::new() };
        for (index, step) in rest.iter().enumerate() {
            if index > 0 {
                // What a computed step gives is not a row of the source.
                if !is_simple(step) {
                    self.mark_opaque();
                }
                continue;
            }
            match &step.kind {
                NodeKind::Sort { terms } => terms.iter().for_each(|term| self.node(&term.expr, &scope)),
                _ => self.node(step, &scope),
            }
        }
        if let Some(group) = &node.attrs.group {
            for (key, value) in &group.pairs {
                self.node(key, &scope);
                self.node(value, &scope);
            }
        }
    }

    fn context(&mut self, parent: usize, text: String, path: Option<FieldPath>, span: Span, prefix: String) -> usize {
        let known = self.reading.contexts.iter().position(|known| known.parent == Some(parent) && known.text == text);
        let index = known.unwrap_or_else(|| {
            let context = Context { parent: Some(parent), text, path, spans: Vec::new(), computed: false };
            self.reading.contexts.push(context);
            self.reading.contexts.len() - 1
        });
        self.reading.contexts[index].spans.push((span, prefix));
        index
    }

    fn atom(&mut self, context: usize, text: String, path: Option<FieldPath>, span: Span, prefix: String) {
        let known = self.reading.atoms.iter().position(|atom| atom.context == context && atom.text == text);
        let index = known.unwrap_or_else(|| {
            self.reading.atoms.push(Atom { context, text, path, sites: Vec::new(), lens: self.lens.clone() });
            self.reading.atoms.len() - 1
        });
        let lens = self.lens.take();
        if self.reading.atoms[index].lens != lens {
            self.reading.atoms[index].lens = None;
        }
        self.reading.atoms[index].sites.push((span, prefix));
        self.note(index);
    }

    fn call(&mut self, procedure: &'a Node, args: &'a [Node], scope: &Scope) {
        let over_items = matches!(&procedure.kind, NodeKind::Variable { name } if matches!(name.as_str(), "map" | "filter" | "single"));
        if let [Node { kind: NodeKind::Path { steps, .. }, span, .. }, Node { kind: NodeKind::Lambda(lambda), .. }] =
            args
            && over_items
            && steps.iter().all(is_simple)
            && let Some(item) = lambda.params.first()
        {
            let text = self.text(*span).to_owned();
            let context = self.context(scope.context, text, field_path(steps), *span, scope.prefix.clone());
            self.names.push((item.clone(), context));
            self.node(&lambda.body, scope);
            self.names.pop();
            return;
        }
        if !matches!(procedure.kind, NodeKind::Variable { .. }) {
            self.node(procedure, scope);
        }
        for arg in args {
            self.lens = match arg {
                Node { kind: NodeKind::Path { steps, .. }, .. } if steps.iter().all(is_simple) => lens_of(procedure),
                _ => None,
            };
            self.node(arg, scope);
            self.lens = None;
        }
    }

    fn bind(&mut self, node: &'a Node, lhs: &'a Node, rhs: &'a Node, scope: &Scope) {
        let NodeKind::Variable { name } = &lhs.kind else { return };
        match &rhs.kind {
            NodeKind::Lambda(_) => {
                let text = self.text(node.span).to_owned();
                self.reading.prelude.push_str(&format!("{text}; "));
            }
            NodeKind::Path { steps, .. } if steps.iter().all(is_simple) => {
                let text = self.text(rhs.span).to_owned();
                let context = self.context(scope.context, text, field_path(steps), rhs.span, scope.prefix.clone());
                self.names.push((name.clone(), context));
                self.reading.bindings.push((scope.context, node.span));
            }
            _ => {
                self.binding.push(Vec::new());
                self.node(rhs, scope);
                let atoms = self.binding.pop().unwrap_or_default();
                let context = scope.context;
                self.computed.push(Computed { name: name.clone(), atoms, context, rows: None });
                self.reading.bindings.push((context, node.span));
            }
        }
    }
}

/// Functions that a value may go through before anything looks at it.
fn lens_of(procedure: &Node) -> Option<Conversion> {
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
fn is_simple(step: &Node) -> bool {
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
fn looked_up(step: &Node) -> Option<&str> {
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

fn field_path(steps: &[Node]) -> Option<FieldPath> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let ast = jlens_core::parse(source).expect(source);
        let reading = Reading::of(&ast);
        (
            reading
                .contexts
                .iter()
                .skip(1)
                .map(|context| format!("{}:{}", context.parent.unwrap_or(9), context.text))
                .collect(),
            reading.atoms.iter().map(|atom| format!("{}:{}", atom.context, atom.text)).collect(),
            reading.leaves.iter().map(|leaf| format!("{}:{}", leaf.context, leaf.path.join("."))).collect(),
        )
    }

    #[test]
    fn reads_stand_in_their_iteration() {
        let (contexts, atoms, leaves) =
            read(r#"[data.{ "a": $string(id), "p": [projects.$string(id)], "q": x ? x.y : null }]"#);
        assert_eq!(contexts, ["0:data", "1:projects"]);
        assert_eq!(atoms, ["1:id", "2:id", "1:x", "1:x.y"]);
        assert_eq!(leaves, ["1:a", "1:p", "1:q"]);
    }

    #[test]
    fn root_rows_selectors_and_functions() {
        let (contexts, atoms, _) = read(r#"[$.{ "e": answers[tag = "email"].value, "c": categories.$[1] }]"#);
        assert_eq!(contexts, ["0:$"]);
        assert_eq!(atoms, [r#"1:answers[tag = "email"].value"#, "1:categories.$[1]"]);
        let (contexts, atoms, _) = read(r#"$map(items, function($i){ { "a": $i.name, "b": $$.total } })"#);
        assert_eq!(contexts, ["0:items"]);
        assert_eq!(atoms, ["1:name", "0:total"]);
    }
}
