//! What the author may have meant.

/// The candidate nearest to `written`, when it is near enough to be a slip of the finger or another spelling
/// (`on_invalid`, `onInvalid` for `on-invalid`).
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = plain(written);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain, &self::plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> String {
    // Distances of long texts cost time and say nothing.
    name.chars().take(80).filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `a`, `b` and `c`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_other_spellings_are_recognised_and_the_rest_is_not() {
        let fields = ["steps", "output", "on-invalid", "id"];
        assert_eq!(nearest("stepz", fields), Some("steps"));
        assert_eq!(nearest("onInvalid", fields), Some("on-invalid"));
        assert_eq!(nearest("OUTPUT", fields), Some("output"));
        assert_eq!(nearest("banana", fields), None);
    }
}
