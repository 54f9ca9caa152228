//! The example workflows, carried in the binary so that the demo runs from anywhere.

use std::path::{Path, PathBuf};

use prunella_model::{StepId, WorkflowName};

const FILES: [(&str, &str); 4] = [
    ("orders/orders.yaml", include_str!("../../../../examples/orders/orders.yaml")),
    ("sales/sales.yaml", include_str!("../../../../examples/sales/sales.yaml")),
    ("orders/mappings/order.jsonata", include_str!("../../../../examples/orders/mappings/order.jsonata")),
    ("orders/schemas/order.json", include_str!("../../../../examples/orders/schemas/order.json")),
];
/// The first ones are workflow files.
const WORKFLOWS: usize = 2;

/// A workflow of the demo, and its step whose records are the output.
#[allow(clippy::unwrap_used, reason = "constants that the tests parse")]
fn named(workflow: &str, step: &str) -> (WorkflowName, StepId) {
    (workflow.parse().unwrap(), step.parse().unwrap())
}

/// Pages of orders.
pub fn orders() -> (WorkflowName, StepId) {
    named("orders", "orders")
}

/// The newest orders, whose source changes.
pub fn sales() -> (WorkflowName, StepId) {
    named("sales", "sold")
}

/// Writes the examples below `directory` and gives the workflow files. On a cluster that keeps what is written, a demo
/// before this one has healed its mapping already: `stamp` in a comment makes it a new text, which begins anew.
pub fn write(directory: &Path, stamp: Option<&str>) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (name, text) in FILES {
        let path = directory.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let stamped =
            stamp.map(|stamp| text.replace("by this number */", &format!("by this number; demo of {stamp} */")));
        std::fs::write(&path, stamped.as_deref().unwrap_or(text))?;
        paths.push(path);
    }
    paths.truncate(WORKFLOWS);
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use prunella_workflow::{Limits, load};

    #[test]
    fn the_examples_are_valid_and_named_as_the_demo_says() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let paths = super::write(directory.path(), None).expect("written");
        for (path, (workflow, step)) in paths.iter().zip([super::orders(), super::sales()]) {
            let loaded = load(path, &Limits::default()).expect("valid");
            assert_eq!(*loaded.declared.name(), workflow);
            let steps = loaded.declared.as_workflow().map(|workflow| workflow.steps.clone()).unwrap_or_default();
            assert!(steps.iter().any(|it| it.id == step));
        }
    }

    #[test]
    fn a_stamped_mapping_is_another_text() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let text = |stamp| {
            let paths = super::write(directory.path(), stamp).expect("written");
            std::fs::read_to_string(&paths[1]).expect("the file")
        };
        assert_ne!(text(Some("monday")), text(None));
    }
}
