use serde_json::json;

use super::*;

fn read(text: &str) -> Document {
    Document::read("w.yaml", text, &Limits::default()).expect(text)
}

fn refuse(text: &str) -> Vec<(usize, usize, String)> {
    let problems = Document::read("w.yaml", text, &Limits::default()).expect_err(text);
    problems.iter().map(|p| (p.line, p.column, format!("{} {}", p.code, p.message))).collect()
}

/// What stands in the file where `in_text` points, from there to the end of the line.
fn pointed(text: &str, pointer: &str, needle: &str) -> String {
    let document = read(text);
    let content = document.get(pointer).and_then(Value::as_str).expect("a text");
    let offset = content.find(needle).expect("the needle is in the content");
    let problem = document.in_text(Code::WorkflowExpression, pointer, offset, "here");
    let line = text.lines().nth(problem.line - 1).expect("a line");
    line.chars().skip(problem.column - 1).collect()
}

#[test]
fn every_value_and_key_knows_its_place() {
    let document = read("a: 1\nb:\n  - x: [1, two]\n    \"y/z\": {k: v}\n");
    let value = |pointer: &str| {
        let p = document.at_value(Code::WorkflowShape, pointer, "");
        (p.line, p.column)
    };
    let key = |pointer: &str| {
        let p = document.at_key(Code::WorkflowShape, pointer, "");
        (p.line, p.column)
    };
    assert_eq!(value(""), (1, 1));
    assert_eq!((key("/a"), value("/a")), ((1, 1), (1, 4)));
    assert_eq!(value("/b/0"), (3, 5));
    assert_eq!(value("/b/0/x/1"), (3, 12));
    assert_eq!((key("/b/0/y~1z"), value("/b/0/y~1z/k")), ((4, 5), (4, 16)));
    assert_eq!(value("/b/0/x/7/deep"), (3, 8), "the nearest value around what is not there");
}

#[test]
fn json_is_read_with_its_escapes_tabs_and_line_ends() {
    let text = "\u{feff}{\r\n\t\"a\": \"x\\u00e9\\/\\ud83d\\ude00\\n\",\r\n\t\"b\" :\t[1.5e2,\ttrue, null,{}],\r\n\"c\"\n:\n2,\"d\":\"\",\"e\":[]}";
    let document = read(text);
    assert_eq!(document.value(), &json!({ "a": "xé/😀\n", "b": [150.0, true, null, {}], "c": 2, "d": "", "e": [] }));
    let problem = document.at_value(Code::WorkflowShape, "/b/1", "");
    assert_eq!((problem.line, problem.column), (3, 16));
}

#[test]
fn a_json_document_survives_being_printed_and_read() {
    let long = "k".repeat(3000);
    let value = json!({ "text": "a: b # c\n\t\"'\\ {{ x }} é 😀 \u{0}", "long": { &long: long }, "n": [-1, 0.1, 1e300, u64::MAX, i64::MIN], "deep": [[[[{"x": {}}]]]], "": "" });
    assert_eq!(read(&value.to_string()).value(), &value);
    assert_eq!(read(&format!("{value:#}")).value(), &value);
}

#[test]
fn the_place_inside_a_text_is_found_in_every_style() {
    assert_eq!(pointed("a: $foo(bar) + 1\n", "/a", "bar"), "bar) + 1");
    assert_eq!(pointed("a: 'it''s ~ that'\n", "/a", "that"), "that'");
    assert_eq!(pointed("a: \"x\\n\\u00e9\\\"y\\ud83d\\ude00 z\"\n", "/a", "z"), "z\"");
    assert_eq!(pointed("m:\n  a: |\n    {\n      \"id\": id,\n\n      \"x\": ~\n    }\n", "/m/a", "~"), "~");
    assert_eq!(pointed("m:\n  a: |2\n      x\n    y\n", "/m/a", "y"), "y");
    assert_eq!(pointed("m:\n  a: >-\n    one two\n    three\n\n    four\n", "/m/a", "three"), "three");
    assert_eq!(pointed("m:\n  a: >-\n    one two\n    three\n\n    four\n", "/m/a", "four"), "four");
    assert_eq!(pointed("m:\n  a: one\n    two\n    three\n", "/m/a", "three"), "three");
    assert_eq!(pointed("m:\n  a: \"one\n    two \\\n    three\"\n", "/m/a", "three"), "three\"");
    assert_eq!(pointed("a: |\r\n  one\r\n  two ~\r\n", "/a", "~"), "~");
}

#[test]
fn what_has_no_json_equivalent_is_refused_at_its_place() {
    let one = |text: &str, line, column, message: &str| {
        let found = refuse(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!((found[0].0, found[0].1), (line, column), "{text}: {found:?}");
        assert!(found[0].2.contains(message), "{text}: {found:?}");
    };
    one("", 1, 1, "empty");
    one("# only a comment\n", 1, 1, "empty");
    one("a: 1\n---\nb: 2\n", 2, 1, "second document");
    one("a: 1\n1: 2\n", 2, 1, "quotes");
    one("a: 1\ntrue: 2\n", 2, 1, "quotes");
    one("a: {}\n? [x]\n: 2\n", 2, 3, "field name");
    one("a: 1\n<<: {}\n", 2, 1, "merge");
    one("a: 123456789012345678901\n", 1, 4, "64 bits");
    one("a: !secret x\n", 1, 4, "tag");
    one("a: *b\n", 1, 4, "PRN-0101");
    one("a: &x [*x]\n", 1, 8, "alias");
    one("a:\n\t- 1\n", 2, 2, "PRN-0101");
    one("a: [1, 2\nb: 3\n", 2, 2, "PRN-0101");
    one("a: \"b\n", 2, 1, "PRN-0101");
    let deep = "[".repeat(100) + &"]".repeat(100);
    one(&deep, 1, 65, "PRN-0109");
}

#[test]
fn all_duplicate_keys_are_reported() {
    let found = refuse("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n");
    let places: Vec<_> = found.iter().map(|p| (p.0, p.1)).collect();
    assert_eq!(places, [(3, 1), (4, 11)]);
    assert!(found[0].2.contains("first in line 1"), "{found:?}");
}

#[test]
fn aliases_are_repeated_but_not_without_bound() {
    assert_eq!(read("a: &x {b: 1}\nc: *x\n").value(), &json!({ "a": { "b": 1 }, "c": { "b": 1 } }));
    let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
    for level in 1..12 {
        let previous = format!("*a{},", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{}]\n", previous.trim_end_matches(','));
    }
    assert!(refuse(&bomb)[0].2.starts_with("PRN-0109"));
    let mut chain = "a0: &a0 [1]\n".to_owned();
    for level in 1..5000 {
        chain += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(refuse(&chain)[0].2.contains("nested deeper"));
}
