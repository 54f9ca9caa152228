//! What outputs would be with another mapping, record by record, before anything is written.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use super::{lines, stream};
use crate::support::{COPY, install, is_fused};

/// A mapping that gives another result for one record in a thousand, and none for one in ten thousand.
fn names_exactly_what_changes(records: u32) {
    let (installation, _) = stream(records);
    let (step, gone) = (1000, 10_000);
    let changed = installation.write(
        "changed.jsonata",
        "{ \"id\": id, \"double\": n % 10000 = 77 ? \"none\" : n % 1000 = 500 ? n * 3 : n * 2, \"list\": [n] }",
    );
    let changed = changed.display().to_string();
    let began = Instant::now();
    let answer = installation
        .cli(&["replay", "orders", "--diff", "--with-mapping", &changed, "--samples", "1000000"])
        .exits_with(0);
    eprintln!("compared {records} records in {:?}", began.elapsed());
    let mut told = lines(&answer);
    let summary = told.pop().expect("a summary")["summary"].clone();
    let expected: BTreeSet<String> =
        (0..records).filter(|n| n % step == 500 || n % gone == 77).map(|n| format!("k{n}")).collect();
    let named: BTreeSet<String> =
        told.iter().map(|one| one["difference"]["key"].as_str().expect("a key").to_owned()).collect();
    assert_eq!(named, expected);
    assert_eq!(told.len(), expected.len(), "each once");
    let of = |outcome: &str| told.iter().filter(|one| one["difference"]["outcome"] == outcome).count() as u64;
    assert_eq!(summary["records"], u64::from(records));
    assert_eq!((&summary["changed"], &summary["now_refused"]), (&json!(of("changed")), &json!(of("now-refused"))));
    assert_eq!(summary["fields"]["changed /double"], json!(of("changed")), "{summary:#}");
    let first = told.iter().find(|one| one["difference"]["key"] == "k500").expect("k500");
    assert_eq!(
        first["difference"]["fields"],
        json!([{ "change": "changed", "pointer": "/double", "before": 1000, "after": 1500 }])
    );
    assert_eq!(installation.count("output.default.orders"), 0, "nothing was written");
}

#[test]
fn a_comparison_names_exactly_the_records_that_change() {
    names_exactly_what_changes(12_000);
}

#[test]
#[ignore = "a hundred thousand records take a while; `make test-replay` runs it"]
fn a_comparison_of_a_hundred_thousand_records() {
    names_exactly_what_changes(100_000);
}

#[test]
fn a_comparison_names_exactly_the_items_of_a_workflow_that_change() {
    if is_fused() {
        return;
    }
    const ITEMS: u64 = 3000;
    let definition = |double: &str| {
        COPY.replace("items: list }", &format!("items: list }}\n    transform: '{{ \"id\": id, \"double\": {double}, \"of\": $trigger.name }}'\n    schema: {{ type: object, properties: {{ double: {{ type: number }} }} }}"))
            .replace("from: all }", "from: all, key: id }")
    };
    let installation = install();
    let _running = installation.up();
    installation.apply(&definition("n * 2"));
    for first in (0..ITEMS).step_by(1000) {
        let list: Vec<Value> = (first..first + 1000).map(|n| json!({ "id": format!("i{n}"), "n": n })).collect();
        installation.run_to_end("copy", &json!({ "name": format!("from {first}"), "list": list }));
    }
    let other = "n % 1000 = 77 ? 'none' : n % 1000 = 500 ? n * 3 : n * 2";
    let mapping = format!("{{ \"id\": id, \"double\": {other}, \"of\": $trigger.name }}");
    let mapping = installation.write("other.jsonata", &mapping).display().to_string();
    let file = installation.write("other.yaml", &definition(&other.replace('\'', "\""))).display().to_string();
    for with in [mapping, file] {
        let answer = installation.cli(&["replay", "copy", "--diff", "--with-mapping", &with]).exits_with(0);
        let mut told = lines(&answer);
        let summary = told.pop().expect("a summary")["summary"].clone();
        assert_eq!((&summary["records"], &summary["same"]), (&json!(ITEMS), &json!(ITEMS - 6)), "{summary:#}");
        let of = |outcome: &str| -> BTreeSet<&str> {
            let told = told.iter().map(|one| &one["difference"]).filter(|one| one["outcome"] == outcome);
            told.map(|one| one["key"].as_str().expect("a key")).collect()
        };
        assert_eq!(of("changed"), BTreeSet::from(["i500", "i1500", "i2500"]));
        assert_eq!(of("now-refused"), BTreeSet::from(["i77", "i1077", "i2077"]));
        assert_eq!(summary["fields"], json!({ "changed /double": 3 }));
    }
    let outputs = installation.count("output.default.copy");
    assert_eq!(outputs, i64::try_from(ITEMS).expect("few"), "nothing was written");
    let wrong = ["replay", "copy", "--diff", "--with-mapping", "2", "--batches"];
    installation.cli(&wrong).exits_with(6);
}
