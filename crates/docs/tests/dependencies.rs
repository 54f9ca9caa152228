use std::collections::BTreeSet;

use prunella_docs::{explained_dependencies, read_file, third_party_dependencies};

#[test]
fn every_dependency_has_one_reason_and_every_reason_a_dependency() {
    let wanted = third_party_dependencies(&read_file("Cargo.toml").text);
    assert!(wanted.len() > 10, "the section was not found");
    let rows = explained_dependencies(&read_file("docs/dependencies.md").text);
    let names: BTreeSet<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    let missing: Vec<_> = wanted.difference(&names).collect();
    let left_over: Vec<_> = names.difference(&wanted).collect();
    assert!(missing.is_empty(), "docs/dependencies.md gives no reason for {missing:?}");
    assert!(left_over.is_empty(), "docs/dependencies.md explains {left_over:?}, which the workspace does not use");
    assert_eq!(rows.len(), names.len(), "a dependency is explained twice");
    for (name, reason) in rows {
        assert!(reason.len() > 20, "{name}: {reason:?} is no reason");
    }
}
