//! Getting UTF-8 out of whatever a source writes.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use prunella_model::Code;

use crate::error::SourceError;

/// `body` as UTF-8. A byte-order mark decides before the declared charset, the declared charset before
/// what the first bytes look like. Bytes that are UTF-8 already stay where they are.
///
/// # Errors
/// `PRN-0415` when the charset is unknown, or the body is not written in it.
pub(crate) fn utf8(body: Bytes, declared: Option<&str>) -> Result<Bytes, SourceError> {
    let encoding = match (Encoding::for_bom(&body), declared) {
        (Some((encoding, _)), _) => encoding,
        (None, Some(label)) => Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            SourceError::permanent(Code::SourceCharset, format!("the answer's charset {label:?} is not known"))
        })?,
        (None, None) => without_a_mark(&body),
    };
    let (text, used, had_errors) = encoding.decode(&body);
    if had_errors {
        let claimed = if declared.is_some() { "as its Content-Type says" } else { "and no charset is declared" };
        let message = format!("the answer is not valid {}, {claimed}", used.name());
        return Err(SourceError::doubtful(Code::SourceCharset, message));
    }
    Ok(match text {
        // Borrowed from the body: past a byte-order mark, if there was one.
        Cow::Borrowed(text) => body.slice_ref(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    })
}

/// JSON begins with an ASCII character, so that a zero byte beside it gives UTF-16 away (RFC 4627, section 3).
fn without_a_mark(body: &[u8]) -> &'static Encoding {
    match body {
        [0, second, ..] if *second != 0 => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        _ => UTF_8,
    }
}

/// The `charset` parameter of a `Content-Type`.
pub(crate) fn declared(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    fn decoded(body: Vec<u8>, declared: Option<&str>) -> String {
        let body = utf8(Bytes::from(body), declared).expect("decoded");
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[test]
    fn every_usual_form_of_the_same_text_is_read() {
        let text = r#"["é€"]"#;
        let with_mark = |mark: &[u8], bytes: Vec<u8>| [mark.to_vec(), bytes].concat();
        let (little, big) = (utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes));
        for (body, charset) in [
            (text.as_bytes().to_vec(), None),
            (with_mark(&[0xef, 0xbb, 0xbf], text.as_bytes().to_vec()), None),
            (with_mark(&[0xff, 0xfe], little.clone()), None),
            (with_mark(&[0xfe, 0xff], big.clone()), Some("utf-8")),
            (little.clone(), Some("utf-16le")),
            (little, None),
            (big, None),
            (b"[\"\xe9\x80\"]".to_vec(), Some("windows-1252")),
        ] {
            assert_eq!(decoded(body.clone(), charset), text, "{body:?} {charset:?}");
        }
    }

    #[test]
    fn what_is_not_in_its_charset_is_an_error() {
        for (body, charset, part) in [
            (b"[\"\xe9\"]".to_vec(), None, "not valid UTF-8"),
            (b"[\"\xe9\"]".to_vec(), Some("utf-8"), "as its Content-Type says"),
            (b"[]".to_vec(), Some("klingon"), "\"klingon\" is not known"),
        ] {
            let error = utf8(Bytes::from(body), charset).expect_err(part);
            assert_eq!(error.code(), Code::SourceCharset);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn the_parameter_is_found() {
        assert_eq!(declared("application/json; Charset=\"latin1\"; x=y"), Some("latin1"));
        assert_eq!(declared("application/json"), None);
    }
}
