//! An answer that is JSON, kept as its text: no value of it is decoded before somebody asks for it.

use std::fmt;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::{Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use prunella_model::Code;
use prunella_model::workflow::ItemsPath;

use crate::error::SourceError;

/// Field names that are shown when a path leads nowhere.
const SHOWN_FIELDS: usize = 12;
/// Bytes that are shown of what is no JSON.
const SHOWN_BYTES: usize = 60;

/// The text of one JSON value, checked, without the white space around it.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    text: Bytes,
}

/// Where a path leads.
pub(crate) enum Place {
    Found(Document),
    /// It breaks off: what stands there, for people.
    Missing(String),
}

impl Document {
    /// # Errors
    /// Says what `answer` is instead of JSON: nothing, a web page, XML, half a document or something else.
    pub(crate) fn parse(answer: &Bytes) -> Result<Self, SourceError> {
        let text = std::str::from_utf8(answer).map_err(|error| {
            SourceError::doubtful(Code::SourceCharset, format!("the answer is not valid UTF-8: {error}"))
        })?;
        let whole: &RawValue = serde_json::from_str(text).map_err(|error| no_json(text, &error))?;
        Ok(Self { text: answer.slice_ref(whole.get().as_bytes()) })
    }

    /// Byte for byte as it stood in the answer.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.text
    }

    pub(crate) fn as_str(&self) -> &str {
        // A part of what was checked to be UTF-8, cut between values.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The part at `path`. Of fields with the same name, the last one counts, as nearly everywhere.
    pub(crate) fn at(&self, path: &ItemsPath) -> Place {
        let mut place = self.clone();
        let mut way = String::from("$");
        for field in path.fields() {
            let Ok(fields) = serde_json::Deserializer::from_str(place.as_str()).deserialize_map(Wanted(field)) else {
                return Place::Missing(format!("{way} is {}, not an object", place.kind()));
            };
            let Some(found) = fields.wanted else {
                return Place::Missing(format!("{way} has no field `{field}`, it has {}", fields.names()));
            };
            place = self.part(found);
            way = format!("{way}.{field}");
        }
        Place::Found(place)
    }

    /// A value within this one.
    pub(crate) fn part(&self, value: &RawValue) -> Self {
        Self { text: self.text.slice_ref(value.get().as_bytes()) }
    }

    /// The elements, byte for byte; `None` when this is not an array.
    pub(crate) fn elements(&self) -> Option<Vec<Bytes>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.as_str()).ok()?;
        Some(elements.into_iter().map(|element| self.text.slice_ref(element.get().as_bytes())).collect())
    }

    /// The text of a string or the digits of a number.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self.text.first() {
            Some(b'"') => serde_json::from_str(self.as_str()).ok(),
            Some(b'-' | b'0'..=b'9') => Some(self.as_str().to_owned()),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.text.as_ref() == b"null"
    }

    /// What it is, for people.
    pub(crate) fn kind(&self) -> String {
        match self.text.first() {
            Some(b'{') => {
                let fields = serde_json::Deserializer::from_str(self.as_str()).deserialize_map(Wanted(""));
                format!("an object with {}", fields.map_or_else(|_| String::new(), |fields| fields.names()))
            }
            Some(b'[') => "an array".to_owned(),
            Some(b'"') => "a string".to_owned(),
            Some(b't' | b'f') => "a boolean".to_owned(),
            Some(b'n') => "null".to_owned(),
            _ => "a number".to_owned(),
        }
    }

    /// How many arrays and objects are open at the deepest place.
    pub(crate) fn nesting(&self) -> usize {
        let (mut open, mut deepest) = (0_usize, 0);
        let (mut in_string, mut escaped) = (false, false);
        for byte in self.text.iter() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'[' | b'{' => {
                    open += 1;
                    deepest = deepest.max(open);
                }
                b']' | b'}' => open = open.saturating_sub(1),
                _ => {}
            }
        }
        deepest
    }
}

/// What stands where JSON was expected. An error page with status 200 is told from data here.
fn no_json(text: &str, error: &serde_json::Error) -> SourceError {
    let start = text.trim_start();
    let shown = excerpt(start.as_bytes(), SHOWN_BYTES);
    if start.is_empty() {
        return SourceError::doubtful(
            Code::SourceEmpty,
            "the answer is empty; a source without data answers 204 or []",
        );
    }
    if start.starts_with('<') {
        let head = start.get(..start.len().min(512)).unwrap_or(start).to_ascii_lowercase();
        let is_page = head.starts_with("<!doctype html")
            || head.contains("<html")
            || head.contains("<head")
            || head.contains("<body");
        let (code, what) = if is_page { (Code::SourceHtml, "a web page") } else { (Code::SourceNotJson, "XML") };
        return SourceError::doubtful(code, format!("the answer is {what}, not JSON: {shown}"));
    }
    if error.is_eof() {
        let message = format!("the answer ends in the middle of its JSON, after {} bytes", text.len());
        return SourceError::doubtful(Code::SourceHalfJson, message);
    }
    let near = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = error.column().saturating_sub(SHOWN_BYTES / 2);
    let near = excerpt(near.as_bytes().get(before..).unwrap_or_default(), SHOWN_BYTES);
    SourceError::doubtful(Code::SourceNotJson, format!("the answer is not JSON: {error}, near `{near}`"))
}

/// At most `most` bytes of a text, on one line, without control characters.
pub(crate) fn excerpt(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(most)]);
    let printable = text.replace(|character: char| character.is_control(), " ");
    let words: Vec<&str> = printable.split_whitespace().collect();
    let more = if bytes.len() > most { "…" } else { "" };
    format!("{}{more}", words.join(" "))
}

/// Reads an object for one field, remembering a few names of the others.
struct Wanted<'w>(&'w str);

struct Fields<'a> {
    wanted: Option<&'a RawValue>,
    first: Vec<String>,
    count: usize,
}

impl Fields<'_> {
    fn names(&self) -> String {
        match self.count {
            0 => "no fields".to_owned(),
            count if count > self.first.len() => {
                format!("{} and {} more", self.first.join(", "), count - self.first.len())
            }
            _ => self.first.join(", "),
        }
    }
}

impl<'a> Visitor<'a> for Wanted<'_> {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Fields<'a>, M::Error> {
        let mut fields = Fields { wanted: None, first: Vec::new(), count: 0 };
        while let Some(name) = map.next_key::<std::borrow::Cow<'a, str>>()? {
            fields.count += 1;
            if name == self.0 {
                fields.wanted = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if fields.first.len() < SHOWN_FIELDS {
                fields.first.push(excerpt(name.as_bytes(), SHOWN_BYTES));
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(answer: &str) -> SourceError {
        Document::parse(&Bytes::copy_from_slice(answer.as_bytes())).expect_err(answer)
    }

    #[test]
    fn what_is_no_json_says_what_it_is() {
        for (answer, code, part) in [
            ("", Code::SourceEmpty, "empty"),
            (" \n ", Code::SourceEmpty, "empty"),
            ("<!DOCTYPE HTML><title>Down</title>", Code::SourceHtml, "a web page"),
            ("\n<div><HTML>", Code::SourceHtml, "a web page"),
            ("<?xml version=\"1.0\"?><orders/>", Code::SourceNotJson, "XML"),
            ("{\"data\":[{\"id\":1},{\"i", Code::SourceHalfJson, "after 21 bytes"),
            ("{\"a\":NaN}", Code::SourceNotJson, "line 1 column"),
            ("[1,2]]", Code::SourceNotJson, "trailing"),
            ("Internal error\u{7}", Code::SourceNotJson, "near `Internal error`"),
        ] {
            let error = refused(answer);
            assert_eq!(error.code(), code, "{answer}: {error}");
            assert!(error.to_string().contains(part), "{answer}: {error}");
        }
    }

    #[test]
    fn brackets_in_strings_are_no_nesting() {
        let nesting = |text: &'static str| Document::parse(&Bytes::from_static(text.as_bytes())).expect(text).nesting();
        assert_eq!(nesting("1"), 0);
        assert_eq!(nesting(r#"{"a":[[1],{}],"b":"[[[[\"[["}"#), 3);
    }

    #[test]
    fn nesting_without_end_is_read_without_a_stack() {
        let deep = format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000));
        assert_eq!(Document::parse(&Bytes::from(deep)).expect("valid").nesting(), 2_000_000);
    }

    proptest! {
        #[test]
        fn never_panics(answer in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(document) = Document::parse(&Bytes::from(answer)) {
                let _ = (document.nesting(), document.kind(), document.elements(), document.scalar());
            }
        }
    }
}
