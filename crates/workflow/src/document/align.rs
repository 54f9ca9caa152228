//! From a position in the content of a scalar to the position in the file: quotes, escapes, folded lines
//! and the indentation of block scalars stand between the two.

use granit_parser::ScalarStyle;

/// The byte offset in `written` (the scalar as it stands in the file, its quotes or `|` line included) of
/// byte `offset` of its `content`.
pub(super) fn source_offset(written: &str, content: &str, style: ScalarStyle, offset: usize) -> usize {
    let wanted = content.get(..offset).unwrap_or(content);
    match style {
        ScalarStyle::Literal => literal(written, content, wanted),
        ScalarStyle::Folded => after_header(written, |body| flowing(body, wanted, content, false)),
        ScalarStyle::DoubleQuoted => 1 + flowing(&written[1..], wanted, content, true),
        ScalarStyle::SingleQuoted => 1 + flowing(&written[1..], wanted, content, false),
        ScalarStyle::Plain => flowing(written, wanted, content, false),
    }
}

fn after_header(written: &str, inside: impl Fn(&str) -> usize) -> usize {
    if !written.starts_with(['|', '>']) {
        return inside(written);
    }
    let body = written.find('\n').map_or(written.len(), |at| at + 1);
    body + inside(&written[body..])
}

/// Line by line: what stands before a content line is its indentation.
fn literal(written: &str, content: &str, wanted: &str) -> usize {
    let number = wanted.matches('\n').count();
    let column = wanted.len() - wanted.rfind('\n').map_or(0, |at| at + 1);
    let line = content.split('\n').nth(number).unwrap_or_default();
    after_header(written, |body| {
        let start: usize = body.split_inclusive('\n').take(number).map(str::len).sum();
        let source_line = body[start..].split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let indent = source_line.len().saturating_sub(line.len());
        start + if source_line.ends_with(line) { indent } else { 0 } + column
    })
}

/// Both texts walked side by side: escapes count as the one character they stand for, and white space of
/// the source that the content does not have is skipped.
fn flowing(source: &str, wanted: &str, content: &str, escapes: bool) -> usize {
    let mut at = 0;
    for c in wanted.chars() {
        at += gap(&source[at..], c, escapes);
        at += width(&source[at..], c, escapes);
    }
    match content[wanted.len()..].chars().next() {
        Some(next) => at + gap(&source[at..], next, escapes),
        None => at,
    }
}

/// Bytes of source before the one that stands for `c`.
fn gap(source: &str, c: char, escapes: bool) -> usize {
    let mut at = 0;
    loop {
        let rest = &source[at..];
        if escapes && (rest.starts_with("\\\n") || rest.starts_with("\\\r\n")) {
            at += rest.find('\n').map_or(0, |end| end + 1);
            continue;
        }
        match rest.chars().next() {
            Some(found) if found.is_whitespace() && found != c && !(c == ' ' && found == '\n') => {
                at += found.len_utf8();
            }
            _ => return at,
        }
    }
}

/// Bytes of source that stand for `c`; none when it is not there.
fn width(source: &str, c: char, escapes: bool) -> usize {
    if escapes && source.starts_with('\\') {
        let digits = match source.as_bytes().get(1) {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        // A character outside the basic plane is two `\u` escapes.
        let pairs = if digits == 4 && c.len_utf16() == 2 { 2 } else { 1 };
        return (pairs * (2 + digits)).min(source.len());
    }
    if !escapes && c == '\'' && source.starts_with("''") {
        return 2;
    }
    match source.chars().next() {
        Some(found) if found == c || (c == ' ' && found == '\n') => found.len_utf8(),
        _ => 0,
    }
}
