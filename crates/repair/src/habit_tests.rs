//! What is drift, and what is not, told from windows of outputs.

use serde_json::{Value, json};

use super::*;

type Shape = fn(u64) -> Value;

/// An order of a shop. `n` is its number, by which everything in it is found again.
fn order(n: u64) -> Value {
    let states = ["open", "paid", "sent", "returned"];
    let countries = ["DE", "AT", "CH"];
    let cities = ["Berlin", "Hamburg", "München", "Köln", "Leipzig"];
    json!({
        "id": format!("A-{n:05}"),
        "customer": format!("C{:03}", n * 7 % 31),
        "state": states[(n % 4) as usize],
        "email": format!("person{}@shop.example", n % 23),
        "total": 1500 + n * 37 % 900,
        "weight": 10.25 + (n % 20) as f64,
        "note": if n.is_multiple_of(3) { json!("leave it at the door") } else { Value::Null },
        "city": cities[(n % 5) as usize],
        "country": countries[(n % 3) as usize],
        "lines": [{ "sku": format!("S{}", n % 9), "count": 1 + n % 4 }],
        "at": 1_760_000_000 + n * 61,
    })
}

/// A portion of six looks of five outputs.
fn portion(shape: impl Fn(u64) -> Value, from: u64) -> Portion {
    let mut all = Portion::default();
    for look in 0..6 {
        let outputs: Vec<Value> = (0..5).map(|at| shape(from + look * 5 + at)).collect();
        all.merge(&Portion::look(&outputs, i64::try_from(from + look * 5).expect("small")));
    }
    all
}

fn habit(shape: impl Fn(u64) -> Value, portions: u64) -> Habit {
    let mut habit = Habit::default();
    for at in 0..portions {
        habit.learn(format!("recent-{at}"), portion(&shape, at * 30));
    }
    habit
}

fn with(field: &str, change: fn(&Value) -> Value) -> impl Fn(u64) -> Value {
    let field = field.to_owned();
    move |n| {
        let mut output = order(n);
        output[&field] = change(&output[&field]);
        output
    }
}

fn found(jumps: &[Jump]) -> Vec<String> {
    jumps.iter().map(Jump::in_words).collect()
}

#[test]
fn a_long_healthy_stream_is_no_drift() {
    let mut habit = habit(order, 3);
    for at in 3..300 {
        let now = portion(order, at * 30);
        assert_eq!(found(&habit.drift(&now)), Vec::<String>::new(), "portion {at}");
        habit.learn(format!("recent-{}", at % 8), now);
    }
}

#[test]
fn a_field_that_falls_silent_is_noticed_and_one_that_is_rare_is_not() {
    let habit = habit(order, 8);
    let gone = habit.drift(&portion(with("email", |_| Value::Null), 240));
    assert_eq!(found(&gone), ["email is never filled now; it was in 100 %"]);
    let empty = habit.drift(&portion(with("lines", |_| json!([])), 240));
    assert_eq!(found(&empty), ["lines is never filled now; it was in 100 %"], "not each field of its items");
    let rare: Shape = |n| json!({ "id": n, "coupon": if n.is_multiple_of(40) { json!("TEN") } else { Value::Null } });
    let habit = self::habit(rare, 8);
    assert_eq!(habit.drift(&portion(|n| json!({ "id": n, "coupon": null }), 240)), []);
}

#[test]
fn cents_that_became_dollars_are_noticed() {
    let dollars = with("total", |cents| json!(cents.as_f64().expect("a number") / 100.0));
    assert_eq!(found(&habit(order, 8).drift(&portion(dollars, 240))), ["total is about 0.01 times what it was"]);
}

#[test]
fn fields_that_changed_places_are_noticed_by_words_ranges_and_patterns() {
    let habit = habit(order, 8);
    for (left, right) in [("city", "country"), ("total", "weight"), ("customer", "id")] {
        let swap = |n: u64| {
            let mut output = order(n);
            let (a, b) = (output[left].clone(), output[right].clone());
            (output[left], output[right]) = (b, a);
            output
        };
        let told = found(&habit.drift(&portion(swap, 240)));
        assert_eq!(told, [format!("{left} and {right} have changed places")]);
    }
}

#[test]
fn words_that_were_recoded_are_noticed_and_a_new_one_is_not() {
    let habit = habit(order, 8);
    let recoded = with("state", |state| json!(state.as_str().expect("text").to_uppercase()));
    let told = found(&habit.drift(&portion(recoded, 240)));
    assert_eq!(told, ["state was one of open, paid, returned, sent and is now one of OPEN, PAID, RETURNED, SENT"]);
    let one_more = with("state", |state| if state == "sent" { json!("held") } else { state.clone() });
    assert_eq!(habit.drift(&portion(one_more, 240)), []);
}

#[test]
fn what_the_source_did_before_is_no_drift() {
    // Runs of one shop each: some sell in yen, and without mail.
    let shop = |shop: u64, n: u64| {
        let mut output = order(n);
        output["shop"] = json!(format!("shop {shop}"));
        if shop == 3 {
            output["total"] = json!(output["total"].as_u64().expect("a number") * 100);
            output["email"] = Value::Null;
        }
        output
    };
    let mut habit = Habit::default();
    for at in 0..8 {
        habit.learn(format!("recent-{at}"), portion(|n| shop(at, n), at * 30));
    }
    assert_eq!(found(&habit.drift(&portion(|n| shop(3, n), 300))), Vec::<String>::new());
    // A shop that is new is no drift either.
    assert_eq!(found(&habit.drift(&portion(|n| shop(11, n), 330))), Vec::<String>::new());
}

#[test]
fn a_season_a_quiet_night_and_a_new_hour_are_no_drift() {
    let weather = |base: i64| {
        move |n: u64| {
            let swing = i64::try_from(n * 13 % 11).expect("small");
            json!({ "station": format!("S{}", n % 7), "celsius": base + swing, "power": base.max(0) * 97 + i64::try_from(n).expect("small"), "hour": base })
        }
    };
    let mut habit = Habit::default();
    for at in 0..8 {
        habit.learn(format!("recent-{at}"), portion(weather(14 - i64::try_from(at / 2).expect("small")), at * 30));
    }
    assert_eq!(found(&habit.drift(&portion(weather(-9), 300))), Vec::<String>::new());
    let night = |n: u64| json!({ "station": format!("S{}", n % 7), "celsius": 3, "power": 0, "hour": 23 });
    let told = found(&habit.drift(&portion(night, 300)));
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn nothing_is_said_as_long_as_hardly_anything_is_known() {
    assert_eq!(habit(order, 2).drift(&portion(with("email", |_| Value::Null), 60)), []);
}

#[test]
fn a_portion_survives_its_record_and_keeps_to_its_size() {
    let mut wide = portion(|n| (0..300).map(|at| (format!("f{at}"), json!(n))).collect(), 0);
    wide.keep(200);
    assert_eq!((wide.fields.len(), wide.profile.fields.len()), (200, 200));
    let known = portion(order, 0);
    let text = serde_json::to_string(&known).expect("JSON");
    assert_eq!(serde_json::from_str::<Portion>(&text).expect("a portion"), known);
}

#[test]
#[ignore = "measures"]
fn what_a_look_costs() {
    let habit = habit(order, 39);
    let outputs: Vec<Value> = (0..16).map(order).collect();
    let now = portion(order, 1200);
    let times = |work: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..50).for_each(|_| work());
        began.elapsed() / 50
    };
    let look = times(&mut || drop(Portion::look(&outputs, 0)));
    let judge = times(&mut || assert_eq!(habit.drift(&now), []));
    let drifted = portion(with("email", |_| Value::Null), 1200);
    let noticed = times(&mut || assert_eq!(habit.drift(&drifted).len(), 1));
    let learn = times(&mut || drop(together(&habit.distinct(), |_| true)));
    let kept = serde_json::to_string(&now).expect("JSON").len();
    eprintln!("look {look:?}, judge {judge:?}, notice {noticed:?}, learn {learn:?}, {kept} bytes a portion");
}
