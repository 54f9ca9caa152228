//! `docs/configuration.md`, rendered from the configuration types and their comments.
//! `UPDATE=1 cargo test -p prunella config_docs` writes it anew.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::config::Config;

const INTRODUCTION: &str = "\
# Configuration

A process is configured by one YAML file, by the environment, and by flags. Later ones win: defaults, the file (`--config FILE` or
`PRUNELLA_CONFIG`), the environment, `--brokers`. Every key has a default; the empty file is valid. Unknown keys are errors.

```yaml
kafka:
  brokers: broker-1:9093,broker-2:9093
  librdkafka:
    security.protocol: SASL_SSL
    sasl.mechanism: SCRAM-SHA-512
    sasl.username: prunella
    sasl.password: file:/run/secrets/kafka
    ssl.ca.location: /etc/ssl/kafka-ca.pem
topics:
  replication: 3
telemetry:
  log-format: json
```

**In the environment** a key is `PRUNELLA__` and its path in capitals, with `__` between the parts and `_` for `-`: `runtime.commit-interval` is
`PRUNELLA__RUNTIME__COMMIT_INTERVAL`. Text that reads as a number, a boolean or JSON is that. Below `kafka.librdkafka` a `_` stands for `.`:
`PRUNELLA__KAFKA__LIBRDKAFKA__SASL_PASSWORD` is `sasl.password`. Every key below is shown with its name in the environment.

**Durations** are written `500ms`, `30s`, `5m`, `1h 30m`; **sizes** `512KiB`, `16MiB`, `1GB`. Both need their unit.

**Secrets** need not stand in the file: where the meaning says so, `env:NAME` is read from the environment and `file:/path` from a file.

Some things are not configuration but flags of commands, each with a variable: `--workspace` (`PRUNELLA_WORKSPACE`), `--data-dir`
(`PRUNELLA_DATA_DIR`), `--brokers` (`PRUNELLA_BROKERS`). `PRUNELLA_LOG` wins over `telemetry.log-filter`; `PRUNELLA_ACTOR` names the author of a change in
`log.audit`. The variables that begin with `PRUNELLA_TOPICS_` are in [topics.md](topics.md). See [cli.md](cli.md).

This file is generated from the types: `UPDATE=1 cargo test -p prunella config_docs`.
";

/// The schema of everything, to resolve references in.
struct Reference<'a> {
    definitions: &'a Value,
    text: String,
}

impl<'a> Reference<'a> {
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let named = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
        named.map_or(schema, |name| &self.definitions[name])
    }

    /// What stands in the schema itself, else in what it refers to.
    fn description(&self, schema: &'a Value) -> String {
        let own = schema["description"].as_str();
        let text = own.or_else(|| self.resolve(schema)["description"].as_str()).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
    }

    /// A noun for people: the kinds of values of a key.
    fn kind(&self, schema: &'a Value) -> String {
        if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            let kinds: Vec<String> =
                choices.iter().filter(|choice| choice["type"] != "null").map(|choice| self.kind(choice)).collect();
            return kinds.join(" or ");
        }
        if let Some(word) = schema["const"].as_str() {
            return format!("`{word}`");
        }
        if let Some(words) = schema["enum"].as_array() {
            return words
                .iter()
                .filter_map(Value::as_str)
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or ");
        }
        if schema.get("$ref").is_some() {
            return self.kind(self.resolve(schema));
        }
        let name = match &schema["type"] {
            Value::Array(names) => {
                names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
            }
            other => other.as_str().unwrap_or_default(),
        };
        match (name, schema["examples"][0].as_str()) {
            ("string", Some("30s")) => "duration".to_owned(),
            ("string", Some(_)) => "size".to_owned(),
            ("string", None) => "text".to_owned(),
            ("integer" | "number", _) => "number".to_owned(),
            ("boolean", _) => "`true` or `false`".to_owned(),
            ("object", _) => "map".to_owned(),
            (other, _) => other.to_owned(),
        }
    }

    fn section(&mut self, path: &str, schema: &'a Value, default: &Value) {
        let Some(keys) = schema["properties"].as_object() else { return };
        // A section of sections needs no table of its own.
        let nested = |schema: &'a Value| self.resolve(schema)["properties"].is_object();
        let (sections, values): (Vec<_>, Vec<_>) = keys.iter().partition(|(_, schema)| nested(schema));
        if !values.is_empty() {
            self.text.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
        }
        for (key, schema) in &values {
            let full = if path.is_empty() { (*key).clone() } else { format!("{path}.{key}") };
            let row = format!(
                "| `{key}`<br>`{}` | {} | {} | {} |\n",
                environment_name(&full),
                self.kind(schema),
                shown_default(&default[key.as_str()]),
                self.description(schema)
            );
            self.text.push_str(&row);
        }
        for (key, schema) in &values {
            self.entries(path, key, schema);
        }
        for (key, schema) in sections {
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let description = self.description(schema);
            let _ = write!(self.text, "\n## `{full}`\n\n{description}\n");
            self.section(&full, self.resolve(schema), &default[key.as_str()]);
        }
    }

    /// The keys of the entries of a map whose values are objects.
    fn entries(&mut self, path: &str, key: &str, schema: &'a Value) {
        let entry = self.resolve(&schema["additionalProperties"]);
        let Some(keys) = entry["properties"].as_object() else { return };
        let _ = write!(self.text, "\nEach entry of `{path}.{key}`:\n\n| key | type | meaning |\n|---|---|---|\n");
        for (name, schema) in keys {
            let row = format!("| `{name}` | {} | {} |\n", self.kind(schema), self.description(schema));
            self.text.push_str(&row);
        }
    }
}

fn environment_name(path: &str) -> String {
    let parts: Vec<String> = path.split('.').map(|part| part.replace('-', "_").to_ascii_uppercase()).collect();
    format!("PRUNELLA__{}", parts.join("__"))
}

fn shown_default(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn render() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let default = serde_json::to_value(Config::default()).expect("a configuration is JSON");
    let mut reference = Reference { definitions: &schema["$defs"], text: INTRODUCTION.to_owned() };
    reference.section("", &schema, &default);
    reference.text
}

#[test]
fn the_reference_in_docs_is_the_configuration() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let rendered = render();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &rendered).expect("written");
        return;
    }
    let shown = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, rendered, "run UPDATE=1 cargo test -p prunella config_docs");
}

#[test]
fn every_key_has_a_meaning_a_type_and_a_name_in_the_environment() {
    let rendered = render();
    let rows: Vec<&str> = rendered.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let meaning = cells.last().copied().unwrap_or_default();
        assert!(cells.len() >= 3 && !cells[1].is_empty() && meaning.len() > 10, "{row}");
    }
    assert!(rendered.contains("`PRUNELLA__RUNTIME__COMMIT_INTERVAL` | duration | `200ms` |"), "{rendered}");
}

#[test]
fn the_example_is_valid() {
    let example = INTRODUCTION.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("example");
    let config: Config = serde_saphyr::from_str(example).expect("valid");
    assert_eq!(config.kafka.librdkafka["sasl.mechanism"], "SCRAM-SHA-512");
}
