//! The documentation is true: its examples load, and every error of this crate has its page.

use std::fs;
use std::path::{Path, PathBuf};

use prunella_model::Code;
use prunella_workflow::{Declared, Limits, Plan, StreamPlan, load_str};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn every_workflow_in_the_reference_is_executable() {
    let limits = Limits::default();
    for (file, least) in [("workflows.md", 3), ("streams.md", 2)] {
        let text = fs::read_to_string(docs().join(file)).expect("the reference");
        let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(blocks.len() >= least, "{file}: {}", blocks.len());
        for block in blocks {
            let loaded = load_str(file, block, None, &limits).unwrap_or_else(|problems| panic!("{problems}"));
            compile(&loaded.declared, &limits);
        }
    }
}

fn compile(declared: &Declared, limits: &Limits) {
    let compiled = match declared {
        Declared::Workflow(workflow) => Plan::compile(workflow, limits).map(drop),
        Declared::Stream(stream) => StreamPlan::compile(stream, limits).map(drop),
    };
    compiled.unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn the_reference_names_the_limits_as_they_are() {
    let text = fs::read_to_string(docs().join("workflows.md")).expect("the reference");
    let limits = Limits::default();
    for row in [
        format!("| size of one file | {} |", limits.max_file.to_string().replace("MiB", " MiB")),
        format!("| values in one file | {} |", limits.max_values),
        format!("| nesting | {} levels |", limits.max_depth),
        format!("| steps | {} |", limits.max_steps),
        format!("| definition with everything inside | {} |", limits.max_definition.to_string().replace("KiB", " KiB")),
    ] {
        assert!(text.contains(&row), "{row}");
    }
}

#[test]
fn every_code_has_a_page_with_its_summary() {
    for code in Code::ALL.iter().filter(|code| code.id().starts_with("PRN-01")) {
        let page = fs::read_to_string(docs().join(format!("errors/{code}.md"))).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}: {}\n", code.summary())), "{code}");
        assert!(page.contains("## What happened") && page.contains("## What to do"), "{code}");
    }
}
