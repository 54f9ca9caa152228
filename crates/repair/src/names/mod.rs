//! What names say: tokens of a name, and how close two names or two places are. Names rank, values prove.

mod words;

use std::collections::BTreeSet;

use crate::path::{FieldPath, Literal, Step};
use words::{HOLDERS, PRESENTATION, SYNONYMS, TYPE_WORDS, UNITS, WRAPPERS};

/// `orderLine_HTTPCodes` is `order`, `line`, `http`, `code`: small letters, the singular.
pub(crate) fn tokens(name: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut current = String::new();
    // What marks a field that a customer added says nothing of it.
    let name = name.strip_suffix("__c").or_else(|| name.strip_suffix("__r")).unwrap_or(name);
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
    /// The same words at every step of the way.
    Exact,
}

/// What a path says, step by step: without wrappers, with the words that selectors ask for.
fn spoken(path: &FieldPath) -> Vec<Vec<String>> {
    let said = |step: &Step| match step {
        Step::Key(key) => Some(tokens(key)),
        Step::Where(_, Literal::Text(text)) => Some(tokens(text)),
        Step::Where(_, Literal::Number(number)) => Some(vec![number.to_string()]),
        Step::Whose(reference) => spoken(&reference.of.parent()).pop(),
        Step::Named(of) => spoken(of).pop().map(|words| words.into_iter().filter(|word| word != "id").collect()),
        Step::Where(_, Literal::Flag(_)) | Step::At(_) | Step::Any | Step::Names => None,
    };
    let steps: Vec<Vec<String>> = path.steps.iter().filter_map(said).filter(|words| !words.is_empty()).collect();
    let bare: Vec<Vec<String>> = steps.iter().filter(|words| !is_wrapper(words)).cloned().collect();
    if !bare.is_empty() {
        return bare;
    }
    // Names that could all be wrappers: one letter behind another name says of what type it is.
    let typed = |words: &Vec<String>| words.iter().all(|word| word.len() == 1);
    let names: Vec<Vec<String>> = steps.iter().filter(|words| !typed(words)).cloned().collect();
    if names.is_empty() { steps } else { names }
}

fn is_wrapper(words: &[String]) -> bool {
    words.iter().all(|word| WRAPPERS.contains(&word.as_str()))
}

/// Whether an object of this name is the record again, or nothing but a wrapper around it.
pub(crate) fn only_wraps(name: &str) -> bool {
    tokens(name).iter().all(|word| WRAPPERS.contains(&word.as_str()) || HOLDERS.contains(&word.as_str()))
}

/// The name that a value at the path goes by: that of the nearest step which says something.
pub(crate) fn own_name(path: &FieldPath) -> String {
    spoken(path).last().map(|words| words.join("_")).unwrap_or_default()
}

/// How two places relate by all names on the way: `Account_Name` and `Account.Name` are the same, `labels.job` and
/// `labels[name = "job"].value` exactly so.
pub(crate) fn places_alike(a: &FieldPath, b: &FieldPath) -> Likeness {
    let whole = |path: &FieldPath| path.keys().iter().flat_map(|key| tokens(key)).collect::<String>();
    if a.steps.iter().chain(&b.steps).all(|step| matches!(step, Step::Key(_))) && whole(a) == whole(b) {
        return Likeness::Exact;
    }
    let (a, b) = (spoken(a), spoken(b));
    let (Some(last_a), Some(last_b)) = (a.last(), b.last()) else { return Likeness::None };
    let written = |steps: &[Vec<String>]| steps.iter().map(|words| words.concat()).collect::<Vec<_>>();
    if written(&a) == written(&b) {
        return Likeness::Exact;
    }
    let words = |steps: &[Vec<String>]| -> BTreeSet<String> {
        // A letter more may be another field: `email`, `email_x`.
        steps.iter().flatten().filter(|word| !TYPE_WORDS.contains(&word.as_str())).cloned().collect()
    };
    let (all_a, all_b) = (words(&a), words(&b));
    if all_a == all_b && all_a.len() > 1 {
        return Likeness::Same;
    }
    likeness(&last_a.join("_"), &last_b.join("_"))
}

pub(crate) fn likeness(a: &str, b: &str) -> Likeness {
    let (a, b) = (tokens(a), tokens(b));
    if a.is_empty() || b.is_empty() {
        return Likeness::None;
    }
    if a.concat() == b.concat() {
        return Likeness::Same;
    }
    // At what height something was measured is part of some names, such as `windspeed` and `wind_speed_10m`; another height
    // is another field.
    let unmeasured = |words: &[String]| words.iter().filter(|word| !is_measure(word)).cloned().collect::<String>();
    let one_measured = a.iter().any(|word| is_measure(word)) != b.iter().any(|word| is_measure(word));
    if one_measured && !unmeasured(&a).is_empty() && unmeasured(&a) == unmeasured(&b) {
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

/// A number with a short unit, such as `10m`.
fn is_measure(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < word.len() && (1..=2).contains(&unit.len()) && unit.chars().all(char::is_alphabetic)
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

/// Whether `rival` is `name` with more words, such as `sale_price` beside `price`.
pub(crate) fn is_qualified(rival: &str, name: &str) -> bool {
    let (rival, name) = (tokens(rival), tokens(name));
    rival.len() > name.len() && name.iter().all(|token| rival.contains(token))
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
        assert_eq!(likeness("windspeed", "wind_speed_10m"), Likeness::Same);
        assert_ne!(likeness("volume_24h", "volume_7d"), Likeness::Same);
        assert!(units_differ("pressure_bar", "pressure_psi"));
        assert!(is_presentation_of("from_formatted", "from"));
        assert!(!is_presentation_of("from_city", "from"));
    }

    #[test]
    fn a_list_of_custom_values_holds_what_the_record_held_and_another_object_does_not() {
        let before = FieldPath::of_keys(["url_key"]);
        let inside = |list: &str| {
            let name = Step::Where(vec!["code".into()], Literal::Text("url_key".into()));
            FieldPath { root: false, steps: vec![Step::Key(list.into()), name, Step::Key("value".into())] }
        };
        for list in ["custom_attributes", "customFields", "additionalProperty", "extension"] {
            assert_eq!(places_alike(&before, &inside(list)), Likeness::Exact, "{list}");
        }
        assert_ne!(places_alike(&before, &inside("manufacturer")), Likeness::Exact);
    }
}
