//! The example workflow, carried in the binary so that the demo runs from anywhere.

use std::path::{Path, PathBuf};

use prunella_model::WorkflowName;

const FILES: [(&str, &str); 3] = [
    ("orders.yaml", include_str!("../../../../examples/orders/orders.yaml")),
    ("mappings/order.jsonata", include_str!("../../../../examples/orders/mappings/order.jsonata")),
    ("schemas/order.json", include_str!("../../../../examples/orders/schemas/order.json")),
];

/// Name of the example workflow.
#[allow(clippy::unwrap_used, reason = "a constant that the tests parse")]
pub fn workflow() -> WorkflowName {
    "orders".parse().unwrap()
}

/// Writes the example below `directory` and gives the workflow file.
pub fn write(directory: &Path) -> std::io::Result<PathBuf> {
    let root = directory.join("orders");
    for (name, text) in FILES {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(root.join(FILES[0].0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_is_valid_and_named_as_the_demo_says() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = super::write(directory.path()).expect("written");
        let loaded = prunella_workflow::load(&path, &prunella_workflow::Limits::default()).expect("valid");
        assert_eq!(*loaded.declared.name(), super::workflow());
    }
}
