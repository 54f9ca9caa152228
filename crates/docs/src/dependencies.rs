use std::collections::BTreeSet;

/// Names of the third-party crates in `[workspace.dependencies]` of `manifest`.
pub fn third_party_dependencies(manifest: &str) -> BTreeSet<String> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('#') && !name.starts_with("prunella"))
        .map(str::to_owned)
        .collect()
}

/// Crates and reasons of the tables of `docs/dependencies.md`: rows that begin with a name in backticks.
pub fn explained_dependencies(document: &str) -> Vec<(String, String)> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` |")?;
        Some((name.to_owned(), rest.trim_end_matches('|').trim().to_owned()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_third_party_entries_of_the_one_section() {
        let manifest = "[workspace]\nmembers = []\n[workspace.dependencies]\nprunella-model = { path = \"x\" }\n\
                        # why = this\nserde = \"1\"\nserde-saphyr = { version = \"2\" }\n\n[profile.dev]\ndebug = 1\n";
        let names: Vec<String> = third_party_dependencies(manifest).into_iter().collect();
        assert_eq!(names, ["serde", "serde-saphyr"]);
    }

    #[test]
    fn reads_the_rows_of_tables() {
        let document = "# D\n\n| crate | why |\n|---|---|\n| `serde` | reads and writes types |\n| not one | no |\n";
        assert_eq!(explained_dependencies(document), [("serde".to_owned(), "reads and writes types".to_owned())]);
    }
}
