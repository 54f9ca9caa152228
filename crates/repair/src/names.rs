//! What names say: tokens of a name, and how close two names are. Names rank, values prove.

use std::collections::BTreeSet;

/// Words that stand for the same thing in the field names of many sources.
const SYNONYMS: &[&[&str]] = &[
    &["id", "gid", "uid", "uuid", "guid", "identifier", "key", "code", "no", "nr", "number", "num"],
    &["name", "title", "label", "caption"],
    &["mail", "email", "address"],
    &["phone", "tel", "telephone", "mobile", "msisdn"],
    &["created", "creation", "inserted", "added", "opened"],
    &["updated", "modified", "changed", "edited", "update"],
    &["amount", "sum", "value", "total"],
    &["quantity", "qty", "count", "amount"],
    &["lat", "latitude"],
    &["lng", "lon", "long", "longitude"],
    &["description", "desc", "text", "body", "content", "summary"],
    &["zip", "postcode", "postal", "plz"],
    &["street", "address", "line"],
    &["country", "nation"],
    &["owner", "user", "author", "creator", "assignee"],
    &["customer", "client", "buyer"],
    &["company", "organisation", "organization", "org", "firm"],
    &["first", "given", "forename", "fname"],
    &["last", "family", "surname", "lname"],
    &["state", "status"],
    &["type", "kind", "category", "class"],
    &["image", "picture", "photo", "img", "avatar"],
    &["url", "link", "href", "uri"],
    &["start", "begin", "from", "since"],
    &["end", "finish", "until", "stop", "to"],
    &["items", "entries", "results", "data", "records", "values", "rows", "list", "elements", "contents"],
];

/// Words that only say what type a value has.
const TYPE_WORDS: &[&str] = &["at", "on", "date", "time", "timestamp", "ts", "utc", "datetime", "is", "has", "flag"];

/// Words that say that a value is a form of another one made for people.
const PRESENTATION: &[&str] =
    &["formatted", "display", "pretty", "human", "localized", "localised", "readable", "rendered", "str", "string"];

const UNITS: &[&str] = &[
    "bar",
    "psi",
    "pa",
    "kpa",
    "hpa",
    "mbar",
    "c",
    "f",
    "k",
    "celsius",
    "fahrenheit",
    "kelvin",
    "m",
    "km",
    "mi",
    "miles",
    "ft",
    "feet",
    "in",
    "inch",
    "cm",
    "mm",
    "kg",
    "g",
    "lb",
    "lbs",
    "oz",
    "l",
    "ml",
    "gal",
    "gpm",
    "lpm",
    "kmh",
    "mph",
    "kn",
    "knots",
    "ms",
    "s",
    "sec",
    "secs",
    "seconds",
    "min",
    "minutes",
    "hours",
    "h",
    "millis",
    "cents",
    "minor",
    "micros",
    "usd",
    "eur",
    "pct",
    "percent",
    "ratio",
    "wh",
    "kwh",
    "mwh",
    "w",
    "kw",
    "mw",
    "net",
    "gross",
    "bytes",
    "kb",
    "mb",
    "gb",
];

/// `orderLine_HTTPCodes` is `order`, `line`, `http`, `code`: small letters, the singular.
pub(crate) fn tokens(name: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut current = String::new();
    let chars: Vec<char> = name.chars().take(128).collect();
    for (index, &c) in chars.iter().enumerate() {
        let boundary = c.is_uppercase()
            && index > 0
            && (chars[index - 1].is_lowercase()
                || chars[index - 1].is_numeric()
                || (chars[index - 1].is_uppercase() && chars.get(index + 1).is_some_and(|next| next.is_lowercase())));
        if boundary || !c.is_alphanumeric() {
            push(&mut tokens, &mut current);
        }
        if c.is_alphanumeric() {
            current.extend(c.to_lowercase());
        }
    }
    push(&mut tokens, &mut current);
    tokens
}

fn push(tokens: &mut Vec<String>, current: &mut String) {
    if !current.is_empty() {
        let plural =
            current.len() > 3 && current.ends_with('s') && !current.ends_with("ss") && !current.ends_with("us");
        tokens.push(if plural { current[..current.len() - 1].to_owned() } else { current.clone() });
        current.clear();
    }
}

/// How two names relate, from strong to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    None,
    /// A word in common, or words that often mean the same.
    Weak,
    /// One name is the other with more words, or all words are synonyms.
    Close,
    /// The same words, whatever the spelling.
    Same,
}

pub(crate) fn likeness(a: &str, b: &str) -> Likeness {
    let (a, b) = (tokens(a), tokens(b));
    if a.is_empty() || b.is_empty() {
        return Likeness::None;
    }
    if a.concat() == b.concat() {
        return Likeness::Same;
    }
    let (bare_a, bare_b) = (bare(&a), bare(&b));
    if !bare_a.is_empty() && bare_a == bare_b {
        return Likeness::Same;
    }
    let shared = bare_a.iter().filter(|word| bare_b.iter().any(|other| same_word(word, other))).count();
    if bare_a.is_empty() || bare_b.is_empty() {
        return if a.iter().any(|word| b.contains(word)) { Likeness::Weak } else { Likeness::None };
    }
    if shared == bare_a.len().min(bare_b.len()) && shared > 0 {
        return Likeness::Close;
    }
    if shared > 0 || strsim::jaro_winkler(&a.concat(), &b.concat()) > 0.9 { Likeness::Weak } else { Likeness::None }
}

fn bare(tokens: &[String]) -> BTreeSet<&str> {
    tokens.iter().map(String::as_str).filter(|token| !TYPE_WORDS.contains(token)).collect()
}

fn same_word(a: &str, b: &str) -> bool {
    a == b
        || SYNONYMS.iter().any(|set| set.contains(&a) && set.contains(&b))
        || (a.len() >= 3 && b.len() >= 3 && (a.starts_with(b) || b.starts_with(a)))
}

/// Whether the names differ in a word that is a unit, so that the numbers may mean something else.
pub(crate) fn units_differ(a: &str, b: &str) -> bool {
    let units = |name: &str| -> BTreeSet<String> {
        tokens(name).into_iter().filter(|token| UNITS.contains(&token.as_str())).collect()
    };
    units(a) != units(b)
}

/// Whether the name says that the value is made for people.
pub(crate) fn is_for_people(name: &str) -> bool {
    tokens(name).iter().any(|token| PRESENTATION.contains(&token.as_str()))
}

/// Whether `rival` is `name` with a word that marks a form for people, such as `price_formatted`.
pub(crate) fn is_presentation_of(rival: &str, name: &str) -> bool {
    let (rival, name) = (tokens(rival), tokens(name));
    let rest: Vec<_> = rival.iter().filter(|token| !name.contains(token)).collect();
    rival.len() > name.len()
        && name.iter().all(|token| rival.contains(token))
        && rest.iter().all(|token| PRESENTATION.contains(&token.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter_and_words_do() {
        assert_eq!(tokens("orderLine_HTTPCodes2"), ["order", "line", "http", "codes2"]);
        assert_eq!(likeness("CreatedAt", "created_at"), Likeness::Same);
        assert_eq!(likeness("created", "created_at"), Likeness::Same);
        assert_eq!(likeness("date", "created_at"), Likeness::None);
        assert_eq!(likeness("email", "email_address"), Likeness::Close);
        assert_eq!(likeness("price", "colour"), Likeness::None);
        assert!(units_differ("pressure_bar", "pressure_psi"));
        assert!(is_presentation_of("from_formatted", "from"));
        assert!(!is_presentation_of("from_city", "from"));
    }
}
