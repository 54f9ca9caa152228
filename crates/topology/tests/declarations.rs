//! The declarations agree with the rest of the repository: schemas and documentation.

use std::path::Path;

use prunella_topology::{Catalogue, Cleanup, TopicDeclaration};

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn every_file_in_topics_is_part_of_the_catalogue() {
    let mut files: Vec<_> = std::fs::read_dir(repository().join("topics"))
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"))
        .collect();
    files.sort();
    let mut known: Vec<_> =
        Catalogue::embedded().expect("valid").iter().map(|(kind, _)| format!("{kind}.yaml")).collect();
    known.sort();
    assert_eq!(files, known);
}

#[test]
fn every_value_has_its_schema() {
    for (kind, declaration) in Catalogue::embedded().expect("valid").iter() {
        assert!(!declaration.value.is_empty(), "{kind} carries something");
        for value in &declaration.value {
            if ["user-data", "avro-schema"].contains(&value.as_str()) {
                continue;
            }
            let file = repository().join(format!("schemas/{}.avsc", snake_case(value)));
            let schema = std::fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{kind}: {value}: {}: {error}", file.display()));
            let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
            assert_eq!(schema["name"], value.as_str(), "{kind}");
        }
    }
}

#[test]
fn every_topic_has_a_writer_and_a_reader_we_know() {
    let known =
        ["cli", "extractor", "gateway", "orchestrator", "streams", "transformer", "users", "healer", "validator"];
    for (kind, declaration) in Catalogue::embedded().expect("valid").iter() {
        for side in [&declaration.writers, &declaration.readers] {
            assert!(!side.is_empty(), "{kind}");
            assert!(side.iter().all(|name| known.contains(&name.as_str())), "{kind}: {side:?}");
        }
    }
}

/// `UPDATE_DOCS=1 cargo test -p prunella-topology --test declarations` writes the table anew.
#[test]
fn the_reference_in_docs_shows_the_declarations() {
    const START: &str = "<!-- topics: start -->\n";
    const END: &str = "<!-- topics: end -->";
    let file = repository().join("docs/topics.md");
    let text = std::fs::read_to_string(&file).expect("docs/topics.md");
    let (before, rest) = text.split_once(START).expect("start of the table");
    let (shown, after) = rest.split_once(END).expect("end of the table");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{START}{table}{END}{after}")).expect("written");
        return;
    }
    assert_eq!(shown, table, "run UPDATE_DOCS=1 cargo test -p prunella-topology --test declarations");
}

fn table() -> String {
    let mut table =
        "| topic | partitions | cleanup | key | value | writers | readers |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (_, declaration) in Catalogue::embedded().expect("valid").iter() {
        table.push_str(&row(declaration));
    }
    table
}

fn row(declaration: &TopicDeclaration) -> String {
    let name = declaration.name.replace('{', "<").replace('}', ">");
    let fixed = if declaration.fixed_partitions { ", fixed" } else { "" };
    let cleanup = match (declaration.cleanup, declaration.retention) {
        (Cleanup::Delete, Some(retention)) => format!("delete after {retention}"),
        (cleanup, _) => cleanup.to_string(),
    };
    format!(
        "| `{name}` | {}{fixed} | {cleanup} | {} | {} | {} | {} |\n",
        declaration.partitions,
        declaration.key,
        declaration.value.join(", "),
        declaration.writers.join(", "),
        declaration.readers.join(", "),
    )
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
