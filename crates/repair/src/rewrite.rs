//! The author's text with some parts replaced; everything else stays as it was written.

use jlens_core::ast::Span;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) span: Span,
    pub(crate) text: String,
}

/// The part of `source` within `span`, with the edits that lie in it. Of edits inside each other the outer one counts.
pub(crate) fn splice(source: &str, span: Span, edits: &[Edit]) -> String {
    let mut inside: Vec<&Edit> =
        edits.iter().filter(|edit| edit.span.start >= span.start && edit.span.end <= span.end).collect();
    inside.sort_by_key(|edit| (edit.span.start, std::cmp::Reverse(edit.span.end)));
    let mut text = String::new();
    let mut at = span.start;
    for edit in inside {
        if edit.span.start < at {
            continue;
        }
        text.push_str(source.get(at..edit.span.start).unwrap_or_default());
        text.push_str(&edit.text);
        at = edit.span.end;
    }
    text.push_str(source.get(at..span.end).unwrap_or_default());
    text
}
