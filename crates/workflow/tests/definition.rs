//! What a file becomes: one definition, whatever its spelling, that needs no other file.

use std::fs;
use std::path::Path;

use prunella_model::Code;
use prunella_model::workflow::{Mapping, SchemaSource};
use prunella_workflow::{Limits, Loaded, load, load_dir, load_str};

const ORDERS: &str = r#"
workflow: orders
trigger: {}
steps:
  - id: fetch
    extract:
      http:
        url: "https://shop.example/orders?since={{ trigger.since }}"
        headers: { accept: application/json, x-shop: "{{ trigger.shop }}" }
        pagination: { cursor: { path: meta.next, param: cursor } }
      items: data
    transform: { file: mappings/order.jsonata }
    schema: { file: schemas/order.yaml }
output:
  from: fetch
  key: id
"#;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    };
    write("orders.yaml", ORDERS);
    write("mappings/order.jsonata", "{ \"id\": $string(id), \"shop\": $trigger.shop }\n");
    write("schemas/order.yaml", "type: object\nrequired: [id]\nproperties:\n  id: { type: string }\n");
    directory
}

fn loaded(text: &str) -> Loaded {
    load_str("w.yaml", text, None, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_definition_holds_what_its_files_say() {
    let directory = directory();
    let path = directory.path().join("orders.yaml");
    let loaded = load(&path, &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let step = &loaded.declared.as_workflow().expect("a workflow").steps[0];
    assert!(matches!(&step.transform, Some(Mapping::Inline(text)) if text.contains("$string(id)")));
    assert!(matches!(&step.schema, Some(SchemaSource::Inline(schema)) if schema["type"] == "object"));
    let names: Vec<_> = loaded.files.iter().map(|path| path.strip_prefix(directory.path()).expect("inside")).collect();
    assert_eq!(names, ["orders.yaml", "mappings/order.jsonata", "schemas/order.yaml"].map(Path::new));
    assert!(!loaded.canonical.contains("\"file\""));
}

#[test]
fn the_same_content_is_the_same_digest_and_other_content_another() {
    let base = loaded(
        "workflow: w\ntrigger: {}\nsteps: [{ id: a, extract: { inline: { x: 1, y: [2] } } }]\noutput: { from: a }\n",
    );
    assert_eq!(base.digest.len(), 64);
    for same in [
        // Fields in another order, defaults written out, JSON instead of YAML.
        "output: { from: a }\nsteps: [{ extract: { inline: { y: [2], x: 1 } }, id: a }]\ntrigger: {}\nworkflow: w\n",
        "workflow: w\ntrigger: {}\ndeadline: 60m\nsteps: [{ id: a, ordered: false, needs: [], on-invalid: deadletter, extract: { inline: { x: 1, y: [2] } } }]\noutput: { from: a }\n",
        "{\"workflow\":\"w\",\"trigger\":{},\"steps\":[{\"id\":\"a\",\"extract\":{\"inline\":{\"x\":1,\"y\":[2]}}}],\"output\":{\"from\":\"a\"}}",
        "\u{feff}# a comment\nworkflow: w\ntrigger: {}\nsteps: [{ id: a, extract: { inline: { x: 1, y: [2] } } }]\noutput: { from: a }\n",
    ] {
        let same = loaded(same);
        assert_eq!(same.digest, base.digest, "{}\n{}", same.canonical, base.canonical);
        assert_eq!(same.declared, base.declared);
    }
    let other = loaded(
        "workflow: w\ntrigger: {}\nsteps: [{ id: a, extract: { inline: { x: 1, y: [3] } } }]\noutput: { from: a }\n",
    );
    assert_ne!(other.digest, base.digest);
}

#[test]
fn a_definition_read_back_from_its_canonical_form_is_the_same() {
    let directory = directory();
    let first = load(&directory.path().join("orders.yaml"), &Limits::default()).expect("valid");
    let again = load_str("stored", &first.canonical, None, &Limits::default()).expect("valid");
    assert_eq!(again.canonical, first.canonical);
    assert_eq!(again.declared, first.declared);
}

#[test]
fn a_directory_is_all_its_workflows_and_nothing_else() {
    let directory = directory();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file");
    write("notes.yaml", "about: the shop\n");
    write(".hidden.yaml", "workflow: BAD\n");
    write(
        "invoices.json",
        "{\"workflow\":\"invoices\",\"trigger\":{},\"steps\":[{\"id\":\"a\",\"extract\":{\"trigger\":{}}}],\"output\":{\"from\":\"a\"}}",
    );
    let names = |found: Vec<Loaded>| found.iter().map(|one| one.declared.name().to_string()).collect::<Vec<_>>();
    let found = load_dir(directory.path(), &Limits::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(names(found), ["invoices", "orders"]);

    write(
        "again.yml",
        "workflow: orders\ntrigger: {}\nsteps: [{ id: a, extract: { trigger: {} } }]\noutput: { from: a }\n",
    );
    write("broken.yaml", "workflow: [\n");
    let problems = load_dir(directory.path(), &Limits::default()).expect_err("two mistakes");
    let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::WorkflowSyntax, Code::WorkflowDuplicate]);
    let duplicate = problems.iter().nth(1).expect("the duplicate");
    assert!(duplicate.file.ends_with("orders.yaml") && duplicate.message.contains("again.yml"), "{duplicate}");
    assert_eq!((duplicate.line, duplicate.column), (2, 11));
}

#[test]
fn a_directory_without_workflows_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let problems = load_dir(directory.path(), &Limits::default()).expect_err("nothing there");
    assert_eq!(problems.iter().next().expect("one problem").code, Code::WorkflowFile);
}

#[test]
fn links_that_lead_out_of_the_directory_are_refused() {
    let directory = directory();
    let elsewhere = tempfile::tempdir().expect("a directory");
    fs::write(elsewhere.path().join("secret.jsonata"), "{}").expect("a file");
    let mapping = directory.path().join("mappings/order.jsonata");
    fs::remove_file(&mapping).expect("removed");
    std::os::unix::fs::symlink(elsewhere.path().join("secret.jsonata"), &mapping).expect("linked");
    let problems = load(&directory.path().join("orders.yaml"), &Limits::default()).expect_err("outside");
    let problem = problems.iter().next().expect("one problem");
    assert_eq!((problem.code, problem.line), (Code::WorkflowFile, 12));
    assert!(problem.message.contains("outside"), "{problem}");
}

#[test]
fn each_limit_is_an_error_of_its_own() {
    let text = "workflow: w\ntrigger: {}\nsteps:\n  - { id: a, extract: { inline: [1, 2, 3] } }\n  - { id: b, extract: { trigger: {} } }\noutput: { from: a }\n";
    let refused = |limits: Limits| {
        let problems = load_str("w.yaml", text, None, &limits).expect_err("a limit");
        let problem = problems.iter().next().expect("one problem").clone();
        assert_eq!(problem.code, Code::WorkflowTooLarge, "{problem}");
        problem.message
    };
    let limits = Limits::default;
    assert!(refused(Limits { max_steps: 1, ..limits() }).contains("2 steps"));
    assert!(refused(Limits { max_values: 5, ..limits() }).contains("5 values"));
    assert!(
        refused(Limits { max_depth: 4, ..limits() }).contains("exceeded")
            || refused(Limits { max_depth: 4, ..limits() }).contains("nested")
    );
    assert!(refused(Limits { max_file: "50B".parse().expect("a size"), ..limits() }).contains("50B"));
    assert!(refused(Limits { max_definition: "50B".parse().expect("a size"), ..limits() }).contains("50B"));
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("w.yaml"), text).expect("a file");
    let small = Limits { max_file: "50B".parse().expect("a size"), ..limits() };
    assert!(load(&directory.path().join("w.yaml"), &small).expect_err("a limit").to_string().contains("PRN-0109"));
}

#[test]
fn files_that_are_no_text_are_refused_with_the_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("w.yaml");
    fs::write(&path, b"workflow: w\nlatin: \xe9\n").expect("a file");
    let problems = load(&path, &Limits::default()).expect_err("not UTF-8").to_string();
    assert!(problems.contains("PRN-0101") && problems.contains("line 2"), "{problems}");
    let missing = load(&directory.path().join("x.yaml"), &Limits::default()).expect_err("missing").to_string();
    assert!(missing.contains("PRN-0107"), "{missing}");
}
