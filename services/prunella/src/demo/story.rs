//! A version of a mapping as the demo tells it: what changed, and because of what. Fits 80 columns.

use std::fmt::Write as _;

use serde_json::Value;

use prunella_repair::lines_that_differ;
use prunella_wire::records::MappingVersion;

const WIDTH: usize = 80;

/// The difference to the text before, as the author wrote it.
pub fn difference(before: &str, version: &MappingVersion) -> String {
    lines_that_differ(before.trim_end(), version.text.trim_end()).trim_end().to_owned()
}

/// The lines of the difference that are not the same in both.
pub fn changes(before: &str, version: &MappingVersion) -> String {
    let is_changed = |line: &&str| line.starts_with("  - ") || line.starts_with("  + ");
    difference(before, version).lines().filter(is_changed).collect::<Vec<_>>().join("\n")
}

/// Each value that is read elsewhere now, and why that is believed or not.
pub fn fields(evidence: &Value) -> String {
    let mut story = String::new();
    let changed = evidence["fields"].as_array().into_iter().flatten().filter(|field| field["old"] != field["new"]);
    for field in changed {
        let text = |name: &str| field[name].as_str().unwrap_or_default();
        let (name, old, new) = (text("field"), text("old"), text("new"));
        // Writing to a string does not fail.
        let line = format!("    {name:<9} {old} -> {new}");
        let _ = match line.chars().count() <= WIDTH {
            true => writeln!(story, "{line}"),
            false => writeln!(story, "    {name:<9} {old}\n           -> {new}"),
        };
        let _ = writeln!(story, "      because {}", text("because"));
    }
    story.trim_end().to_owned()
}

/// `tried on 24 records, 24 are valid; of 12 known ones 12 give what they gave`
pub fn trial(evidence: &Value) -> String {
    let figure = |name: &str| evidence["trial"][name].as_u64().unwrap_or(0);
    let mut story = format!("    tried on {} records, {} are valid", figure("records"), figure("valid"));
    if figure("known") > 0 {
        let _ = write!(story, "; of {} known ones {} give what they gave", figure("known"), figure("reproduced"));
    }
    story
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_that_does_not_fit_stands_on_two_lines() {
        let field = |old: &str, new: &str| json!({ "field": "goods", "old": old, "new": new, "because": "it is so" });
        let long = "$sum(items.(qty * unitPriceCents)) / 100";
        let told = fields(
            &json!({ "fields": [field("a", "b"), field("same", "same"), field(long, long.trim_start_matches('$'))] }),
        );
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 5, "{told}");
        assert!(lines[0].contains("a -> b") && lines[3].contains("-> sum("), "{told}");
    }
}
