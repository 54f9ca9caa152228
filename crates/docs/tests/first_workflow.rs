use prunella_docs::read_file;
use prunella_workflow::{Limits, Plan, load_str};

#[test]
fn the_workflow_of_the_readme_can_be_executed() {
    let readme = read_file("README.md").text;
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let workflow = blocks.into_iter().find(|block| block.starts_with("workflow:")).expect("a workflow");
    let limits = Limits::default();
    let loaded = load_str("README.md", workflow, None, &limits).unwrap_or_else(|problems| panic!("{problems}"));
    Plan::compile(loaded.declared.as_workflow().expect("a workflow"), &limits)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert!(readme.contains(&format!("prunella run {} ", loaded.declared.name())));
}
