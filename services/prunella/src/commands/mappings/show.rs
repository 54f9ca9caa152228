use std::sync::Arc;

use serde_json::{Value, json};

use prunella_catalog::{AUTHORS_VERSION, MappingHistory};
use prunella_model::{Code, MappingKey};
use prunella_repair::lines_that_differ;
use prunella_wire::records::MappingVersion;

use super::Desk;
use crate::cli::MappingName;
use crate::failure::{Exit, Failure};
use crate::print::{table, time};

pub(super) fn list(desk: &Desk<'_>) -> Result<(), Failure> {
    let all = desk.view.all().into_iter().filter(|(key, _)| key.workspace == desk.context.workspace);
    let mappings: Vec<(MappingKey, MappingHistory)> = all.collect();
    if desk.context.json {
        let mappings: Vec<Value> = mappings.iter().map(|(key, history)| summary(key, history)).collect();
        println!("{}", json!({ "mappings": mappings }));
        return Ok(());
    }
    if mappings.is_empty() {
        println!("no mapping has a version besides its author's");
        return Ok(());
    }
    let mut rows = table(&["MAPPING", "ACTIVE", "VERSIONS", "WAITS FOR A DECISION", "CHANGED"]);
    for (key, history) in &mappings {
        let summary = summary(key, history);
        let changed = history.versions.values().map(|version| version.changed_at).max().unwrap_or_default();
        let waiting: Vec<String> = candidates(history).iter().map(ToString::to_string).collect();
        rows.add_row([
            format!("{}/{}", key.workflow, key.step),
            summary["active"].to_string(),
            history.versions.len().to_string(),
            waiting.join(", "),
            time(changed),
        ]);
    }
    println!("{rows}");
    Ok(())
}

fn candidates(history: &MappingHistory) -> Vec<i32> {
    let is_open = |version: &&Arc<MappingVersion>| {
        // What was made for a version that is not used any more waits for nothing.
        version.status == "candidate" && history.active_version(&version.base) == version.parent
    };
    history.versions.values().filter(is_open).map(|version| version.version).collect()
}

/// The version in use, of the author's text that changed last.
fn active(history: &MappingHistory) -> i32 {
    history.active.values().max_by_key(|active| active.changed_at).map_or(AUTHORS_VERSION, |active| active.version)
}

fn summary(key: &MappingKey, history: &MappingHistory) -> Value {
    json!({
        "mapping": key, "workflow": key.workflow, "step": key.step, "active": active(history),
        "versions": history.versions.keys().collect::<Vec<_>>(), "candidates": candidates(history),
    })
}

pub(super) fn show(desk: &Desk<'_>, name: &MappingName, version: Option<i32>) -> Result<(), Failure> {
    let (key, history) = desk.find(name)?;
    if let Some(number) = version {
        let version = history.versions.get(&number).ok_or_else(|| unknown(&key, number))?;
        if desk.context.json {
            println!("{}", as_json(version));
        } else {
            print(version, &history);
        }
        return Ok(());
    }
    if desk.context.json {
        let mut shown = summary(&key, &history);
        shown["history"] = history.versions.values().map(|version| as_json(version)).collect();
        println!("{shown}");
        return Ok(());
    }
    println!("{key}\nversion {} is in use\n", active(&history));
    for version in history.versions.values() {
        print(version, &history);
    }
    Ok(())
}

pub(super) fn history(desk: &Desk<'_>, name: &MappingName) -> Result<(), Failure> {
    let (key, history) = desk.find(name)?;
    let line = |version: &MappingVersion| {
        let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
        let why = evidence["rolled_back"]["reason"].as_str().or(evidence["summary"].as_str()).unwrap_or_default();
        json!({
            "at": version.changed_at, "version": version.version, "status": version.status, "origin": version.origin,
            "parent": version.parent, "actor": version.actor, "why": why,
        })
    };
    let mut lines: Vec<Value> = history.versions.values().map(|version| line(version)).collect();
    lines.extend(history.consultations.values().map(|asked| {
        let said = if asked.message.is_empty() { "" } else { &asked.message };
        json!({
            "at": asked.changed_at, "version": asked.parent, "status": "asked", "origin": "llm", "parent": asked.parent,
            "actor": "healer", "why": format!("{} answers, {} proposals {said}", asked.asked, asked.tried.len()),
        })
    }));
    lines.sort_by_key(|line| line["at"].as_i64());
    if desk.context.json {
        println!("{}", json!({ "mapping": key, "history": lines }));
        return Ok(());
    }
    let mut rows = table(&["WHEN", "VERSION", "FROM", "STATUS", "ORIGIN", "BY", "WHY"]);
    for line in &lines {
        let text = |name: &str| line[name].as_str().map_or_else(|| line[name].to_string(), str::to_owned);
        let when = time(line["at"].as_i64().unwrap_or_default());
        rows.add_row([
            when,
            text("version"),
            text("parent"),
            text("status"),
            text("origin"),
            text("actor"),
            text("why"),
        ]);
    }
    println!("{rows}");
    Ok(())
}

pub(super) fn unknown(key: &MappingKey, version: i32) -> Failure {
    let message = format!("{key} has no version {version}; version {AUTHORS_VERSION} is the text of the definition");
    Failure::new(Code::MappingUnknown, message).exit(Exit::NotFound)
}

fn as_json(version: &MappingVersion) -> Value {
    let mut shown = json!(version);
    shown["evidence"] = serde_json::from_str(&version.evidence).unwrap_or_default();
    shown
}

fn print(version: &MappingVersion, history: &MappingHistory) {
    println!(
        "version {}: {}, {} by {} at {}, from version {}",
        version.version,
        version.status,
        version.origin,
        version.actor,
        time(version.changed_at),
        version.parent
    );
    let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
    if let Some(summary) = evidence["summary"].as_str().filter(|summary| !summary.is_empty()) {
        println!("  {summary}");
    }
    for field in evidence["fields"].as_array().into_iter().flatten().filter(|field| field["old"] != field["new"]) {
        let text = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
        println!("  {}: {} -> {}\n      because {}", text("field"), text("old"), text("new"), text("because"));
    }
    let before = history.versions.get(&version.parent).map(|parent| parent.text.as_str());
    println!();
    match before {
        Some(before) => println!("{}", lines_that_differ(before, &version.text)),
        // The author's text stands in the definition.
        None => version.text.lines().for_each(|line| println!("    {line}")),
    }
    println!();
}
