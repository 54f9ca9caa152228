//! A change of a schema must be readable by the release before it and must read what that one wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;

fn schemas_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn schemas_in(directory: &Path) -> BTreeMap<String, Schema> {
    std::fs::read_dir(directory)
        .expect("directory of schemas")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "avsc"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.file_name().expect("named").to_string_lossy().into_owned();
            (name, Schema::parse_str(&text).expect("parses"))
        })
        .collect()
}

fn compatible(released: &Schema, current: &Schema) -> Result<(), String> {
    SchemaCompatibility::can_read(released, current).map_err(|error| format!("not backward compatible: {error}"))?;
    SchemaCompatibility::can_read(current, released).map_err(|error| format!("not forward compatible: {error}"))?;
    Ok(())
}

#[test]
fn every_schema_is_compatible_with_every_release() {
    let current = schemas_in(&schemas_directory());
    let releases = schemas_directory().join("released");
    let mut compared = 0;
    for release in std::fs::read_dir(&releases).expect("schemas/released") {
        let release = release.expect("entry").path();
        for (file, released) in schemas_in(&release) {
            let now = current.get(&file).unwrap_or_else(|| {
                panic!("{file} of release {} is gone: records written with it would be unreadable", release.display())
            });
            compatible(&released, now)
                .unwrap_or_else(|reason| panic!("{file} against {}: {reason}", release.display()));
            compared += 1;
        }
    }
    assert!(compared >= current.len(), "every schema has a released form to compare with");
}

#[test]
fn every_file_has_its_type() {
    let files = schemas_in(&schemas_directory()).len();
    assert_eq!(files, prunella_wire::records::all().len());
}

#[test]
fn the_check_notices_incompatible_changes() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#;
    let released = Schema::parse_str(text).expect("parses");
    for changed in [
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"long"}]}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
    ] {
        let changed = Schema::parse_str(changed).expect("parses");
        assert!(compatible(&released, &changed).is_err());
    }
    let allowed = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"long","default":0}]}"#;
    compatible(&released, &Schema::parse_str(allowed).expect("parses")).expect("a field with a default is allowed");
}
