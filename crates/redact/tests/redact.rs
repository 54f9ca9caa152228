//! What is redacted, what stays, and what the placeholders keep.

use proptest::prelude::*;
use prunella_redact::{FieldPattern, RedactSettings, RedactionKey, Redactor};
use serde_json::{Value, json};

fn redactor(fields: &[&str]) -> Redactor {
    let fields = fields.iter().map(|field| field.parse::<FieldPattern>().expect(field)).collect();
    Redactor::new(RedactSettings { fields, emails: true }, RedactionKey::from_bytes([1; 32]))
}

#[test]
fn what_looks_like_a_secret_is_redacted_wherever_it_stands() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA1c7\n+9z5Pad7OejczsIS\n-----END RSA PRIVATE KEY-----";
    for (text, secret, kind) in [
        (format!("use {jwt} please"), jwt, "jwt"),
        (format!("key:\n{pem}\nend"), "MIIEowIBAAKCAQEA1c7", "pem"),
        ("-----BEGIN PRIVATE KEY-----\ncut".to_owned(), "cut", "pem"),
        ("Authorization: Bearer abcdef.ghijkl".to_owned(), "abcdef.ghijkl", "bearer"),
        ("bearer sometoken".to_owned(), "sometoken", "bearer"),
        ("Basic dXNlcjpwYXNzd29yZA==".to_owned(), "dXNlcjpwYXNzd29yZA==", "bearer"),
        ("sk-proj-abcdefghijklmnop".to_owned(), "sk-proj-abcdefghijklmnop", "apikey"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc".to_owned(), "4eC39HqLyjWDarjtT1zdp7dc", "apikey"),
        ("id AKIAIOSFODNN7EXAMPLE!".to_owned(), "AKIAIOSFODNN7EXAMPLE", "apikey"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a".to_owned(), "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "apikey"),
        ("GET /x?api_key=hunter22&page=2".to_owned(), "hunter22", "apikey"),
        (r#"{"client_secret": "hunter22"}"#.to_owned(), "hunter22", "apikey"),
        ("postgres://ann:hunter22@db/x".to_owned(), "hunter22", "apikey"),
        ("card 4111 1111 1111 1111 ok".to_owned(), "4111 1111 1111 1111", "card"),
        ("5500005555555559".to_owned(), "5500005555555559", "card"),
        ("mail ann.lee+x@example.co.uk now".to_owned(), "ann.lee+x@example.co.uk", "email"),
        ("d41d8cd98f00b204e9800998ecf8427e".to_owned(), "d41d8cd98f00b204e9800998ecf8427e", "random"),
        ("tok xY7pQ2mZ9aK4rT8wL1nB6vC3".to_owned(), "xY7pQ2mZ9aK4rT8wL1nB6vC3", "random"),
    ] {
        let shown = redactor(&[]).text(&text);
        assert!(!shown.contains(secret), "{text} became {shown}");
        assert!(shown.contains(&format!("<redacted:{kind}:")), "{text} became {shown}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "Ann Lee, 12 Main Street",
        "2026-11-21T08:00:00.000+01:00",
        "1763712000000",
        "6f1c1f0e-8f5c-4f5b-9c51-0d9b7a5e3c11",
        "order-2024-Summer-Sale-Shoes-Blue-Size-42",
        "/api/v2/customers/orders/2024/items",
        "a basic understanding of tokens: none",
        "totalAmountInvoice2024Gross",
        "INTERNATIONALBUSINESSMACHINES",
        "https://shop.example/orders?page=2",
        "4111 1111 1111 1112",
        "DE89370400440532013000",
    ] {
        assert_eq!(redactor(&[]).text(text), text);
    }
    let plain =
        json!({"id": 4711, "total": 19.99, "tags": ["new"], "at": 1_763_712_000_000_u64, "note": null, "paid": true});
    assert_eq!(redactor(&[]).value(&plain), plain);
}

#[test]
fn emails_may_stay() {
    let settings = RedactSettings { fields: Vec::new(), emails: false };
    let redactor = Redactor::new(settings, RedactionKey::random());
    assert_eq!(redactor.text("ann@example.com"), "ann@example.com");
}

#[test]
fn configured_fields_keep_type_shape_and_equality() {
    let before = json!({
        "customer": {"name": "Ann Lee", "age": 42, "vip": true, "nick": "", "left": null, "phones": ["0151234", "0151234"]},
        "orders": [{"iban": "DE89"}, {"iban": "DE90"}, {"iban": "DE89"}],
    });
    let after = redactor(&["customer", "orders.iban"]).value(&before);
    let customer = &after["customer"];
    assert!(customer["name"].as_str().is_some_and(|text| text.starts_with("<redacted:text:5-8:")), "{after}");
    assert!(customer["age"].as_u64().is_some_and(|age| (10..100).contains(&age)), "{after}");
    assert!(customer["vip"].is_boolean() && customer["left"].is_null() && customer["nick"] == "", "{after}");
    assert_eq!(customer["phones"][0], customer["phones"][1]);
    assert!(customer["phones"][0].as_str().is_some_and(|text| text.starts_with("<redacted:digits:5-8:")), "{after}");
    let ibans: Vec<&Value> = after["orders"].as_array().expect("orders").iter().map(|order| &order["iban"]).collect();
    assert!(ibans[0] == ibans[2] && ibans[0] != ibans[1], "{after}");
    assert!(!after.to_string().contains("Lee") && !after.to_string().contains("DE89"), "{after}");
}

#[test]
fn fields_with_the_names_of_secrets_need_no_configuration() {
    let before = json!({
        "password": "pw", "X-Api-Key": "k", "clientSecret": {"a": ["b"]}, "access_token": 123_456, "pin": "0000",
        "tokens": 17, "pinned": "yes", "author": "Ann",
    });
    let after = redactor(&[]).value(&before);
    for name in ["password", "X-Api-Key", "access_token", "pin"] {
        assert_ne!(after[name], before[name], "{name}");
    }
    assert_ne!(after["clientSecret"]["a"][0], "b");
    for name in ["tokens", "pinned", "author"] {
        assert_eq!(after[name], before[name], "{name}");
    }
}

#[test]
fn a_redacted_value_is_recognised_at_other_places_of_the_same_pass() {
    let redactor = redactor(&["customer.name", "customer.number"]);
    let input = json!({"customer": {"name": "Ann Lee", "number": 471_112}});
    let output = json!({"who": "Ann Lee", "loud": "ANN LEE", "greeting": "Dear Ann Lee!", "no": "471112", "n": 471_112, "other": "Bob"});
    let mut pass = redactor.pass();
    pass.learn(&input);
    pass.learn(&output);
    let (input, output) = (pass.value(&input), pass.value(&output));
    assert_eq!(input["customer"]["name"], output["who"]);
    assert_eq!(input["customer"]["number"], output["n"]);
    assert_eq!(output["other"], "Bob");
    let shown = output.to_string().to_lowercase();
    assert!(!shown.contains("lee") && !shown.contains("471112"), "{output}");
    assert!(output["greeting"].as_str().is_some_and(|text| text.starts_with("Dear <redacted:")), "{output}");
    assert!(!pass.text("Ann Lee is missing").contains("Lee"));
    assert!(pass.redacted() >= 7, "{}", pass.redacted());
}

#[test]
fn known_secrets_are_found_anywhere() {
    let redactor = redactor(&[]).with_secrets(["plain-looking"]);
    let shown = redactor.value(&json!({"plain-looking": "x plain-looking y"})).to_string();
    assert!(!shown.contains("plain-looking"), "{shown}");
    assert!(!format!("{redactor:?}").contains("plain"), "{redactor:?}");
    assert!(!redactor.pass().expression("orders.`plain-looking`").contains("plain-looking"));
}

#[test]
fn keys_of_objects_are_redacted_too() {
    let after = redactor(&[]).value(&json!({"ann@example.com": 1})).to_string();
    assert!(!after.contains("ann@example.com") && after.contains("<redacted:email:"), "{after}");
}

#[test]
fn names_that_are_values_elsewhere_stay_names() {
    let redactor = redactor(&["role", "label"]);
    let value = json!({"role": "customer", "customer": {"who": "customer"}, "label": "Ann Lee", "Ann Lee": 1});
    let mut pass = redactor.pass();
    pass.learn(&value);
    let after = pass.value(&value);
    assert_eq!(after["customer"]["who"], after["role"]);
    assert!(after["customer"].is_object() && !after.to_string().contains("Ann Lee"), "{after}");
    assert_eq!(pass.schema(&json!({"enum": ["customer"]})), json!({"enum": ["customer"]}));
}

#[test]
fn an_expression_keeps_its_code_and_loses_its_secrets() {
    let before = r#"/* don't use key sk-abcdefghijklmnop */ {"token": order.token, "password": "hunter22", "id": $string(id), "veryLongNameXY12ZaB34CdE56": a}"#;
    let after = redactor(&[]).pass().expression(before);
    assert!(after.contains(r#""token": order.token"#) && after.contains("$string(id)"), "{after}");
    assert!(!after.contains("hunter22") && !after.contains("sk-abcdef"), "{after}");
}

#[test]
fn a_schema_keeps_its_words_and_loses_its_examples() {
    let schema = json!({
        "type": "object",
        "required": ["password", "mail"],
        "properties": {
            "password": {"type": "string", "default": "hunter22", "minLength": 8},
            "customer": {"type": "object", "properties": {"name": {"type": "string", "examples": ["Ann Lee"]}}},
            "state": {"enum": ["open", "closed"]},
        },
    });
    let after = redactor(&["customer.name"]).pass().schema(&schema);
    assert_eq!(after["required"], schema["required"]);
    assert_eq!(after["properties"]["password"]["type"], "string");
    assert_eq!(after["properties"]["state"], schema["properties"]["state"]);
    let shown = after.to_string();
    assert!(!shown.contains("hunter22") && !shown.contains("Ann Lee"), "{shown}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~äß€]{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn same_shape(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_shape(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.values().zip(other.values()).all(|(one, other)| same_shape(one, other))
        }
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn leaves<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, found)),
        leaf => found.push(leaf),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_shape_stays_and_nothing_of_a_redacted_field_is_left(value in json_value()) {
        let before = json!({ "secret": value });
        let after = redactor(&[]).value(&before);
        prop_assert!(same_shape(&before, &after), "{} {}", before, after);
        let (mut was, mut is) = (Vec::new(), Vec::new());
        leaves(&before, &mut was);
        leaves(&after, &mut is);
        for (was, is) in was.iter().zip(is) {
            let may_stay = was.is_null() || was.is_boolean() || *was == "" || was.to_string().len() <= 3;
            prop_assert!(may_stay || *was != is, "{} stayed", was);
        }
    }

    #[test]
    fn a_text_is_redacted_once(text in "[ -~]{0,60}", secret in "[A-Za-z0-9]{24,40}", mail in "[a-z]{1,8}@[a-z]{1,8}\\.com") {
        let redactor = redactor(&[]);
        let once = redactor.text(&format!("{text} {secret} token={secret} {mail} {text}"));
        prop_assert_eq!(redactor.text(&once), once.clone());
        prop_assert!(!once.contains(&mail), "{}", once);
    }

    #[test]
    fn any_text_can_be_redacted(text in any::<String>(), known in any::<String>()) {
        let redactor = redactor(&["a"]).with_secrets([known.as_str()]);
        let _ = redactor.pass().expression(&text);
        let after = redactor.value(&json!({"a": text, "b": [text]}));
        let keeps_shape = same_shape(&after, &json!({"a": "", "b": [""]}));
        prop_assert!(keeps_shape, "{}", after);
    }
}
