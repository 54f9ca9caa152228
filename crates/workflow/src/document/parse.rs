//! From parser events to a JSON value and the place of each of its parts.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use prunella_model::Code;
use serde_json::{Map, Value};

use super::{Node, Source, join, scalar};
use crate::limits::Limits;
use crate::problem::{Problem, Problems};

/// Characters of a field name. YAML asks for 1024; JSON names no limit.
const LONGEST_KEY: usize = 16 << 10;

type Parsed = (Value, HashMap<String, Node>);

pub(super) fn parse(source: &Source, limits: &Limits) -> Result<Parsed, Problems> {
    let tree = Reader::new(source, limits).document()?;
    let mut expansion = Expansion { source, limits, nodes: HashMap::new(), problems: Vec::new(), values: 0 };
    let value = expansion.value(&tree, None, String::new(), 0)?;
    let nodes = expansion.nodes;
    Problems::check(expansion.problems)?;
    Ok((value, nodes))
}

/// A node as it is written, before aliases are repeated and scalars get their meaning.
struct Tree {
    range: Range<usize>,
    content: Content,
}

enum Content {
    Scalar { text: String, style: ScalarStyle, kind: Kind },
    List(Vec<Rc<Tree>>),
    Object(Vec<(Rc<Tree>, Rc<Tree>)>),
}

/// What a tag says about a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No tag: the core schema decides.
    Plain,
    Text,
}

struct Reader<'a> {
    source: &'a Source,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Rc<Tree>>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a Source, limits: &Limits) -> Self {
        let mut options = granit_parser::options! {
            flow_nesting_limit: limits.max_depth,
            block_nesting_limit: limits.max_depth,
            simple_key_max_lookahead: LONGEST_KEY,
        };
        options.set_emit_comments(false);
        let parser = Parser::new_from_str_with_options(source.text(), options);
        Self { source, parser, anchors: HashMap::new() }
    }

    /// The one document of the stream.
    fn document(&mut self) -> Result<Rc<Tree>, Problems> {
        let mut tree = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if tree.is_some() => {
                    return Err(self.syntax(&span, "a second document starts here; a file holds one").into());
                }
                Event::DocumentStart(..) => {}
                event => tree = Some(self.node(event, span)?),
            }
        }
        tree.ok_or_else(|| self.source.problem(Code::WorkflowSyntax, 0..0, "", "the file is empty").into())
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problems> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.scan_problem(&error).into()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Rc<Tree>, Problems> {
        let anchor = event.anchor_id().unwrap_or_default();
        let start = bytes(&span);
        let kind = self.kind(event.tag(), &span)?;
        let tree = match event {
            Event::Alias(id) => {
                return self
                    .anchors
                    .get(&id)
                    .cloned()
                    .ok_or_else(|| self.syntax(&span, "an alias stands inside the value it refers to").into());
            }
            Event::Scalar(text, style, ..) => {
                let content = Content::Scalar { text: text.into_owned(), style, kind };
                Tree { range: start, content }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => {
                            let range = start.start..bytes(&end).end;
                            break Tree { range, content: Content::List(items) };
                        }
                        (event, span) => items.push(self.node(event, span)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut fields = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, end) => {
                            let range = start.start..bytes(&end).end;
                            break Tree { range, content: Content::Object(fields) };
                        }
                        (event, span) => {
                            let key = self.node(event, span)?;
                            let (event, span) = self.next()?;
                            fields.push((key, self.node(event, span)?));
                        }
                    }
                }
            }
            _ => return Err(self.syntax(&span, "a value is missing here").into()),
        };
        let tree = Rc::new(tree);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&tree));
        }
        Ok(tree)
    }

    fn kind(&self, tag: Option<&Tag>, span: &Span) -> Result<Kind, Problems> {
        let Some(tag) = tag else {
            return Ok(Kind::Plain);
        };
        match tag.core_suffix() {
            Some("str") => Ok(Kind::Text),
            Some("map" | "seq") => Ok(Kind::Plain),
            None if tag.parts() == ("", "!") || tag.parts() == ("!", "") => Ok(Kind::Text),
            _ => {
                let span = span.tag_span().unwrap_or(*span);
                let message = format!("the tag {} has no meaning here", tag.original());
                let help = "write the value without a tag, a text in quotes";
                Err(self.syntax(&span, message).help(help).into())
            }
        }
    }

    fn syntax(&self, span: &Span, message: impl Into<String>) -> Problem {
        self.source.problem(Code::WorkflowSyntax, bytes(span), "", message)
    }

    fn scan_problem(&self, error: &ScanError) -> Problem {
        use granit_parser::ErrorKind as Kind;
        let place = error.marker();
        let line = place.line().max(1);
        let at = self.source.lines.get(line - 1).map_or(self.source.text().len(), |start| {
            let rest = &self.source.text()[*start..];
            start + rest.char_indices().nth(place.col()).map_or(rest.trim_end().len(), |(at, _)| at)
        });
        let too_deep = matches!(error.kind(), Kind::RecursionLimitExceeded);
        let code = if too_deep { Code::WorkflowTooLarge } else { Code::WorkflowSyntax };
        let info = error.info();
        if info.contains("tab") {
            // The parser may point at the value before the tab.
            let at = self.source.text()[at..].find('\t').map_or(at, |tab| at + tab);
            return self.source.problem(code, at..at, "", info).help("indent with spaces");
        }
        let problem = self.source.problem(code, at..at, "", info);
        match error.kind() {
            Kind::UnknownAnchor => {
                problem.help("a text that starts with * must stand in quotes; an alias needs an anchor before it")
            }
            _ => problem,
        }
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

struct Expansion<'a> {
    source: &'a Source,
    limits: &'a Limits,
    nodes: HashMap<String, Node>,
    problems: Vec<Problem>,
    values: usize,
}

impl Expansion<'_> {
    /// Stops at the first limit that is exceeded; all other problems are collected.
    fn value(
        &mut self,
        tree: &Tree,
        key: Option<Range<usize>>,
        pointer: String,
        depth: usize,
    ) -> Result<Value, Problems> {
        self.values += 1;
        if self.values > self.limits.max_values {
            let message = format!("the file holds more than {} values, aliases counted", self.limits.max_values);
            return Err(self.too_large(tree, message).into());
        }
        if depth > self.limits.max_depth {
            let message = format!("values are nested deeper than {} levels", self.limits.max_depth);
            return Err(self.too_large(tree, message).into());
        }
        let style = match &tree.content {
            Content::Scalar { style, .. } => Some(*style),
            _ => None,
        };
        let value = match &tree.content {
            Content::Scalar { text, style, kind } => self.scalar(tree, text, *style, *kind, &pointer),
            Content::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    list.push(self.value(item, None, format!("{pointer}/{index}"), depth + 1)?);
                }
                Value::Array(list)
            }
            Content::Object(fields) => self.object(fields, &pointer, depth)?,
        };
        self.nodes.insert(pointer, Node { key, value: tree.range.clone(), style });
        Ok(value)
    }

    fn object(&mut self, fields: &[(Rc<Tree>, Rc<Tree>)], pointer: &str, depth: usize) -> Result<Value, Problems> {
        let mut object = Map::with_capacity(fields.len());
        let mut seen = HashSet::with_capacity(fields.len());
        for (key, value) in fields {
            let Some(name) = self.key(key, pointer) else {
                continue;
            };
            let field = join(pointer, &name);
            if !seen.insert(name.clone()) {
                let first = self.nodes.get(&field).and_then(|node| node.key.clone());
                let line = self.source.place(first.map_or(0, |range| range.start)).line;
                let message = format!("the field `{name}` is given twice, first in line {line}");
                self.problem(key, &field, message);
                continue;
            }
            let value = self.value(value, Some(key.range.clone()), field, depth + 1)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }

    fn key(&mut self, key: &Tree, pointer: &str) -> Option<String> {
        let message = match &key.content {
            Content::Scalar { text, style: ScalarStyle::Plain, kind: Kind::Plain } => match scalar::plain(text) {
                Ok(Value::String(name)) if name == "<<" => "`<<` does not merge here: write the fields out".to_owned(),
                Ok(Value::String(name)) => return Some(name),
                _ => format!("a field name must be a text: write \"{text}\" in quotes"),
            },
            Content::Scalar { text, .. } => return Some(text.clone()),
            _ => "a field name must be a text, not a list or an object (a text that starts with { or [ needs quotes)"
                .to_owned(),
        };
        self.problem(key, pointer, message);
        None
    }

    fn scalar(&mut self, tree: &Tree, text: &str, style: ScalarStyle, kind: Kind, pointer: &str) -> Value {
        if style != ScalarStyle::Plain || kind == Kind::Text {
            return Value::String(text.to_owned());
        }
        scalar::plain(text).unwrap_or_else(|message| {
            self.problem(tree, pointer, message);
            Value::Null
        })
    }

    fn problem(&mut self, tree: &Tree, pointer: &str, message: String) {
        let problem = self.source.problem(Code::WorkflowSyntax, tree.range.clone(), pointer, message);
        self.problems.push(problem);
    }

    fn too_large(&self, tree: &Tree, message: String) -> Problem {
        let at = tree.range.start;
        self.source.problem(Code::WorkflowTooLarge, at..at, "", message)
    }
}
