//! Mappings as their authors write them: examples, one item through the version in use, the healed text back in the file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use prunella_catalog::{AUTHORS_VERSION, Catalog, MappingHistory};
use prunella_mapping::{Bindings, Expression, Moment};
use prunella_model::workflow::{Mapping, MappingTest, Step};
use prunella_model::{Code, MappingKey, TextHash};
use prunella_repair::lines_that_differ;
use serde_json::{Value, json};

use super::{Desk, show};
use crate::cli::MappingName;
use crate::commands::Context;
use crate::commands::validate::{load_paths, refuse};
use crate::failure::{Exit, Failure};

/// Runs the examples of workflow files.
pub(super) fn test(context: &Context, paths: &[PathBuf]) -> Result<ExitCode, Failure> {
    let loaded = load_paths(paths).map_err(|problems| refuse(&problems, context.json))?;
    let (mut passed, mut failed) = (0, Vec::new());
    for one in &loaded {
        for step in one.declared.as_workflow().into_iter().flat_map(|workflow| &workflow.steps) {
            let Some(Mapping::Inline(text)) = &step.transform else { continue };
            for (at, test) in step.tests.iter().enumerate() {
                match difference(context, text, test)? {
                    None => passed += 1,
                    Some(found) => failed.push(failure(one.declared.name().as_str(), step, at, test, &found)),
                }
            }
        }
    }
    if context.json {
        println!("{}", json!({ "passed": passed, "failed": failed }));
    } else {
        for failure in &failed {
            println!(
                "{}: {}\n  expected {}\n  found    {}",
                failure["step"], failure["test"], failure["expected"], failure["found"]
            );
        }
        println!("{passed} passed, {} failed", failed.len());
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Invalid as u8) })
}

fn failure(workflow: &str, step: &Step, at: usize, test: &MappingTest, found: &str) -> Value {
    let name = test.name.clone().unwrap_or_else(|| format!("test {}", at + 1));
    json!({ "step": format!("{workflow}/{}", step.id), "test": name, "expected": test.output.to_string(), "found": found })
}

/// What the mapping gives instead of what the example wants.
fn difference(context: &Context, text: &str, test: &MappingTest) -> Result<Option<String>, Failure> {
    let expression = compiled(text)?;
    let outcome = expression.evaluate(&test.input, &Bindings::new(), Moment::new(0, 0), &context.config.mapping);
    Ok(match outcome {
        // Equal as JSON numbers are: 1 and 1.0.
        Ok(Some(output)) if prunella_repair::same(&output, &test.output) => None,
        Ok(Some(output)) => Some(output.to_string()),
        Ok(None) => Some("nothing".to_owned()),
        Err(error) => Some(error.to_string()),
    })
}

fn compiled(text: &str) -> Result<Expression, Failure> {
    Expression::compile(text)
        .map_err(|error| Failure::new(Code::WorkflowExpression, error.to_string()).exit(Exit::Invalid))
}

/// The text that a version of a mapping has.
struct Text {
    version: i32,
    text: String,
}

impl Desk<'_> {
    /// The mapping, its versions if it has any besides the author's, and the author's text as new runs use it.
    async fn authored(&self, name: &MappingName) -> Result<(MappingKey, MappingHistory, String), Failure> {
        let catalog =
            Catalog::start(&self.context.config.kafka, self.topology.topics(), self.codec.clone(), self.stop.clone());
        let catalog = catalog.await?;
        let (workspace, workflow, step) = match name {
            MappingName::Key(key) => (key.workspace.clone(), key.workflow.clone(), key.step.clone()),
            MappingName::Step(workflow, step) => (self.context.workspace.clone(), workflow.clone(), step.clone()),
        };
        let unknown = |reason: String| Failure::new(Code::MappingUnknown, reason).exit(Exit::NotFound);
        let live =
            catalog.live(&workspace, &workflow).ok_or_else(|| unknown(format!("there is no workflow {workflow}")))?;
        let plan = live.plan().map_err(unknown)?;
        let planned = plan.step(&step).and_then(|step| step.healing.as_ref());
        let healing = planned.ok_or_else(|| unknown(format!("{workflow}/{step} has no mapping that may be healed")))?;
        let key = MappingKey { workspace, workflow, step, schema: healing.schema_hash.clone() };
        let history = self.view.history(&key).unwrap_or_default();
        Ok((key, history, healing.text.to_string()))
    }

    fn text_of(&self, history: &MappingHistory, authors: &str, version: Option<i32>) -> Option<Text> {
        let version = version.unwrap_or_else(|| history.active_version(&TextHash::of(authors)));
        match version {
            AUTHORS_VERSION => Some(Text { version, text: authors.to_owned() }),
            version => history.versions.get(&version).map(|known| Text { version, text: known.text.clone() }),
        }
    }
}

/// The lines in which two versions differ.
pub(super) async fn diff(desk: &Desk<'_>, name: &MappingName, from: i32, to: Option<i32>) -> Result<(), Failure> {
    let (key, history, authors) = desk.authored(name).await?;
    let of = |version| desk.text_of(&history, &authors, version);
    let from = of(Some(from)).ok_or_else(|| show::unknown(&key, from))?;
    let to = of(to).ok_or_else(|| show::unknown(&key, to.unwrap_or_default()))?;
    let difference = lines_that_differ(&from.text, &to.text);
    if desk.context.json {
        println!(
            "{}",
            json!({ "mapping": key, "from": from.version, "to": to.version, "before": from.text, "after": to.text })
        );
    } else if from.text == to.text {
        println!("versions {} and {} of {key} are the same", from.version, to.version);
    } else {
        println!("{key}, from version {} to {}\n{difference}", from.version, to.version);
    }
    Ok(())
}

/// What a version makes of one item.
pub(super) async fn eval(
    desk: &Desk<'_>,
    name: &MappingName,
    version: Option<i32>,
    input: &Path,
) -> Result<(), Failure> {
    let (key, history, authors) = desk.authored(name).await?;
    let found = desk.text_of(&history, &authors, version);
    let Text { version, text } = found.ok_or_else(|| show::unknown(&key, version.unwrap_or_default()))?;
    let item = if input == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(input)?
    };
    let limits = &desk.context.config.mapping;
    let mapped = compiled(&text)?.map_item(item.as_bytes(), &Bindings::new(), Moment::new(0, 0), limits);
    let output = mapped.map_err(|error| Failure::new(error.code(), error.to_string()).exit(Exit::Invalid))?;
    let output: Value = serde_json::from_slice(&output).unwrap_or_default();
    if desk.context.json {
        println!("{}", json!({ "mapping": key, "version": version, "output": output }));
    } else {
        println!("{output:#}");
    }
    Ok(())
}

/// Writes the text that is used into the workflow file, or the file that it names.
pub(super) async fn pull(desk: &Desk<'_>, name: &MappingName, file: &Path) -> Result<(), Failure> {
    let (key, history, authors) = desk.authored(name).await?;
    let Some(Text { version, text }) =
        desk.text_of(&history, &authors, None).filter(|it| it.version != AUTHORS_VERSION)
    else {
        let message = format!("{key} uses the text of its author: there is nothing to pull");
        return Err(Failure::new(Code::MappingUnknown, message).exit(Exit::NotFound));
    };
    let loaded = load_paths(&[file.to_owned()]).map_err(|problems| refuse(&problems, desk.context.json))?;
    // A mapping of its own file stands there word for word; one in the workflow file is indented.
    let files = loaded.iter().flat_map(|one| &one.files);
    for path in files {
        let before = std::fs::read_to_string(path)?;
        let after = if before == authors { Some(text.clone()) } else { replaced(&before, &authors, &text) };
        if let Some(after) = after {
            std::fs::write(path, after)?;
            if desk.context.json {
                println!("{}", json!({ "mapping": key, "version": version, "file": path }));
            } else {
                println!("version {version} of {key} stands in {}", path.display());
            }
            return Ok(());
        }
    }
    let message = format!(
        "{} does not hold the text that version {version} of {key} was made from: it was changed since, or is not written as a block (`transform: |`)",
        file.display()
    );
    Err(Failure::new(Code::MappingUnknown, message).exit(Exit::Refused))
}

/// `document` with `new` where `old` stands, each line behind the same indentation.
fn replaced(document: &str, old: &str, new: &str) -> Option<String> {
    let old: Vec<&str> = old.trim_end().lines().collect();
    let lines: Vec<&str> = document.lines().collect();
    let first = old.first()?;
    let indented = |line: &str, indent: &str, wanted: &str| match line.strip_prefix(indent) {
        Some(rest) => rest.trim_end() == wanted.trim_end(),
        None => wanted.trim().is_empty() && line.trim().is_empty(),
    };
    let found = (0..lines.len().checked_sub(old.len())? + 1).find_map(|at| {
        let indent = lines[at].strip_suffix(*first).filter(|indent| indent.trim().is_empty())?;
        let all = old.iter().zip(&lines[at..]).all(|(wanted, line)| indented(line, indent, wanted));
        (all && !indent.is_empty()).then_some((at, indent))
    })?;
    let (at, indent) = found;
    let put = |line: &str| if line.trim().is_empty() { String::new() } else { format!("{indent}{line}") };
    let mut written: Vec<String> = lines[..at].iter().map(ToString::to_string).collect();
    written.extend(new.trim_end().lines().map(put));
    written.extend(lines[at + old.len()..].iter().map(ToString::to_string));
    Some(written.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_where_it_stands_and_nothing_else() {
        let file = "steps:\n  - transform: |\n      {\n        \"id\": a\n\n      }\n    schema: {}\n";
        let after = replaced(file, "{\n  \"id\": a\n\n}\n", "{\n  \"id\": b,\n\n  \"n\": 1\n}");
        let wanted =
            "steps:\n  - transform: |\n      {\n        \"id\": b,\n\n        \"n\": 1\n      }\n    schema: {}\n";
        assert_eq!(after.as_deref(), Some(wanted));
        assert_eq!(replaced(file, "{ \"id\": a }", "x"), None);
        assert_eq!(replaced("", "{", "x"), None);
    }
}
