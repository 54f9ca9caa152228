//! What the result of a mapping may be.

use prunella_mapping::{Bindings, EvalError, Expression, Limits, Moment};
use prunella_model::Code;

fn map(source: &str, item: &str) -> Result<String, EvalError> {
    let expression = Expression::compile(source).expect(source);
    expression
        .map_item(item.as_bytes(), &Bindings::new(), Moment::new(0, 0), &Limits::default())
        .map(|text| String::from_utf8(text).expect("JSON text"))
}

#[track_caller]
fn fails(source: &str, item: &str, code: Code) {
    let error = map(source, item).expect_err(source);
    assert_eq!(error.code(), code, "{source}: {error}");
}

#[test]
fn an_undefined_result_is_an_error() {
    fails("nothing", "{}", Code::MappingUndefined);
    fails("a[x > 1]", r#"{"a":[{"x":1}]}"#, Code::MappingUndefined);
}

#[test]
fn functions_in_the_result_are_errors_wherever_they_are() {
    for source in [
        "function($x){$x}",
        "$sum",
        "[$sum]",
        "{'a': $sum}",
        "{'a': [1, {'b': function(){1}}]}",
        "($f := function(){1}; [$f, null])",
        "($f := function(){1}; {'f': $f})",
        "$map([1,2], function($x){ function(){$x} })",
        "$substring(?, 1)",
        "($r := /a/; [$r])",
        "($g := function($x){[$x]}; $g($sum))",
        "$append([1], $count)",
        "true ? $sum : 1",
        "$lookup({'a': $sum}, 'a')",
    ] {
        fails(source, "{}", Code::MappingFunctionResult);
    }
    for source in ["[null, $map([1], function($x){$x})]", "{'a': null, 'b': $filter([1], function($x){$x = 2})}"] {
        map(source, "{}").expect(source);
    }
}

#[test]
fn numbers_that_json_cannot_hold_are_errors() {
    for source in ["1/0", "{'a': 1/n}", "[0/n]", "{'a': {'b': 5 % n}}", "1e300 * 1e300", "$power(10, 400)", "n / n"] {
        fails(source, r#"{"n":0}"#, Code::MappingNotFinite);
    }
    assert_eq!(map("[null, 4 / n, 5 % n]", r#"{"n":2}"#).as_deref(), Ok("[null,2,1]"));
}

#[test]
fn numbers_are_written_so_that_they_read_back_the_same() {
    for (source, expected) in [
        ("0.1 + 0.2", "0.30000000000000004"),
        ("100", "100"),
        ("1.0", "1"),
        ("-0", "0"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("1e-7", "1e-7"),
        ("5e-324", "5e-324"),
        ("2 * 9007199254740991", "18014398509481982"),
    ] {
        assert_eq!(map(source, "{}").as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for item in ["", "{", "{\"a\":1,}", "nul", "{} {}", "\u{feff}{}", "<html>", "{\"a\":01}"] {
        fails("$", item, Code::MappingInput);
        fails("1", item, Code::MappingInput);
    }
    let expression = Expression::compile("$").expect("compiles");
    let error = expression.map_item(b"\"\xff\"", &Bindings::new(), Moment::new(0, 0), &Limits::default());
    assert_eq!(error.expect_err("not UTF-8").code(), Code::MappingInput);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    fails("$", &deep, Code::MappingNesting);
}

#[test]
fn escapes_and_key_order_survive() {
    let item = "{\"b\":\"\\\"\\\\\\u0001é𝄞\",\"a\":{\"z\":[],\"y\":{}},\"1\":[[],[1,[2]]]}";
    assert_eq!(map("$", item).as_deref(), Ok(item));
}

#[test]
fn eval_is_denied() {
    fails("$eval('1+1')", "{}", Code::MappingEvalDenied);
    fails("$map(['1'], $eval)", "{}", Code::MappingEvalDenied);
    fails("($e := $eval; $e('1'))", "{}", Code::MappingEvalDenied);
}

#[test]
fn errors_say_where() {
    let error = map("{\n  'total': price * quantity\n}", r#"{"price":"12","quantity":2}"#).expect_err("text");
    assert_eq!(error.code(), Code::MappingFailed);
    assert!(error.to_string().contains("line 2") && error.to_string().contains("T2001"), "{error}");

    let error = Expression::compile("{\n  'é': items[\n}").expect_err("syntax");
    assert_eq!((error.code, error.line), (Code::MappingSyntax, 3));
    assert_eq!(Expression::compile("$prunella_x").expect_err("reserved").code, Code::MappingSyntax);
}

#[test]
fn the_moment_decides_clock_and_chance() {
    let expression = Expression::compile("[$now(), $millis(), $random(), $shuffle([1..20])]").expect("compiles");
    let at = |moment| expression.map_item(b"{}", &Bindings::new(), moment, &Limits::default()).expect("a result");
    assert_eq!(at(Moment::new(1_700_000_000_000, 7)), at(Moment::new(1_700_000_000_000, 7)));
    assert_ne!(at(Moment::new(1_700_000_000_000, 7)), at(Moment::new(1_700_000_000_000, 8)));
    let text = String::from_utf8(at(Moment::new(1_700_000_000_000, 7))).expect("JSON text");
    assert!(text.starts_with(r#"["2023-11-14T22:13:20.000Z",1700000000000,"#), "{text}");
}
