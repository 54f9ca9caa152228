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
    assert_eq!(paths.len(), 22);
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|found| !found.is_empty()), "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    fn references<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
        match value {
            serde_json::Value::Object(members) => {
                found.extend(members.get("$ref").and_then(serde_json::Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let api: serde_json::Value =
        serde_json::from_str(&prunella_gateway::openapi_json().expect("printed")).expect("JSON");
    let mut found = Vec::new();
    references(&api, &mut found);
    assert!(found.len() > 50, "{} references", found.len());
    for reference in found {
        assert!(api.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
}
