//! What a mapping reads, taken from its syntax tree: in which iteration, at which places of the text, for which output.

mod steps;
mod walk;

use jlens_core::ast::{Ast, Span};
use serde_json::Value;

use crate::convert::Conversion;
use crate::path::FieldPath;
use crate::rewrite::{Edit, splice};

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
    /// What the author asks of the rows at the path, beyond selectors.
    pub(crate) filter: Vec<String>,
}

/// Stands before the rows that a value is read around of: `%` of these rows.
pub(crate) const AROUND: char = '%';

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

/// A variable that is set.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) context: usize,
    pub(crate) name: String,
    pub(crate) span: Span,
    /// Where what it is set to stands.
    pub(crate) value: Span,
}

pub(crate) struct Reading<'a> {
    pub(crate) source: &'a str,
    pub(crate) contexts: Vec<Context>,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) leaves: Vec<Leaf>,
    /// Functions that the mapping defines for itself, as text to be put before parts of it.
    pub(crate) prelude: String,
    /// Variables that are set for the rows of a context, in order.
    pub(crate) bindings: Vec<Binding>,
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
            filter: Vec::new(),
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
        walk::over(&mut reading, &ast.root);
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
    /// The variables that a part of the mapping in this context may use: its own and those of the record.
    pub(crate) fn variables(&self, context: usize, edits: &[Edit]) -> String {
        let set = |binding: &Binding| {
            if binding.context == context {
                return Some(format!("{}; ", splice(self.source, binding.span, edits)));
            }
            let value = || splice(self.source, binding.value, edits);
            (binding.context == 0).then(|| format!("${} := $$.({}); ", binding.name, value()))
        };
        self.bindings.iter().filter_map(set).collect()
    }

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
