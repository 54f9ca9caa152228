//! Data of the world, not made up by us: the countries, as `scripts/fetch-test-data.sh` fetches them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prunella_testkit::harness::DocumentServer;
use serde_json::{Value, json};

use crate::support::{assert_status, install_with};

const FILE: &str = "world-countries-5.1.0.json";

fn countries() -> Vec<u8> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| std::env::home_dir().expect("a home").join(".cache"));
    let path = cache.join("prunella/test-data").join(FILE);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; scripts/fetch-test-data.sh fetches it, and `make test` runs that", path.display())
    })
}

const WORKFLOW: &str = r#"
workflow: countries
trigger: {}
steps:
  - id: countries
    extract:
      http: { url: "{{ trigger.base }}/document.json" }
      items: $
    transform: |
      (
        $common := function($names) { $names.common };
        {
          "code": cca3,
          "name": name.common,
          "label": flag & " " & $uppercase(name.common),
          "native": [$each(name.native, $common)],
          "letters": $length(name.official),
          "capital": $count(capital) > 0 ? capital[0] : null,
          "calling_codes": [idd.suffixes.($$.idd.root & $)],
          "currencies": [$each(currencies, function($currency, $code) { { "code": $code, "name": $currency.name } })],
          "languages": $join($sort([$each(languages, function($name) { $name })]), ", "),
          "size": area >= 1000000 ? "large" : area >= 1000 ? "medium" : "small",
          "area": area,
          "neighbours": $count(borders),
          "island": $count(borders) = 0 and $not(landlocked),
          "position": { "lat": latlng[0], "lon": latlng[1] },
          "in_japanese": translations.jpn.common,
          "independent": independent
        }
      )
    schema:
      type: object
      required: [code, name, native, capital, calling_codes, currencies, in_japanese, independent, area]
      properties:
        code: { type: string, pattern: "^[A-Z]{3}$" }
        capital: { type: [string, "null"] }
        calling_codes: { type: array, items: { type: string, pattern: "^\\+[0-9]+$" } }
        currencies: { type: array, items: { type: object, required: [code, name] } }
        independent: { type: boolean }
        area: { type: number, minimum: 0 }
output: { from: countries, key: code }
"#;

/// What the mapping is to make of a country.
fn expected(country: &Value) -> Value {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let fields = |value: &Value| value.as_object().expect("an object").clone();
    let mut languages: Vec<String> = fields(&country["languages"]).values().map(text).collect();
    languages.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    let area = country["area"].as_f64().expect("a number");
    let root = text(&country["idd"]["root"]);
    let borders = list(&country["borders"]).len();
    json!({
        "code": country["cca3"],
        "name": country["name"]["common"],
        "label": format!("{} {}", text(&country["flag"]), text(&country["name"]["common"]).to_uppercase()),
        "native": fields(&country["name"]["native"]).values().map(|name| name["common"].clone()).collect::<Vec<_>>(),
        "letters": text(&country["name"]["official"]).chars().count(),
        "capital": list(&country["capital"]).first().cloned().unwrap_or(Value::Null),
        "calling_codes":
            list(&country["idd"]["suffixes"]).iter().map(|suffix| format!("{root}{}", text(suffix))).collect::<Vec<_>>(),
        "currencies": fields(&country["currencies"]).iter()
            .map(|(code, currency)| json!({ "code": code, "name": currency["name"] })).collect::<Vec<_>>(),
        "languages": languages.join(", "),
        "size": if area >= 1_000_000.0 { "large" } else if area >= 1000.0 { "medium" } else { "small" },
        "area": country["area"],
        "neighbours": borders,
        "island": borders == 0 && country["landlocked"] == false,
        "position": { "lat": country["latlng"][0], "lon": country["latlng"][1] },
        "in_japanese": country["translations"]["jpn"]["common"],
        "independent": country["independent"],
    })
}

fn is_valid(country: &Value) -> bool {
    let suffixes_are_digits = country["idd"]["suffixes"].as_array().expect("a list").iter().all(|suffix| {
        let code = format!("{}{}", country["idd"]["root"].as_str().expect("text"), suffix.as_str().expect("text"));
        code.strip_prefix('+')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let has_every_name = country["translations"]["jpn"]["common"].is_string();
    country["independent"].is_boolean()
        && country["area"].as_f64() >= Some(0.0)
        && suffixes_are_digits
        && has_every_name
}

#[test]
fn the_countries_of_the_world_come_out_as_computed_independently() {
    let bytes = countries();
    let all: Vec<Value> = serde_json::from_slice(&bytes).expect("a list");
    let server = DocumentServer::start(bytes);
    let installation = install_with(&json!({ "extractor": { "batch-items": 25 } }));
    let _running = installation.up();
    installation.apply(WORKFLOW);
    let report = installation.run_to_end("countries", &json!({ "base": server.base_url() }));
    assert_status(&report, "succeeded");

    let (valid, invalid): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|country| is_valid(country));
    assert!(valid.len() > 240 && !invalid.is_empty(), "{} and {}", valid.len(), invalid.len());
    let outputs = installation.read("output.default.countries");
    assert_eq!(outputs.len(), valid.len());
    let by_code: BTreeMap<String, Value> =
        outputs.iter().map(|output| (output.key_text().to_owned(), output.json())).collect();
    for country in valid {
        let code = country["cca3"].as_str().expect("text");
        assert_eq!(by_code.get(code), Some(&expected(country)), "{code}");
    }
    let mut dead: Vec<String> = Vec::new();
    for letter in installation.read("deadletter.default.countries") {
        assert_eq!(
            letter.header("prunella-dead-code"),
            Some("PRN-0602"),
            "{:?}",
            letter.header("prunella-dead-message")
        );
        let country = letter.json();
        assert!(invalid.contains(&&country), "{}", country["cca3"]);
        dead.push(country["cca3"].as_str().expect("text").to_owned());
    }
    assert_eq!(dead.len(), invalid.len(), "{dead:?}");
}
