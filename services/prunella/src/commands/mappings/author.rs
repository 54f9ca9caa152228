//! Mappings as their authors write them: examples, one item through the version in use, the healed text back in the file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use prunella_mapping::{Bindings, Expression, Moment};
use prunella_model::Code;
use prunella_model::workflow::{Mapping, MappingTest, Step};
use prunella_operate::mappings::DifferenceAnswer;
use serde_json::{Value, json};

use super::Desk;
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

/// The lines in which two versions differ.
pub(super) fn diff(desk: &Desk<'_>, name: &MappingName, from: i32, to: Option<i32>) -> Result<(), Failure> {
    let difference = desk.find(name)?.difference(from, to)?;
    let DifferenceAnswer { mapping, from, to, lines, .. } = &difference;
    if desk.context.json {
        println!("{}", json!(difference));
    } else if lines.is_empty() {
        println!("versions {from} and {to} of {mapping} are the same");
    } else {
        println!("{mapping}, from version {from} to {to}\n{lines}");
    }
    Ok(())
}

/// What a version makes of one item.
pub(super) fn eval(desk: &Desk<'_>, name: &MappingName, version: Option<i32>, input: &Path) -> Result<(), Failure> {
    let known = desk.find(name)?;
    let item = if input == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(input)?
    };
    let mapped = known.eval(version, item.as_bytes(), &desk.mappings.limits)?;
    if desk.context.json {
        println!("{}", serde_json::to_string(&mapped).unwrap_or_default());
    } else {
        println!("{}", mapped.output);
    }
    Ok(())
}

/// Writes the text that is used into the workflow file, or the file that it names.
pub(super) fn pull(desk: &Desk<'_>, name: &MappingName, file: &Path) -> Result<(), Failure> {
    let known = desk.find(name)?;
    let key = &known.key;
    let (Some((version, text)), Some(authors)) = (known.healed(), &known.authors) else {
        let message = format!("{key} uses the text of its author: there is nothing to pull");
        return Err(Failure::new(Code::MappingUnknown, message).exit(Exit::NotFound));
    };
    let loaded = load_paths(&[file.to_owned()]).map_err(|problems| refuse(&problems, desk.context.json))?;
    // A mapping of its own file stands there word for word; one in the workflow file is indented.
    let files = loaded.iter().flat_map(|one| &one.files);
    for path in files {
        let before = std::fs::read_to_string(path)?;
        let after = if before == *authors { Some(text.to_owned()) } else { replaced(&before, authors, text) };
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
