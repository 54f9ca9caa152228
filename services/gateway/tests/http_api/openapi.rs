use std::path::Path;

/// `UPDATE=1 cargo test -p prunella-gateway` writes the file anew.
#[test]
fn the_committed_description_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let generated = prunella_gateway::openapi_json().expect("printed") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "schemas/openapi.json is not what the code says: UPDATE=1 writes it anew");
}

#[test]
fn every_operation_is_described() {
    let api: serde_json::Value =
        serde_json::from_str(&prunella_gateway::openapi_json().expect("printed")).expect("JSON");
    let paths = api["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 10);
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|found| !found.is_empty()), "{method} {path}");
        }
    }
}
