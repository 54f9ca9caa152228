//! What a step reads of an answer is not where it was: where it may be now.
//!
//! Only a source that answers data can have moved it: an answer that says what went wrong is an outage, whatever lists it
//! has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

use prunella_model::workflow::ItemsPath;

use crate::document::{Document, Place};

/// Objects that are looked into, levels of them, lists that are told, and items of each.
const MOST_OBJECTS: usize = 300;
const MOST_LEVELS: usize = 4;
const MOST_LISTS: usize = 5;
const MOST_ITEMS: usize = 20;
/// Fields in which sources say what went wrong.
const FAULTS: &[&str] = &["error", "errors", "fault", "faults", "exception", "problem", "problems", "violations"];
/// Fields in which sources say where the next page is, without anything but letters.
const NEXT: &[&str] = &[
    "next",
    "nextcursor",
    "nexthref",
    "nextlink",
    "nextpage",
    "nextpagecursor",
    "nextpagelink",
    "nextpagetoken",
    "nextpageurl",
    "nexttoken",
    "nexturl",
    "continuationtoken",
];
/// Fields in which sources say that there is one.
const MORE: &[&str] = &["hasmore", "hasnext", "hasnextpage", "morepages"];

/// Items that are not where a step expects them.
#[derive(Debug, Clone)]
pub struct Moved {
    /// Where they were.
    pub path: ItemsPath,
    /// Lists of objects in the answer.
    pub lists: Vec<FoundList>,
}

#[derive(Debug, Clone)]
pub struct FoundList {
    pub path: ItemsPath,
    pub length: usize,
    /// The first of its items, each as its raw text.
    pub items: Vec<Bytes>,
}

impl Moved {
    /// Of an answer that has no list at `path`; `None` when it has no other list of objects either, or is an outage.
    pub(crate) fn of(document: &Document, path: &ItemsPath) -> Option<Self> {
        if is_fault(document) {
            return None;
        }
        let mut lists = Vec::new();
        visit(document, &mut |names, part| {
            let Some(elements) = part.elements().filter(|elements| elements.first().is_some_and(|it| it[0] == b'{'))
            else {
                return;
            };
            if let Some(path) = path_of(names)
                && lists.len() < MOST_LISTS
            {
                let length = elements.len();
                lists.push(FoundList { path, length, items: elements.into_iter().take(MOST_ITEMS).collect() });
            }
        });
        (!lists.is_empty()).then(|| Self { path: path.clone(), lists })
    }

    /// Where they may be now, for people.
    pub(crate) fn in_words(&self) -> String {
        let lists = self.lists.iter().map(|list| format!("`{}` ({})", list.path, list.length));
        format!("lists of objects are at {}", lists.collect::<Vec<_>>().join(", "))
    }
}

/// Why an answer without a cursor at `path` is not the last page, if it is not: another field holds what looks like the
/// next page, or says that there is one. On later pages a field that was there before is missing for good reason.
pub(crate) fn next_page(document: &Document, path: &ItemsPath, is_first: bool) -> Option<String> {
    let wanted = path.fields().last().map(|name| letters(name));
    let mut found = None;
    visit(document, &mut |names, part| {
        let Some(name) = names.last().map(|name| letters(name)).filter(|_| found.is_none()) else { return };
        let at = || path_of(names).map(|path| path.to_string()).unwrap_or_default();
        if MORE.contains(&name.as_str()) && part.bytes().as_ref() == b"true" {
            found = Some(format!("`{}` says that there is more", at()));
        }
        let says_next = NEXT.contains(&name.as_str()) || wanted.as_ref() == Some(&name);
        if is_first && says_next && part.scalar().is_some_and(|text| !text.is_empty()) {
            found = Some(format!("the next page seems to be at `{}`", at()));
        }
    });
    found.filter(|_| matches!(document.at(path), Place::Missing(_)))
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn is_fault(document: &Document) -> bool {
    let fields: Option<BTreeMap<Cow<'_, str>, &RawValue>> = serde_json::from_str(document.as_str()).ok();
    fields.is_some_and(|fields| {
        fields.iter().any(|(name, value)| {
            FAULTS.contains(&name.to_ascii_lowercase().as_str())
                && !matches!(value.get(), "null" | "[]" | "{}" | "false")
        })
    })
}

/// Shows every value outside of lists with the names that lead to it, outer ones first.
fn visit(document: &Document, see: &mut impl FnMut(&[String], &Document)) {
    let mut open: Vec<(Vec<String>, Document)> = vec![(Vec::new(), document.clone())];
    let mut at = 0;
    while at < open.len() {
        let (names, part) = open[at].clone();
        at += 1;
        see(&names, &part);
        if names.len() == MOST_LEVELS || part.bytes().first() != Some(&b'{') {
            continue;
        }
        let Ok(fields) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(part.as_str()) else { continue };
        for (name, value) in fields {
            if open.len() < MOST_OBJECTS && !FAULTS.contains(&name.to_ascii_lowercase().as_str()) {
                let names = names.iter().cloned().chain([name.into_owned()]).collect();
                open.push((names, part.part(value)));
            }
        }
    }
}

/// The path of these names; `None` when one of them cannot be written.
fn path_of(names: &[String]) -> Option<ItemsPath> {
    if names.is_empty() {
        return "$".parse().ok();
    }
    let written = names.iter().map(|name| {
        let is_bare = name.parse::<ItemsPath>().is_ok_and(|path| path.fields() == [name.as_str()]);
        if is_bare { name.clone() } else { format!("`{name}`") }
    });
    let path: ItemsPath = written.collect::<Vec<_>>().join(".").parse().ok()?;
    (path.fields() == names).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::parse(&Bytes::copy_from_slice(text.as_bytes())).expect(text)
    }

    fn places(text: &str) -> Vec<String> {
        let moved = Moved::of(&document(text), &"data".parse().expect("a path"));
        moved.into_iter().flat_map(|moved| moved.lists).map(|list| list.path.to_string()).collect()
    }

    #[test]
    fn lists_of_objects_are_found_wherever_they_are() {
        assert_eq!(places(r#"{"results":{"items":[{"id":1}],"tags":["a"]},"n":2}"#), ["results.items"]);
        assert_eq!(places(r#"[{"id":1}]"#), ["$"]);
        assert_eq!(places(r#"{"my list":[{"id":1}],"$":[{"id":2}]}"#), ["`$`", "`my list`"]);
        assert_eq!(places(r#"{"a":[{"b":[{"c":1}]}]}"#), ["a"], "not those within items");
    }

    #[test]
    fn an_answer_that_says_what_went_wrong_has_moved_nothing() {
        for text in [
            r#"{"errors":[{"message":"rate limit"}]}"#,
            r#"{"error":"maintenance","related":[{"id":1}]}"#,
            r#"{"message":"back soon"}"#,
            r#"{"data":null}"#,
            "[]",
        ] {
            assert_eq!(places(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(places(r#"{"errors":[],"error":null,"rows":[{"id":1}]}"#), ["rows"]);
    }

    #[test]
    fn a_next_page_elsewhere_is_told_from_a_last_page() {
        let next = |text: &str, is_first| next_page(&document(text), &"meta.next".parse().expect("a path"), is_first);
        assert!(next(r#"{"data":[1],"paging":{"next":"abc"}}"#, true).expect("moved").contains("`paging.next`"));
        assert!(next(r#"{"data":[1],"meta":{"nextCursor":7}}"#, true).expect("moved").contains("`meta.nextCursor`"));
        assert!(next(r#"{"data":[1],"meta":{"has_more":true}}"#, false).expect("moved").contains("there is more"));
        for last in [
            r#"{"data":[1],"meta":{}}"#,
            r#"{"data":[1],"meta":{"next":null},"paging":{"next":"abc"}}"#,
            r#"{"data":[1],"meta":{"has_more":false,"cursor":"abc"},"next_update":"2026-01-01"}"#,
            r#"{"data":[{"next":"abc"}]}"#,
        ] {
            assert_eq!(next(last, true), None, "{last}");
        }
        assert_eq!(next(r#"{"data":[1],"links":{"next":"abc"}}"#, false), None, "the cursor was there before");
    }
}
