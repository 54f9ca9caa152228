//! Integers beyond ±(2^53 − 1): copied digit for digit, made into text, compared; never rounded in silence.

use proptest::prelude::*;
use prunella_mapping::{Bindings, EvalError, Expression, Input, Limits, Moment};
use prunella_model::Code;
use serde_json::json;

const LARGE: &str = "12345678901234567";
const HUGE: &str = "123456789012345678901234567890";

fn map(source: &str, item: &str) -> Result<String, EvalError> {
    map_with(source, item, &Bindings::new())
}

fn map_with(source: &str, item: &str, bindings: &Bindings) -> Result<String, EvalError> {
    let expression = Expression::compile(source).expect(source);
    expression
        .map_item(item.as_bytes(), bindings, Moment::new(0, 0), &Limits::default())
        .map(|text| String::from_utf8(text).expect("JSON text"))
}

#[track_caller]
fn gives(source: &str, item: &str, expected: &str) {
    assert_eq!(map(source, item).as_deref(), Ok(expected), "{source} over {item}");
}

#[test]
fn copies_keep_every_digit() {
    for number in [
        LARGE,
        "-12345678901234567",
        HUGE,
        "-123456789012345678901234567890",
        "9007199254740992",
        "18446744073709551615",
    ] {
        let item = format!(r#"{{"id":{number},"a":[{{"b":{number}}}]}}"#);
        gives("$", &item, &item);
        gives("id", &item, number);
        gives(
            r#"{"x": id, "y": a.b, "z": [a]}"#,
            &item,
            &format!(r#"{{"x":{number},"y":{number},"z":[{{"b":{number}}}]}}"#),
        );
        gives("$merge([$, {'id': id}])", &item, &item);
        gives("$ ~> |$|{'c': id}, 'a'|", &item, &format!(r#"{{"id":{number},"c":{number}}}"#));
    }
}

#[test]
fn text_made_of_them_has_their_digits_and_is_text() {
    let item = format!(r#"{{"id":{LARGE},"big":{HUGE},"s":"x"}}"#);
    gives("$string(id)", &item, &format!(r#""{LARGE}""#));
    gives("id & ''", &item, &format!(r#""{LARGE}""#));
    gives("'order-' & id & '/' & s", &item, &format!(r#""order-{LARGE}/x""#));
    gives("$length($string(big))", &item, "30");
    gives("$pad($string(id), -20, '0')", &item, &format!(r#""000{LARGE}""#));
    gives("id ~> $string", &item, &format!(r#""{LARGE}""#));
    gives("id ~> $string()", &item, &format!(r#""{LARGE}""#));
    gives("id.$string()", &item, &format!(r#""{LARGE}""#));
    gives("$map([id, 1], $string)", &item, &format!(r#"["{LARGE}","1"]"#));
    gives("$string({'a': id, 'b': '\"'})", &item, &format!(r#""{{\"a\":{LARGE},\"b\":\"\\\"\"}}""#));
    gives("{'a': 1, $string(id): 2}", &item, &format!(r#"{{"a":1,"{LARGE}":2}}"#));
    gives("'' & {'a': [id]}", &item, &format!(r#""{{\"a\":[{LARGE}]}}""#));
    gives("nothing & id & nothing", &item, &format!(r#""{LARGE}""#));
}

#[test]
fn they_are_numbers_in_the_eyes_of_the_language() {
    let item = format!(r#"{{"id":{LARGE}}}"#);
    gives("$type(id)", &item, r#""number""#);
    gives("$number(id)", &item, LARGE);
    gives("$map([id], $type)", &item, r#""number""#);
    gives("id ? 'yes' : 'no'", &item, r#""yes""#);
    gives("$count(id)", &item, "1");
}

#[test]
fn comparing_sorting_and_grouping_are_right() {
    let item = r#"{"a":9007199254740993,"b":9007199254740992,"c":123456789012345678901,"d":-9007199254740993,
        "all":[123456789012345678901,9007199254740993,-9007199254740993,-123456789012345678901]}"#;
    gives(
        "[a = b, a = 9007199254740993, a != b, a > b, b < a, c > a, d < a, d > a, a in [b, c], a in [c, a]]",
        item,
        "[false,true,true,true,true,true,true,false,false,true]",
    );
    gives("$sort(all)", item, "[-123456789012345678901,-9007199254740993,9007199254740993,123456789012345678901]");
    gives("all^(>$)", item, "[123456789012345678901,9007199254740993,-9007199254740993,-123456789012345678901]");
    gives("$distinct([a, b, a])", item, "[9007199254740993,9007199254740992]");
    gives("a = '9007199254740993'", item, "false");
}

#[test]
fn literals_of_the_expression_keep_their_digits_too() {
    gives(
        "{'id': 12345678901234567, 'below': -12345678901234567}",
        "{}",
        r#"{"id":12345678901234567,"below":-12345678901234567}"#,
    );
    gives("id = 12345678901234567", r#"{"id":12345678901234567}"#, "true");
    gives("id = 12345678901234567", r#"{"id":12345678901234568}"#, "false");
}

#[test]
fn arithmetic_is_an_error_that_says_where() {
    let item = format!(r#"{{"id":{LARGE},"ids":[{LARGE}, 1]}}"#);
    for source in [
        "id + 1",
        "id - 1",
        "2 * id",
        "id / 2",
        "id % 10",
        "-id",
        "$sum(ids)",
        "$max(ids)",
        "$abs(id)",
        "$round(id)",
        "$floor(id)",
        "id > 5",
        "[1..id]",
        "$sort(ids)",
        "$formatNumber(id, '0')",
        "$average(ids)",
        "function($n)<n:n>{$n}(id)",
    ] {
        let error = map(source, &item).expect_err(source);
        assert_eq!(error.code(), Code::MappingInexactInteger, "{source}: {error}");
    }
    let error = map("{\n  'a': 'é' & 'b',\n  'next': id + 1 }", &item).expect_err("arithmetic");
    assert!(error.to_string().contains("line 3, column 11"), "{error}");
}

#[test]
fn an_error_that_has_nothing_to_do_with_them_stays_what_it_is() {
    let error = map("{'id': id, 'x': 'a' + 1}", &format!(r#"{{"id":{LARGE}}}"#)).expect_err("type error");
    assert_eq!(error.code(), Code::MappingFailed, "{error}");
    assert!(error.to_string().contains("T2001"), "{error}");
}

#[test]
fn those_of_variables_are_kept_too() {
    let steps = Input::from_json(&format!(r#"{{"orders":[{{"id":{HUGE}}}]}}"#)).expect("JSON");
    let bindings = Bindings::new().with("steps", steps).with("run", json!({"id": "r"}));
    assert_eq!(
        map_with("{'id': $steps.orders.id, 'run': $run.id, 'n': n}", r#"{"n":1}"#, &bindings).as_deref(),
        Ok(r#"{"id":123456789012345678901234567890,"run":"r","n":1}"#)
    );
    // 64 bits fit into a value, more do not.
    let evaluate = |source: &str, input: serde_json::Value| {
        let expression = Expression::compile(source).expect(source);
        expression.evaluate(&input, &bindings, Moment::new(0, 0), &Limits::default())
    };
    assert_eq!(evaluate("[id]", json!({"id": u64::MAX})), Ok(Some(json!([u64::MAX]))));
    assert_eq!(evaluate("[id]", json!({"id": i64::MIN})), Ok(Some(json!([i64::MIN]))));
    let error = evaluate("$steps.orders.id", json!({})).expect_err("longer than 64 bits");
    assert_eq!(error.code(), Code::MappingInexactInteger);
}

#[test]
fn digits_inside_strings_are_left_alone() {
    let item = format!(r#"{{"s":"{HUGE}","t":"\"{HUGE},","k{HUGE}":1}}"#);
    gives("$", &item, &item);
    let item = format!(r#"{{"s":"\"{HUGE}\\","n":{HUGE}}}"#);
    gives("$", &item, &item);
}

#[test]
fn characters_that_marks_are_made_of_are_refused_only_beside_such_integers() {
    let text = "{\"s\":\"\u{FDD0}10017123\u{FDD1}\"}";
    gives("$", text, text);
    let error = map("$", r#"{"s":"\ufdd0","n":12345678901234567}"#).expect_err("reserved character");
    assert_eq!(error.code(), Code::MappingInput, "{error}");
}

#[test]
fn digits_in_a_text_are_not_rounded_when_made_a_number() {
    let item = format!(r#"{{"id":"{HUGE}","small":"12","below":"-{LARGE}"}}"#);
    gives("$number(id)", &item, HUGE);
    gives("[id, small, below].$number()", &item, &format!("[{HUGE},12,-{LARGE}]"));
    gives("$map([id, small], $number)", &item, &format!("[{HUGE},12]"));
    assert_eq!(map("$number(id) + 1", &item).expect_err("arithmetic").code(), Code::MappingInexactInteger);
    gives("$number(small) + 1", &item, "13");
    let bindings = Bindings::new().with("run", json!({ "id": LARGE }));
    assert_eq!(map_with("$number($run.id)", "{}", &bindings).as_deref(), Ok(LARGE));
    let number = Expression::compile("$number(id)").expect("compiles");
    let value = number.evaluate(&json!({ "id": LARGE }), &bindings, Moment::new(0, 0), &Limits::default());
    assert_eq!(value, Ok(Some(json!(12_345_678_901_234_567_u64))));
}

#[test]
fn no_text_is_taken_for_an_integer() {
    let forged = "{\"s\":\"\u{FDD0}1000512345\u{FDD1}\"}";
    gives("s", forged, "\"\u{FDD0}1000512345\u{FDD1}\"");
    let error = map("[s, 12345678901234567]", forged).expect_err("a literal that needs marks");
    assert_eq!(error.code(), Code::MappingInput, "{error}");
    let bindings = Bindings::new().with("big", json!(u64::MAX));
    let error = map_with("[s, $big]", forged, &bindings).expect_err("a variable that needs marks");
    assert_eq!(error.code(), Code::MappingInput, "{error}");
}

fn document(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    let text = "[a-zé\\\\\"{}\\[\\], 0-9]{0,24}".prop_map(|text| serde_json::Value::from(text).to_string());
    let leaf = prop_oneof![4 => leaf, 1 => text, 1 => Just("null".to_owned()), 1 => Just("true".to_owned())];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let fields = proptest::collection::btree_map("[a-z]{1,6}", inner.clone(), 0..6).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        });
        prop_oneof![proptest::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))), fields,]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn integers_of_any_length_pass_through_any_nesting(item in document("(-?[1-9][0-9]{0,40}|0)")) {
        let wrapped = map("{'copy': $$}", &item).expect("a copy");
        // A singleton is no list of its own in the language, but the whole input is copied as it is.
        prop_assert_eq!(wrapped, format!("{{\"copy\":{item}}}"));
    }

    #[test]
    fn comparing_agrees_with_128_bits(a in any::<i128>(), b in any::<i128>()) {
        let scale = |n: i128| if n.unsigned_abs() > 9_007_199_254_740_991 { n } else { n + 10_000_000_000_000_000 };
        let (a, b) = (scale(a), scale(b));
        let expected = format!("[{},{},{}]", a < b, a > b, a == b);
        prop_assert_eq!(map("[a < b, a > b, a = b]", &format!("{{\"a\":{a},\"b\":{b}}}")), Ok(expected));
    }
}
