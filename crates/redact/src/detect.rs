//! What looks like a secret, by its name or by itself.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::placeholder::{Kind, pattern, placeholders};

/// Where a text stands decides what counts as a secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surroundings {
    /// A value or a message: `token=abc` gives a secret away.
    Prose,
    /// Code: in `token: order.id` nothing is secret, in `token: "abc"` something is.
    Code,
}

struct Rule {
    kind: Kind,
    regex: Regex,
    applies_to_code: bool,
    /// What the pattern alone cannot say.
    is_one: fn(&str) -> bool,
}

const NAMES: &str = r"(?:api[-_ ]?key|access[-_ ]?key|private[-_ ]?key|secret(?:[-_]?key)?|client[-_]?secret|token|password|passwd|passphrase|pwd)";

/// The secret is the first group that took part, else the whole match.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |kind, text: &str, is_one| Rule { kind, regex: pattern(text), applies_to_code: true, is_one };
    let always = |_: &str| true;
    let quoted = format!(r#"(?i){NAMES}["'`]?\s*(?::=|=>|[=:])\s*(?:"([^"]{{4,}})"|'([^']{{4,}})')"#);
    let bare = format!(r#"(?i){NAMES}["'`]?\s*(?::=|=>|[=:])\s*([^\s"'`&,;(){{}}\[\]]{{4,}})"#);
    vec![
        rule(Kind::Pem, r"-----BEGIN [A-Z0-9 ]{1,60}-----(?s:.*?)(?:-----END [A-Z0-9 ]{1,60}-----|\z)", always),
        rule(Kind::Jwt, r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*", always),
        rule(Kind::Bearer, r#"(?i)\bauthorization["'`]?\s*[=:]\s*["']?([^\r\n"']{4,})"#, always),
        rule(Kind::Bearer, r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{6,})", always),
        rule(Kind::Bearer, r"(?i)\b(?:basic|digest|negotiate|apikey)\s+([A-Za-z0-9._~+/=-]{8,})", is_no_word),
        rule(
            Kind::ApiKey,
            r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{12,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{30,}|\bya29\.[0-9A-Za-z_-]{20,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|\bshp(?:at|ss|ca|pa)_[0-9a-fA-F]{20,}|\b(?:npm|hf)_[A-Za-z0-9]{20,}",
            always,
        ),
        rule(Kind::ApiKey, &quoted, always),
        Rule { applies_to_code: false, ..rule(Kind::ApiKey, &bare, always) },
        rule(Kind::ApiKey, r#"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@"']*:([^/\s@"']+)@"#, always),
        rule(Kind::Card, r"\b[2-6](?:[ -]?[0-9]){12,18}\b", is_card),
        rule(Kind::Email, r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}", always),
        rule(Kind::Random, r"[A-Za-z0-9+/_=-]{24,}", is_random),
    ]
});

/// Secrets in `text` that do not overlap, in order.
pub(crate) fn secrets(text: &str, surroundings: Surroundings, with_emails: bool) -> Vec<(Range<usize>, Kind)> {
    let mut found = Vec::new();
    let is_used = |rule: &&Rule| {
        (surroundings == Surroundings::Prose || rule.applies_to_code) && (with_emails || rule.kind != Kind::Email)
    };
    for rule in RULES.iter().filter(is_used) {
        for captures in rule.regex.captures_iter(text) {
            let group = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0));
            let Some(secret) = group.filter(|secret| (rule.is_one)(secret.as_str())) else { continue };
            found.push((secret.range(), rule.kind));
        }
    }
    joined(text, found)
}

/// Joins what overlaps; leaves placeholders alone.
pub(crate) fn joined(text: &str, mut found: Vec<(Range<usize>, Kind)>) -> Vec<(Range<usize>, Kind)> {
    if found.is_empty() {
        return found;
    }
    let done: Vec<Range<usize>> = placeholders(text).collect();
    found.retain(|(range, _)| !done.iter().any(|done| done.start <= range.start && range.end <= done.end));
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut joined: Vec<(Range<usize>, Kind)> = Vec::new();
    for (range, kind) in found {
        match joined.last_mut() {
            Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push((range, kind)),
        }
    }
    joined
}

/// Whether a field of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(|character| character.is_alphanumeric()).collect();
    let name = name.to_lowercase();
    let parts = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "accesskey",
        "privatekey",
        "authorization",
        "credential",
    ];
    let ends = ["token", "pwd", "cookie"];
    let whole = ["auth", "cvc", "cvv", "pin"];
    parts.iter().any(|part| name.contains(part))
        || ends.iter().any(|end| name.ends_with(end))
        || whole.contains(&name.as_str())
}

/// Luhn's check digit, over 13 to 19 digits.
pub(crate) fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|character| character.to_digit(10)).collect();
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && matches!(digits.first(), Some(2..=6))
}

/// "basic understanding" is no password.
fn is_no_word(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit() || b"+/=".contains(&byte)) || changes(text) > text.len() / 3
}

/// A long text without the structure of words, paths, dates or UUIDs: hex from 32 digits on, or characters whose
/// class changes as often as chance has it.
fn is_random(text: &str) -> bool {
    let separators = text.bytes().filter(|byte| b"-_/".contains(byte)).count();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if separators > text.len() / 16 + 1 || digits < 2 {
        return false;
    }
    let letters = text.len() - digits - separators;
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return text.len() >= 32 && letters >= 2;
    }
    let has_both_cases =
        text.bytes().any(|byte| byte.is_ascii_uppercase()) && text.bytes().any(|byte| byte.is_ascii_lowercase());
    let expected = if has_both_cases { text.len() / 3 } else { text.len() / 4 };
    let distinct: HashSet<u8> = text.bytes().collect();
    letters >= 4 && distinct.len() >= 12 && changes(text) >= expected
}

/// How often a character is of another class than the one before it.
fn changes(text: &str) -> usize {
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let bytes = text.as_bytes();
    bytes.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count()
}
