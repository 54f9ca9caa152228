use serde_json::{Value, json};

use prunella_operate::mappings::{KnownMapping, VersionAnswer};
use prunella_repair::lines_that_differ;

use super::Desk;
use crate::cli::MappingName;
use crate::failure::Failure;
use crate::print::{table, time};

pub(super) fn list(desk: &Desk<'_>) {
    let known = desk.mappings.list(&desk.context.workspace);
    let summaries: Vec<_> = known.iter().map(KnownMapping::summary).collect();
    if desk.context.json {
        println!("{}", json!({ "mappings": summaries }));
        return;
    }
    if summaries.is_empty() {
        println!("nothing was healed, proposed or noticed");
        return;
    }
    let mut rows = table(&["MAPPING", "ACTIVE", "VERSIONS", "WAITS FOR A DECISION", "SILENT DRIFT", "CHANGED"]);
    for summary in summaries {
        let waiting: Vec<String> = summary.candidates.iter().map(ToString::to_string).collect();
        rows.add_row([
            format!("{}/{}", summary.workflow, summary.step),
            summary.active.to_string(),
            summary.versions.len().to_string(),
            waiting.join(", "),
            summary.drift.map(|drift| drift.found.join("; ")).unwrap_or_default(),
            summary.changed_at.map(time).unwrap_or_default(),
        ]);
    }
    println!("{rows}");
}

pub(super) fn show(desk: &Desk<'_>, name: &MappingName, version: Option<i32>) -> Result<(), Failure> {
    let known = desk.find(name)?;
    if let Some(number) = version {
        let version = VersionAnswer::of(known.version(number)?);
        if desk.context.json {
            println!("{}", json!(version));
        } else {
            print(&version, &known);
        }
        return Ok(());
    }
    let answer = known.answer();
    if desk.context.json {
        println!("{}", json!(answer));
        return Ok(());
    }
    println!("{}\nversion {} is in use\n", known.key, answer.summary.active);
    if let Some(drift) = &answer.summary.drift {
        println!("since {} its outputs do not look as they used to (PRN-0608):", time(drift.since));
        drift.found.iter().for_each(|found| println!("  {found}"));
        let step = format!("{}/{}", known.key.workflow, known.key.step);
        println!("mend it (mappings edit), or say that it is right: prunella mappings accept {step}\n");
    }
    for version in &answer.history {
        print(version, &known);
    }
    Ok(())
}

pub(super) fn history(desk: &Desk<'_>, name: &MappingName) -> Result<(), Failure> {
    let known = desk.find(name)?;
    let entries = known.entries();
    if desk.context.json {
        println!("{}", json!({ "mapping": known.key, "history": entries }));
        return Ok(());
    }
    let mut rows = table(&["WHEN", "WHAT", "VERSION", "FROM", "ORIGIN", "NOW", "BY", "WHY"]);
    for entry in entries {
        let number = |number: i32| if number == 0 { String::new() } else { number.to_string() };
        let what = entry.refused.map_or_else(|| entry.what.clone(), |code| format!("{}, refused: {code}", entry.what));
        rows.add_row([
            time(entry.at),
            what,
            number(entry.version),
            entry.parent.map(number).unwrap_or_default(),
            entry.origin.unwrap_or_default(),
            entry.status.unwrap_or_default(),
            entry.actor,
            entry.why,
        ]);
    }
    println!("{rows}");
    Ok(())
}

fn print(version: &VersionAnswer, known: &KnownMapping) {
    println!(
        "version {}: {}, {} by {} at {}, from version {}",
        version.version,
        version.status,
        version.origin,
        version.actor,
        time(version.changed_at),
        version.parent
    );
    let evidence: &Value = &version.evidence;
    if let Some(summary) = evidence["summary"].as_str().filter(|summary| !summary.is_empty()) {
        println!("  {summary}");
    }
    if let Some(moved) = &version.moved {
        println!("  extract.items: {} -> {}", moved.was, moved.is);
    }
    for field in evidence["fields"].as_array().into_iter().flatten().filter(|field| field["old"] != field["new"]) {
        let text = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
        println!("  {}: {} -> {}\n      because {}", text("field"), text("old"), text("new"), text("because"));
    }
    let before = known.history.versions.get(&version.parent).map(|parent| parent.text.as_str());
    println!();
    match before {
        Some(before) => println!("{}", lines_that_differ(before, &version.text)),
        // The author's text stands in the definition.
        None => version.text.lines().for_each(|line| println!("    {line}")),
    }
    println!();
}
