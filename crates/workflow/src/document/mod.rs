//! A YAML or JSON file as a value whose every part knows its line and column.

mod align;
mod parse;
mod scalar;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::ScalarStyle;
use prunella_model::Code;
use serde_json::Value;

use crate::limits::Limits;
use crate::problem::{Excerpt, Place, Problem, Problems};

/// Byte ranges in the source text of one value and of the key before it.
#[derive(Debug, Clone)]
struct Node {
    key: Option<Range<usize>>,
    value: Range<usize>,
    /// `Some` for texts, numbers, booleans and nulls.
    style: Option<ScalarStyle>,
}

/// A parsed file.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    source: Source,
    value: Value,
    /// By JSON pointer.
    nodes: HashMap<String, Node>,
}

/// A text and its name in messages.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Byte offset of the first character of each line.
    lines: Arc<[usize]>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text: text.into(), lines }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte; the end of the text when `offset` is beyond it.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        Place { line, column: self.text[start..offset].chars().count() + 1 }
    }

    /// A problem at `range` of the text; an empty range gets one caret.
    pub(crate) fn problem(
        &self,
        code: Code,
        range: Range<usize>,
        pointer: &str,
        message: impl Into<String>,
    ) -> Problem {
        let place = self.place(range.start);
        let marked = self.text.get(range).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().trim_end().chars().count();
        Problem {
            code,
            file: self.name.to_string(),
            line: place.line,
            column: place.column,
            pointer: pointer.to_owned(),
            message: message.into(),
            help: None,
            excerpt: Excerpt::new(&self.text, place, width),
        }
    }
}

impl Document {
    /// Reads `text` as one YAML document; JSON is read as the YAML it is.
    ///
    /// Errors: `PRN-0101` for what is not YAML or has no JSON equivalent (all duplicate keys at once),
    /// `PRN-0109` above a limit.
    pub(crate) fn read(name: &str, text: &str, limits: &Limits) -> Result<Self, Problems> {
        Self::from_source(Source::new(name, text), limits)
    }

    /// As [`Document::read`], for a text that has been read.
    pub(crate) fn from_source(source: Source, limits: &Limits) -> Result<Self, Problems> {
        let (value, nodes) = parse::parse(&source, limits)?;
        Ok(Self { source, value, nodes })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn get(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer)
    }

    /// A problem with the value at `pointer`, or with the nearest value around it.
    pub(crate) fn at_value(&self, code: Code, pointer: &str, message: impl Into<String>) -> Problem {
        let range = self.nearest(pointer).map_or(0..0, |node| match node.style {
            Some(_) => node.value.clone(),
            // A whole object or list would be underlined to the end of its first line.
            None => node.value.start..node.value.start,
        });
        self.source.problem(code, range, pointer, message)
    }

    /// A problem with the field name at `pointer`, or with the value when it has none.
    pub(crate) fn at_key(&self, code: Code, pointer: &str, message: impl Into<String>) -> Problem {
        match self.nodes.get(pointer).and_then(|node| node.key.clone()) {
            Some(range) => self.source.problem(code, range, pointer, message),
            None => self.at_value(code, pointer, message),
        }
    }

    /// A problem inside the text at `pointer`, at byte `offset` of its content.
    pub(crate) fn in_text(&self, code: Code, pointer: &str, offset: usize, message: impl Into<String>) -> Problem {
        let (Some(node), Some(content)) = (self.nodes.get(pointer), self.get(pointer).and_then(Value::as_str)) else {
            return self.at_value(code, pointer, message);
        };
        let Some(style) = node.style else {
            return self.at_value(code, pointer, message);
        };
        let written = &self.source.text[node.value.clone()];
        let at = node.value.start + align::source_offset(written, content, style, offset);
        self.source.problem(code, at..at, pointer, message)
    }

    fn nearest(&self, pointer: &str) -> Option<&Node> {
        let mut pointer = pointer;
        loop {
            if let Some(node) = self.nodes.get(pointer) {
                return Some(node);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// `pointer` and one more step; `/` and `~` in names are escaped as RFC 6901 says.
pub(crate) fn join(pointer: &str, field: &str) -> String {
    format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
