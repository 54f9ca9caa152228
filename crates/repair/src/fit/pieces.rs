//! Readings of a text: numbers in it, lengths of time, its parts, and what makes another text of it.

use serde_json::Value;

use crate::convert::Conversion::{self, *};
use crate::convert::Duration;
use crate::value::plain_number;

/// Marks of thousands and of decimals in the notations of languages.
const NOTATIONS: [(char, char); 10] = [
    ('.', ','),
    (',', '.'),
    (' ', ','),
    ('\'', '.'),
    ('’', '.'),
    ('\'', ','),
    ('\u{a0}', ','),
    ('\u{202f}', ','),
    (' ', '.'),
    ('_', '.'),
];

pub(super) fn then(first: Conversion, second: Conversion) -> Conversion {
    match (first, second) {
        (Same, second) => second,
        (first, Same) => first,
        (Chain(mut chain), second) => {
            chain.push(second);
            Chain(chain)
        }
        (first, second) => Chain(vec![first, second]),
    }
}

/// Ways to read a number out of text: all of it, or the part that is written in digits.
pub(super) fn numbers_in(text: &str) -> Vec<Conversion> {
    let mut pieces = vec![(Same, text.to_owned())];
    pieces.extend([Trim, Unquote].into_iter().filter_map(|bare| {
        let inner = bare.apply(&Value::from(text))?;
        let inner = inner.as_str().filter(|inner| *inner != text)?.to_owned();
        Some((bare, inner))
    }));
    pieces.extend(parts(text).into_iter().map(|(part, value)| (part, value.to_owned())));
    let mut found = Vec::new();
    for (piece, value) in pieces {
        let (before, number, after) = around_digits(&value);
        let mut piece = piece;
        if before.chars().count() > LONGEST_MARK || after.chars().count() > LONGEST_MARK {
            continue;
        }
        if !before.is_empty() {
            piece = then(piece, StripPrefix(before.to_owned()));
        }
        if !after.is_empty() {
            piece = then(piece, StripSuffix(after.to_owned()));
        }
        if plain_number(number).is_some() {
            found.push(then(piece.clone(), ToNumber));
        }
        for (thousands, point) in NOTATIONS {
            let decimal = Decimal { thousands, point, to_number: true };
            if decimal.apply(&Value::from(number)).is_some() {
                found.push(then(piece.clone(), decimal));
            }
        }
    }
    found
}

pub(super) fn lengths_of_time(text: &str, meant: f64) -> Vec<Conversion> {
    let mut found = Vec::new();
    for form in Duration::ALL {
        let Some(seconds) = form.seconds(text) else { continue };
        found.push(Seconds(form));
        found.extend([60, 3_600].map(|factor| {
            let unit = |rounded| Unit { factor, over: true, decimals: 0, rounded };
            then(Seconds(form), unit((seconds / f64::from(factor)).fract() != 0.0 && meant.fract() == 0.0))
        }));
        found.push(then(Seconds(form), Scale { power: 3, decimals: 0, rounded: false }));
    }
    found
}

/// What stands around a number, such as its unit or its currency, is at most this long.
const LONGEST_MARK: usize = 12;

/// The text before the first digit, to the last one, and behind it.
fn around_digits(text: &str) -> (&str, &str, &str) {
    let digit = |c: char| c.is_ascii_digit();
    let (Some(first), Some(last)) = (text.find(digit), text.rfind(digit)) else { return ("", text, "") };
    let start = if text[..first].ends_with('-') { first - 1 } else { first };
    (&text[..start], &text[start..=last], &text[last + 1..])
}

/// Ways to make one text of another: its parts, what stands around it, its case, single characters.
pub(super) fn texts_of(text: &str, meant: &str) -> Vec<Conversion> {
    let mut found = vec![Lower, Upper, Capital, Trim, Unquote];
    found.extend(NOTATIONS.map(|(thousands, point)| Decimal { thousands, point, to_number: false }));
    if let Some(prefix) = text.strip_suffix(meant) {
        found.push(StripPrefix(prefix.to_owned()));
    }
    if let Some(suffix) = text.strip_prefix(meant) {
        found.push(StripSuffix(suffix.to_owned()));
    }
    if let Some(suffix) = meant.strip_prefix(text) {
        found.push(AddSuffix(suffix.to_owned()));
    }
    let mut pieces = vec![(Same, text)];
    if text.trim() != text {
        pieces.push((Trim, text.trim()));
    }
    pieces.extend(parts(text));
    for (piece, value) in pieces {
        if value == meant {
            found.push(piece);
            continue;
        }
        let same_letters = value.to_lowercase() == meant.to_lowercase();
        if same_letters && piece != Same {
            found.extend([Lower, Upper, Capital].map(|case| then(piece.clone(), case)));
        }
        if let Some(prefix) = meant.strip_suffix(value).filter(|_| value.len() >= SHORTEST_REST) {
            found.push(then(piece.clone(), AddPrefix(prefix.to_owned())));
        }
        found.extend(swaps(value, meant).into_iter().map(|swap| then(piece.clone(), swap)));
    }
    found.extend(slices(text, meant));
    found
}

/// What stays of an identifier when what stands before it changes is at least this long.
const SHORTEST_REST: usize = 3;

fn swaps(text: &str, meant: &str) -> Vec<Conversion> {
    if text.chars().count() != meant.chars().count() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for case in [Same, Lower, Upper] {
        let cased = case.apply(&Value::from(text));
        let Some(cased) = cased.as_ref().and_then(Value::as_str) else { continue };
        if let Some((from, to)) = cased.chars().zip(meant.chars()).find(|(a, b)| a != b) {
            found.push(then(case, Swap { from, to }));
        }
    }
    found
}

/// Characters at a fixed place, such as the day of a moment.
fn slices(text: &str, meant: &str) -> Vec<Conversion> {
    let Some(at) = text.find(meant).filter(|_| !meant.is_empty() && text != meant) else { return Vec::new() };
    let start = text[..at].chars().count();
    let mut found = vec![Slice { start, length: Some(meant.chars().count()) }];
    if at + meant.len() == text.len() {
        found.push(Slice { start, length: None });
    }
    found
}

/// What stands between the parts of a text.
pub(crate) const SEPARATORS: [&str; 14] = ["/", ":", "-", "_", ".", "#", " ", "|", "@", ", ", ",", ";", "=", "~"];

fn parts(text: &str) -> Vec<(Conversion, &str)> {
    let mut found = Vec::new();
    for separator in SEPARATORS {
        let parts: Vec<_> = text.split(separator).collect();
        if !(2..=12).contains(&parts.len()) {
            continue;
        }
        if let (3.., Some((_, behind)), Some((before, _))) =
            (parts.len(), text.split_once(separator), text.rsplit_once(separator))
        {
            found.push((Behind(separator.to_owned()), behind));
            found.push((Before(separator.to_owned()), before));
        }
        for (index, part) in parts.iter().enumerate() {
            let place = if index == parts.len() - 1 { -1 } else { index as i64 };
            found.push((Part { separator: separator.to_owned(), place }, *part));
        }
    }
    found
}
