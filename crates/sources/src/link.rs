//! The `Link` header (RFC 8288), as far as pagination needs it.

/// The target of the first link whose relation is `next`.
pub(crate) fn next_of(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let (target, parameters) = rest[start + 1..].split_once('>')?;
        let end = end_of_parameters(parameters);
        if has_relation_next(&parameters[..end]) {
            return Some(target.trim());
        }
        rest = &parameters[end..];
    }
    None
}

/// Where the parameters of one link end: at a comma outside quotes.
fn end_of_parameters(parameters: &str) -> usize {
    let mut quoted = false;
    for (index, byte) in parameters.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return index,
            _ => {}
        }
    }
    parameters.len()
}

fn has_relation_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && relations.split_whitespace().any(|one| one.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_next_page_among_others() {
        let header = r#"<https://a/?p=1>; rel="prev", <https://a/?p=3>; title="a, b"; rel="next last""#;
        assert_eq!(next_of(header), Some("https://a/?p=3"));
        assert_eq!(next_of("</p?x=2>;rel=next"), Some("/p?x=2"));
        assert_eq!(next_of(r#"<https://a/>; rel="last""#), None);
        assert_eq!(next_of("garbage <"), None);
    }

    proptest! {
        #[test]
        fn never_panics(header in ".{0,60}") {
            let _ = next_of(&header);
        }
    }
}
