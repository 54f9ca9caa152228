//! The walk over a syntax tree that notes what is read.

use jlens_core::ast::{LambdaDef, Node, NodeKind, Span};

use super::steps::{field_path, is_simple, lens_of, looked_up, path_of_call, rows_and_filter};
use super::{AROUND, Atom, Binding, Context, Leaf, Reading};
use crate::convert::Conversion;
use crate::path::{FieldPath, Step};

/// Notes all that is read from a node on, where the record itself is the row.
pub(super) fn over<'a>(reading: &mut Reading<'a>, root: &'a Node) {
    let mut walk = Walk {
        reading,
        names: Vec::new(),
        helpers: Vec::new(),
        computed: Vec::new(),
        binding: Vec::new(),
        open: Vec::new(),
        lens: None,
    };
    walk.node(root, &Scope { context: 0, prefix: String::new() });
}

/// The row that names are read of, and how it is written.
#[derive(Debug, Clone)]
struct Scope {
    context: usize,
    prefix: String,
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

struct Walk<'r, 'a> {
    reading: &'r mut Reading<'a>,
    /// Variables that stand for rows.
    names: Vec<(String, usize)>,
    /// Functions that the author wrote, and the rows that `$` is in them.
    helpers: Vec<(&'a str, usize, &'a LambdaDef)>,
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
            NodeKind::Function { procedure, args } => match self.helper(procedure, args, scope) {
                Some(path) => {
                    self.atom(scope.context, path.render(""), Some(path), node.span, scope.prefix.clone());
                }
                None => self.call(procedure, args, scope),
            },
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
                let set = self.reading.variables(context, &[]);
                let text = format!("({}{set}${name})", self.reading.prelude);
                let rows = Context {
                    parent: Some(context),
                    text,
                    path: None,
                    spans: Vec::new(),
                    computed: true,
                    filter: Vec::new(),
                };
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

    /// The rows around those that names are read of, where one name leads from them to these.
    fn around(&self, scope: &Scope) -> Option<usize> {
        let context = &self.reading.contexts[scope.context];
        let single = context.path.as_ref().is_some_and(|path| matches!(path.steps.as_slice(), [Step::Key(_)]));
        let plain = single && scope.prefix.is_empty() && context.filter.is_empty() && !context.computed;
        context.parent.filter(|_| plain)
    }

    fn path(&mut self, node: &'a Node, steps: &'a [Node], scope: &Scope) {
        if let [Node { kind: NodeKind::Parent { .. }, span, .. }, rest @ .., last] = steps
            && steps[1..].iter().all(is_simple)
            && node.attrs.group.is_none()
            && let Some(around) = self.around(scope)
        {
            let head = rest.first().unwrap_or(last);
            let text = self.text(Span::new(head.span.start, last.span.end)).to_owned();
            let whole = Span::new(span.start, last.span.end);
            self.atom(around, text, field_path(&steps[1..]), whole, format!("{AROUND}{}", scope.context));
            return;
        }
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
        let inner = if iterates {
            let (rows, filter) = rows_and_filter(run, |span| self.text(span).to_owned());
            let inner = self.context(base.context, text, rows, span, base.prefix);
            self.reading.contexts[inner].filter = filter;
            inner
        } else {
            base.context
        };
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
            let (spans, filter) = (Vec::new(), Vec::new());
            let context = Context { parent: Some(parent), text, path, spans, computed: false, filter };
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

    /// What a call of an author's function reads, if that is one path with the literals of the call.
    fn helper(&self, procedure: &Node, args: &[Node], scope: &Scope) -> Option<FieldPath> {
        let NodeKind::Variable { name } = &procedure.kind else { return None };
        let (_, context, function) = self.helpers.iter().rev().find(|(known, ..)| known == name)?;
        path_of_call(function, args).filter(|_| *context == scope.context)
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

    fn set(&mut self, context: usize, name: &str, node: &Node, value: &Node) {
        let binding = Binding { context, name: name.to_owned(), span: node.span, value: value.span };
        self.reading.bindings.push(binding);
    }

    fn bind(&mut self, node: &'a Node, lhs: &'a Node, rhs: &'a Node, scope: &Scope) {
        let NodeKind::Variable { name } = &lhs.kind else { return };
        match &rhs.kind {
            NodeKind::Lambda(function) => {
                self.helpers.push((name.as_str(), scope.context, function));
                let text = self.text(node.span).to_owned();
                self.reading.prelude.push_str(&format!("{text}; "));
            }
            NodeKind::Path { steps, .. } if steps.iter().all(is_simple) => {
                let text = self.text(rhs.span).to_owned();
                let context = self.context(scope.context, text, field_path(steps), rhs.span, scope.prefix.clone());
                self.names.push((name.clone(), context));
                self.set(scope.context, name, node, rhs);
            }
            _ => {
                self.binding.push(Vec::new());
                self.node(rhs, scope);
                let atoms = self.binding.pop().unwrap_or_default();
                let context = scope.context;
                self.computed.push(Computed { name: name.clone(), atoms, context, rows: None });
                self.set(context, name, node, rhs);
            }
        }
    }
}
