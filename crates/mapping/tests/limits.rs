//! Hostile expressions: each ends within its limit, in bounded time and memory, with the code of the limit.

use std::time::{Duration, Instant};

use prunella_mapping::{Bindings, EvalError, Expression, LimitKind, Limits, Moment};
use prunella_model::{ByteSize, Code, Period};

/// Nothing here may take this long, however busy the machine: without its limit each would take minutes, or for ever.
const WITHOUT_LIMITS: Duration = Duration::from_secs(30);

fn limits() -> Limits {
    Limits { timeout: Period::from_millis(200), ..Limits::default() }
}

fn map(source: &str, item: &str, limits: &Limits) -> Result<Vec<u8>, EvalError> {
    Expression::compile(source).expect(source).map_item(item.as_bytes(), &Bindings::new(), Moment::new(0, 0), limits)
}

#[track_caller]
fn hits(kind: LimitKind, source: &str, item: &str, limits: &Limits) -> EvalError {
    // On a busy machine time must not run out before the limit that is asked for is met.
    let patient = Limits { timeout: Period::from_secs(60), ..limits.clone() };
    let limits = if kind == LimitKind::Timeout { limits } else { &patient };
    let started = Instant::now();
    let error = map(source, item, limits).expect_err(source);
    let took = started.elapsed();
    assert_eq!(error.code(), kind.code(), "{source}: {error}");
    assert!(matches!(&error, EvalError::Limit { kind: hit, .. } if *hit == kind), "{error:?}");
    assert!(error.to_string().contains(&format!("mapping.{}", kind.key())), "{error}");
    assert!(took < WITHOUT_LIMITS, "{source} took {took:?}");
    error
}

#[test]
fn endless_recursion() {
    hits(LimitKind::Depth, "( $f := function($x){ 1 + $f($x) }; $f(1) )", "{}", &limits());
    hits(LimitKind::Depth, "( $f := function($x){ [$f($x)] }; $f(1) )", "{}", &limits());
    // A call in tail position is a loop, which only steps and time end.
    let few = Limits { max_steps: 10_000, ..limits() };
    let error = hits(LimitKind::Steps, "( $f := function($x){ $f($x) }; $f(1) )", "{}", &few);
    assert!(error.to_string().contains("10000"), "{error}");
    let many = Limits { max_steps: u64::MAX, ..limits() };
    let error = hits(LimitKind::Timeout, "( $f := function($x){ $f($x) }; $f(1) )", "{}", &many);
    assert!(error.to_string().contains("200ms"), "{error}");
}

#[test]
fn arrays_that_grow() {
    hits(LimitKind::ArrayLength, "[1..1e9]", "{}", &limits());
    hits(LimitKind::ArrayLength, "[1..1000000]", "{}", &limits());
    hits(
        LimitKind::ArrayLength,
        "( $f := function($a, $n){ $n = 0 ? $a : $f($append($a, $a), $n - 1) }; $f([1], 60) )",
        "{}",
        &limits(),
    );
    let fewer = Limits { max_array_length: 5_000, ..limits() };
    hits(LimitKind::ArrayLength, "[1..100].([1..100].{'a': $})", "{}", &fewer);
    let few = Limits { max_array_length: 3, ..limits() };
    assert!(map("[1..3]", "{}", &few).is_ok());
    hits(LimitKind::ArrayLength, "[1..4]", "{}", &few);
}

#[test]
fn strings_that_grow() {
    hits(LimitKind::StringLength, "$pad('x', 1e9)", "{}", &limits());
    hits(LimitKind::StringLength, "$pad('x', 9e6)", "{}", &limits());
    hits(
        LimitKind::StringLength,
        "( $f := function($s, $n){ $n = 0 ? $s : $f($s & $s, $n - 1) }; $f('x', 60) )",
        "{}",
        &limits(),
    );
    let short = Limits { max_string_length: ByteSize::from_kib(4), ..limits() };
    hits(LimitKind::StringLength, "$join([1..2000].$string())", "{}", &short);
    hits(LimitKind::StringLength, "$string([1..2000])", "{}", &short);
    hits(
        LimitKind::StringLength,
        "$replace(s, 'a', 'bbbbbbbbbb')",
        &format!(r#"{{"s":"{}"}}"#, "a".repeat(1_000)),
        &short,
    );
    let few = Limits { max_string_length: ByteSize::from_bytes(3), ..limits() };
    assert!(map("'é' & 'x'", "{}", &few).is_ok());
    hits(LimitKind::StringLength, "'é' & 'xy'", "{}", &few);
}

#[test]
fn results_that_grow() {
    // Twenty references to one object make a result of a million copies.
    let doubling = "( $f := function($s, $n){ $n = 0 ? $s : $f({'a': $s, 'b': $s}, $n - 1) }; $f('x', 40) )";
    hits(LimitKind::ResultSize, doubling, "{}", &limits());
    let few = Limits { max_result_bytes: ByteSize::from_bytes(7), ..limits() };
    assert!(map("{'a': 1}", "{}", &few).is_ok());
    hits(LimitKind::ResultSize, "{'a': 12}", "{}", &few);
}

#[test]
fn regular_expressions_that_backtrack() {
    let item = format!(r#"{{"s":"{}!"}}"#, "a".repeat(40));
    let patient = Limits { max_steps: u64::MAX, ..limits() };
    hits(LimitKind::Timeout, "$contains(s, /^(a+)+$/)", &item, &patient);
    hits(LimitKind::Timeout, "$replace(s, /(a|aa)+$/, '')", &item, &patient);
    hits(LimitKind::Steps, "$match(s, /^(a|a)*$/)", &item, &Limits { max_steps: 1_000, ..limits() });
}

#[test]
fn inputs_that_are_too_large_or_too_deep() {
    let few = Limits { max_input_bytes: ByteSize::from_bytes(8), ..limits() };
    assert!(map("$", r#"{"a":12}"#, &few).is_ok());
    hits(LimitKind::InputSize, "1", r#"{"a":123}"#, &few);

    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(map("$", &nested(127), &limits()).is_ok());
    assert_eq!(map("$", &nested(128), &limits()).expect_err("too deep").code(), Code::MappingNesting);
    assert_eq!(map("1", &nested(1_000_000), &limits()).expect_err("too deep").code(), Code::MappingNesting);
}

#[test]
fn results_nested_too_deep_to_be_read() {
    let nest = |depth: usize| format!("$reduce([1..{depth}], function($a, $n){{ {{'a': $a}} }})");
    assert!(map(&nest(128), "{}", &limits()).is_ok());
    for depth in [129, 900, 5_000] {
        assert_eq!(map(&nest(depth), "{}", &limits()).expect_err("too deep").code(), Code::MappingNesting);
    }
}

#[test]
fn expressions_nested_too_deep_do_not_compile() {
    for source in
        [format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000)), "1+".repeat(50_000) + "1", "[".repeat(50_000)]
    {
        let error = Expression::compile(&source).expect_err("too deep");
        assert_eq!(error.code, Code::MappingSyntax);
        assert!(error.message.contains("nested too deeply"), "{error}");
    }
}

#[test]
fn distinct_of_many_values_takes_no_quadratic_time() {
    let items: Vec<_> = (0..50_000).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
    let item = format!("[{}]", items.join(","));
    let started = Instant::now();
    let text = map("$count($distinct($))", &item, &Limits::default()).expect("a count");
    assert_eq!(text, b"50000");
    assert!(started.elapsed() < WITHOUT_LIMITS, "{:?}", started.elapsed());
}

#[test]
fn grouping_and_searching_among_many_items_end_in_time() {
    let items: Vec<_> = (0..20_000).map(|n| format!(r#"{{"k":"k{n}","n":{n}}}"#)).collect();
    let item = format!(r#"{{"a":[{}]}}"#, items.join(","));
    for source in
        ["$count($keys(a{k: n}))", "$count(a[k in $$.a.k])", "$count($sort(a, function($l, $r){ $l.n < $r.n }))"]
    {
        let started = Instant::now();
        if let Err(error) = map(source, &item, &limits()) {
            assert!(matches!(error.code(), Code::MappingTimeout | Code::MappingSteps), "{error}");
        }
        assert!(started.elapsed() < WITHOUT_LIMITS, "{source}: {:?}", started.elapsed());
    }
}

#[test]
fn looking_behind_nulls_needs_no_higher_limits() {
    let items: Vec<_> = (0..2_000).map(|n| format!(r#"{{"n":{n},"x":null}}"#)).collect();
    let few = Limits { max_array_length: 2_000, ..Limits::default() };
    let item = format!(r#"{{"d":2,"a":[{}]}}"#, items.join(","));
    map("{'half': $sum(a.n) / d, 'a': a}", &item, &few).expect("a result within the limits");
}

#[test]
fn a_limit_is_of_one_evaluation() {
    let expression = Expression::compile("[1..1000]").expect("compiles");
    for _ in 0..50 {
        let few = Limits { max_steps: 10, ..limits() };
        expression.map_item(b"{}", &Bindings::new(), Moment::new(0, 0), &few).expect("few steps");
    }
}
