//! Taking the items out of an answer without touching their bytes.

use bytes::Bytes;

use prunella_model::Code;
use prunella_model::workflow::ItemsPath;

use crate::document::{Document, Place};
use crate::error::SourceError;
use crate::moved::Moved;

/// The items of an answer in UTF-8: the elements of the array at `path`, each byte for byte as it stands
/// there; without a path the whole answer is the one item. Items are slices of `answer` and keep it alive.
///
/// # Errors
/// [`SourceError`] when the answer is not JSON, or there is no array at `path`.
pub fn split_items(answer: &Bytes, path: Option<&ItemsPath>) -> Result<Vec<Bytes>, SourceError> {
    let document = Document::parse(answer).map_err(|error| error.settled(false))?;
    items_of(&document, path)
}

/// As [`split_items`]. A path that leads nowhere is structural: the source has changed, or the workflow is wrong. With
/// other lists in the answer, the items have moved there.
pub(crate) fn items_of(document: &Document, path: Option<&ItemsPath>) -> Result<Vec<Bytes>, SourceError> {
    let Some(path) = path else { return Ok(vec![document.bytes().clone()]) };
    let reason = match document.at(path) {
        Place::Missing(instead) => instead,
        Place::Found(found) => match found.elements() {
            Some(elements) => return Ok(elements),
            None => format!("found {}", found.kind()),
        },
    };
    let message = format!("no array of items at `{path}`: {reason}");
    Err(match Moved::of(document, path) {
        Some(moved) => SourceError::moved_items(format!("{message}; {}", moved.in_words()), moved),
        None => SourceError::permanent(Code::SourceItems, message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn split(answer: &str, path: Option<&str>) -> Result<Vec<String>, SourceError> {
        let path = path.map(|path| path.parse::<ItemsPath>().expect("valid path"));
        let items = split_items(&Bytes::copy_from_slice(answer.as_bytes()), path.as_ref())?;
        Ok(items.iter().map(|item| String::from_utf8(item.to_vec()).expect("text")).collect())
    }

    #[test]
    fn items_keep_their_bytes() {
        let written = [
            r#"{"a":1.0,"b":1e3,"c":-0,"d":1E+400}"#,
            "12345678901234567890",
            r#""é\u00e9\ud800\/""#,
            r#"{ "twice" : 1 , "twice" : 2 }"#,
            "[\n  1,\n\t2 ]",
        ];
        let answer = format!(" {{\"data\":{{\"orders\":[ {} ]}}}} ", written.join(" , "));
        assert_eq!(split(&answer, Some("data.orders")).expect("found"), written);
        assert_eq!(split(" [1, 2] ", None).expect("whole"), ["[1, 2]"]);
        assert_eq!(split("[1,2]", Some("$")).expect("root"), ["1", "2"]);
    }

    #[test]
    fn items_are_not_copied() {
        let answer = Bytes::from_static(b"[{\"id\":1}]");
        let items = split_items(&answer, Some(&"$".parse().expect("path"))).expect("items");
        assert_eq!(items[0].as_ptr(), answer[1..].as_ptr());
    }

    #[test]
    fn a_moved_path_says_what_is_there_instead() {
        for (answer, path, part) in [
            (r#"{"result":{"rows":[]},"total":3}"#, "data.orders", "$ has no field `data`, it has result, total"),
            (r#"{"data":{"a":{"b":1,"c":2}}}"#, "data.a", "found an object with b, c"),
            (r#"{"data":7}"#, "data.a", "$.data is a number, not an object"),
            (r#"{"data":null}"#, "data", "found null"),
            ("[]", "data", "$ is an array, not an object"),
            ("{}", "data", "it has no fields"),
        ] {
            let error = split(answer, Some(path)).expect_err(path);
            assert_eq!(error.code(), Code::SourceItems);
            assert!(!error.is_transient());
            assert!(error.to_string().contains(part), "{error}");
        }
        let many: Map<String, Value> = (0..100).map(|number| (format!("f{number}"), Value::Null)).collect();
        let error = split(&Value::Object(many).to_string(), Some("data")).expect_err("moved").to_string();
        assert!(error.ends_with("f11 and 88 more"), "{error}");
    }

    #[test]
    fn of_fields_with_the_same_name_the_last_one_counts() {
        assert_eq!(split(r#"{"data":[1],"data":[2]}"#, Some("data")).expect("found"), ["2"]);
        assert_eq!(split(r#"{"d\u0061ta":[1]}"#, Some("data")).expect("found"), ["1"]);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The path over raw text finds what the same path finds in the decoded value.
        #[test]
        fn agrees_with_the_decoded_value(value in values(), path in "([a-c](\\.[a-c]){0,2}|\\$)", pretty in any::<bool>()) {
            let path: ItemsPath = path.parse().expect("valid path");
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let items = split_items(&Bytes::from(text.expect("text")), Some(&path));
            match path.find(&value) {
                Some(Value::Array(expected)) => {
                    let items = items.expect("an array is there");
                    let decoded: Vec<Value> = items.iter().map(|item| serde_json::from_slice(item).expect("JSON")).collect();
                    prop_assert_eq!(&decoded, expected);
                }
                _ => {
                    let code = items.expect_err("no array is there").code();
                    prop_assert!(matches!(code, Code::SourceItems | Code::SourceMoved), "{code}");
                }
            }
        }

        #[test]
        fn many_items_come_in_order(count in 0..300_usize) {
            let answer = json!({ "data": (0..count).collect::<Vec<_>>() }).to_string();
            let items = split(&answer, Some("data")).expect("found");
            prop_assert_eq!(items, (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    }
}
